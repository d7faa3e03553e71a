"""Reading the declared fields out of the facts: what is missing, null, NaN or mistyped is named, never guessed."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from inferhub.errors import FieldError
from inferhub.lib.describe import describe, pointer
from inferhub.rules.expressions import Expression, InList, field_kind
from inferhub.rules.look import Look
from inferhub.rules.table import DecisionTable, InputColumn
from inferhub.rules.tokens import CellError, parse_day

Facts = Mapping[str, Any]
Value = str | bool | int | float | None

_INFINITY = math.inf  # found sooner here
_EXPECTED = {
    "number": "a finite number",
    "string": "a text",
    "boolean": "true or false",
    "date": "a day such as 2024-01-31",
}
_NAMES = {datetime: "a point in time", date: "a day", Decimal: "a decimal that no float64 holds"}


class FactReader:
    """Reads the values of a table's input columns, in their order."""

    def __init__(self, columns: Sequence[InputColumn]) -> None:
        self._columns = tuple(columns)
        self._plans = [_plan(column) for column in columns]

    def read(self, facts: Facts, look: Look | None = None) -> tuple[list[Value], tuple[FieldError, ...]]:
        """The values and no errors, or an error for each field that the rules cannot use."""
        del look  # see LookingFactReader
        values: list[Value] = []
        for path, reader, is_optional in self._plans:
            found: Any = facts
            try:
                for key in path:
                    found = found[key]
            except (KeyError, TypeError):
                found = None
            value = reader(found)
            if value is None and not (is_optional and found is None):
                return [], self._errors(facts)
            values.append(value)
        return values, ()

    def reread(self, named: Mapping[str, Any], look: Look | None = None) -> list[Value]:
        """The values that `read` gave, out of a trace, which has them by field and in JSON."""
        del look  # see LookingFactReader
        return [_READERS[column.kind](named[column.field]) for column in self._columns]

    def _errors(self, facts: Facts) -> tuple[FieldError, ...]:
        errors: dict[str, FieldError] = {}
        for index, column in enumerate(self._columns):
            found = _formula_errors(facts, column.formula, index) if column.formula else _field_errors(facts, column)
            errors.update((error.pointer, error) for error in found)
        return tuple(errors.values())


class LookingFactReader(FactReader):
    """Reads fields of the time and whether texts are on look-up lists, too."""

    def __init__(self, table: DecisionTable, *, zone: str) -> None:
        super().__init__(table.inputs)
        self._zone = zone
        self._uses_time = table.uses_time
        self._asked = _asked_columns(table)

    def read(self, facts: Facts, look: Look | None = None) -> tuple[list[Value], tuple[FieldError, ...]]:
        """As `FactReader.read`. Raises ValueError without a look."""
        if look is None:
            raise ValueError("these rules ask for lists or the time: they need a look")
        if self._uses_time:
            facts = {**facts, "time": look.time_facts(self._zone)}
        values, errors = super().read(facts)
        if errors:
            return values, errors
        for at, field, formula, names in self._asked:
            text = values[at] if formula is None else _find(facts, tuple(field.split(".")))[0]
            if text is not None:
                listed = look.listed(str(text), field=field, names=names)
                values[at] = listed if formula is None else bool(formula.evaluate({field: listed}))
        return values, ()

    def reread(self, named: Mapping[str, Any], look: Look | None = None) -> list[Value]:
        """As `FactReader.reread`, with what lists said by a recorded look."""
        values = super().reread(named)
        for at, field, formula, names in self._asked:
            text = values[at]
            if look is not None and formula is None and text is not None:
                values[at] = look.listed(str(text), field=field, names=names)
        return values


