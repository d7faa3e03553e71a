"""Rule sets as CSV and XLSX: round trips without loss, and files that mean harm."""

import contextlib
import copy
import io
import json
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
import zen
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from inferhub.errors import InvalidDefinition
from inferhub.rules.jdm_rule_set import rule_set_from_jdm, rule_set_to_jdm
from inferhub.rules.rule_set import RuleSet, parse_rule_set
from inferhub.rules.rule_set_engine import compile_rule_set
from inferhub.rules.rule_set_sheets import from_csv, from_sheets, to_csv, to_sheets
from inferhub.rules.xlsx import from_xlsx, to_xlsx

from . import tables
from .sequences import SCREENING, find
from .tables import ORDERS
from .test_engine import computed_table


def parse(definition: Any) -> RuleSet:
    return parse_rule_set(definition, find)


@pytest.mark.parametrize("definition", [ORDERS, computed_table(), SCREENING, {"tables": SCREENING["tables"][:1]}])
def test_a_rule_set_survives_csv_and_xlsx(definition: dict[str, Any]) -> None:
    rule_set = parse(definition)
    assert from_csv(to_csv(rule_set), find) == rule_set
    assert from_xlsx(to_xlsx(rule_set), find) == rule_set


_NOTES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20) | st.sampled_from(
    ["=1+1", "'=1", "_x0041_", "_x0041_x0041_", "a\r\nb", " a ", "\ufffe", "\x07", "<&>]]>", "\ufeff"]
)


@settings(deadline=None, max_examples=40)
@given(st.data(), _NOTES)
def test_any_text_survives_xlsx(data: st.DataObject, note: str) -> None:
    definition = data.draw(tables.definitions())
    definition["rules"][0]["note"] = note
    rule_set = parse(definition)
    assert from_xlsx(to_xlsx(rule_set)) == rule_set


def test_a_note_longer_than_a_cell_is_refused_on_the_way_out() -> None:
    definition = copy.deepcopy(ORDERS)
    definition["rules"][0]["note"] = "x" * 32_768
    with pytest.raises(InvalidDefinition, match="32767"):
        to_xlsx(parse(definition))


def test_no_cell_of_a_workbook_is_a_formula() -> None:
    definition = copy.deepcopy(ORDERS)
    definition["rules"][0] |= {"when": ["== 5", ""], "note": '=HYPERLINK("https://example.org")'}
    book = load_workbook(io.BytesIO(to_xlsx(parse(definition))))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} == {"s"}
    assert all(cell.quotePrefix for cell in cells if cell.value.startswith("="))
    assert "== 5" in [cell.value for cell in cells]


def test_a_sheet_is_named_after_its_table() -> None:
    assert [name for name, _ in to_sheets(parse(SCREENING))] == ["risk", "credit", "level", "outcome"]


def test_errors_name_sheet_line_and_column() -> None:
    def places(change: Callable[[dict[str, list[list[str]]]], None]) -> list[str]:
        sheets = to_sheets(parse(SCREENING))
        change(dict(sheets))
        with pytest.raises(InvalidDefinition) as caught:
            from_sheets(sheets, find)
        return [error.pointer for error in caught.value.errors]

    def put(name: str, line: int, column: int, text: str) -> Callable[[dict[str, list[list[str]]]], None]:
        return lambda sheets: sheets[name][line].__setitem__(column, text)

    assert places(put("level", 8, 1, "> x")) == ["/level/9/B"]
    assert places(put("risk", 0, 1, "Mars")) == ["/risk/1/B"]
    assert places(put("credit", 2, 1, "4")) == ["/credit/3/B"]
    assert places(put("credit", 0, 1, "risk")) == ["/credit/1/B"]
    assert places(put("level", 3, 2, "risk.score"))[0] == "/level/4/C"
    assert places(put("risk", 8, 5, "average")) == ["/risk/9/F"]
    assert places(lambda sheets: sheets["level"].append(["time zone", "UTC"])) == [
        f"/level/{len(dict(to_sheets(parse(SCREENING)))['level']) + 1}/A"
    ]
    text = to_csv(parse(SCREENING)).replace("contains($, ", "contains($ ")
    with pytest.raises(InvalidDefinition) as caught:
        from_csv(text, find)
    line = next(at for at, line in enumerate(text.splitlines(), start=1) if "contains" in line)
    assert [error.pointer for error in caught.value.errors] == [f"/{line}/C"]


