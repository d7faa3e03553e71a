"""What a step of a pipeline is.

A step is a frozen dataclass whose fields are its parameters, with a JSON Schema that says which values they take. It
works over columns: arrays by name, one element or one sub-array a row, so that a million rows cost no loop in Python.

`plan` binds a step to the tensors around it once, when a version is registered or first used. The plan of a pipeline is
made from the model outwards: a preprocess step is told what the columns must be after it and answers what they must be
before it; a postprocess step is told what there is and answers what there is after it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar, NoReturn, Protocol

from inferhub.errors import FieldError, InvalidDefinition, InvalidInput
from inferhub.lib.describe import describe, listed, pointer
from inferhub.runtime.signature import Array, TensorSpec, shape_text

Columns = dict[str, Array]
Specs = Mapping[str, TensorSpec]
Run = Callable[[Columns], None]
"""Changes the columns in place. Raises InvalidInput (preprocess) or ModelFailed (postprocess)."""

MOST_ELEMENTS = 50_000_000
"""Of one column over all rows: a step must not turn a small request into gigabytes."""

JSON = "JSON"
"""Datatype of an output column that holds a JSON value for each row, such as a list of detections."""


class Stage(StrEnum):
    PREPROCESS = "preprocess"
    POSTPROCESS = "postprocess"


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """A step bound to its surroundings.

    `specs`: the columns that a preprocess step needs, or that a postprocess step leaves. `kept`: columns that a
    preprocess step makes beside the model's inputs, for postprocess steps to read. `origins`: for a column that a
    preprocess step makes, the column that it is made of, or that of each of its elements: an explanation speaks of
    what callers sent. `examples`: for a column that it needs, a value that it takes, where not just any does.
    """

    specs: Specs
    run: Run
    kept: Specs = field(default_factory=dict)
    origins: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    examples: Mapping[str, Any] = field(default_factory=dict)


class Step(Protocol):
    """`name` is what a document says under `step`; `schema` describes all other keys."""

    name: ClassVar[str]
    stage: ClassVar[Stage]
    schema: ClassVar[dict[str, Any]]

    def __init__(self, **parameters: Any) -> None: ...

    def plan(self, specs: Specs) -> Planned:
        """Raises InvalidDefinition whose pointers start at the step (`/columns/0`)."""
        ...


NAME: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 200}
NAMES: dict[str, Any] = {"type": "array", "items": NAME, "minItems": 1, "maxItems": 10_000, "uniqueItems": True}
TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1_000_000}
NUMBER: dict[str, Any] = {"type": "number"}
NUMBERS: dict[str, Any] = {"type": "array", "items": NUMBER, "minItems": 1}
SIZE: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": 100_000}
FLAG: dict[str, Any] = {"type": "boolean"}


def choice(*options: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(options)}


def parameters(required: Mapping[str, Any], **optional: Any) -> dict[str, Any]:
    """The JSON Schema of a step's parameters."""
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def refuse(where: str, expected: str, got: str) -> NoReturn:
    """A definition that cannot work; `where` is a pointer inside the step."""
    raise InvalidDefinition(errors=[FieldError(pointer=where, expected=expected, got=got)])


def refuse_cell(column: str, row: int, expected: str, got: object) -> NoReturn:
    """A value of a request that the step cannot use."""
    raise InvalidInput(errors=[FieldError(pointer=pointer("rows", row, column), expected=expected, got=describe(got))])


def bound(column: str, rows: int, width: int) -> None:
    """Refuse a request of more rows than a column of `width` elements a row may have."""
    if rows * width > MOST_ELEMENTS:
        expected = f"at most {MOST_ELEMENTS // width} rows, as '{column}' becomes {width} numbers in each"
        raise InvalidInput(errors=[FieldError(pointer="/rows", expected=expected, got=f"{rows} rows")])


def take(specs: Specs, name: str, where: str) -> TensorSpec:
    """The column that a parameter at `where` names; from here on every row has it."""
    if name not in specs:
        refuse(where, f"one of the columns that are there: {listed(specs)}", f"'{name}'")
    return replace(specs[name], is_optional=False)


def take_float(specs: Specs, name: str, where: str) -> TensorSpec:
    spec = take(specs, name, where)
    if not spec.is_float:
        refuse(where, "a column of FP16, FP32 or FP64", f"'{name}', which is {spec.datatype}")
    return spec


def take_datatype(specs: Specs, name: str, where: str, *allowed: str) -> TensorSpec:
    spec = take(specs, name, where)
    if spec.datatype not in allowed:
        refuse(where, f"a column of {' or '.join(allowed)}", f"'{name}', which is {spec.datatype}")
    return spec


def check_dims(spec: TensorSpec, where: str, *dims: int | None) -> None:
    """Compare the dimensions behind the rows; None on either side is free."""
    own = spec.shape[1:]
    if len(own) != len(dims) or any(None not in (a, b) and a != b for a, b in zip(own, dims, strict=True)):
        refuse(where, f"a column {shape_text((None, *dims))}", f"'{spec.name}' {shape_text(spec.shape)}")


def batch_of(spec: TensorSpec) -> int | None:
    """The number of rows that a model with a fixed batch takes."""
    return spec.shape[0] if spec.shape else None


def as_rows(array: Array) -> Array:
    """A column [N] or [N, 1] as [N]."""
    return array.reshape(len(array)) if array.ndim == 2 and array.shape[1] == 1 else array
