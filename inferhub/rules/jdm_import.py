"""Reading a decision table from JDM (the JSON Decision Model of GoRules), our own export or another tool's."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from inferhub.errors import FieldError, InvalidDefinition
from inferhub.lib.describe import describe, pointer
from inferhub.rules.expressions import RESULT_KINDS, Arithmetic, Expression, Field, parse_expression, parse_formula
from inferhub.rules.jdm import AGGREGATE_KEY, FIELD_KEY, IS_OPTIONAL_KEY, KIND_KEY, POLICY_KEY
from inferhub.rules.parser import parse_condition
from inferhub.rules.table import DecisionTable, parse_decision_table
from inferhub.rules.tokens import CellError, is_field_name

_GUESSED_KINDS = ("number", "boolean", "date", "string")
_PLACES = {"when": "inputs", "then": "outputs"}


def from_jdm(document: object) -> DecisionTable:
    """The decision table of a JDM document with one of them and no other logic.

    JDM has no types: where the document does not carry ours, a column has the first type (number, boolean, date,
    string) that all its cells can be read as. Raises InvalidDefinition with pointers into the document.
    """
    at, content = _only_table(document)
    reading = read_content(content, at)
    try:
        return parse_decision_table(reading.definition)
    except InvalidDefinition as exc:
        raise InvalidDefinition(errors=[reading.locate(error) for error in exc.errors]) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The definition that the content of a table's node holds, not checked yet; `at` is the place of the node."""

    definition: dict[str, Any]
    columns: Mapping[str, Sequence[Mapping[str, Any]]]
    at: int

    def locate(self, error: FieldError) -> FieldError:
        """An error in the definition, pointing at the same place in the document."""
        return _in_document(error, self.at, self.columns)


def read_content(content: Mapping[str, Any], at: int) -> Reading:
    """What the content of a decision table's node holds. Raises InvalidDefinition."""
    inputs, outputs, rules = (_objects(content, key, at) for key in ("inputs", "outputs", "rules"))
    declared = [_input(column, [_cell(rule, column) for rule in rules]) for column in inputs]
    given = [_output(column, [_cell(rule, column) for rule in rules]) for column in outputs]
    computed = _computed(declared)
    definition = {
        "hit_policy": content.get(POLICY_KEY, content.get("hitPolicy")),
        "inputs": declared,
        "outputs": given,
        "rules": [
            {
                "when": [_cell(rule, column) for column in inputs],
                "then": [
                    _result(_cell(rule, column), made["type"], computed)
                    for column, made in zip(outputs, given, strict=True)
                ],
                "note": rule.get("_description") or "",
            }
            for rule in rules
        ],
    }
    return Reading(definition=definition, columns={"inputs": inputs, "outputs": outputs}, at=at)


def _only_table(document: object) -> tuple[int, Mapping[str, Any]]:
    nodes = document.get("nodes") if isinstance(document, Mapping) else None
    if not isinstance(nodes, list) or not all(isinstance(node, Mapping) for node in nodes):
        raise _error(("nodes",), "a list of JDM nodes", describe(nodes))
    for index, node in enumerate(nodes):
        if node.get("type") not in ("inputNode", "outputNode", "decisionTableNode"):
            expected = "an input, an output or a decision table (functions and other nodes are not taken)"
            raise _error(("nodes", index, "type"), expected, describe(node.get("type")))
    tables = [(index, node.get("content")) for index, node in enumerate(nodes) if node["type"] == "decisionTableNode"]
    if len(tables) != 1:
        raise _error(("nodes",), "exactly one decision table", str(len(tables)))
    at, content = tables[0]
    if not isinstance(content, Mapping):
        raise _error(("nodes", at, "content"), "an object", describe(content))
    return at, content


def _objects(content: Mapping[str, Any], key: str, at: int) -> list[Mapping[str, Any]]:
    entries = content.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise _error(("nodes", at, "content", key), "a list of objects", describe(entries))
    return entries


def _cell(rule: Mapping[str, Any], column: Mapping[str, Any]) -> Any:
    cell = rule.get(str(column.get("id")))
    return "" if cell is None else cell


def _computed(inputs: Sequence[Mapping[str, Any]]) -> dict[Expression, str]:
    """The names of computed inputs by what they compute."""
    computed = {}
    for column in inputs:
        if "expression" in column:
            with suppress(CellError):  # told where the table is read
                computed[parse_formula(column["expression"], column["type"])] = column["field"]
    return computed


