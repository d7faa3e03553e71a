"""Ranking metrics, one value per customer, so that means, intervals and groups are the caller's choice.

All take `hits`: bool [N, k], whether the item at that rank is one of the customer's relevant items, and where needed
`relevant`: int [N], how many relevant items the customer has (at least 1). Rank 1 is column 0.
"""

from collections.abc import Collection, Sequence

import numpy as np

from recommender.errors import InvalidData
from recommender.types import BoolArray, DoubleArray, IndexArray, StringArray


def find_hits(recommended: StringArray, relevant: Sequence[Collection[str]]) -> tuple[BoolArray, IndexArray]:
    """Compare recommended items [N, k] ("" for an empty place) with each customer's relevant items.

    Returns `hits` [N, k] and `relevant` counts [N]. Raises InvalidData when a customer has no relevant item.

    >>> hits, relevant = find_hits(np.array([["a", "b"]], dtype=object), [{"b", "c", "d"}])
    >>> hits.tolist(), relevant.tolist()
    ([[False, True]], [3])
    """
    counts = np.fromiter((len(items) for items in relevant), np.int32, len(relevant))
    if len(recommended) != len(relevant) or not counts.all():
        raise InvalidData("metrics: expected at least one relevant item for every row of recommendations")
    rows = [[item in wanted for item in row] for row, wanted in zip(recommended.tolist(), relevant, strict=True)]
    return np.array(rows, dtype=np.bool_).reshape(recommended.shape), counts


def precision(hits: BoolArray) -> DoubleArray:
    """Share of the k places that are hits.

    >>> precision(np.array([[True, False, True, False]])).tolist()
    [0.5]
    """
    return np.asarray(hits.mean(axis=1), np.float64)


def recall(hits: BoolArray, relevant: IndexArray) -> DoubleArray:
    """Share of the relevant items that are among the k.

    >>> recall(np.array([[True, False, True, False]]), np.array([8])).tolist()
    [0.25]
    """
    return np.asarray(hits.sum(axis=1) / relevant, np.float64)


def hit_rate(hits: BoolArray) -> DoubleArray:
    """1.0 where any place is a hit.

    >>> hit_rate(np.array([[True, True], [False, False]])).tolist()
    [1.0, 0.0]
    """
    return np.asarray(hits.any(axis=1), np.float64)


def ndcg(hits: BoolArray, relevant: IndexArray) -> DoubleArray:
    """Normalised discounted cumulative gain: sum of 1/log2(rank + 1) over hits, divided by the best possible sum.

    Järvelin & Kekäläinen, ACM TOIS 20(4), 2002, with binary gains. One relevant item found at rank 3 gives
    1/log2(4) = 0.5:

    >>> ndcg(np.array([[False, False, True]]), np.array([1])).tolist()
    [0.5]
    """
    k = hits.shape[1]
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(relevant, k) - 1]
    return np.asarray(hits @ discounts / ideal, np.float64)


def average_precision(hits: BoolArray, relevant: IndexArray) -> DoubleArray:
    """Mean of the precisions at the ranks of the hits, over min(relevant, k).

    Hits at ranks 1 and 3 of two relevant items give (1/1 + 2/3) / 2:

    >>> average_precision(np.array([[True, False, True]]), np.array([2])).round(4).tolist()
    [0.8333]
    """
    k = hits.shape[1]
    precisions = np.cumsum(hits, axis=1) / np.arange(1, k + 1)
    return np.asarray((precisions * hits).sum(axis=1) / np.minimum(relevant, k), np.float64)


def reciprocal_rank(hits: BoolArray) -> DoubleArray:
    """1 / rank of the first hit, 0 without one.

    >>> reciprocal_rank(np.array([[False, True], [False, False]])).tolist()
    [0.5, 0.0]
    """
    return np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1), 0.0)
