"""Decision tables: the authored JSON definition, checked to the last cell, as frozen values.

    {"hit_policy": "first",
     "inputs":  [{"field": "prediction.order_value.value", "type": "number", "label": "Order value"}],
     "outputs": [{"field": "outcome", "type": "string"}],
     "rules":   [{"when": ["> 100"], "then": ["\\"review\\""], "note": "expensive"},
                 {"when": [""],      "then": ["\\"accept\\""]}]}

Input types are number, string, boolean and date (a calendar day); an input with `"is_optional": true` may be null or
missing. An input can be computed, under a field name of its own: a number from numbers (`"expression": "order.total -
1.5 * customer.usual"`), a boolean by whether a text is on a look-up list (`customer.id in list "blocked"`). Fields that
begin with `time.` tell when it is decided (`inferhub.rules.look`). Output types are number, string and boolean. Cells
are texts: `inferhub.rules.parser` has the grammar of conditions, `inferhub.rules.expressions` that of results.

Hit policies: `first` takes the first row that matches, `unique` expects at most one and calls a second an error,
`collect` takes all; where its outputs have an `aggregate` (sum, min, max, count, join) they become one value. `first`
and `unique` end with an else row, whose conditions are all empty: what it decides is then said, not fallen into.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from inferhub.errors import FieldError, InvalidDefinition
from inferhub.lib.describe import describe, listed, pointer
from inferhub.rules.aggregates import AGGREGATES
from inferhub.rules.conditions import Condition, TextCondition
from inferhub.rules.expressions import (
    RESULT_KINDS,
    Expression,
    InList,
    field_kind,
    lists_of,
    parse_expression,
    parse_formula,
)
from inferhub.rules.look import TIME_FIELDS, TIME_PREFIX
from inferhub.rules.parser import CONDITION_KINDS, parse_condition
from inferhub.rules.tokens import RESERVED, CellError, is_field_name

HIT_POLICIES = ("first", "collect", "unique")
MOST_ROWS = 10_000
MOST_COLUMNS = 200

_MOST_ERRORS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class InputColumn:
    """A field of the facts, by its path (`prediction.order_value.value`), or a number computed from such fields."""

    field: str
    kind: str
    label: str = ""
    is_optional: bool = False
    expression: str = ""
    formula: Expression | None = None

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(self.field.split("."))


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputColumn:
    """`aggregate` combines the results of all rows of a collect table that match (`inferhub.rules.aggregates`)."""

    field: str
    kind: str
    label: str = ""
    aggregate: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One row: the parsed cells, beside the texts that a person wrote."""

    conditions: tuple[Condition, ...]
    results: tuple[Expression, ...]
    when: tuple[str, ...]
    then: tuple[str, ...]
    note: str = ""

    @property
    def is_else(self) -> bool:
        return all(condition.is_any for condition in self.conditions)


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionTable:
    hit_policy: str
    inputs: tuple[InputColumn, ...]
    outputs: tuple[OutputColumn, ...]
    rules: tuple[Rule, ...]

    @property
    def has_aggregates(self) -> bool:
        """Whether all rows that match are combined into one answer."""
        return any(column.aggregate for column in self.outputs)

    @property
    def lists(self) -> frozenset[str]:
        """The look-up lists that its rules ask."""
        return frozenset(name for _, name in asked_lists(self))

    @property
    def lists_by_field(self) -> dict[str, frozenset[str]]:
        """The lists that conditions and results ask about each field of texts."""
        asked: dict[str, frozenset[str]] = {}
        for rule in self.rules:
            pairs = [
                (column.field, condition.lists)
                for column, condition in zip(self.inputs, rule.conditions, strict=True)
                if isinstance(condition, TextCondition) and condition.patterns
            ]
            pairs += [(result.name, frozenset({result.list})) for result in rule.results if isinstance(result, InList)]
            for field, names in pairs:
                asked[field] = asked.get(field, frozenset()) | names
        return {field: names for field, names in asked.items() if names}

    @property
    def uses_time(self) -> bool:
        """Whether it asks when it is decided."""
        return any(
            field.startswith(TIME_PREFIX)
            for column in self.inputs
            for field in (column.formula.fields if column.formula else (column.field,))
        )

    def to_dict(self) -> dict[str, Any]:
        """The definition; `parse_decision_table` reads it back to an equal table."""
        return {
            "hit_policy": self.hit_policy,
            "inputs": [_column_dict(column) | _input_extras(column) for column in self.inputs],
            "outputs": [_column_dict(column) | _output_extras(column) for column in self.outputs],
            "rules": [
                {"when": list(rule.when), "then": list(rule.then)} | ({"note": rule.note} if rule.note else {})
                for rule in self.rules
            ],
        }


