"""External ids (the customer's strings) become row indices once, at the border."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import numpy as np

from recommender.types import IndexArray, StringArray


@dataclass(frozen=True)
class IdMap:
    """Sorted distinct external ids; the position of one is its internal id.

    >>> ids = IdMap.of(["pear", "apple", "pear"])
    >>> list(ids.externals)
    ['apple', 'pear']
    >>> ids.to_internal(["pear", "plum"]).tolist()
    [1, -1]
    """

    externals: StringArray

    @classmethod
    def of(cls, ids: Iterable[str]) -> "IdMap":
        return cls(as_strings(sorted(set(ids))))

    def __len__(self) -> int:
        return len(self.externals)

    def __contains__(self, external: str) -> bool:
        return external in self._positions

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {external: position for position, external in enumerate(self.externals.tolist())}

    def to_internal(self, externals: Iterable[str]) -> IndexArray:
        """Internal ids as int32, one for each external id, -1 where it is unknown."""
        return np.fromiter(map(self._positions.get, externals, repeat(-1)), np.int32)

    def to_external(self, internals: IndexArray) -> StringArray:
        """External ids in the shape of `internals`, "" where an internal id is -1."""
        known = np.append(self.externals, "")
        return np.asarray(known[internals], dtype=object)

    def subset(self, internals: IndexArray) -> "IdMap":
        """The map of the given ascending, distinct internal ids alone."""
        return IdMap(self.externals[internals])


def as_strings(values: Iterable[str]) -> StringArray:
    """A one-dimensional object array: numpy's fixed-width strings would pad and cut."""
    listed = list(values)
    array = np.empty(len(listed), dtype=object)
    array[:] = listed
    return array


def pad_histories(histories: Sequence[Sequence[str]]) -> StringArray:
    """Histories as one rectangle [N, H], filled up with "" on the right; H is the longest history, at least 1.

    >>> pad_histories([["a", "b"], []]).tolist()
    [['a', 'b'], ['', '']]
    """
    width = max((len(history) for history in histories), default=0) or 1
    padded = np.full((len(histories), width), "", dtype=object)
    for row, history in enumerate(histories):
        padded[row, : len(history)] = list(history)
    return padded
