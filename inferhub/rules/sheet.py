"""Decision tables as sheets of texts, for CSV files and spreadsheets.

    hit policy | first
    use        | when         | when          | then     | note
    field      | order.value  | order.country | outcome  |
    type       | number       | string        | string   |
    label      | Value        | Country       | Outcome  |
    optional   |              | yes           |          |
    expression |              |               |          |
    rule       | > 100        | in ["DE"]     | "review" | expensive

The first cell of a line says what it holds; `label`, `optional`, `expression` and `aggregate` may be left out. A cell
that a spreadsheet would run as a formula (`== 5`, `-1`) carries an apostrophe in front, as spreadsheets do for texts.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inferhub.errors import FieldError, InvalidDefinition
from inferhub.lib.csv_cells import csv_reader, guarded, unguarded
from inferhub.lib.describe import describe, listed, pointer
from inferhub.rules.table import DecisionTable

Sheet = list[list[str]]

_HEADS = ("hit policy", "use", "field", "type", "label", "optional", "expression", "aggregate")
_NEEDED = ("hit policy", "use", "field", "type")
_USES = ("when", "then", "note")
_TRUTHS = {"yes": True, "true": True, "no": False, "false": False}
_KEYS = {
    **{key: key for key in ("field", "type", "label", "expression", "aggregate")},
    "is_optional": "optional",
}


def to_lines(table: DecisionTable) -> Sheet:
    """The lines of a sheet, all of the same width, as they are; `read_lines` reads them back to an equal table."""
    inputs, outputs = table.inputs, table.outputs
    blanks = [""] * (len(outputs) + 1)
    lines = [
        ["use", *["when" for _ in inputs], *["then" for _ in outputs], "note"],
        ["field", *[column.field for column in inputs], *[column.field for column in outputs], ""],
        ["type", *[column.kind for column in inputs], *[column.kind for column in outputs], ""],
        ["label", *[column.label for column in inputs], *[column.label for column in outputs], ""],
        ["optional", *["yes" if column.is_optional else "" for column in inputs], *blanks],
        ["expression", *[column.expression for column in inputs], *blanks],
        *_aggregate_line(table),
        *[["rule", *rule.when, *rule.then, rule.note] for rule in table.rules],
    ]
    policy = ["hit policy", table.hit_policy, *[""] * (len(lines[0]) - 2)]
    return [policy, *lines]


def _aggregate_line(table: DecisionTable) -> Sheet:
    if not table.has_aggregates:
        return []
    return [["aggregate", *["" for _ in table.inputs], *[column.aggregate for column in table.outputs], ""]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The definition that a sheet holds, not checked yet, and where its parts stand."""

    definition: dict[str, Any]
    heads: Mapping[str, int]
    rules: Sequence[int]
    columns: Mapping[str, list[int]]

    def locate(self, error: FieldError) -> FieldError:
        """An error in the definition, pointing at its cell in the sheet."""
        return _in_sheet(error, self.heads, self.rules, self.columns)


def read_lines(lines: Sequence[Sequence[str]]) -> Reading:
    """What lines without apostrophes hold. Raises InvalidDefinition."""
    heads, rules = _sort_lines(lines)
    columns = _columns(lines, heads)
    definition = _definition(lines, heads, rules, columns)
    return Reading(definition=definition, heads=heads, rules=rules, columns=columns)


def csv_text(sheet: Sheet) -> str:
    """Lines in RFC 4180's form, of cells that no spreadsheet runs."""
    text = io.StringIO()
    csv.writer(text).writerows([guarded(cell) for cell in line] for line in sheet)
    return text.getvalue()


def csv_lines(text: str) -> Sheet:
    """The lines of comma-separated text as they were before `csv_text`. Raises InvalidDefinition."""
    try:
        lines = list(csv_reader(text))
    except csv.Error as exc:
        raise _error("", "comma-separated text", str(exc)) from None
    return [[unguarded(cell) for cell in line] for line in lines]


