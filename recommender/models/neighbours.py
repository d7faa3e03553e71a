"""What every item-to-item retriever comes to after fitting: for each item a few neighbours with weights.

The score of an item is the sum of its weights over the events of the history (`Weighting` says what an event counts),
plus a share of its popularity so small (`POPULARITY_SCALE`) that it only orders items that nothing else tells apart.
The answer to an empty history is therefore the list of popular items. The exported graph computes the same from the
same arrays.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np
from scipy import sparse

from recommender.errors import InvalidData
from recommender.history import History, as_history, known_ages
from recommender.ids import IdMap
from recommender.types import CsrMatrix, DoubleArray, FloatArray, IndexArray, StringArray

Histories = Sequence[History | Sequence[str]]  # one per customer, oldest event first

POPULARITY_SCALE = 1e-6
ROWS_AT_ONCE = 512


class Weighting(Enum):
    """How the events of a history count."""

    DISTINCT = "distinct"  # every item once, however often and long ago
    AGED = "aged"  # every event by its age, see `fade`
    SEQUENCE = "sequence"  # every event by its place: 1 for the last, 1/2 for the one before, ...


Events = tuple[IndexArray, FloatArray]  # internal ids and what each counts
Row = tuple[IndexArray, FloatArray, IndexArray]  # items, scores, reasons of one customer


@dataclass(frozen=True, kw_only=True, slots=True)
class Recommendations:
    """For N customers k places each; where fewer items than k are available: items "", score 0, reason ""."""

    items: StringArray  # [N, k] external ids, best first
    scores: FloatArray  # [N, k] comparable within one customer
    reasons: StringArray  # [N, k] the other history item that contributed most, "" where none contributed


@dataclass(frozen=True, kw_only=True)
class NeighbourTable:
    """Row i holds the items that item i speaks for.

    `neighbours` int32 [I, K] internal ids, ascending in each row and filled up with I (no item) at the end;
    `weights` float32 [I, K], 0 where filled up; `popularity` float64 [I] is any measure, larger for more popular items.
    """

    items: IdMap
    neighbours: IndexArray
    weights: FloatArray
    popularity: DoubleArray
    weighting: Weighting = Weighting.DISTINCT
    decay_days: float = 90.0  # with Weighting.AGED: the age at which an event counts half

    @classmethod
    def from_matrix(
        cls,
        items: IdMap,
        matrix: CsrMatrix,
        popularity: DoubleArray,
        weighting: Weighting = Weighting.DISTINCT,
        decay_days: float = 90.0,
    ) -> "NeighbourTable":
        """Take the stored entries of `matrix` [I, I]; row i, column j: how much owning i speaks for j."""
        matrix = matrix.tocsr()
        matrix.sort_indices()
        counts = np.diff(matrix.indptr)
        width = max(int(counts.max(initial=0)), 1)
        rows = np.repeat(np.arange(len(items)), counts)
        places = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], counts)
        neighbours = np.full((len(items), width), len(items), np.int32)
        weights = np.zeros((len(items), width), np.float32)
        neighbours[rows, places] = matrix.indices
        weights[rows, places] = matrix.data
        return cls(
            items=items,
            neighbours=neighbours,
            weights=weights,
            popularity=popularity,
            weighting=weighting,
            decay_days=decay_days,
        )

    @classmethod
    def without_neighbours(cls, items: IdMap, popularity: DoubleArray) -> "NeighbourTable":
        """The same list, by popularity, for everybody."""
        none = np.full((len(items), 1), len(items), np.int32)
        return cls(items=items, neighbours=none, weights=np.zeros(none.shape, np.float32), popularity=popularity)

    @cached_property
    def matrix(self) -> CsrMatrix:
        """The table as float32 [I, I]."""
        size = len(self.items)
        kept = self.neighbours < size
        indptr = np.append(0, np.cumsum(kept.sum(axis=1)))
        return sparse.csr_matrix((self.weights[kept], self.neighbours[kept], indptr), shape=(size, size))

    @property
    def size_bytes(self) -> int:
        """Of the arrays and the ids."""
        ids = sum(map(len, self.items.externals.tolist()))
        return ids + self.neighbours.nbytes + self.weights.nbytes + self.popularity.nbytes

    @cached_property
    def base(self) -> FloatArray:
        """float32 [I]: every item's score for an empty history."""
        top = float(self.popularity.max(initial=0.0)) or 1.0
        return (POPULARITY_SCALE * self.popularity / top).astype(np.float32)

    def recommend(
        self,
        histories: Histories,
        *,
        k: int = 10,
        exclude: Sequence[Sequence[str]] | None = None,
        unavailable: Sequence[str] = (),
    ) -> Recommendations:
        """The k best items for each history; `exclude` names items per customer, `unavailable` for all of them.

        k is cut to the size of the catalogue. Unknown ids are ignored. Raises InvalidData for k below 1.
        """
        check_request(histories, k, exclude)
        missing = self.known(unavailable)
        rows: list[Row] = []
        for start in range(0, len(histories), ROWS_AT_ONCE):
            events = [self.events(history) for history in histories[start : start + ROWS_AT_ONCE]]
            for place, (event, scores) in enumerate(zip(events, self.scores(events), strict=True), start):
                scores[missing] = -np.inf
                if exclude is not None:
                    scores[self.known(exclude[place])] = -np.inf
                rows.append(self._recommend_one(event, scores, k))
        return collect(self.items, rows, min(k, len(self.items)))

    def scores(self, events: Sequence[Events]) -> FloatArray:
        """Scores float32 [N, I] of every item for each customer's events."""
        flat, weights = (np.concatenate(parts) for parts in zip(*events, strict=True))
        indptr = np.append(0, np.cumsum([len(items) for items, _ in events]))
        history = sparse.csr_matrix((weights, flat, indptr), shape=(len(events), len(self.items)))
        return np.asarray((history @ self.matrix).toarray() + self.base, np.float32)

    def events(self, history: History | Sequence[str]) -> Events:
        """Internal ids of the known items of a history, and what each event counts."""
        given = as_history(history)
        internals = self.items.to_internal(given.items)
        is_known = internals >= 0
        owned = internals[is_known]
        if self.weighting is Weighting.DISTINCT:
            owned = np.unique(owned)
            return owned, np.ones(len(owned), np.float32)
        if self.weighting is Weighting.SEQUENCE:
            return owned, (np.float32(1) / np.arange(len(owned), 0, -1, dtype=np.float32)).astype(np.float32)
        return owned, fade(known_ages(given)[is_known], self.decay_days)

    def known(self, externals: Sequence[str]) -> IndexArray:
        """Distinct internal ids of the known ones, ascending."""
        internals = np.unique(self.items.to_internal(externals))
        return internals[internals >= 0]

    def _recommend_one(self, events: Events, scores: FloatArray, k: int) -> Row:
        best = top_k(scores, k)
        best = best[scores[best] > -np.inf]
        return best, scores[best], self.reasons(events, best)

    def reasons(self, events: Events, recommended: IndexArray) -> IndexArray:
        """For each recommended item the other item of the history that adds most to it, -1 where none adds anything.

        That it was bought itself explains nothing to the customer.
        """
        owned, counts = events
        if not len(owned) or not len(recommended):
            return np.full(len(recommended), -1, np.int32)
        places = np.full(len(self.items) + 1, len(recommended), np.int32)  # where a neighbour stands in the list
        places[recommended] = np.arange(len(recommended), dtype=np.int32)
        added = np.zeros((len(owned), len(recommended) + 1), np.float32)
        np.put_along_axis(added, places[self.neighbours[owned]], self.weights[owned] * counts[:, np.newaxis], axis=1)
        added[np.arange(len(owned)), places[owned]] = 0
        added = added[:, :-1]
        strongest = added.argmax(axis=0)
        return np.where(added.max(axis=0) > 0, owned[strongest], -1).astype(np.int32)


