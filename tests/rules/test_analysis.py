from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferhub.rules.analysis import Finding, analyse_table
from inferhub.rules.atoms import Atoms
from inferhub.rules.engine import compile_rules
from inferhub.rules.parser import parse_condition
from inferhub.rules.table import DecisionTable, InputColumn, parse_decision_table

from . import tables


def table(
    rows: list[tuple[str, ...]], *kinds: str, hit_policy: str = "first", results: list[str] | None = None
) -> DecisionTable:
    """A table of columns a, b, ...; each row answers with its own index unless `results` are given."""
    answers = results or [str(index) for index in range(len(rows))]
    rules = [{"when": list(row), "then": [answer]} for row, answer in zip(rows, answers, strict=True)]
    if hit_policy != "collect":
        rules.append({"when": [""] * len(kinds), "then": ["-1"]})
    return parse_decision_table(
        {
            "hit_policy": hit_policy,
            "inputs": [{"field": "abcdef"[at], "type": kind} for at, kind in enumerate(kinds)],
            "outputs": [{"field": "row", "type": "number"}],
            "rules": rules,
        }
    )


def found(kind: str, analysed: DecisionTable) -> list[Finding]:
    return [finding for finding in analyse_table(analysed) if finding.kind == kind]


@pytest.mark.parametrize(
    ("rows", "kinds", "dead"),
    [
        ([("> 5",), ("> 7",)], ["number"], [(1, 0)]),
        ([("> 5",), ("<= 5",)], ["number"], [(2, 0, 1)]),
        ([("[0..5]",), ("(5..9]",), ("[1..8]",)], ["number"], [(2, 0, 1)]),
        ([("[0..5)",), ("(5..9]",), ("[1..8]",)], ["number"], []),
        ([('"a"',), ('in ["a", "b"]',), ('"b"',)], ["string"], [(2, 1)]),
        ([('startsWith($, "a")',), ('"abc"',)], ["string"], [(1, 0)]),
        ([('startsWith($, "a")',), ('startsWith($, "ab")',)], ["string"], [(1, 0)]),
        ([('contains($, "a")',), ('endsWith($, "b")',)], ["string"], []),
        ([('contains($, "?")',), ('startsWith($, "@")',)], ["string"], []),
        ([("true", ""), ("", "> 1"), ("false", "> 2")], ["boolean", "number"], [(2, 1)]),
        ([("true",), ("false",)], ["boolean"], [(2, 0, 1)]),
        ([('<= "2024-01-31"',), ('>= "2024-02-01"',)], ["date"], [(2, 0, 1)]),
    ],
)
def test_rows_to_which_earlier_ones_leave_nothing_are_found(
    rows: list[tuple[str, ...]], kinds: list[str], dead: list[tuple[int, ...]]
) -> None:
    assert [finding.rows for finding in found("dead_row", table(rows, *kinds))] == dead


def test_a_useless_row_is_a_warning_and_an_else_row_without_work_is_not() -> None:
    findings = found("dead_row", table([("> 5",), ("> 7",), ("<= 5",)], "number"))
    assert [(finding.severity, finding.message) for finding in findings] == [
        ("warning", "Row 2 can never decide: all facts that it matches are taken by row 1."),
        ("info", "Row 4 can never decide: all facts that it matches are taken by rows 1, 2, 3."),
    ]


def test_rows_of_a_unique_table_that_overlap_are_an_error_with_an_example() -> None:
    [finding] = found("overlap", table([("> 5", '"x"'), ("< 9", "")], "number", "string", hit_policy="unique"))
    assert (finding.severity, finding.rows) == ("error", (1, 0))
    assert finding.example == {"a": 6.0, "b": "x"}
    assert finding.message == "Rows 1 and 2 both match facts such as a = 6, b = 'x', which then decides nothing."


def test_an_overlap_of_a_first_table_is_told_only_where_the_results_differ() -> None:
    rows = [("> 5",), ("< 9",)]
    assert [finding.severity for finding in found("overlap", table(rows, "number"))] == ["info"]
    assert found("overlap", table(rows, "number", results=["7", "7"])) == []


def test_columns_of_one_field_are_conditions_on_one_value() -> None:
    def twice(hit_policy: str, *rows: tuple[str, str]) -> DecisionTable:
        definition = table(list(rows), "number", "number", hit_policy=hit_policy).to_dict()
        definition["inputs"][1]["field"] = "a"
        return parse_decision_table(definition)

    assert found("overlap", twice("unique", ("> 10", ""), ("", "< 5"))) == []
    assert found("overlap", twice("unique", ("> 10", ""), ("", "< 15")))[0].example == {"a": 11.0}
    findings = found("dead_row", twice("first", ("> 10", "< 5"), ("< 5", ""), ("", ">= 5")))
    assert [(finding.rows, finding.message) for finding in findings] == [
        ((0,), "Row 1 can never decide: a never has such a value."),
        ((3, 1, 2), "Row 4 can never decide: all facts that it matches are taken by rows 2, 3."),
    ]


@pytest.mark.parametrize(
    ("cell", "part"),
    [("> 12,50", "12,50"), ("1,5", "1,5"), ("not(1,2)", "1,2"), ("1, 5", ""), ("in [1,5]", ""), ("[1..5],[7..9]", "")],
)
def test_a_comma_between_digits_is_told_as_it_is_read(cell: str, part: str) -> None:
    findings = found("comma", table([(cell, "")], "number", "string"))
    assert [(finding.severity, finding.rows) for finding in findings] == ([("warning", (0,))] if part else [])
    assert all(f"'{part}'" in finding.message for finding in findings)
    assert found("comma", table([('"1,5"',)], "string")) == []


