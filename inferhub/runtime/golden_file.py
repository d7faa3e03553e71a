"""Reading golden rows from a file, strictly: JSON, or NumPy's .npz without anything pickled.

JSON is `{"inputs": {NAME: values, ...}, "outputs": {NAME: values, ...}, "tolerance": 0.0001}`; an .npz has the arrays
`inputs/NAME` and `outputs/NAME`, and `tolerance`. Values are nested lists as deep as the tensor's shape; where a shape
has one free dimension a flat list will do. `tolerance` may be left out, and so may outputs that do not matter.
"""

import io
import math
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import orjson

from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.describe import describe, listed, pointer, shorten
from inferhub.runtime.golden import DEFAULT_TOLERANCE, GoldenRows
from inferhub.runtime.signature import Array, Feeds, Signature, TensorSpec, shape_text
from inferhub.runtime.tensors import is_usable, read_shape, tensor_from_json

MOST_BYTES = 8 << 20  # of the file, and of what an .npz unpacks to
_MOST_ARRAYS = 1_000
_MOST_CELLS = 1_000_000
_SIDES = ("inputs", "outputs")
_ZIP = b"PK"
_EXPECTED_NPZ = "arrays inputs/NAME, outputs/NAME and tolerance, as numpy.savez writes them"


def parse_golden(data: bytes, signature: Signature) -> GoldenRows:
    """The golden rows of a JSON or .npz file, for a model with `signature`.

    Raises InvalidInput whose errors point at the value (`/golden/inputs/price/3`).
    """
    if len(data) > MOST_BYTES:
        raise _wrong("", f"at most {MOST_BYTES} bytes", f"{len(data)}")
    document = _read_npz(data) if data.startswith(_ZIP) else _read_json(data)
    return read_golden(document, signature)


def read_golden(document: object, signature: Signature) -> GoldenRows:
    """The same, from a document with nested lists or arrays. Raises InvalidInput."""
    if not isinstance(document, dict) or not set(_SIDES) <= set(document) <= {*_SIDES, "tolerance"}:
        got = f"the keys {listed(map(shorten, map(str, document)))}" if isinstance(document, dict) else None
        raise _wrong("", "the keys inputs and outputs, and tolerance if it is needed", got or describe(document))
    golden = GoldenRows(
        inputs=_tensors(document["inputs"], signature.inputs, "inputs"),
        outputs=_tensors(document["outputs"], signature.outputs, "outputs"),
        tolerance=_tolerance(document.get("tolerance", DEFAULT_TOLERANCE)),
    )
    if not golden.outputs:
        raise _wrong(pointer("outputs"), "at least one output", "none")
    missing = [spec.name for spec in signature.inputs if not spec.is_optional and spec.name not in golden.inputs]
    if missing:
        raise _wrong(pointer("inputs"), f"the inputs {listed(missing)}", "nothing for them")
    return golden


def _tensors(given: object, specs: Iterable[TensorSpec], side: str) -> Feeds:
    if not isinstance(given, dict):
        raise _wrong(pointer(side), f"an object of {side} by name", describe(given))
    known = {spec.name: spec for spec in specs}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise _wrong(pointer(side, shorten(unknown[0])), f"one of the {side} {listed(known)}", "another name")
    return {name: _tensor(known[name], values, f"/golden{pointer(side, name)}") for name, values in given.items()}


def _tensor(spec: TensorSpec, values: object, place: str) -> Array:
    if isinstance(values, np.ndarray):
        return _converted(spec, values, place)
    cells = values if isinstance(values, list) else [values]
    dims = _dims(spec, cells) if spec.shape or isinstance(values, list) else []
    return _without_nul(tensor_from_json(spec, _checked_shape(spec, dims, place), cells, place=place), place)