def _result(cell: Any, kind: str, computed: Mapping[Expression, str]) -> Any:
    """A result cell with the names of computed inputs for what computes the same; an empty one is null."""
    if not isinstance(cell, str):
        return cell
    try:
        expression = parse_expression(cell or "null", kind, None)
    except CellError:
        return cell
    named = _named(expression, computed)
    return (cell or "null") if named == expression else named.to_zen({})


def _named(expression: Expression, computed: Mapping[Expression, str]) -> Expression:
    if expression in computed:
        return Field(computed[expression])
    if isinstance(expression, Arithmetic):
        sides = (_named(side, computed) for side in (expression.left, expression.right))
        return Arithmetic(expression.operator, *sides)
    return expression


def _input(column: Mapping[str, Any], cells: Sequence[Any]) -> dict[str, Any]:
    field, more = _field(str(column.get("field", "")), str(column.get(FIELD_KEY, column.get("name", ""))))
    texts = [cell for cell in cells if isinstance(cell, str)]
    kind, is_optional = _guess(texts, more.pop("type", ""))
    declared: dict[str, Any] = {
        "field": field,
        "type": column.get(KIND_KEY, kind),
        "label": _label(column, field),
        **more,
    }
    return declared | ({"is_optional": True} if column.get(IS_OPTIONAL_KEY, is_optional) else {})


def _field(text: str, name: str) -> tuple[str, dict[str, Any]]:
    """A JDM field, which may be an expression, as our field and what else it says."""
    of_day = text.removesuffix(")").rpartition("date(")[2] if text.endswith(")") and "date(" in text else ""
    if is_field_name(of_day):
        return of_day, {"type": "date"}
    if is_field_name(text):
        return text, {}
    return name if is_field_name(name) else text, {"expression": text, "type": "number"}


def _guess(cells: Sequence[str], kind: str) -> tuple[str, bool]:
    """The first type, optional only if need be, as which all cells can be read; string where there is none."""
    for is_optional in (False, True):
        for candidate in (kind,) if kind else _GUESSED_KINDS:
            if all(_is_condition(cell, candidate, is_optional=is_optional) for cell in cells):
                return candidate, is_optional
    return kind or "string", False


def _is_condition(cell: str, kind: str, *, is_optional: bool) -> bool:
    try:
        parse_condition(cell, kind, is_optional=is_optional)
    except CellError:
        return False
    return True


def _output(column: Mapping[str, Any], cells: Sequence[Any]) -> dict[str, Any]:
    texts = [cell for cell in cells if isinstance(cell, str) and cell]
    kinds = [kind for kind in RESULT_KINDS if all(_is_result(cell, kind) for cell in texts)]
    kind = column.get(KIND_KEY, kinds[0] if kinds else "string")
    aggregate = {"aggregate": column[AGGREGATE_KEY]} if AGGREGATE_KEY in column else {}
    field = str(column.get("field", ""))
    return {"field": field, "type": kind, "label": _label(column, field)} | aggregate


def _label(column: Mapping[str, Any], field: str) -> str:
    """What a column is called, unless that is its field, as the columns of our own export are that have no label."""
    name = str(column.get("name") or "")
    return "" if name == field else name


def _is_result(cell: str, kind: str) -> bool:
    """Whether a cell is a literal of this type; fields are taken for numbers."""
    try:
        parse_expression(cell, kind, None if kind == "number" else {})
    except CellError:
        return False
    return True


def _in_document(error: FieldError, at: int, columns: Mapping[str, Sequence[Mapping[str, Any]]]) -> FieldError:
    """An error in our definition, pointing at the same place in the JDM document."""
    parts: list[str] = error.pointer.split("/")[1:]
    if len(parts) == 4 and parts[2] in _PLACES:
        parts = [*parts[:2], str(columns[_PLACES[parts[2]]][int(parts[3])].get("id"))]
    where = pointer("nodes", at, "content", *parts)
    return FieldError(pointer=where, expected=error.expected, got=error.got)


def _error(place: tuple[str | int, ...], expected: str, got: str) -> InvalidDefinition:
    return InvalidDefinition(errors=[FieldError(pointer=pointer(*place), expected=expected, got=got)])
