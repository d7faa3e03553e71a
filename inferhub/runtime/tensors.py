"""Tensors as the Open Inference Protocol sends them, JSON lists or raw bytes, to arrays and back.

Raw bytes are little-endian and row-major, a BOOL is one byte (0 or 1), a BYTES element is its length in four bytes and
then its UTF-8 text. JSON data is a flat list in row-major order, or lists nested as the shape says.

Every function that reads takes the tensor's declaration and `place`, the JSON Pointer of the tensor in its request, and
raises InvalidInput that points at what is wrong. Nothing is allocated for a shape before the data was seen to fill it.
"""

import math
from itertools import chain
from typing import Any

import numpy as np

from inferhub.errors import FieldError, InvalidInput, ModelFailed
from inferhub.lib.describe import describe, pointer
from inferhub.runtime.cells import problem, to_array
from inferhub.runtime.signature import NUMPY_TYPES, Array, TensorSpec, shape_text

Shape = tuple[int, ...]
_LENGTH_BYTES = 4
_FEW = 16


def read_shape(spec: TensorSpec, given: object, *, place: str, max_bytes: int) -> Shape:
    """The shape of one tensor, checked against its declaration.

    A dimension of zero is legal, but does not make the others free: a graph may drop it and keep them. So the size that
    is compared with `max_bytes` counts zeros as ones.
    """
    if not isinstance(given, list) or any(type(dim) is not int or dim < 0 for dim in given):
        raise _wrong(place + "/shape", "a list of whole numbers from 0", _shown(given))
    shape = tuple(given)
    if len(shape) != len(spec.shape) or any(
        declared not in (None, dim) for declared, dim in zip(spec.shape, shape, strict=True)
    ):
        raise _wrong(place + "/shape", f"{shape_text(spec.shape)} for '{spec.name}'", _shown(given))
    size = math.prod(max(dim, 1) for dim in shape) * _least_bytes(spec)
    if size > max_bytes:
        raise _wrong(place + "/shape", f"at most {max_bytes} bytes of {spec.datatype}", _shown(given))
    return shape


def tensor_from_json(spec: TensorSpec, shape: Shape, data: object, *, place: str) -> Array:
    """An array of `spec`'s datatype. JSON has no NaN: null stands for it where the model takes missing values."""
    cells = _flat(shape, data, place)
    if len(cells) != math.prod(shape):
        raise _wrong(place, f"{math.prod(shape)} values for the shape {shape_text(shape)}", f"{len(cells)}")
    array = to_array(spec, cells)
    if array is None:
        wrong = ((index, found) for index, cell in enumerate(cells) if (found := problem(spec, cell)))
        index, (expected, got) = next(wrong)
        raise _wrong(place + pointer(index), f"{expected} for '{spec.name}'", got)
    return array.reshape(shape)


def tensor_from_bytes(spec: TensorSpec, shape: Shape, raw: memoryview, *, place: str) -> Array:
    """An array of `spec`'s datatype; of numbers, a view of `raw` where the machine can use it as it is."""
    if spec.datatype == "BYTES":
        return _texts(math.prod(shape), raw, place).reshape(shape)
    size = math.prod(shape) * spec.numpy_type.itemsize
    if len(raw) != size:
        raise _wrong(place, f"{size} bytes for {spec.datatype} {shape_text(shape)}", f"{len(raw)}")
    if spec.datatype == "BOOL" and raw.nbytes and np.frombuffer(raw, np.uint8).max() > 1:
        raise _wrong(place, "bytes of 0 and 1 for BOOL", "a byte above 1")
    little_endian = np.frombuffer(raw, spec.numpy_type.newbyteorder("<")) if size else np.empty(0)
    array = np.require(little_endian, dtype=spec.numpy_type, requirements="A").reshape(shape)
    if not is_usable(spec, array, infinite=False):
        expected = "finite numbers or NaN" if spec.allows_nan else "finite numbers (the model declares no missing ones)"
        raise _wrong(place, f"{expected} for '{spec.name}'", "NaN or infinity")
    return array


