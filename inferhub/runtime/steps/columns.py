"""Preprocess steps for tables: rename, cast, impute, scale, one-hot, stack."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from inferhub.lib.describe import describe, pointer
from inferhub.runtime.signature import NUMPY_TYPES, Array, TensorSpec
from inferhub.runtime.steps.base import (
    NAME,
    NAMES,
    NUMBER,
    NUMBERS,
    SIZE,
    Columns,
    Planned,
    Specs,
    Stage,
    as_rows,
    batch_of,
    bound,
    check_dims,
    choice,
    parameters,
    refuse,
    refuse_cell,
    take,
    take_float,
)

_NUMBER_OR_NUMBERS = {"anyOf": [NUMBER, NUMBERS]}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rename:
    """Callers say `columns`' keys, the model its values."""

    name: ClassVar[str] = "rename"
    stage: ClassVar[Stage] = Stage.PREPROCESS
    schema: ClassVar[dict[str, Any]] = parameters(
        {"columns": {"type": "object", "minProperties": 1, "additionalProperties": NAME}}
    )

    columns: Mapping[str, str]

    def plan(self, specs: Specs) -> Planned:
        needed = {name: spec for name, spec in specs.items() if name not in self.columns.values()}
        made: dict[str, TensorSpec] = {}
        for own, wanted in self.columns.items():
            spec = take(specs, wanted, pointer("columns", own))
            if list(self.columns.values()).count(wanted) > 1:
                refuse(pointer("columns", own), "each column once", f"'{wanted}' again")
            if own in needed:
                refuse(pointer("columns", own), "a name that no other column has", f"'{own}'")
            made[own] = replace(spec, name=own)

        def run(columns: Columns) -> None:
            columns.update({wanted: columns.pop(own) for own, wanted in list(self.columns.items())})

        origins = {wanted: own for own, wanted in self.columns.items()}
        return Planned(specs=needed | made, run=run, origins=origins)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cast:
    """Callers give `from`, the next step or the model gets its own datatype. Nothing is rounded or cut silently."""

    name: ClassVar[str] = "cast"
    stage: ClassVar[Stage] = Stage.PREPROCESS
    schema: ClassVar[dict[str, Any]] = parameters({"columns": NAMES, "given": choice(*NUMPY_TYPES)})

    columns: Sequence[str]
    given: str

    def plan(self, specs: Specs) -> Planned:
        wanted = {name: take(specs, name, pointer("columns", index)) for index, name in enumerate(self.columns)}
        needed = {
            name: replace(spec, datatype=self.given, allows_nan=spec.allows_nan and self.given.startswith("FP"))
            for name, spec in wanted.items()
        }

        def run(columns: Columns) -> None:
            for name, spec in wanted.items():
                columns[name] = _cast(columns[name], spec)

        return Planned(specs={**specs, **needed}, run=run)


def _cast(column: Array, spec: TensorSpec) -> Array:
    if spec.datatype == "BYTES":
        return _texts(column)
    numbers = _numbers(column, spec) if column.dtype == object else column
    with np.errstate(all="ignore"):
        cast: Array = numbers.astype(spec.numpy_type)
        if spec.is_float and numbers.dtype.kind == "f":
            is_same = np.isfinite(cast) | (np.isnan(numbers) & spec.allows_nan)
        else:
            is_same = cast == numbers
    if not is_same.all():
        at = tuple(np.argwhere(~is_same)[0])
        refuse_cell(spec.name, int(at[0]), f"a number that {spec.datatype} holds", numbers[at].item())
    return cast


def _texts(column: Array) -> Array:
    texts = np.empty(column.shape, dtype=object)
    texts.reshape(-1)[:] = [str(value) for value in column.reshape(-1).tolist()]
    return texts


