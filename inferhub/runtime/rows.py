"""Rows of JSON to tensors and back: the border at which loosely typed requests become what the model declared.

Columns hold the same values the other way round: by input name, a list of the values of all rows.

A row is an object keyed by input name. An input of shape [N] or [N, 1] takes one value per row, [N, D] a list of D
values, deeper shapes nested lists. Lists of strings may differ in length where the dimension is free: short ones are
filled up with `""`. Optional inputs stand in every row (a value per row) or among the parameters (the whole tensor).

Types are strict: `"12"` is no number, `1.0` no whole number, `true` neither. null is a value only for inputs that the
signature marks `allows_nan`: a model that does not know missing values would answer with something nobody trained.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import orjson

from inferhub.errors import FieldError, InvalidInput, ModelFailed
from inferhub.lib.describe import describe, listed, pointer
from inferhub.runtime.cells import problem, to_array
from inferhub.runtime.signature import Array, Feeds, Signature, TensorSpec, shape_text
from inferhub.runtime.tensors import is_usable

JsonRow = dict[str, Any]
_Pointer = Callable[[tuple[int, ...]], str]
_Place = Callable[[str], _Pointer]

_MOST_ERRORS = 20
_MOST_CELLS = 4_000_000  # of one input: padding must not turn a small request into gigabytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Rows in their other form: by input name, one list of the values of all rows. May stand wherever rows may."""

    values: Mapping[str, list[Any]]

    def __len__(self) -> int:
        """The number of rows."""
        return len(next(iter(self.values.values()), ()))


def feeds_from_rows(signature: Signature, rows: object, parameters: Mapping[str, object] | None = None) -> Feeds:
    """Tensors for `signature` from JSON rows (a list of objects, or `Columns`) and parameters (whole tensors).

    Raises InvalidInput whose errors point at each bad value (`/rows/3/price`, `/columns/price/3`, `/parameters/k`), at
    most 20 of them.
    """
    if not parameters and (quick := _quick_feeds(signature, rows)):
        return quick
    given = parameters or {}
    errors = _ErrorList()
    inputs = {spec.name: spec for spec in signature.inputs}
    for name in given.keys() - inputs.keys():
        errors.add(pointer("parameters", name), f"one of the inputs {listed(inputs)}", "an unknown key")
    if isinstance(rows, Columns):
        columns, place = _check_columns(inputs, rows, given, errors), _column_place
    else:
        columns, place = _check_rows(inputs, rows, given, errors), _row_place
    feeds: Feeds = {}
    for spec in signature.inputs:
        if spec.name in given:
            feeds[spec.name] = _parameter(spec, given[spec.name], errors)
        elif spec.name in columns:
            feeds[spec.name] = _column(spec, columns[spec.name], place(spec.name), errors)
    errors.raise_any()
    return feeds


def rows_from_outputs(signature: Signature, outputs: Mapping[str, Array], row_count: int) -> list[JsonRow]:
    """One object per row, keyed by output name: a scalar for outputs declared [N] or [N, 1], else a list.

    FP32 values become the shortest decimal that names them (0.9, not 0.8999999761581421), so that a rule which says
    `>= 0.9` reads them as people do. Raises ModelFailed where an output has another number of rows, NaN or infinity.
    """
    columns = [_json_column(spec, outputs[spec.name], row_count) for spec in signature.outputs]
    names = [spec.name for spec in signature.outputs]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _quick_feeds(signature: Signature, rows: object) -> Feeds | None:
    """The feeds of rows that have all inputs, none of them deeper than a list; None for any other, bad ones too."""
    names = {spec.name for spec in signature.inputs}
    if type(rows) is not list or any(type(row) is not dict or row.keys() != names for row in rows):
        return None
    feeds: Feeds = {}
    for spec in signature.inputs:
        cells = _quick_cells(spec, [row[spec.name] for row in rows])
        flat = to_array(spec, cells) if cells else None
        if flat is None:
            return None
        feeds[spec.name] = flat.reshape(len(rows), *spec.shape[1:])
    return feeds


def _quick_cells(spec: TensorSpec, values: list[Any]) -> list[Any] | None:
    if len(spec.shape) not in (1, 2) or spec.shape[0] is not None:
        return None
    if spec.shape[1:] in ((), (1,)):
        return values
    width = spec.shape[1]
    for value in values:
        if type(value) is not list or len(value) != width:
            return None
    if not width or len(values) * width > _MOST_CELLS:
        return None
    cells: list[Any] = values[0] if len(values) == 1 else list(chain.from_iterable(values))
    return cells


