"""Item-kNN: items bought by the same customers are alike.

Cosine: Sarwar, Karypis, Konstan, Riedl, "Item-based collaborative filtering recommendation algorithms", WWW 2001.
The weights of BM25 and TF-IDF are those of text retrieval with customers as words, as in the library implicit.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse

from recommender.dataset import Interactions
from recommender.models.base import Retriever
from recommender.models.cooccurrence import pruned_product
from recommender.models.neighbours import NeighbourTable
from recommender.models.popularity import count_customers
from recommender.types import CsrMatrix, DoubleArray


@dataclass
class ItemKnn(Retriever):
    """The `neighbours` most similar items of each item.

    `similarity`: "cosine"; "tfidf", in which customers who buy everything count less; "bm25", in which moreover the
    similarity to items that everybody buys is damped (`k1`, `b` as in BM25). Sparse throughout: the time grows with the
    sum of the squared basket sizes of all customers.

    Tea is owned by 2, jam by 1 customer, both by 1: cosine 1 / √(2·1):

    >>> import polars as pl
    >>> shop = Interactions.from_frame(pl.DataFrame({"user": ["ann", "ann", "bob"], "item": ["tea", "jam", "tea"]}))
    >>> found = ItemKnn().fit(shop).recommend([["jam"]], k=1)
    >>> found.items.tolist(), round(float(found.scores[0, 0]), 3)
    ([['tea']], 0.707)
    """

    similarity: Literal["cosine", "tfidf", "bm25"] = "cosine"
    neighbours: int = 50
    repeat_weight: float = 0.0
    k1: float = 1.2
    b: float = 0.75

    def _learn(self, interactions: Interactions) -> NeighbourTable:
        owned = interactions.matrix()
        weighted = self._weighted(owned)
        other = owned if self.similarity == "bm25" else weighted
        matrix = pruned_product(weighted, other, self.neighbours)
        matrix = sparse.csr_matrix(matrix + self.repeat_weight * sparse.identity(len(interactions.items), format="csr"))
        matrix.eliminate_zeros()
        return NeighbourTable.from_matrix(interactions.items, matrix, count_customers(interactions))

    def _weighted(self, owned: CsrMatrix) -> CsrMatrix:
        """The user x item matrix, weighted; for cosine and TF-IDF with columns of length 1."""
        if self.similarity == "cosine":
            return _unit_columns(owned)
        rarity = np.log(owned.shape[1] / np.maximum(owned.sum(axis=1).A1, 1.0)) + 1.0
        rare = sparse.csr_matrix(sparse.diags_array(rarity) @ owned)
        if self.similarity == "tfidf":
            return _unit_columns(rare)
        buyers = _column_sums(owned)
        damping = (self.k1 + 1) / (1 + self.k1 * (1 - self.b + self.b * buyers / buyers.mean()))
        return sparse.csr_matrix(rare @ sparse.diags_array(damping))


def _unit_columns(matrix: CsrMatrix) -> CsrMatrix:
    lengths = np.sqrt(_column_sums(sparse.csr_matrix(matrix.multiply(matrix))))
    return sparse.csr_matrix(matrix @ sparse.diags_array(1.0 / np.maximum(lengths, 1e-12)))


def _column_sums(matrix: CsrMatrix) -> DoubleArray:
    return np.asarray(matrix.sum(axis=0), np.float64).ravel()