def _numbers(column: Array, spec: TensorSpec) -> Array:
    """Texts as float64, or int64 for whole numbers, which must not lose digits on the way."""
    kind = np.dtype(np.float64 if spec.is_float else np.int64)
    try:
        numbers: Array = column.astype(kind)
    except (ValueError, OverflowError):
        row, text = next((row, text) for row, text in enumerate(column.reshape(-1)) if not _reads_as(text, kind))
        refuse_cell(spec.name, row * len(column) // column.size, "a text that reads as a number", text)
    return numbers


def _reads_as(text: str, kind: np.dtype[Any]) -> bool:
    try:
        kind.type(text)
    except (ValueError, OverflowError):
        return False
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Impute:
    """`value` where a number is null, or a text is empty."""

    name: ClassVar[str] = "impute"
    stage: ClassVar[Stage] = Stage.PREPROCESS
    schema: ClassVar[dict[str, Any]] = parameters({"columns": NAMES, "value": {"type": ["number", "string"]}})

    columns: Sequence[str]
    value: float | str

    def plan(self, specs: Specs) -> Planned:
        needed = dict(specs)
        for index, name in enumerate(self.columns):
            spec = take(specs, name, pointer("columns", index))
            is_text = spec.datatype == "BYTES"
            if not (is_text or spec.is_float):
                refuse(pointer("columns", index), "a column of FP16, FP32, FP64 or BYTES", f"'{name}' {spec.datatype}")
            if is_text is not isinstance(self.value, str):
                refuse("/value", f"a value for '{name}', which is {spec.datatype}", describe(self.value))
            needed[name] = replace(spec, allows_nan=not is_text)

        def run(columns: Columns) -> None:
            for name in self.columns:
                column = columns[name]
                is_missing = column == "" if column.dtype == object else np.isnan(column)
                columns[name] = np.where(is_missing, np.asarray(self.value, column.dtype), column)

        return Planned(specs=needed, run=run)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """(x - mean) / scale, with one number for all elements of a row or one for each."""

    name: ClassVar[str] = "scale"
    stage: ClassVar[Stage] = Stage.PREPROCESS
    schema: ClassVar[dict[str, Any]] = parameters({"columns": NAMES}, mean=_NUMBER_OR_NUMBERS, scale=_NUMBER_OR_NUMBERS)

    columns: Sequence[str]
    mean: float | Sequence[float] = 0.0
    scale: float | Sequence[float] = 1.0

    def plan(self, specs: Specs) -> Planned:
        mean, scale = np.asarray(self.mean, np.float64), np.asarray(self.scale, np.float64)
        if not scale.all():
            refuse("/scale", "numbers other than 0", "0")
        needed = dict(specs)
        for index, name in enumerate(self.columns):
            needed[name] = take_float(specs, name, pointer("columns", index))
            for where, numbers in (("/mean", mean), ("/scale", scale)):
                _check_width(needed[name], numbers, where)

        def run(columns: Columns) -> None:
            for name in self.columns:
                columns[name] = ((columns[name] - mean) / scale).astype(columns[name].dtype)

        return Planned(specs=needed, run=run)


def _check_width(spec: TensorSpec, numbers: Array, where: str) -> None:
    width = spec.shape[-1] if len(spec.shape) > 1 else 1
    if numbers.ndim == 1 and (len(spec.shape) < 2 or width not in (None, len(numbers))):
        refuse(where, f"one number, or as many as a row of '{spec.name}' has ({width or 'any'})", f"{len(numbers)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class OneHot:
    """A category as a vector with a 1 at its place. An unknown one is an error, or all zeros."""

    name: ClassVar[str] = "one-hot"
    stage: ClassVar[Stage] = Stage.PREPROCESS
    schema: ClassVar[dict[str, Any]] = parameters(
        {
            "column": NAME,
            "categories": {
                "type": "array",
                "minItems": 1,
                "maxItems": 10_000,
                "uniqueItems": True,
                "anyOf": [{"items": {"type": "string"}}, {"items": {"type": "integer"}}],
            },
        },
        into=NAME,
        unknown=choice("error", "zeros"),
    )

    column: str
    categories: Sequence[str | int]
    into: str = ""
    unknown: str = "error"

    def plan(self, specs: Specs) -> Planned:
        into = self.into or self.column
        spec = take(specs, into, "/into" if self.into else "/column")
        check_dims(spec, "/categories", len(self.categories))
        if self.column in specs and self.column != into:
            refuse("/column", "a name that no other column has", f"'{self.column}'")
        datatype = "BYTES" if isinstance(self.categories[0], str) else "INT64"
        places = {category: place for place, category in enumerate(self.categories)}

        def run(columns: Columns) -> None:
            values = columns.pop(self.column).tolist()
            bound(self.column, len(values), len(places))
            found = np.array([places.get(value, -1) for value in values], np.int64)
            if self.unknown == "error" and found.size and found.min() < 0:
                row = int(np.argmin(found))
                refuse_cell(self.column, row, "one of the categories that the model was trained with", values[row])
            vectors = np.zeros((len(found), len(places)), spec.numpy_type)
            known = np.flatnonzero(found >= 0)
            vectors[known, found[known]] = 1
            columns[into] = vectors

        needed = {name: other for name, other in specs.items() if name != into}
        own = TensorSpec(name=self.column, datatype=datatype, shape=(batch_of(spec),))
        return Planned(
            specs={**needed, self.column: own},
            run=run,
            origins={into: self.column},
            examples={self.column: self.categories[0]},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """Columns side by side as one input [N, F]. `widths` says how wide each is, where not all are single values."""

    name: ClassVar[str] = "stack"
    stage: ClassVar[Stage] = Stage.PREPROCESS
    schema: ClassVar[dict[str, Any]] = parameters(
        {"columns": NAMES, "into": NAME}, widths={"type": "array", "items": SIZE, "minItems": 1}
    )

    columns: Sequence[str]
    into: str
    widths: Sequence[int] = ()

    def plan(self, specs: Specs) -> Planned:
        spec = take(specs, self.into, "/into")
        widths = self.widths or [1] * len(self.columns)
        if len(widths) != len(self.columns):
            refuse("/widths", f"one for each of the {len(self.columns)} columns", f"{len(widths)}")
        check_dims(spec, "/columns", sum(widths))
        needed = {name: other for name, other in specs.items() if name != self.into}
        for index, (name, width) in enumerate(zip(self.columns, widths, strict=True)):
            if name in needed:
                refuse(pointer("columns", index), "a name that no other column has", f"'{name}'")
            needed[name] = replace(spec, name=name, shape=(batch_of(spec), *([width] if width > 1 else [])))

        def run(columns: Columns) -> None:
            parts = [as_rows(columns.pop(name)) for name in self.columns]
            columns[self.into] = np.column_stack(parts)

        elements = [name for name, width in zip(self.columns, widths, strict=True) for _ in range(width)]
        return Planned(specs=needed, run=run, origins={self.into: elements})