class _ErrorList:
    """Collects errors up to a bound, so that a large bad request is answered quickly."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    @property
    def is_full(self) -> bool:
        return len(self.errors) >= _MOST_ERRORS

    def add(self, where: str, expected: str, got: str) -> None:
        if not self.is_full:
            self.errors.append(FieldError(pointer=where, expected=expected, got=got))

    def raise_any(self) -> None:
        if self.errors:
            raise InvalidInput(errors=self.errors)


def _row_place(name: str) -> _Pointer:
    return lambda at: pointer("rows", at[0], name, *at[1:])


def _column_place(name: str) -> _Pointer:
    return lambda at: pointer("columns", name, *at)


def _check_rows(
    inputs: Mapping[str, TensorSpec], rows: object, parameters: Mapping[str, object], errors: _ErrorList
) -> Mapping[str, list[Any]]:
    """The columns of the rows where every row has exactly the keys that it must have, else none and errors."""
    if not isinstance(rows, list) or not rows:
        errors.add("/rows", "a list of at least one row", describe(rows))
        return {}
    wanted = _wanted(inputs, rows[0] if isinstance(rows[0], dict) else {}, parameters)
    bad = [index for index, row in enumerate(rows) if not isinstance(row, dict) or row.keys() != wanted.keys()]
    for index in bad[:_MOST_ERRORS]:
        _key_errors(rows[index], index, wanted, parameters, errors)
    return {} if bad else {name: [row[name] for row in rows] for name in wanted}


def _check_columns(
    inputs: Mapping[str, TensorSpec], columns: Columns, parameters: Mapping[str, object], errors: _ErrorList
) -> Mapping[str, list[Any]]:
    """The columns where they are those that must be and of one length, else none and errors."""
    given = columns.values
    wanted = _wanted(inputs, given, parameters)
    for name in wanted.keys() - given.keys():
        errors.add(pointer("columns", name), f"a list of values ({_expected_value(wanted[name])} a row)", "nothing")
    for name in given.keys() - wanted.keys():
        got = "the key again, it is a parameter already" if name in parameters else "an unknown key"
        errors.add(pointer("columns", name), f"one of {listed(wanted)}", got)
    for name, values in given.items():
        if not isinstance(values, list) or len(values) != len(columns):
            got = f"{len(values)} values" if isinstance(values, list) else describe(values)
            errors.add(pointer("columns", name), f"{len(columns)} values, as many as in the first column", got)
    if not len(columns):
        errors.add("/columns", "at least one row", "none")
    return {} if errors.errors else given


def _wanted(
    inputs: Mapping[str, TensorSpec], given: Mapping[str, object], parameters: Mapping[str, object]
) -> dict[str, TensorSpec]:
    """What rows must hold: every input that is no parameter, and of the optional ones those that are there."""
    return {
        name: spec
        for name, spec in inputs.items()
        if name not in parameters and (not spec.is_optional or name in given)
    }


def _key_errors(
    row: object, index: int, wanted: Mapping[str, TensorSpec], parameters: Mapping[str, object], errors: _ErrorList
) -> None:
    if not isinstance(row, dict):
        errors.add(pointer("rows", index), f"an object with the keys {listed(wanted)}", describe(row))
        return
    for name in wanted.keys() - row.keys():
        errors.add(pointer("rows", index, name), _expected_value(wanted[name]), "nothing")
    for name in row.keys() - wanted.keys():
        got = "the key again, it is a parameter already" if name in parameters else "an unknown key"
        errors.add(pointer("rows", index, name), f"one of {listed(wanted)} (in every row alike)", got)


def _expected_value(spec: TensorSpec) -> str:
    what = {"BYTES": "a string", "BOOL": "true or false"}.get(spec.datatype, "a number")
    if len(spec.shape) <= 1 or spec.shape[1:] == (1,):
        return what
    return f"a list {shape_text(spec.shape[1:])} of {spec.datatype}"


def _column(spec: TensorSpec, values: list[Any], place: _Pointer, errors: _ErrorList) -> Array:
    """One input of all rows; `place` points at one of its values."""
    if not spec.shape:
        errors.add(pointer("parameters", spec.name), "the input here: it has one value for all rows", "it in the rows")
        return np.empty(0)
    if spec.shape[0] not in (None, len(values)):
        errors.add("/rows", f"exactly {spec.shape[0]} rows, as the model's batch is fixed", f"{len(values)} rows")
    if spec.shape[1:] in ((), (1,)):
        flat = to_array(spec, values)
        if flat is not None:
            return flat.reshape(len(values), *spec.shape[1:])
    if spec.shape[1:] == (1,):
        values = [value if type(value) is list else [value] for value in values]
    free_rows = (None, *spec.shape[1:])
    return _tensor(spec, free_rows, values, place, errors)


def _parameter(spec: TensorSpec, value: object, errors: _ErrorList) -> Array:
    """One whole tensor; a lone value stands for a tensor of one element."""
    if len(spec.shape) == 1 and not isinstance(value, list):
        value = [value]
    return _tensor(spec, spec.shape, value, lambda at: pointer("parameters", spec.name, *at), errors)


def _tensor(
    spec: TensorSpec, dims: tuple[int | None, ...], value: object, place: _Pointer, errors: _ErrorList
) -> Array:
    """Nested lists as a tensor: laid out flat level by level, then converted at once."""
    cells: list[Any] = [value]
    shape: tuple[int, ...] = ()
    for axis, dim in enumerate(dims):
        is_padded = dim is None and spec.datatype == "BYTES" and axis == len(dims) - 1
        width = _width(cells, dim, is_padded=is_padded)
        if width is None:
            _list_errors(cells, shape, dim, place, errors)
            return np.empty(0)
        if len(cells) * width > _MOST_CELLS:
            errors.add(place(_index(0, shape)), f"at most {_MOST_CELLS} values over all rows", str(len(cells) * width))
            return np.empty(0)
        if is_padded:
            cells = [cell + [""] * (width - len(cell)) for cell in cells]
        cells = list(chain.from_iterable(cells))
        shape = (*shape, width)
    flat = to_array(spec, cells)
    if flat is None:
        _cell_errors(spec, cells, shape, place, errors)
        return np.empty(0)
    return flat.reshape(shape)


def _width(cells: Sequence[object], dim: int | None, *, is_padded: bool) -> int | None:
    """The common length of the lists in `cells`, the longest where short ones are padded, None where they disagree."""
    lengths = {len(cell) if isinstance(cell, list) else -1 for cell in cells}
    if -1 in lengths or (len(lengths) > 1 and not is_padded):
        return None
    width = max(lengths, default=0)
    if is_padded:
        return max(width, 1)  # one padding value is an empty list too, and graphs dislike tensors without elements
    return width if dim in (None, width) else None


def _list_errors(
    cells: Sequence[object], shape: tuple[int, ...], dim: int | None, place: _Pointer, errors: _ErrorList
) -> None:
    first = next((len(cell) for cell in cells if isinstance(cell, list)), None)
    length = first if dim is None else dim
    for index, cell in enumerate(cells):
        if not isinstance(cell, list) or len(cell) != length:
            got = f"a list of {len(cell)} values" if isinstance(cell, list) else describe(cell)
            same = "" if dim is not None or length is None else ", as long as the first"
            errors.add(place(_index(index, shape)), f"a list of {length or 'any number of'} values{same}", got)


def _cell_errors(
    spec: TensorSpec, cells: Sequence[object], shape: tuple[int, ...], place: _Pointer, errors: _ErrorList
) -> None:
    for index, cell in enumerate(cells):
        if errors.is_full:
            return
        if found := problem(spec, cell):
            at = _index(index, shape)
            is_scalar_column = len(shape) == 2 and spec.shape[1:] == (1,)
            errors.add(place(at[:1] if is_scalar_column else at), *found)


def _index(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(part) for part in np.unravel_index(flat, shape)) if shape else ()


def _json_column(spec: TensorSpec, output: Array, row_count: int) -> list[Any]:
    if output.ndim == 0 or output.shape[0] != row_count:
        raise ModelFailed(f"Output '{spec.name}' has the shape {shape_text(output.shape)} for {row_count} rows.")
    if spec.shape[1:] == (1,):
        output = output.reshape(row_count)
    if not spec.is_float:
        return list(output.tolist())
    column: list[Any] = orjson.loads(orjson.dumps(np.ascontiguousarray(output), option=orjson.OPT_SERIALIZE_NUMPY))
    # Of one number a row, null tells that one of them is no number.
    if (output.ndim > 1 or None in column) and not is_usable(spec, output, infinite=True):
        row = int(np.argwhere(~np.isfinite(output))[0][0])
        raise ModelFailed(f"Output '{spec.name}' is NaN or infinite in row {row}.")
    return column
