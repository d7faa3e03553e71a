"""Next item in a session: what tends to come soon after the items just seen.

Sequential rules: Kamehkhosh, Jannach, Ludewig, "A comparison of frequent pattern techniques and a deep learning method
for session-based recommendation", RecTemp 2017; Ludewig & Jannach, "Evaluation of session-based recommendation
algorithms", UMUAI 28, 2018.
"""

from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import polars as pl
from scipy import sparse

from recommender.dataset import Interactions
from recommender.models.base import Retriever
from recommender.models.cooccurrence import without_diagonal
from recommender.models.neighbours import NeighbourTable, Weighting, keep_strongest_stored
from recommender.models.popularity import count_customers
from recommender.types import CsrMatrix, IndexArray


@dataclass
class NextItem(Retriever):
    """An item counts 1/d for each time it came d events later (up to `steps`), as a share of the earlier item's events.

    At request time the last event of the history counts 1, the one before 1/2, and so on.

    >>> import polars as pl
    >>> rows = {"user": ["ann"] * 3 + ["bob"] * 2, "item": ["tea", "jam", "ham", "jam", "ham"]}
    >>> found = NextItem().fit(Interactions.from_frame(pl.DataFrame(rows))).recommend([["tea", "jam"]], k=1)
    >>> found.items.tolist(), found.reasons.tolist()
    ([['ham']], [['jam']])
    """

    steps: int = 10
    neighbours: int = 100

    def _learn(self, interactions: Interactions) -> NeighbourTable:
        events = interactions.events.sort("user", maintain_order=True)
        user, item = (events[name].to_numpy().astype(np.int32) for name in ("user", "item"))
        size = len(interactions.items)
        by_distance = (_followers(user, item, distance, size) / distance for distance in range(1, self.steps + 1))
        follows = sparse.csr_matrix(reduce(add, by_distance))
        occurrences = events.group_by("item").agg(pl.len()).sort("item")["len"].to_numpy()
        shares = sparse.csr_matrix(sparse.diags_array(1.0 / occurrences) @ without_diagonal(follows))
        pruned = keep_strongest_stored(shares, self.neighbours)
        return NeighbourTable.from_matrix(interactions.items, pruned, count_customers(interactions), Weighting.SEQUENCE)


def _followers(user: IndexArray, item: IndexArray, distance: int, size: int) -> CsrMatrix:
    """How often item j (column) came `distance` events after item i (row) with the same user."""
    same = user[distance:] == user[:-distance] if distance < len(user) else np.zeros(0, np.bool_)
    earlier, later = item[: len(same)][same], item[len(item) - len(same) :][same]
    return sparse.csr_matrix((np.ones(len(earlier), np.float32), (earlier, later)), shape=(size, size))
