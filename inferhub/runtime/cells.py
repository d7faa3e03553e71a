"""Single JSON values as elements of a tensor: strictly typed, with nothing lost on the way."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from inferhub.lib.describe import describe
from inferhub.runtime.signature import NUMPY_TYPES, Array, TensorSpec

_FEW = 32
_FLOAT_LARGEST = {name: float(np.finfo(kind).max) for name, kind in NUMPY_TYPES.items() if kind.kind == "f"}
_INTEGER_LIMITS = {
    name: (int(np.iinfo(kind).min), int(np.iinfo(kind).max)) for name, kind in NUMPY_TYPES.items() if kind.kind in "iu"
}
_FLOAT_EXACT = {"FP16": 2**11, "FP32": 2**24, "FP64": 2**53}  # whole numbers up to here are held without gaps


def to_array(spec: TensorSpec, cells: Sequence[object]) -> Array | None:
    """`cells` as a flat array of the spec's datatype, None where `problem` would complain about one of them."""
    kinds = set(map(type, cells))
    if spec.is_float:
        return _floats(spec, cells, kinds)
    allowed = {"BYTES": str, "BOOL": bool}.get(spec.datatype, int)
    if not kinds <= {allowed}:
        return None
    if allowed is int and cells and not _fits_integer(spec, cells):
        return None
    flat = np.empty(len(cells), dtype=spec.numpy_type)
    flat[:] = cells
    return flat


def problem(spec: TensorSpec, cell: object) -> tuple[str, str] | None:
    """What was expected and what came, None for a value that the spec can hold."""
    return _PROBLEMS.get(spec.datatype, _integer_problem)(spec, cell)


def _floats(spec: TensorSpec, cells: Sequence[object], kinds: set[type]) -> Array | None:
    if kinds == {float} and len(cells) <= _FEW and _are_in_range(cells, _FLOAT_LARGEST[spec.datatype]):
        return np.array(cells, dtype=spec.numpy_type)
    if not kinds <= {float} and any(problem(spec, cell) for cell in cells):
        return None
    with np.errstate(over="ignore"):
        wide = np.array(cells, dtype=np.float64)  # None becomes NaN
        flat: Array = wide.astype(spec.numpy_type)
    missing = np.isnan(flat)
    is_usable = np.isfinite(flat) | missing if spec.allows_nan else np.isfinite(flat)
    return flat if is_usable.all() else None


def _are_in_range(cells: Sequence[Any], largest: float) -> bool:
    """For a few numbers quicker than the same over an array; NaN is not in range, and makes the sum NaN."""
    return -largest <= min(cells) and max(cells) <= largest and not math.isnan(sum(cells))


def _fits_integer(spec: TensorSpec, cells: Sequence[object]) -> bool:
    lowest, highest = _INTEGER_LIMITS[spec.datatype]
    numbers = [cell for cell in cells if isinstance(cell, int)]
    return lowest <= min(numbers) and max(numbers) <= highest


def _float_problem(spec: TensorSpec, cell: object) -> tuple[str, str] | None:
    number = "a number or null" if spec.allows_nan else "a number"
    if cell is None:
        return None if spec.allows_nan else (number, "null")
    if type(cell) is int:
        return _whole_problem(spec, cell)
    if type(cell) is not float:
        return number, describe(cell)
    if math.isnan(cell):
        return None if spec.allows_nan else (number, "NaN")
    largest = _FLOAT_LARGEST[spec.datatype]
    with np.errstate(over="ignore"):
        is_finite = bool(np.isfinite(spec.numpy_type.type(cell)))
    return None if is_finite else (f"a number from {-largest:g} to {largest:g} ({spec.datatype})", describe(cell))


def _whole_problem(spec: TensorSpec, cell: int) -> tuple[str, str] | None:
    """A whole number that would be rounded is most likely an id or a time: rounding must be the sender's choice."""
    exact = _FLOAT_EXACT[spec.datatype]
    if abs(cell) <= exact:
        return None
    with np.errstate(over="ignore"):
        is_exact = abs(cell) < 1e300 and float(spec.numpy_type.type(float(cell))) == cell
    expected = f"a whole number that {spec.datatype} holds exactly (up to {exact}; {cell}.0 would be rounded)"
    return None if is_exact else (expected, describe(cell))


def _integer_problem(spec: TensorSpec, cell: object) -> tuple[str, str] | None:
    lowest, highest = _INTEGER_LIMITS[spec.datatype]
    if type(cell) is int and lowest <= cell <= highest:
        return None
    return f"a whole number from {lowest} to {highest} ({spec.datatype})", describe(cell)


def _text_problem(_spec: TensorSpec, cell: object) -> tuple[str, str] | None:
    return None if type(cell) is str else ("a string", describe(cell))


def _bool_problem(_spec: TensorSpec, cell: object) -> tuple[str, str] | None:
    return None if type(cell) is bool else ("true or false", describe(cell))


_PROBLEMS: Mapping[str, Callable[[TensorSpec, object], tuple[str, str] | None]] = {
    "BYTES": _text_problem,
    "BOOL": _bool_problem,
    "FP16": _float_problem,
    "FP32": _float_problem,
    "FP64": _float_problem,
}