def _asked_columns(table: DecisionTable) -> list[tuple[int, str, InList | None, tuple[str, ...]]]:
    """Place and field of each column that asks lists, its formula where it is computed, and the names of the lists."""
    by_field = table.lists_by_field
    asked: list[tuple[int, str, InList | None, tuple[str, ...]]] = []
    for at, column in enumerate(table.inputs):
        if isinstance(column.formula, InList):
            asked.append((at, column.formula.name, column.formula, (column.formula.list,)))
        elif names := by_field.get(column.field):
            asked.append((at, column.field, None, tuple(sorted(names))))
    return asked


def _plan(column: InputColumn) -> tuple[tuple[str, ...], Callable[[Any], Value], bool]:
    """Where a column's value starts from, what reads it there, and whether it may be null."""
    if isinstance(column.formula, InList):
        return tuple(column.formula.name.split(".")), _text, False
    if column.formula is not None:
        return (), _formula_reader(column.formula), False
    return column.path, _READERS[column.kind], column.is_optional


def _formula_reader(formula: Expression) -> Callable[[Facts], Value]:
    names = sorted(formula.fields)
    paths = [tuple(name.split(".")) for name in names]

    def read(facts: Facts) -> Value:
        values = [_number(_find(facts, path)[0]) for path in paths]
        try:
            return None if None in values else formula.evaluate(dict(zip(names, values, strict=True)))
        except CellError:
            return None

    return read


def _field_errors(facts: Facts, column: InputColumn) -> Iterator[FieldError]:
    found, is_there = _find(facts, column.path)
    is_allowed = column.is_optional and found is None
    if not is_allowed and _READERS[column.kind](found) is None:
        expected = _EXPECTED[column.kind] + (" or null" if column.is_optional else "")
        got = _got(found) if is_there else "nothing"
        yield FieldError(pointer=pointer(*column.path), expected=expected, got=got)


def _formula_errors(facts: Facts, formula: Expression, index: int) -> Iterator[FieldError]:
    """Errors of the fields, or where there is none, of the computation (a pointer into the definition)."""
    columns = [InputColumn(field=name, kind=field_kind(formula)) for name in sorted(formula.fields)]
    errors = [error for column in columns for error in _field_errors(facts, column)]
    yield from errors
    if not errors and not isinstance(formula, InList):
        values = {column.field: _number(_find(facts, column.path)[0]) for column in columns}
        try:
            formula.evaluate(values)
        except CellError as exc:
            yield FieldError(pointer=pointer("inputs", index, "expression"), expected=exc.expected, got=exc.got)


def _find(facts: Any, path: Sequence[str]) -> tuple[Any, bool]:
    found = facts
    for key in path:
        if not isinstance(found, Mapping) or key not in found:
            return None, False
        found = found[key]
    return found, True


def _got(value: Any) -> str:
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and not math.isfinite(plain):
        return "NaN" if math.isnan(plain) else "infinity"
    return _NAMES.get(type(plain)) or describe(plain)


def _number(value: Any) -> float | int | None:
    kind = type(value)
    if kind is float or kind is int:
        return value if -_INFINITY < value < _INFINITY else None
    if isinstance(value, np.number):
        return _number(_shortest(value))
    if kind is Decimal and value.is_finite():
        return _exact(value)
    return None


def _shortest(value: Any) -> Any:
    """A numpy float32 as the decimal that names it, 0.9 and not 0.8999999761581421: so people wrote the rule."""
    return float(str(value)) if isinstance(value, (np.float32, np.float16)) else value.item()


def _exact(value: Decimal) -> float | int | None:
    if value == value.to_integral_value():
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else None


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str) else None


def _boolean(value: Any) -> bool | None:
    if type(value) is bool:
        return value
    return bool(value) if isinstance(value, np.bool_) else None


def _day(value: Any) -> int | None:
    day = parse_day(value) if isinstance(value, str) else value
    return day.toordinal() if isinstance(day, date) and not isinstance(day, datetime) else None


_READERS: Mapping[str, Callable[[Any], Value]] = {"number": _number, "string": _text, "boolean": _boolean, "date": _day}