def asked_lists(table: DecisionTable) -> Iterator[tuple[str, str]]:
    """The look-up lists that a table asks, each with the pointer of the cell or expression that does."""
    for at, column in enumerate(table.inputs):
        for name in lists_of(column.formula) if column.formula else ():
            yield pointer("inputs", at, "expression"), name
    for index, rule in enumerate(table.rules):
        for at, condition in enumerate(rule.conditions):
            for name in condition.lists if isinstance(condition, TextCondition) else ():
                yield pointer("rules", index, "when", at), name
        for at, result in enumerate(rule.results):
            for name in lists_of(result):
                yield pointer("rules", index, "then", at), name


def parse_decision_table(definition: object) -> DecisionTable:
    """A table from its definition. Raises InvalidDefinition with an error for each bad cell (`/rules/3/when/1`)."""
    reader = _Reader()
    table = reader.table(definition)
    if reader.errors or table is None:
        raise InvalidDefinition(errors=reader.errors[:_MOST_ERRORS])
    return table


class _Reader:
    """Reads one definition and collects what is wrong with it."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def table(self, definition: object) -> DecisionTable | None:
        document = self._object(definition, (), {"hit_policy": str, "inputs": list, "outputs": list, "rules": list})
        if document is None:
            return None
        if document["hit_policy"] not in HIT_POLICIES:
            self._error(("hit_policy",), f"one of {listed(HIT_POLICIES)}", describe(document["hit_policy"]))
        inputs = self._inputs(document["inputs"])
        outputs = self._outputs(document["outputs"])
        self._check_aggregates(document["hit_policy"], outputs)
        if self.errors:
            return None
        rules = self._rules(document["rules"], inputs, outputs)
        if not self.errors and document["hit_policy"] != "collect":
            self._check_else(rules)
        return DecisionTable(hit_policy=document["hit_policy"], inputs=inputs, outputs=outputs, rules=rules)

    def _inputs(self, entries: Sequence[object]) -> tuple[InputColumn, ...]:
        columns: list[InputColumn] = []
        optional_keys = {"label": str, "is_optional": bool, "expression": str}
        for index, entry in enumerate(self._bounded(entries, ("inputs",), MOST_COLUMNS)):
            column = self._object(entry, ("inputs", index), {"field": str, "type": str}, optional_keys)
            if column and self._is_column(column, ("inputs", index), CONDITION_KINDS):
                formula = self._formula(column, index) if "expression" in column else None
                columns.append(InputColumn(kind=column.pop("type"), formula=formula, **column))
                self._check_namesakes(columns, index)
        return tuple(columns)

    def _formula(self, column: Mapping[str, Any], index: int) -> Expression | None:
        if column["type"] not in ("number", "boolean") or column.get("is_optional"):
            expected = "a field, or a number or boolean that is not optional, which alone can be computed"
            self._error(("inputs", index, "expression"), expected, describe(column["expression"]))
            return None
        try:
            formula = parse_formula(column["expression"], column["type"])
        except CellError as exc:
            self._error(("inputs", index, "expression"), exc.expected, exc.got)
            return None
        for name in formula.fields:
            if name.startswith(TIME_PREFIX) and TIME_FIELDS.get(name) != field_kind(formula):
                usable = [field for field, kind in TIME_FIELDS.items() if kind == field_kind(formula)]
                self._error(("inputs", index, "expression"), f"one of {listed(usable)}", f"'{name}'")
        return formula

    def _check_namesakes(self, columns: Sequence[InputColumn], index: int) -> None:
        """A field may stand in several columns, with different conditions but one meaning."""
        *others, new = columns
        if any(new.field == other.field and replace(new, label="") != replace(other, label="") for other in others):
            expected = "the type, expression and is_optional of the column with the same field"
            self._error(("inputs", index), expected, "others")

    def _outputs(self, entries: Sequence[object]) -> tuple[OutputColumn, ...]:
        columns: list[OutputColumn] = []
        for index, entry in enumerate(self._bounded(entries, ("outputs",), MOST_COLUMNS)):
            column = self._object(
                entry, ("outputs", index), {"field": str, "type": str}, {"label": str, "aggregate": str}
            )
            if column and self._is_column(column, ("outputs", index), RESULT_KINDS):
                if any(column["field"] == other.field for other in columns):
                    self._error(("outputs", index, "field"), "a name used once", describe(column["field"]))
                columns.append(OutputColumn(kind=column.pop("type"), **column))
        return tuple(columns)

    def _check_aggregates(self, hit_policy: str, outputs: Sequence[OutputColumn]) -> None:
        if not any(column.aggregate for column in outputs):
            return
        for index, column in enumerate(outputs):
            place = ("outputs", index, "aggregate")
            if hit_policy != "collect":
                self._error(place, "no aggregate, unless the hit policy is collect", describe(column.aggregate))
            elif column.aggregate not in AGGREGATES:
                expected = f"one of {listed(AGGREGATES)}, for every output or for none"
                self._error(place, expected, describe(column.aggregate) if column.aggregate else "nothing")
            elif AGGREGATES[column.aggregate] not in ("", column.kind):
                expected = (
                    f"an aggregate for {column.kind}s ({column.aggregate} is for {AGGREGATES[column.aggregate]}s)"
                )
                self._error(place, expected, describe(column.aggregate))

    def _is_column(self, column: Mapping[str, Any], place: tuple[str | int, ...], kinds: Sequence[str]) -> bool:
        """Whether type and name can be used; errors where not."""
        before = len(self.errors)
        if column["type"] not in kinds:
            self._error((*place, "type"), f"one of {listed(kinds)}", describe(column["type"]))
        is_path = place[0] == "inputs"
        if not is_field_name(column["field"]) or (not is_path and "." in column["field"]):
            expected = f"a name of letters, digits and _ that is none of {listed(sorted(RESERVED))}"
            expected += " (or several, joined by dots)" if is_path else ""
            self._error((*place, "field"), expected, describe(column["field"]))
        elif is_path and column["field"].startswith(TIME_PREFIX):
            self._check_time(column, place)
        return len(self.errors) == before

    def _check_time(self, column: Mapping[str, Any], place: tuple[str | int, ...]) -> None:
        kind = TIME_FIELDS.get(column["field"])
        if kind is None or "expression" in column:
            self._error((*place, "field"), f"one of {listed(TIME_FIELDS)}", describe(column["field"]))
        elif kind != column["type"]:
            self._error((*place, "type"), f"{kind}, which {column['field']} is", describe(column["type"]))

    def _rules(
        self, entries: Sequence[object], inputs: Sequence[InputColumn], outputs: Sequence[OutputColumn]
    ) -> tuple[Rule, ...]:
        fields = {column.field: column.kind for column in inputs if not column.is_optional}
        rules = []
        for index, entry in enumerate(self._bounded(entries, ("rules",), MOST_ROWS)):
            if len(self.errors) >= _MOST_ERRORS:
                break
            row = self._object(entry, ("rules", index), {"when": list, "then": list}, {"note": str})
            if row is None or not self._has_cells(row, index, len(inputs), len(outputs)):
                continue
            conditions = [
                self._condition(cell, column, ("rules", index, "when", at))
                for at, (cell, column) in enumerate(zip(row["when"], inputs, strict=True))
            ]
            results = [
                self._result(cell, column, fields, ("rules", index, "then", at))
                for at, (cell, column) in enumerate(zip(row["then"], outputs, strict=True))
            ]
            if None not in conditions and None not in results:
                rules.append(
                    Rule(
                        conditions=tuple(condition for condition in conditions if condition is not None),
                        results=tuple(result for result in results if result is not None),
                        when=tuple(row["when"]),
                        then=tuple(row["then"]),
                        note=row.get("note", ""),
                    )
                )
        return tuple(rules)

    def _has_cells(self, row: Mapping[str, Any], index: int, inputs: int, outputs: int) -> bool:
        before = len(self.errors)
        for key, count in (("when", inputs), ("then", outputs)):
            if len(row[key]) != count:
                self._error(("rules", index, key), f"{count} cells, one a column", f"{len(row[key])}")
            for at, cell in enumerate(row[key]):
                if not isinstance(cell, str):
                    self._error(("rules", index, key, at), 'a cell as text, such as "> 100"', describe(cell))
        return len(self.errors) == before

    def _condition(self, cell: str, column: InputColumn, place: tuple[str | int, ...]) -> Condition | None:
        try:
            return parse_condition(cell, column.kind, is_optional=column.is_optional)
        except CellError as exc:
            self._error(place, exc.expected, exc.got)
            return None

    def _result(
        self, cell: str, column: OutputColumn, fields: Mapping[str, str], place: tuple[str | int, ...]
    ) -> Expression | None:
        try:
            return parse_expression(cell, column.kind, fields)
        except CellError as exc:
            self._error(place, exc.expected, exc.got)
            return None

    def _check_else(self, rules: Sequence[Rule]) -> None:
        if not rules[-1].is_else:
            got = "conditions in the last row"
            self._error(("rules", len(rules) - 1, "when"), "an else row at the end, all its conditions empty", got)
        for index, rule in enumerate(rules[:-1]):
            if rule.is_else:
                expected = "a condition: a row without any leaves nothing to the rows below it"
                self._error(("rules", index, "when"), expected, "none")

    def _object(
        self,
        entry: object,
        place: tuple[str | int, ...],
        required: Mapping[str, type],
        optional: Mapping[str, type] | None = None,
    ) -> dict[str, Any] | None:
        """A copy of `entry` where it has exactly these keys with values of these types, else None and errors."""
        known = {**required, **(optional or {})}
        if not isinstance(entry, dict):
            self._error(place, f"an object with the keys {listed(required)}", describe(entry))
            return None
        before = len(self.errors)
        for key in required:
            if key not in entry:
                self._error((*place, key), f"a {_TYPE_NAMES[required[key]]}", "nothing")
        for key, value in entry.items():
            if key not in known:
                self._error((*place, str(key)), f"one of the keys {listed(known)}", "an unknown key")
            elif type(value) is not known[key]:
                self._error((*place, key), f"a {_TYPE_NAMES[known[key]]}", describe(value))
        return dict(entry) if len(self.errors) == before else None

    def _bounded(self, entries: Sequence[object], place: tuple[str], most: int) -> Sequence[object]:
        if 0 < len(entries) <= most:
            return entries
        self._error(place, f"a list of 1 to {most} entries", f"{len(entries)}")
        return ()

    def _error(self, place: tuple[str | int, ...], expected: str, got: str) -> None:
        self.errors.append(FieldError(pointer=pointer(*place), expected=expected, got=got))


_TYPE_NAMES: Mapping[type, str] = {str: "text", list: "list", bool: "boolean (true or false)"}


def _column_dict(column: InputColumn | OutputColumn) -> dict[str, Any]:
    return {"field": column.field, "type": column.kind} | ({"label": column.label} if column.label else {})


def _output_extras(column: OutputColumn) -> dict[str, Any]:
    return {"aggregate": column.aggregate} if column.aggregate else {}


def _input_extras(column: InputColumn) -> dict[str, Any]:
    optional = {"is_optional": True} if column.is_optional else {}
    return optional | ({"expression": column.expression} if column.expression else {})