def test_rows_of_a_unique_table_that_only_a_computed_input_keeps_apart_are_no_fault() -> None:
    definition = table([("> 10", ""), ("", "< 5"), ("> 100", "")], "number", "number", hit_policy="unique").to_dict()
    definition["inputs"][1] |= {"field": "double", "expression": "a * 2"}
    perhaps, surely, also_perhaps = found("overlap", parse_decision_table(definition))
    assert (perhaps.rows, perhaps.severity) == ((1, 0), "warning")
    assert "where facts such as a = 11, double = 4 can be: double is computed of others" in perhaps.message
    assert (surely.rows, surely.severity) == ((2, 0), "error")
    assert (also_perhaps.rows, also_perhaps.severity) == ((2, 1), "warning")


def test_a_repeated_row_of_a_collect_table_is_found() -> None:
    rows = [("> 5",), ("$ > 5",), ("> 6",)]
    findings = found("dead_row", table(rows, "number", hit_policy="collect", results=["1", "1", "1"]))
    assert [(finding.rows, finding.message) for finding in findings] == [((1, 0), "Row 2 repeats row 1.")]


def test_what_only_the_else_row_decides_is_shown() -> None:
    findings = found("gap", table([("< 0",), ("(0..10)",)], "number"))
    assert [finding.example for finding in findings] == [{"a": 0.0}]
    assert findings[0].message == "There are facts that only the else row 3 decides, such as a = 0."
    assert found("gap", table([("< 0",), (">= 0",)], "number")) == []


def test_what_no_row_of_a_collect_table_matches_is_shown() -> None:
    [finding] = found("gap", table([("true",)], "boolean", hit_policy="collect"))
    assert (finding.rows, finding.example) == ((), {"a": False})


def test_null_is_a_gap_of_its_own() -> None:
    definition = table([("> 5",), ("<= 5",)], "number").to_dict()
    definition["inputs"][0]["is_optional"] = True
    assert [finding.example for finding in found("gap", parse_decision_table(definition))] == [{"a": None}]


def test_a_day_is_shown_as_people_write_it() -> None:
    rows = [('<= "2024-01-31"',), ('> "2024-02-01"',)]
    assert [finding.example for finding in found("gap", table(rows, "date"))] == [{"a": "2024-02-01"}]


def test_a_table_that_overlaps_in_too_many_ways_is_told_to_be_undetermined() -> None:
    rows = [tuple(f"!= {(row * 7 + at * 13) % 29}" for at in range(6)) for row in range(29)]
    kinds = {finding.kind for finding in analyse_table(table(rows, *["number"] * 6))}
    assert "undetermined" in kinds


def test_a_table_of_two_thousand_rows_is_analysed() -> None:
    rows = [(f"[{row}..{row + 1})", f'"{row % 7}"') for row in range(2000)]
    analysed = table(rows, "number", "string", hit_policy="unique")
    assert found("overlap", analysed) == []
    assert len(found("gap", analysed)) == 10


def facts_of(finding: Finding) -> dict[str, Any]:
    return tables.nested(finding.example or {})


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_every_example_shows_what_its_finding_says(data: st.DataObject) -> None:
    analysed = parse_decision_table(data.draw(tables.definitions()))
    as_collect = compile_rules(parse_decision_table({**analysed.to_dict(), "hit_policy": "collect"}))
    last = len(analysed.rules) - 1
    for finding in analyse_table(analysed):
        if finding.kind in ("overlap", "gap"):
            matched = [match.index for match in as_collect.evaluate(facts_of(finding)).matched]
            if finding.kind == "overlap":
                assert set(finding.rows) <= set(matched)
            else:
                assert matched == ([] if analysed.hit_policy == "collect" else [last])


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_a_dead_row_never_decides(data: st.DataObject) -> None:
    analysed = parse_decision_table(data.draw(tables.definitions("first")))
    engine = compile_rules(analysed)
    dead = {finding.rows[0] for finding in found("dead_row", analysed)}
    for _ in range(5):
        facts = tables.nested(data.draw(tables.facts_for(analysed.to_dict())))
        assert not dead & {match.index for match in engine.evaluate(facts).matched}


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_a_table_without_gaps_never_needs_its_else_row(data: st.DataObject) -> None:
    analysed = parse_decision_table(data.draw(tables.definitions("first")))
    engine = compile_rules(analysed)
    facts = tables.nested(data.draw(tables.facts_for(analysed.to_dict())))
    used_else = engine.evaluate(facts).matched[0].index == len(analysed.rules) - 1
    assert not used_else or found("gap", analysed)


@settings(deadline=None, max_examples=200)
@given(st.data(), st.sampled_from(sorted(tables.FIELDS)), st.booleans())
def test_an_atom_is_accepted_exactly_where_its_witness_is(data: st.DataObject, kind: str, is_optional: bool) -> None:
    cells = data.draw(st.lists(tables.cells(kind, is_optional=is_optional), min_size=1, max_size=5))
    conditions = [parse_condition(cell, kind, is_optional=is_optional) for cell in cells]
    atoms = Atoms(InputColumn(field="x", kind=kind, is_optional=is_optional), conditions)
    values = [*atoms._values, None] if is_optional else atoms._values
    assert atoms.everything == (1 << len(values)) - 1
    for condition in conditions:
        matches = condition.matcher()
        accepted = [condition.is_any or matches(value) for value in values]
        assert [bool(atoms.bits(condition) >> at & 1) for at in range(len(values))] == accepted
