"""Bought together: items that share baskets more often than chance.

Log-likelihood ratio: Dunning, "Accurate Methods for the Statistics of Surprise and Coincidence", Computational
Linguistics 19(1), 1993. Lift: Brin, Motwani, Ullman, Tsur, "Dynamic itemset counting and implication rules", 1997.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse, special

from recommender.dataset import Interactions
from recommender.errors import InvalidData
from recommender.models.base import Retriever
from recommender.models.cooccurrence import without_diagonal
from recommender.models.ease import Ease
from recommender.models.neighbours import NeighbourTable, keep_strongest_stored
from recommender.models.popularity import count_customers
from recommender.types import CsrMatrix, DoubleArray


@dataclass
class BoughtTogether(Retriever):
    """For each item the `neighbours` items that go with it in at least `fewest` baskets.

    `measure`: "partial", what an item says beyond the other items of the basket (`Ease` on baskets, `l2` as there);
    "confidence", the share of an item's baskets that hold the other one; "lift", how many times more often
    than by chance; "llr", the log-likelihood ratio of together against apart (0 where they meet less than by chance).

    >>> import polars as pl
    >>> rows = {"user": ["1", "1", "2", "2", "3", "4"], "item": ["tea", "jam", "tea", "jam", "ham", "ham"]}
    >>> baskets = Interactions.from_frame(pl.DataFrame(rows))
    >>> found = BoughtTogether(measure="lift", fewest=1).fit(baskets).recommend([["tea"]], k=1)

    Tea and jam are each in 2 of 4 baskets and in 2 together: 4 · 2 / (2 · 2) = 2.

    >>> found.items.tolist(), found.scores.round(3).tolist()
    ([['jam']], [[2.0]])
    """

    measure: Literal["partial", "confidence", "lift", "llr"] = "partial"
    neighbours: int = 100
    fewest: int = 2
    l2: float = 500.0

    def _learn(self, interactions: Interactions) -> NeighbourTable:
        if self.measure != "partial" and self.measure not in _MEASURES:
            raise InvalidData(f"measure: expected partial, {', '.join(_MEASURES)}, got '{self.measure}'")
        baskets = basket_matrix(interactions)
        if self.measure == "partial":
            links = Ease(l2=self.l2, neighbours=self.neighbours).links(baskets)
        else:
            links = keep_strongest_stored(self._measured(baskets), self.neighbours)
        return NeighbourTable.from_matrix(interactions.items, links, count_customers(interactions))

    def _measured(self, baskets: CsrMatrix) -> CsrMatrix:
        """The measure of every pair that meets often enough."""
        together = without_diagonal(sparse.csr_matrix(baskets.T @ baskets))
        together = sparse.csr_matrix(together.multiply(together >= self.fewest))
        together.eliminate_zeros()
        occurrences = np.asarray(baskets.sum(axis=0), np.float64).ravel()
        rows = np.repeat(np.arange(together.shape[0]), np.diff(together.indptr))
        both = together.data.astype(np.float64)
        weights = _MEASURES[self.measure](both, occurrences[rows], occurrences[together.indices], baskets.shape[0])
        return sparse.csr_matrix((weights, together.indices, together.indptr), shape=together.shape)


def basket_matrix(interactions: Interactions) -> CsrMatrix:
    """Basket x item, 1.0 where the basket holds the item, float32."""
    baskets, row = np.unique(interactions.events["basket"].to_numpy(), return_inverse=True)
    column = interactions.events["item"].to_numpy()
    shape = (len(baskets), len(interactions.items))
    matrix = sparse.csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def _confidence(both: DoubleArray, left: DoubleArray, _right: DoubleArray, _total: int) -> DoubleArray:
    return both / left


def _lift(both: DoubleArray, left: DoubleArray, right: DoubleArray, total: int) -> DoubleArray:
    return total * both / (left * right)


def _llr(both: DoubleArray, left: DoubleArray, right: DoubleArray, total: int) -> DoubleArray:
    """2 · (H(row sums) + H(column sums) - H(cells)) of the 2 x 2 table, H = Σ n log n - N log N."""
    cells = np.stack([both, left - both, right - both, total - left - right + both])
    rows, columns = np.stack([left, total - left]), np.stack([right, total - right])
    ratio = 2 * (_sum_n_log_n(cells) - _sum_n_log_n(rows) - _sum_n_log_n(columns) + special.xlogy(total, total))
    return np.asarray(np.where(both * total > left * right, np.maximum(ratio, 0.0), 0.0), np.float64)


def _sum_n_log_n(counts: npt.NDArray[np.float64]) -> DoubleArray:
    return np.asarray(special.xlogy(counts, counts).sum(axis=0), np.float64)


_MEASURES = {"confidence": _confidence, "lift": _lift, "llr": _llr}