def fade(ages: FloatArray, days: float) -> FloatArray:
    """What an event still counts at its age in days: 1 / (1 + age / days), so half at `days`.

    Forgetting follows a power law rather than an exponential one (Wixted & Ebbesen, "On the form of forgetting",
    1991), and division, unlike exp, is the same to the last bit in every library. Ages below 0 count as 0.

    >>> fade(np.array([0, 30, 90], np.float32), 30.0).tolist()
    [1.0, 0.5, 0.25]
    """
    one = np.float32(1)
    return np.asarray(one / (one + np.maximum(ages, np.float32(0)) / np.float32(days)), np.float32)


def check_request(histories: Histories, k: int, exclude: Sequence[Sequence[str]] | None) -> None:
    """Raise InvalidData for k below 1 and for a wrong number of rows of `exclude`."""
    if k < 1:
        raise InvalidData(f"k: expected a number from 1, got {k}")
    if exclude is not None and len(exclude) != len(histories):
        raise InvalidData(f"exclude: expected {len(histories)} rows, one per history, got {len(exclude)}")


def collect(items: IdMap, rows: Sequence[Row], k: int) -> Recommendations:
    """Rows of different length as one rectangle of external ids."""
    ids = np.full((len(rows), k), -1, np.int32)
    scores = np.zeros((len(rows), k), np.float32)
    reasons = np.full((len(rows), k), -1, np.int32)
    for row, (best, values, strongest) in enumerate(rows):
        ids[row, : len(best)] = best
        scores[row, : len(best)] = values
        reasons[row, : len(best)] = strongest
    return Recommendations(items=items.to_external(ids), scores=scores, reasons=items.to_external(reasons))