def meaning(rule_set: RuleSet) -> list[Any]:
    """What is left of the texts of cells once they are read."""
    parts: list[Any] = [rule_set.zone]
    for step in rule_set.steps:
        table = step.rules.last if isinstance(step.rules, RuleSet) else step.rules
        columns = [(c.field, c.kind, c.is_optional, c.formula) for c in table.inputs]
        outputs = [(c.field, c.kind, c.aggregate) for c in table.outputs]
        rows = [(rule.conditions, rule.results, rule.note) for rule in table.rules]
        parts += [step.name, step.rule_set, step.version, table.hit_policy, columns, outputs, rows]
    return parts


def test_a_rule_set_survives_jdm() -> None:
    for definition in (SCREENING, ORDERS, changed_order(SCREENING)):
        rule_set = parse(definition)
        document = json.loads(json.dumps(rule_set_to_jdm(rule_set)))
        assert meaning(rule_set_from_jdm(document, find)) == meaning(rule_set)


def changed_order(definition: dict[str, Any]) -> dict[str, Any]:
    return {**definition, "tables": [definition["tables"][1], definition["tables"][0]]}


def test_a_sequence_without_aggregates_decides_the_same_in_plain_zen() -> None:
    first = {
        "name": "level",
        "hit_policy": "first",
        "inputs": [{"field": "input.total", "type": "number"}],
        "outputs": [{"field": "name", "type": "string"}, {"field": "twice", "type": "number"}],
        "rules": [{"when": ["> 9"], "then": ['"high"', "input.total * 2"]}, {"when": [""], "then": ['"low"', "0"]}],
    }
    last = {
        "name": "answer",
        "hit_policy": "first",
        "inputs": [{"field": "level.name", "type": "string"}, {"field": "input.total", "type": "number"}],
        "outputs": [{"field": "outcome", "type": "string"}],
        "rules": [
            {"when": ['"high"', "< 100"], "then": ['"review"']},
            {"when": ["", ""], "then": ["level.name"]},
        ],
    }
    rule_set = parse({"tables": [first, last]})
    exported = zen.ZenEngine({"loader": {"type": "static", "content": {"t": rule_set_to_jdm(rule_set)}}})
    for total in (1, 50, 500):
        facts = {"input": {"total": total}}
        assert exported.evaluate("t", facts)["result"] == compile_rule_set(rule_set).evaluate(facts).outputs


def test_a_document_that_is_no_chain_is_refused_where_it_is_not() -> None:
    def refused(change: Callable[[dict[str, Any]], object]) -> list[str]:
        document = rule_set_to_jdm(parse(SCREENING))
        change(document)
        with pytest.raises(InvalidDefinition) as caught:
            rule_set_from_jdm(document, find)
        return [error.pointer for error in caught.value.errors]

    assert refused(lambda document: document["edges"].append(dict(document["edges"][0]))) == ["/edges/5"]
    assert refused(lambda document: document["edges"].pop(1)) == ["/edges"]
    assert refused(lambda document: document["edges"][3].update(targetId="table-0")) == ["/edges"]
    assert refused(lambda document: document["nodes"][2]["content"].pop("x-version")) == ["/nodes/2/content"]
    assert refused(lambda document: document["nodes"][3]["content"]["rules"][0].update(i0="> x")) == [
        "/nodes/3/content/rules/0/i0"
    ]
    assert refused(lambda document: document["nodes"][1].update(type="functionNode")) == ["/nodes/1/type"]
    assert refused(lambda document: document["nodes"][1]["content"].update(outputPath="input"))[0] == "/nodes/1/name"


def workbook(*lines: list[Any], title: str = "rules") -> bytes:
    book = Workbook()
    book.active.title = title  # type: ignore[union-attr]
    for line in lines:
        book.active.append(line)  # type: ignore[union-attr]
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


HEADS: list[list[Any]] = [
    ["hit policy", "first"],
    ["use", "when", "when", "then"],
    ["field", "a", "day", "y"],
    ["type", "number", "date", "boolean"],
]


def test_numbers_days_and_truths_that_a_spreadsheet_made_of_texts_are_read() -> None:
    rule_set = from_xlsx(workbook(*HEADS, ["rule", 1.5, date(2024, 2, 29), True], [], ["rule", None, None, False]))
    assert rule_set.last.rules[0].when == ("1.5", '"2024-02-29"')
    assert [rule.then for rule in rule_set.last.rules] == [("true",), ("false",)]


