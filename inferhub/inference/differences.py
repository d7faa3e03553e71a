"""How far apart two answers are."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inferhub.runtime.signature import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """`largest` is that of the measures (floating-point numbers), None where there is none to compare.

    `is_flipped`: something that is no measure (a label, an item, a class's number, a shape) is another one, or a
    measure is missing on one side.
    """

    largest: float | None
    is_flipped: bool

    @property
    def is_equal(self) -> bool:
        return not self.is_flipped and not self.largest


def compare(first: Any, second: Any) -> Difference:
    """Two answers of one form: rows of JSON, or tensors by name.

    >>> compare([{"label": "a", "score": 0.5}], [{"label": "b", "score": 0.75}])
    Difference(largest=0.25, is_flipped=True)
    """
    gaps = list(_gaps(first, second))
    measured = [gap for gap in gaps if gap is not None]
    return Difference(largest=max(measured, default=None), is_flipped=len(measured) < len(gaps))


def _gaps(first: Any, second: Any) -> Iterator[float | None]:
    """The gap of each pair of measures; None for each pair that differs otherwise."""
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        yield from _array_gaps(first, second)
    elif isinstance(first, float) and isinstance(second, float):
        yield _gap(first, second)
    elif isinstance(first, Mapping) and isinstance(second, Mapping) and first.keys() == second.keys():
        for name, value in first.items():
            yield from _gaps(value, second[name])
    elif _is_list(first) and _is_list(second) and len(first) == len(second):
        for one, other in zip(first, second, strict=True):
            yield from _gaps(one, other)
    elif type(first) is not type(second) or first != second:
        yield None


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _gap(first: float, second: float) -> float | None:
    if math.isfinite(first) and math.isfinite(second):
        return abs(first - second)
    return 0.0 if repr(first) == repr(second) else None


def _array_gaps(first: Array, second: Array) -> Iterator[float | None]:
    if first.shape != second.shape or first.dtype.kind != second.dtype.kind:
        yield None
    elif first.dtype.kind != "f":
        if not np.array_equal(first, second):
            yield None
    elif first.size:
        both = np.isfinite(first) & np.isfinite(second)
        if not np.array_equal(first[~both], second[~both], equal_nan=True):
            yield None
        if both.any():
            yield float(np.abs(first[both].astype(np.float64) - second[both]).max())
