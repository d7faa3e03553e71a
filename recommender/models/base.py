"""What all retrievers share: fit on interactions, answer for histories."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

from recommender.dataset import Interactions
from recommender.errors import NotFitted
from recommender.models.neighbours import Histories, NeighbourTable, Recommendations


class Retriever(ABC):
    """Fit once, then `recommend` for any history of external item ids, also of customers never seen."""

    _table: NeighbourTable | None = None

    @property
    def table(self) -> NeighbourTable:
        """What was learned. Raises NotFitted."""
        if self._table is None:
            raise NotFitted(f"{type(self).__name__} has not been fitted; call fit(interactions) first")
        return self._table

    @property
    def size_bytes(self) -> int:
        """How much was learned. Raises NotFitted."""
        return self.table.size_bytes

    def fit(self, interactions: Interactions) -> Self:
        """Learn from `interactions` and return self."""
        self._table = self._learn(interactions)
        return self

    @abstractmethod
    def _learn(self, interactions: Interactions) -> NeighbourTable: ...

    def recommend(
        self,
        histories: Histories,
        *,
        k: int = 10,
        exclude: Sequence[Sequence[str]] | None = None,
        unavailable: Sequence[str] = (),
    ) -> Recommendations:
        """See `NeighbourTable.recommend`. Raises NotFitted, InvalidData."""
        return self.table.recommend(histories, k=k, exclude=exclude, unavailable=unavailable)