def _sort_lines(lines: Sequence[Sequence[str]]) -> tuple[dict[str, int], list[int]]:
    """Where the head lines are, by what they hold, and where the rules are; empty lines are passed over."""
    heads: dict[str, int] = {}
    rules = []
    for at, line in enumerate(lines):
        head = line[0].strip().lower() if line else ""
        if head == "rule":
            rules.append(at)
        elif head in _HEADS and head not in heads:
            heads[head] = at
        elif any(cell.strip() for cell in line):
            raise _error(
                cell_pointer(at, 0), f"one of {listed((*_HEADS, 'rule'))}, the heads once each", describe(head)
            )
    missing = [head for head in _NEEDED if head not in heads]
    if missing:
        raise _error("", f"a line that begins with '{missing[0]}'", "none")
    return heads, rules


def _columns(lines: Sequence[Sequence[str]], heads: Mapping[str, int]) -> dict[str, list[int]]:
    """Which columns of the sheet hold conditions, results and notes."""
    columns: dict[str, list[int]] = {use: [] for use in _USES}
    for at in range(1, max(map(len, lines))):
        use = _get(lines[heads["use"]], at)
        if use.strip().lower() in _USES:
            columns[use.strip().lower()].append(at)
        elif any(_get(line, at).strip() for line in lines[heads["use"] :]):
            raise _error(cell_pointer(heads["use"], at), f"one of {listed(_USES)}", describe(use))
    if len(columns["note"]) > 1:
        raise _error(cell_pointer(heads["use"], columns["note"][1]), "at most one column of notes", "another")
    return columns


def _definition(
    lines: Sequence[Sequence[str]], heads: Mapping[str, int], rules: Sequence[int], columns: Mapping[str, list[int]]
) -> dict[str, Any]:
    def column(at: int) -> dict[str, Any]:
        texts = {head: _get(lines[heads[head]], at).strip() if head in heads else "" for head in _HEADS}
        label = _get(lines[heads["label"]], at) if "label" in heads else ""
        declared: dict[str, Any] = {"field": texts["field"], "type": texts["type"], "label": label}
        if texts["expression"]:
            declared["expression"] = texts["expression"]
        if texts["aggregate"]:
            declared["aggregate"] = texts["aggregate"]
        if texts["optional"]:
            declared["is_optional"] = _TRUTHS.get(texts["optional"].lower(), texts["optional"])
        return declared

    return {
        "hit_policy": _get(lines[heads["hit policy"]], 1).strip(),
        "inputs": [column(at) for at in columns["when"]],
        "outputs": [column(at) for at in columns["then"]],
        "rules": [
            {
                "when": [_get(lines[rule], at) for at in columns["when"]],
                "then": [_get(lines[rule], at) for at in columns["then"]],
                "note": "".join(_get(lines[rule], at) for at in columns["note"]),
            }
            for rule in rules
        ],
    }


def _get(line: Sequence[str], at: int) -> str:
    """A cell; lines may end early."""
    return line[at] if at < len(line) else ""


def _in_sheet(
    error: FieldError, heads: Mapping[str, int], rules: Sequence[int], columns: Mapping[str, list[int]]
) -> FieldError:
    """An error in the definition, pointing at its cell, or at its line."""
    _start, part, *rest = [*error.pointer.split("/"), ""]
    where = cell_pointer(heads["hit policy"], 1)
    if part in ("inputs", "outputs") and len(rest) > 1:
        line = heads.get(_KEYS.get(rest[1], ""), heads["use"])
        where = cell_pointer(line, columns["when" if part == "inputs" else "then"][int(rest[0])])
    elif part in ("inputs", "outputs"):
        where = pointer(heads["use"] + 1)
    elif part == "rules" and len(rest) > 2 and rest[2]:
        where = cell_pointer(rules[int(rest[0])], columns[rest[1]][int(rest[2])])
    elif part == "rules":
        where = pointer(rules[int(rest[0])] + 1) if rest[0] else ""
    return FieldError(pointer=where, expected=error.expected, got=error.got)


def cell_pointer(line: int, column: int) -> str:
    """A cell as spreadsheets name it.

    >>> cell_pointer(7, 1), cell_pointer(0, 27)
    ('/8/B', '/1/AB')
    """
    letters, rest = "", column + 1
    while rest:
        rest, letter = divmod(rest - 1, 26)
        letters = chr(65 + letter) + letters
    return pointer(line + 1, letters)


def _error(where: str, expected: str, got: str) -> InvalidDefinition:
    return InvalidDefinition(errors=[FieldError(pointer=where, expected=expected, got=got)])