def tensor_to_json(array: Array) -> Any:
    """What orjson (with OPT_SERIALIZE_NUMPY) writes as a flat list; NaN and infinity become null."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.tolist() if array.dtype == object else flat


def tensor_to_bytes(array: Array) -> bytes:
    """The raw bytes of an array of one of the 13 datatypes."""
    if array.dtype != object:
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    texts = [str(text).encode() for text in array.reshape(-1)]
    return b"".join(chain.from_iterable((len(text).to_bytes(_LENGTH_BYTES, "little"), text) for text in texts))


def wire_datatype(spec: TensorSpec) -> str:
    """What the protocol calls the tensor: an output whose rows are JSON values goes as their texts."""
    return spec.datatype if spec.datatype in NUMPY_TYPES else "BYTES"


def check_output(spec: TensorSpec, array: Array) -> None:
    """Raises ModelFailed where an output holds NaN or infinity and its declaration does not allow it."""
    if not is_usable(spec, array, infinite=spec.allows_nan):
        raise ModelFailed(f"Output '{spec.name}' is NaN or infinite; its declaration does not allow it.")


def is_usable(spec: TensorSpec, array: Array, *, infinite: bool) -> bool:
    """Whether every element may be there: NaN only where `spec` allows it, infinity where `infinite` says so.

    >>> spec = TensorSpec(name="x", datatype="FP32", shape=(None,), allows_nan=True)
    >>> is_usable(spec, np.array([1, np.nan], np.float32), infinite=False)
    True
    """
    if not spec.is_float or (spec.allows_nan and infinite):
        return True
    # Of a few numbers, Python's own check is quicker than an array of answers.
    is_finite = all(map(math.isfinite, array.ravel().tolist())) if array.size <= _FEW else np.isfinite(array).all()
    if is_finite:
        return True
    return spec.allows_nan and not np.isinf(array).any()


def _least_bytes(spec: TensorSpec) -> int:
    return _LENGTH_BYTES if spec.datatype == "BYTES" else spec.numpy_type.itemsize


def _flat(shape: Shape, data: object, place: str) -> list[Any]:
    """Flat data as it is, nested data level by level; a level of another length than the shape says is an error."""
    if not isinstance(data, list):
        raise _wrong(place, "a list of values", describe(data))
    if not data or not isinstance(data[0], list):
        return data
    cells: list[Any] = [data]
    for depth, dim in enumerate(shape):
        other = next((cell for cell in cells if not isinstance(cell, list) or len(cell) != dim), None)
        if other is not None:
            nested = f"lists of {dim} values at depth {depth}, as the shape {shape_text(shape)} says"
            raise _wrong(place, nested, describe(other))
        cells = list(chain.from_iterable(cells))
    return cells


def _texts(count: int, raw: memoryview, place: str) -> Array:
    if count * _LENGTH_BYTES > len(raw):
        raise _wrong(place, f"{count} elements, each a length of 4 bytes and its text", f"{len(raw)} bytes")
    texts = np.empty(count, dtype=object)
    offset = 0
    for index in range(count):
        start = offset + _LENGTH_BYTES
        offset = start + int.from_bytes(raw[offset:start], "little")
        if start > len(raw) or offset > len(raw):
            raise _wrong(place, f"{count} elements", f"element {index} that ends after the data")
        try:
            texts[index] = str(raw[start:offset], "utf-8")
        except UnicodeDecodeError as exc:
            raise _wrong(place, "UTF-8 text in each element", f"element {index}, which is not: {exc.reason}") from exc
    if offset != len(raw):
        raise _wrong(place, f"{count} elements of together {offset} bytes", f"{len(raw)} bytes")
    return texts


def _shown(shape: object) -> str:
    if isinstance(shape, list) and len(shape) <= 8 and all(type(dim) is int for dim in shape):
        return shape_text(shape)
    return describe(shape)


def _wrong(place: str, expected: str, got: str) -> InvalidInput:
    return InvalidInput(errors=[FieldError(pointer=place, expected=expected, got=got)])
