"""Personal frequency: what a customer bought often and lately, they buy again.

The personal half of TIFU-kNN: Hu, He, Gao, Zhang, "Modeling Personalized Item Frequency Information for Next-basket
Recommendation", SIGIR 2020; there the purchases fade by groups, here by age.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from recommender.dataset import Interactions
from recommender.models.base import Retriever
from recommender.models.neighbours import NeighbourTable, Weighting
from recommender.models.popularity import count_customers


@dataclass
class PersonalFrequency(Retriever):
    """Own purchases, each counting 1 / (1 + age / decay_days); popular items fill the rest.

    Needs `History` with ages to tell an old purchase from a new one.

    >>> import polars as pl
    >>> from recommender.history import History
    >>> shop = Interactions.from_frame(pl.DataFrame({"user": ["ann", "bob"], "item": ["tea", "jam"]}))
    >>> model = PersonalFrequency(decay_days=30.0).fit(shop)
    >>> model.recommend([History(("tea", "jam", "jam"), (0.0, 30.0, 90.0))], k=2).scores.round(2).tolist()
    [[1.0, 0.75]]
    """

    decay_days: float = 90.0

    def _learn(self, interactions: Interactions) -> NeighbourTable:
        itself = sparse.csr_matrix(sparse.identity(len(interactions.items), np.float32, format="csr"))
        return NeighbourTable.from_matrix(
            interactions.items, itself, count_customers(interactions), Weighting.AGED, self.decay_days
        )