def top_k(scores: FloatArray, k: int) -> IndexArray:
    """Positions of the k largest scores, best first; among equals the lower position wins, as in ONNX TopK.

    >>> top_k(np.array([1.0, 3.0, 3.0, 2.0], dtype=np.float32), 2).tolist()
    [1, 2]
    """
    k = min(k, len(scores))
    threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
    candidates = np.flatnonzero(scores >= threshold)
    return candidates[np.argsort(-scores[candidates], kind="stable")][:k].astype(np.int32)


def top_k_of_rows(scores: FloatArray, k: int) -> IndexArray:
    """`top_k` of every row of [N, I].

    >>> top_k_of_rows(np.array([[1.0, 3.0, 3.0], [5.0, 4.0, 0.0]], dtype=np.float32), 2).tolist()
    [[1, 2], [0, 1]]
    """
    k = min(k, scores.shape[1])
    thresholds = np.partition(scores, scores.shape[1] - k, axis=1)[:, scores.shape[1] - k]
    rows, columns = np.nonzero(scores >= thresholds[:, np.newaxis])
    order = np.lexsort((-scores[rows, columns], rows))
    counts = np.bincount(rows, minlength=len(scores))
    firsts = np.cumsum(counts) - counts
    return np.asarray(columns[order[firsts[:, np.newaxis] + np.arange(k)]], np.int32)


def keep_strongest(matrix: DoubleArray | FloatArray, neighbours: int) -> CsrMatrix:
    """In each row of a dense matrix, the entries of largest absolute value (at most `neighbours`, never zeros)."""
    kept = min(neighbours, matrix.shape[1])
    parts = []
    for rows in slices(matrix.shape[0]):
        block = matrix[rows]
        strongest = np.argpartition(-np.abs(block), kept - 1, axis=1)[:, :kept]
        pruned = np.zeros(block.shape, np.float32)
        np.put_along_axis(pruned, strongest, np.take_along_axis(block, strongest, 1).astype(np.float32), 1)
        parts.append(sparse.csr_matrix(pruned))
    return sparse.csr_matrix(sparse.vstack(parts))


def keep_strongest_stored(matrix: CsrMatrix, neighbours: int) -> CsrMatrix:
    """The same for a sparse matrix, without making it dense."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -np.abs(matrix.data), rows))
    place = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], np.diff(matrix.indptr))
    kept = np.sort(order[place < neighbours])
    columns, values = matrix.indices[kept], matrix.data[kept].astype(np.float32)
    return sparse.csr_matrix((values, (rows[kept], columns)), shape=matrix.shape)


def slices(rows: int) -> Iterator[slice]:
    """Rows in pieces of moderate size."""
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, rows, ROWS_AT_ONCE))