def _dims(spec: TensorSpec, cells: list[Any]) -> list[int]:
    """How long the lists are at each depth; a flat list fills the one free dimension of a deeper shape."""
    dims: list[int] = []
    level: Any = cells
    while isinstance(level, list):
        dims.append(len(level))
        level = level[0] if level else None
    if len(dims) == 1 and len(spec.shape) > 1 and spec.shape.count(None) == 1:
        fixed = math.prod(dim for dim in spec.shape if dim is not None)
        return [len(cells) // max(fixed, 1) if dim is None else dim for dim in spec.shape]
    return dims


def _checked_shape(spec: TensorSpec, dims: list[int], place: str) -> tuple[int, ...]:
    shape = read_shape(spec, dims, place=place, max_bytes=8 * _MOST_CELLS)
    if not 0 < math.prod(shape) <= _MOST_CELLS:
        expected = f"from 1 to {_MOST_CELLS} values for '{spec.name}'"
        raise InvalidInput(errors=[FieldError(pointer=place, expected=expected, got=shape_text(shape))])
    return shape


def _converted(spec: TensorSpec, values: Array, place: str) -> Array:
    """An array of an .npz in the declared datatype, unless that would change whole numbers or texts."""
    shape = _checked_shape(spec, list(values.shape), place)
    kinds = "U" if spec.datatype == "BYTES" else "b" if spec.datatype == "BOOL" else "iuf" if spec.is_float else "iu"
    with np.errstate(over="ignore"):
        array = values.astype(spec.numpy_type) if values.dtype.kind in kinds else None
    if array is None or (values.dtype.kind in "iu" and (array != values).any()):
        expected = f"{spec.datatype} for '{spec.name}'"
        raise InvalidInput(errors=[FieldError(pointer=place, expected=expected, got=f"{values.dtype}")])
    if not is_usable(spec, array, infinite=False):
        expected = "finite numbers or NaN" if spec.allows_nan else "finite numbers (the model declares no missing ones)"
        raise InvalidInput(errors=[FieldError(pointer=place, expected=expected, got="NaN or infinity")])
    return _without_nul(array.reshape(shape), place)


def _without_nul(array: Array, place: str) -> Array:
    """Texts that PostgreSQL can keep and JSON can say."""
    texts: Iterable[str] = array.ravel().tolist() if array.dtype == object else ()
    if any("\x00" in text or (not text.isascii() and _has_surrogates(text)) for text in texts):
        expected = "texts of Unicode characters without NUL"
        raise InvalidInput(errors=[FieldError(pointer=place, expected=expected, got="others")])
    return array


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _tolerance(given: object) -> float:
    value = given.tolist() if isinstance(given, np.ndarray) and given.ndim == 0 else given
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _wrong(pointer("tolerance"), "a number from 0 to 1", describe(value))
    return float(value)


def _read_json(data: bytes) -> object:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise _wrong("", "JSON or an .npz file", shorten(f"neither: {exc}")) from None


def _read_npz(data: bytes) -> dict[str, Any]:
    document: dict[str, Any] = {side: {} for side in _SIDES}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name, content in _members(archive).items():
                side, slash, tensor = name.partition("/")
                if name == "tolerance":
                    document[name] = _read_array(name, content)
                elif slash and side in _SIDES:
                    document[side][tensor] = _read_array(name, content)
                else:
                    raise _wrong("", _EXPECTED_NPZ, f"'{shorten(name)}'")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as exc:
        raise _wrong("", "JSON or an .npz file", shorten(f"a broken archive: {exc}")) from None
    return document


def _members(archive: zipfile.ZipFile) -> Mapping[str, bytes]:
    """What the archive holds, by name without `.npy`; never more than it says, and it may not say much."""
    members = archive.infolist()
    size = sum(member.file_size for member in members)
    if len(members) > _MOST_ARRAYS or size > MOST_BYTES:
        expected = f"at most {_MOST_ARRAYS} arrays of together {MOST_BYTES} bytes"
        raise _wrong("", expected, f"{len(members)} of together {size}")
    return {member.filename.removesuffix(".npy"): archive.read(member) for member in members}


def _read_array(name: str, content: bytes) -> Array:
    """A plain array from a .npy file; nothing is allocated before the header was seen to fit the data."""
    place = "/golden" + pointer(*(shorten(part) for part in name.split("/", 1)))
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, is_fortran, dtype = read(stream)
    except (ValueError, KeyError):
        raise InvalidInput(errors=[FieldError(pointer=place, expected="a .npy file", got="something else")]) from None
    rest = content[stream.tell() :]
    fills = bool(rest) and min(shape, default=1) > 0 and dtype.itemsize * math.prod(shape) == len(rest)
    if dtype.kind not in "biufU" or not fills:
        expected = "numbers, truth values or texts (dtype U), as many as the header says"
        raise InvalidInput(errors=[FieldError(pointer=place, expected=expected, got=f"{dtype} {shape_text(shape)}")])
    return np.frombuffer(rest, dtype).reshape(shape, order="F" if is_fortran else "C")


def _wrong(place: str, expected: str, got: str) -> InvalidInput:
    return InvalidInput(errors=[FieldError(pointer=f"/golden{place}", expected=expected, got=got)])
