import csv
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferhub.errors import InvalidDefinition
from inferhub.rules.sheet import csv_lines, csv_text, read_lines, to_lines
from inferhub.rules.table import DecisionTable, parse_decision_table

from . import tables
from .tables import ORDERS
from .test_engine import computed_table

SHEET = [
    ["hit policy", "first"],
    ["use", "when", "when", "then", "note"],
    ["field", "order.value", "order.country", "outcome"],
    ["type", "number", "string", "string"],
    [],
    ["rule", "> 100", 'in ["DE"]', '"review"', "expensive"],
    ["rule", "", "", '"accept"'],
]


def from_sheet(lines: list[list[str]]) -> DecisionTable:
    reading = read_lines(lines)
    try:
        return parse_decision_table(reading.definition)
    except InvalidDefinition as exc:
        raise InvalidDefinition(errors=[reading.locate(error) for error in exc.errors]) from None


def to_csv(table: DecisionTable) -> str:
    return csv_text(to_lines(table))


def from_csv(text: str) -> DecisionTable:
    return parse_decision_table(read_lines(csv_lines(text)).definition)


def changed(line: int, column: int, value: str) -> list[list[str]]:
    sheet = [list(cells) for cells in SHEET]
    sheet[line] += [""] * (column + 1 - len(sheet[line]))
    sheet[line][column] = value
    return sheet


def test_a_sheet_as_people_write_it_is_read() -> None:
    table = from_sheet(SHEET)
    assert [(column.field, column.kind) for column in table.inputs] == [
        ("order.value", "number"),
        ("order.country", "string"),
    ]
    assert table.rules[0].note == "expensive"
    assert table.rules[1].is_else


@pytest.mark.parametrize(("text", "expected"), [("yes", True), ("TRUE", True), ("No", False), ("false", False)])
def test_an_optional_column_is_said_in_words_or_as_spreadsheets_do(text: str, expected: bool) -> None:
    table = from_sheet([*SHEET, ["optional", text]])
    assert table.inputs[0].is_optional is expected


@settings(deadline=None, max_examples=60)
@given(st.data(), st.text(max_size=20))
def test_a_table_survives_csv(data: st.DataObject, note: str) -> None:
    definition = data.draw(tables.definitions())
    definition["rules"][0]["note"] = note
    definition["inputs"][0]["label"] = "=1+1 "
    table = parse_decision_table(definition)
    assert from_sheet(to_lines(table)) == table
    if "\r" not in note and "\0" not in note:
        assert from_csv(to_csv(table)) == table


def test_computed_inputs_survive_csv() -> None:
    table = parse_decision_table(computed_table())
    assert from_csv(to_csv(table)) == table


def test_no_cell_can_run_as_a_formula() -> None:
    definition: dict[str, Any] = computed_table()
    definition["rules"][0] |= {"when": ["== 5", "-1"], "note": "=HYPERLINK(evil)"}
    cells = [cell for line in csv.reader(io.StringIO(to_csv(parse_decision_table(definition)))) for cell in line]
    assert "'== 5" in cells
    assert "'=HYPERLINK(evil)" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_a_text_in_single_quotes_keeps_them() -> None:
    assert from_sheet(changed(5, 2, "'DE'")).rules[0].when[1] == "'DE'"
    table = parse_decision_table({**ORDERS, "rules": [{"when": ["", ""], "then": ["'a'", "1"]}]})
    assert from_csv(to_csv(table)) == table


@pytest.mark.parametrize(
    ("sheet", "place"),
    [
        (changed(5, 1, "> high"), "/6/B"),
        (changed(5, 3, "review"), "/6/D"),
        (changed(6, 1, "> 5"), "/7"),
        (changed(3, 2, "text"), "/4/C"),
        (changed(2, 3, "the outcome"), "/3/D"),
        (changed(1, 2, "if"), "/2/C"),
        (changed(1, 3, "note"), "/2/E"),
        (changed(5, 5, '"another result"'), "/2/F"),
        (changed(0, 1, "any"), "/1/B"),
        (changed(4, 0, "colour"), "/5/A"),
        (changed(4, 0, "type"), "/5/A"),
        ([*SHEET, ["optional", "maybe"]], "/8/B"),
        (SHEET[1:], ""),
        (SHEET[:5], ""),
        ([], ""),
    ],
)
def test_what_is_wrong_is_named_by_line_and_column(sheet: list[list[str]], place: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        from_sheet(sheet)
    assert [error.pointer for error in caught.value.errors] == [place]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_spreadsheet_that_parts_cells_otherwise_is_understood(separator: str) -> None:
    lines = [[cell.replace(separator, "") for cell in line] for line in SHEET]
    text = "\r\n".join(separator.join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in line) for line in lines)
    assert csv_lines("\ufeff" + text) == lines


def test_text_that_is_no_csv_is_refused() -> None:
    with pytest.raises(InvalidDefinition, match="comma-separated text"):
        from_csv('hit policy,"first\n')
