"""Item-to-item products of large sparse matrices, a few rows at a time, each pruned at once."""

import numpy as np
from scipy import sparse

from recommender.models.neighbours import ROWS_AT_ONCE, keep_strongest_stored
from recommender.types import CsrMatrix


def pruned_product(left: CsrMatrix, right: CsrMatrix, neighbours: int) -> CsrMatrix:
    """leftᵀ·right without its diagonal, keeping the strongest `neighbours` entries of every row."""
    transposed = sparse.csr_matrix(left.T)
    right = sparse.csr_matrix(right)
    parts = []
    for start in range(0, transposed.shape[0], ROWS_AT_ONCE):
        block = sparse.csr_matrix(transposed[start : start + ROWS_AT_ONCE] @ right)
        parts.append(keep_strongest_stored(without_diagonal(block, start), neighbours))
    return sparse.csr_matrix(sparse.vstack(parts))


def without_diagonal(block: CsrMatrix, first_row: int = 0) -> CsrMatrix:
    """The rows of a square matrix that begin at `first_row`, without the entries of its diagonal and stored zeros."""
    rows = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr)) + first_row
    kept = (rows != block.indices) & (block.data != 0)
    return sparse.csr_matrix((block.data[kept], (rows[kept] - first_row, block.indices[kept])), shape=block.shape)
