"""EASE, the embarrassingly shallow autoencoder: one linear regression per item, in closed form.

Harald Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, https://arxiv.org/abs/1905.03375.
Symbols as there: X user x item, G = XᵀX, λ = `l2`, P = (G + λI)⁻¹, B = I - P / diag(P).
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from recommender.dataset import Interactions
from recommender.models.base import Retriever
from recommender.models.neighbours import NeighbourTable, keep_strongest
from recommender.models.popularity import count_customers
from recommender.types import CsrMatrix, DoubleArray, IndexArray


@dataclass
class Ease(Retriever):
    """EASE, pruned to the `neighbours` weights of largest size of each item.

    `l2` (λ, in customers) grows with the data's noise. The paper forbids an item to predict itself; in a shop people
    buy again, so each item predicts itself with `repeat_weight` (0 for the paper's model). Only the `most_items` items
    that most customers have predict each other, since time grows with their cube and memory with 24 bytes times their
    square (8,000: some seconds and 1.5 GB; 20,000: minutes and 10 GB); the others predict themselves alone.

    Two customers who buy tea and jam together make either recommend the other:

    >>> import polars as pl
    >>> rows = {"user": ["ann", "ann", "bob", "bob", "eve"], "item": ["tea", "jam", "tea", "jam", "ham"]}
    >>> model = Ease(l2=1.0, repeat_weight=0.0).fit(Interactions.from_frame(pl.DataFrame(rows)))
    >>> found = model.recommend([["tea"]], k=1)
    >>> found.items.tolist(), found.reasons.tolist()
    ([['jam']], [['tea']])

    G = [[2, 2], [2, 2]] for tea and jam, so B = 2 / (2 + λ):

    >>> round(float(found.scores[0, 0]), 3)
    0.667
    """

    l2: float = 500.0
    neighbours: int = 100
    repeat_weight: float = 0.3
    most_items: int = 8_000

    def _learn(self, interactions: Interactions) -> NeighbourTable:
        itself = sparse.identity(len(interactions.items), np.float32, format="csr")
        matrix = sparse.csr_matrix(self.links(interactions.matrix()) + self.repeat_weight * itself)
        matrix.eliminate_zeros()
        return NeighbourTable.from_matrix(interactions.items, matrix, count_customers(interactions))

    def links(self, owned: CsrMatrix) -> CsrMatrix:
        """The pruned weights float32 [I, I] for X = `owned` (customers or baskets in the rows), diagonal 0."""
        popularity = np.asarray(owned.sum(axis=0)).ravel()
        head = np.sort(np.argsort(-popularity, kind="stable")[: self.most_items]).astype(np.int32)
        pruned = keep_strongest(self.weights(owned[:, head]), self.neighbours)
        return _spread(pruned, head, owned.shape[1])

    def weights(self, owned: CsrMatrix) -> DoubleArray:
        """The dense B of the paper for X = `owned`, float64 [I, I], diagonal 0."""
        gram = (owned.T @ owned).toarray().astype(np.float64)
        gram[np.diag_indices_from(gram)] += self.l2
        inverse = linalg.inv(gram, overwrite_a=True, check_finite=False)
        inverse /= -inverse.diagonal()
        np.fill_diagonal(inverse, 0.0)
        return np.asarray(inverse, np.float64)


def _spread(block: CsrMatrix, places: IndexArray, size: int) -> CsrMatrix:
    """The rows and columns of a matrix at their places in a larger, otherwise empty one."""
    entries = block.tocoo()
    at = (places[entries.row], places[entries.col])
    return sparse.csr_matrix((entries.data, at), shape=(size, size))