def test_a_day_with_a_time_of_day_is_refused_where_it_stands() -> None:
    with pytest.raises(InvalidDefinition, match="a day without a time") as caught:
        from_xlsx(
            workbook(
                *HEADS, ["rule", 1.5, datetime.fromisoformat("2024-02-29T15:30"), True], ["rule", None, None, False]
            )
        )
    assert caught.value.errors[0].pointer == "/rules/5/C"


@pytest.mark.parametrize("value", ["=1+1", "=cmd|' /C calc'!A0", "=HYPERLINK(A1)"])
def test_a_formula_is_refused_where_it_stands(value: str) -> None:
    with pytest.raises(InvalidDefinition, match="not a formula") as caught:
        from_xlsx(workbook(*HEADS, ["rule", value, "", True]))
    assert caught.value.errors[0].pointer == "/rules/5/B"


def repacked(data: bytes, **changes: bytes) -> bytes:
    """A workbook with other parts, by the end of their names, and with new ones."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            changed = [content for end, content in changes.items() if name.endswith(end)]
            target.writestr(name, changed[0] if changed else source.read(name))
        for name, content in changes.items():
            if not any(known.endswith(name) for known in source.namelist()):
                target.writestr(name, content)
    return out.getvalue()


def test_a_computed_number_is_read_to_the_digits_that_a_spreadsheet_shows() -> None:
    data = workbook(*HEADS, ["rule", 0.25, None, True], ["rule", None, None, False])
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        sheet = container.read("xl/worksheets/sheet1.xml")
    computed = sheet.replace(b"<v>0.25</v>", b"<v>0.30000000000000004</v>")
    assert computed != sheet
    assert from_xlsx(repacked(data, **{"sheet1.xml": computed})).last.rules[0].when[0] == "0.3"


GOOD = workbook(*HEADS, ["rule", "", "", True])
_LAUGHS = b"".join(b'<!ENTITY e%d "%s">' % (level, b"&e%d;" % (level - 1) * 10) for level in range(1, 10))
ENTITIES = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "ha">' + _LAUGHS + b"]><worksheet>&e9;</worksheet>"
WIDE_ENTITIES = ENTITIES.decode().replace('"1.0"', '"1.0" encoding="utf-16"').encode("utf-16")
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><worksheet>&e;</worksheet>'


def one_far_cell(row: int) -> bytes:
    head = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    cell = b'<row r="%d"><c r="A%d" t="inlineStr"><is><t>rule</t></is></c></row>' % (row, row)
    return head + cell + b"</sheetData></worksheet>"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        b"hit policy,first\n",
        GOOD[:-30],
        GOOD[: len(GOOD) // 2],
        repacked(GOOD, **{"sheet1.xml": b"<worksheet"}),
        repacked(GOOD, **{"sheet1.xml": ENTITIES}),
        repacked(GOOD, **{"workbook.xml": ENTITIES}),
        repacked(GOOD, **{"sheet1.xml": OUTSIDE}),
        repacked(GOOD, **{"xl/externalLinks/externalLink1.xml": b"<x/>"}),
        repacked(GOOD, **{"xl/vbaProject.bin": b"x"}),
        repacked(GOOD, **{"xl/embeddings/x.bin": b"x"}),
        repacked(GOOD, **{"sheet1.xml": b" " * (51 << 20)}),
        repacked(GOOD, **{f"part{at}": b"" for at in range(300)}),
        repacked(GOOD, **{"sheet1.xml": one_far_cell(1_000_000)}),
        repacked(GOOD, **{"workbook.xml": b"<workbook/>"}),
        repacked(
            GOOD, **{"sheet1.xml": ENTITIES.decode().replace('"1.0"', '"1.0" encoding="utf-16"').encode("utf-16")}
        ),
        b"\x00" * (11 << 20),
    ],
    ids=range(18),
)
def test_a_file_that_means_harm_or_is_broken_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidDefinition):
        from_xlsx(data)


def test_a_workbook_of_a_million_rows_is_refused_before_they_are_kept() -> None:
    head = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    rows = b"".join(b'<row r="%d"><c r="A%d"><v>1</v></c></row>' % (at, at) for at in range(1, 1_000_001))
    data = repacked(GOOD, **{"sheet1.xml": head + rows + b"</sheetData></worksheet>"})
    with pytest.raises(InvalidDefinition, match="at most"):
        from_xlsx(data)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_workbook_is_read_or_refused(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(GOOD)
    for place, value in changes:
        damaged[place] = value
    with contextlib.suppress(InvalidDefinition):
        from_xlsx(bytes(damaged))
