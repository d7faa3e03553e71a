"""Implicit ALS: factors of users and items, fitted in turn.

Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008; solved by a few steps of
conjugate gradients as in Takács, Pilászy, Tikk, "Applications of the Conjugate Gradient Method for Implicit Feedback
Collaborative Filtering", RecSys 2011. Symbols as there: x_u, y_i, f factors, α confidence, λ = `l2`.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from recommender.dataset import Interactions
from recommender.models.base import Retriever
from recommender.models.neighbours import NeighbourTable, keep_strongest, slices
from recommender.models.popularity import count_customers
from recommender.types import CsrMatrix, FloatArray


@dataclass
class ImplicitAls(Retriever):
    """iALS, answering as item-to-item weights Y·(YᵀY + λI)⁻¹·Yᵀ pruned to the `neighbours` strongest of each item.

    The paper writes a customer's scores as Σ_i s_ij c_ui with s_ij = y_iᵀ W^u y_j (section 5); here W^u is taken with
    the confidence of unknown items, the same for all customers, so that customers who were not in training and the
    exported graph get the same answer. An item speaks for itself as strongly as its factors say. Time per round
    O(nnz·f + (users + items)·f²).
    """

    factors: int = 128
    alpha: float = 1.0
    l2: float = 10.0
    rounds: int = 10
    neighbours: int = 100
    seed: int = 0

    def _learn(self, interactions: Interactions) -> NeighbourTable:
        items = self.item_factors(interactions)
        gram = items.T @ items + self.l2 * np.eye(self.factors, dtype=np.float32)
        weights = np.linalg.solve(gram.astype(np.float64), items.T).astype(np.float32)
        pruned = [keep_strongest(items[rows] @ weights, self.neighbours) for rows in slices(len(items))]
        matrix = sparse.csr_matrix(sparse.vstack(pruned))
        return NeighbourTable.from_matrix(interactions.items, matrix, count_customers(interactions))

    def item_factors(self, interactions: Interactions) -> FloatArray:
        """Y, float32 [I, f]."""
        rng = np.random.default_rng(self.seed)
        owned = interactions.matrix()
        users, items = (rng.normal(0, 0.1, (size, self.factors)).astype(np.float32) for size in owned.shape)
        transposed = owned.T.tocsr()
        for _ in range(self.rounds):
            users = self._solve(owned, users, items)
            items = self._solve(transposed, items, users)
        return items

    def _solve(self, owned: CsrMatrix, x: FloatArray, y: FloatArray, steps: int = 3) -> FloatArray:
        """Minimise over all rows of x at once, starting from x."""
        gram = y.T @ y + self.l2 * np.eye(self.factors, dtype=np.float32)
        rows = np.repeat(np.arange(owned.shape[0]), np.diff(owned.indptr))
        extra = owned.copy()

        def times(v: FloatArray) -> FloatArray:
            """(YᵀY + λI + Σ α y yᵀ)·v for every row v."""
            for piece in slices(owned.nnz):
                extra.data[piece] = self.alpha * np.einsum("nf,nf->n", v[rows[piece]], y[owned.indices[piece]])
            return np.asarray(v @ gram + extra @ y, np.float32)

        residual = np.asarray((1 + self.alpha) * (owned @ y) - times(x), np.float32)
        direction, size = residual, (residual**2).sum(axis=1, keepdims=True)
        for _ in range(steps):
            image = times(direction)
            step = size / np.maximum((direction * image).sum(axis=1, keepdims=True), 1e-20)
            x, residual = x + step * direction, residual - step * image
            new_size = (residual**2).sum(axis=1, keepdims=True)
            direction, size = residual + new_size / np.maximum(size, 1e-20) * direction, new_size
        return np.asarray(x, np.float32)
