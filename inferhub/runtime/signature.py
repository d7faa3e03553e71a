"""The declared tensors of a model: names, datatypes and shapes, as the Open Inference Protocol (OIP) spells them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inferhub.errors import FieldError, InvalidDefinition, InvalidInput
from inferhub.lib.describe import describe, listed, pointer

Array = npt.NDArray[Any]
Feeds = dict[str, Array]

NUMPY_TYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}
"""The 13 datatypes of the OIP. A BYTES element is a Python `str` here, because ONNX strings are UTF-8 text."""

_KEYS = {"name": str, "datatype": str, "shape": list, "is_optional": bool, "allows_nan": bool}


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorSpec:
    """One input or output.

    `shape` holds None for a free dimension. `is_optional`: the graph has a default (an overridable initializer).
    `allows_nan`: the model knows missing values, so an input takes null (as NaN) and an output may be NaN (as null).
    """

    name: str
    datatype: str
    shape: tuple[int | None, ...]
    is_optional: bool = False
    allows_nan: bool = False

    @property
    def numpy_type(self) -> np.dtype[Any]:
        return NUMPY_TYPES[self.datatype]

    @property
    def is_float(self) -> bool:
        return self.datatype.startswith("FP")

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "datatype": self.datatype,
            "shape": list(self.shape),
            "is_optional": self.is_optional,
            "allows_nan": self.allows_nan,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """All inputs and outputs of a model, in the order of its graph."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def to_dict(self) -> dict[str, Any]:
        """A JSON document; `Signature.from_dict` reads it back."""
        return {
            "inputs": [spec.to_dict() for spec in self.inputs],
            "outputs": [spec.to_dict() for spec in self.outputs],
        }

    @classmethod
    def from_dict(cls, document: object) -> "Signature":
        """Read what `to_dict` wrote. Raises InvalidDefinition naming every key that is missing, unknown or mistyped."""
        errors: list[FieldError] = []
        if not isinstance(document, dict) or set(document) != {"inputs", "outputs"}:
            expected = "an object with exactly the keys inputs and outputs"
            raise InvalidDefinition(errors=[FieldError(pointer="", expected=expected, got=describe(document))])
        sides = {side: _read_specs(document[side], side, errors) for side in ("inputs", "outputs")}
        if errors:
            raise InvalidDefinition(errors=errors)
        return cls(**sides)

    def check_feeds(self, feeds: Mapping[str, Array]) -> None:
        """Compare tensors with the declared inputs. Raises InvalidInput with one error for each bad input."""
        if len(feeds) == len(self.inputs) and all(_fits(spec, feeds.get(spec.name)) for spec in self.inputs):
            return
        errors = [error for spec in self.inputs for error in _feed_errors(spec, feeds.get(spec.name))]
        known = {spec.name for spec in self.inputs}
        errors += [
            FieldError(pointer=pointer(name), expected=f"one of the inputs {listed(known)}", got="an unknown input")
            for name in feeds
            if name not in known
        ]
        if errors:
            raise InvalidInput(errors=errors)


def shape_text(shape: Iterable[int | None]) -> str:
    """A shape for people.

    >>> shape_text((None, 20))
    '[N, 20]'
    """
    return "[" + ", ".join("N" if dim is None else str(dim) for dim in shape) + "]"


def _read_specs(entries: object, side: str, errors: list[FieldError]) -> tuple[TensorSpec, ...]:
    if not isinstance(entries, list):
        errors.append(FieldError(pointer=pointer(side), expected="a list of tensors", got=describe(entries)))
        return ()
    found = [spec for index, entry in enumerate(entries) if (spec := _read_spec(entry, (side, index), errors))]
    names = [spec.name for spec in found]
    for name in sorted({name for name in names if names.count(name) > 1}):
        errors.append(FieldError(pointer=pointer(side), expected="names used once", got=f"'{name}' twice"))
    return tuple(found)


def _read_spec(entry: object, place: tuple[str, int], errors: list[FieldError]) -> TensorSpec | None:
    if not isinstance(entry, dict) or set(entry) != set(_KEYS):
        got = f"the keys {listed(map(str, entry))}" if isinstance(entry, dict) else describe(entry)
        errors.append(FieldError(pointer=pointer(*place), expected=f"the keys {listed(_KEYS)}", got=got))
        return None
    bad = [
        FieldError(pointer=pointer(*place, key), expected=f"a {kind.__name__}", got=describe(entry[key]))
        for key, kind in _KEYS.items()
        if type(entry[key]) is not kind
    ] or _value_errors(entry, place)
    errors.extend(bad)
    return None if bad else TensorSpec(**{**entry, "shape": tuple(entry["shape"])})


def _value_errors(entry: dict[str, Any], place: tuple[str, int]) -> list[FieldError]:
    bad = []
    if entry["datatype"] not in NUMPY_TYPES:
        expected = f"one of {', '.join(NUMPY_TYPES)}"
        bad.append(FieldError(pointer=pointer(*place, "datatype"), expected=expected, got=describe(entry["datatype"])))
    for axis, dim in enumerate(entry["shape"]):
        if dim is not None and (type(dim) is not int or dim < 0):
            where = pointer(*place, "shape", axis)
            bad.append(FieldError(pointer=where, expected="a whole number from 0, or null", got=describe(dim)))
    return bad


def _fits(spec: TensorSpec, feed: Array | None) -> bool:
    """Whether nothing is wrong, in less time than it takes to look for what is."""
    return feed is not None and feed.dtype == NUMPY_TYPES[spec.datatype] and _has_shape(feed.shape, spec.shape)


def _has_shape(shape: tuple[int, ...], declared: tuple[int | None, ...]) -> bool:
    if len(shape) != len(declared):
        return False
    for dim, free_or_fixed in zip(shape, declared, strict=True):
        if free_or_fixed is not None and free_or_fixed != dim:
            return False
    return True


def _feed_errors(spec: TensorSpec, feed: Array | None) -> list[FieldError]:
    if feed is None:
        expected = f"a tensor {spec.datatype} {shape_text(spec.shape)}"
        return [] if spec.is_optional else [FieldError(pointer=pointer(spec.name), expected=expected, got="nothing")]
    bad = []
    if feed.dtype != spec.numpy_type and not (spec.datatype == "BYTES" and feed.dtype.kind == "U"):
        bad.append(FieldError(pointer=pointer(spec.name), expected=f"datatype {spec.datatype}", got=str(feed.dtype)))
    if not _has_shape(feed.shape, spec.shape):
        expected, got = f"shape {shape_text(spec.shape)}", shape_text(feed.shape)
        bad.append(FieldError(pointer=pointer(spec.name), expected=expected, got=got))
    return bad
