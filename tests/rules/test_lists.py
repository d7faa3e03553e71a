"""Rules that ask look-up lists and the time."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
import zen
from hypothesis import given, settings
from hypothesis import strategies as st

from inferhub.errors import InvalidDefinition, InvalidInput
from inferhub.rules.analysis import analyse_table
from inferhub.rules.columns import evaluate_columns, list_column
from inferhub.rules.engine import compile_rules
from inferhub.rules.jdm import to_jdm
from inferhub.rules.jdm_import import from_jdm
from inferhub.rules.lists import ListedText, ListSnapshot
from inferhub.rules.look import TIME_FIELDS, Look
from inferhub.rules.rule_set_engine import explain_trace
from inferhub.rules.table import DecisionTable, asked_lists, parse_decision_table

from .test_sheet import from_csv, to_csv

NOW = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)  # a Saturday
LISTS = {
    "blocked": ListSnapshot(name="blocked", version=3, expiries={"ann": None, "ben": NOW, "x": None}),
    "very-good": ListSnapshot(name="very-good", version=1, expiries={"cid": NOW + timedelta(seconds=1), "x": None}),
}


def look() -> Look:
    return Look(at=NOW, lists=LISTS)


def table(*cells: str, hit_policy: str = "collect", **column: Any) -> DecisionTable:
    return parse_decision_table(
        {
            "hit_policy": hit_policy,
            "inputs": [{"field": "customer.id", "type": "string", **column}],
            "outputs": [{"field": "row", "type": "number"}],
            "rules": [{"when": [cell], "then": [str(index)]} for index, cell in enumerate(cells)],
        }
    )


CELLS = [
    'in list "blocked"',
    'not in list "blocked"',
    '$ in list "very-good"',
    'in list "blocked", "dora"',
    'in list "blocked" or in list "very-good"',
    'not(in list "blocked", in list "very-good")',
    'startsWith($, "d"), in list "blocked"',
    'not(startsWith($, "d"), in list "blocked")',
    "",
]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("ann", [0, 3, 4, 6, 8]),
        ("ben", [1, 5, 7, 8]),  # its entry has expired
        ("cid", [1, 2, 4, 7, 8]),
        ("dora", [1, 3, 5, 6, 8]),
        ("x", [0, 2, 3, 4, 6, 8]),
        ("Ann", [1, 5, 7, 8]),
    ],
)
def test_a_cell_asks_lists_as_they_are_at_the_moment(text: str, rows: list[int]) -> None:
    result = compile_rules(table(*CELLS)).evaluate({"customer": {"id": text}}, look=look(), trace=True)
    assert [match.index for match in result.matched] == rows
    assert result.trace is not None
    assert sorted([*rows, *(rejection.index for rejection in result.trace.rejections)]) == list(range(len(CELLS)))


def test_why_not_follows_from_what_the_lists_said_then() -> None:
    engine, seen = compile_rules(table(*CELLS)), look()
    facts = {"customer": {"id": "ann"}}
    checked, whole = engine.evaluate(facts, look=seen, check=True), engine.evaluate(facts, look=look(), trace=True)
    assert checked.trace is not None
    assert whole.trace is not None
    kept = json.loads(json.dumps(checked.trace.to_dict() | {"surroundings": seen.to_dict()}))
    assert explain_trace(engine, kept)["rejections"] == whole.trace.to_dict()["rejections"]


def test_null_is_on_no_list_and_not_off_it_either() -> None:
    engine = compile_rules(table(*CELLS, 'null, in list "blocked"', is_optional=True))
    result = engine.evaluate({"customer": {"id": None}}, look=look())
    assert [match.index for match in result.matched] == [8, 9]
    [error] = compile_rules(table(*CELLS)).evaluate({"customer": {}}, look=look()).undecided
    assert (error.pointer, error.got) == ("/customer/id", "nothing")


def test_what_was_asked_is_told_in_words_and_answers_the_same_again() -> None:
    engine = compile_rules(table(*CELLS[:2], "", hit_policy="first"))
    seen = look()
    first = engine.evaluate({"customer": {"id": "ann"}}, look=seen, trace=True)
    record = json.loads(json.dumps(seen.to_dict()))
    assert record == {
        "at": NOW.isoformat(),
        "lists": [
            {
                "field": "customer.id",
                "value": "ann",
                "list": "blocked",
                "version": 3,
                "is_member": True,
                "words": "customer.id is in list blocked",
            }
        ],
    }
    again = Look.recorded(record)
    assert engine.evaluate({"customer": {"id": "ann"}}, look=again, trace=True) == first
    assert again.to_dict() == record
    with pytest.raises(KeyError):
        engine.evaluate({"customer": {"id": "ben"}}, look=again)


def expressions_table() -> DecisionTable:
    return parse_decision_table(
        {
            "hit_policy": "first",
            "inputs": [
                {"field": "is_bad", "type": "boolean", "expression": 'customer.id in list "blocked"'},
                {"field": "customer.id", "type": "string"},
                {"field": "doubled", "type": "number", "expression": "time.hour * 2"},
            ],
            "outputs": [{"field": "is_good", "type": "boolean"}, {"field": "is_off", "type": "boolean"}],
            "rules": [
                {"when": ["true", "", ""], "then": ["false", 'customer.id not in list "blocked"']},
                {"when": ["", "", "46"], "then": ['customer.id in list "very-good"', "is_bad"]},
                {"when": ["", "", ""], "then": ["null", "null"]},
            ],
        }
    )


def test_a_computed_input_and_a_result_ask_lists() -> None:
    engine = compile_rules(expressions_table())
    answers = {text: engine.evaluate({"customer": {"id": text}}, look=look()) for text in ("ann", "cid", "dora")}
    assert [tuple(answer.outputs.values()) for answer in answers.values()] == [
        (False, False),
        (True, False),
        (False, False),
    ]
    [error] = engine.evaluate({"customer": {"id": 5}}, look=look()).undecided
    assert (error.pointer, error.expected) == ("/customer/id", "a text")


def test_rules_without_a_look_are_a_mistake_where_they_need_one() -> None:
    engine = compile_rules(expressions_table())
    assert engine.needs_look
    assert engine.lists == {"blocked", "very-good"}
    with pytest.raises(ValueError, match="need a look"):
        engine.evaluate({"customer": {"id": "ann"}})
    assert not compile_rules(table('"a"')).needs_look


def test_every_cell_that_asks_a_list_is_known() -> None:
    assert sorted(asked_lists(expressions_table())) == [
        ("/inputs/0/expression", "blocked"),
        ("/rules/0/then/1", "blocked"),
        ("/rules/1/then/0", "very-good"),
    ]


@pytest.mark.parametrize(
    "cell",
    [
        'in list "No slug"',
        "in list blocked",
        'in list ""',
        'in list ["a"]',
        'list "blocked"',
        'in list "a" and in list "b"',
        'in list "a" "b"',
        'in lists["a"',
        'in list "a", not in list "a"',
    ],
)
def test_a_question_to_a_list_that_is_not_clear_is_refused(cell: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        table(cell)
    assert [error.pointer for error in caught.value.errors] == ["/rules/0/when/0"]


def test_only_texts_are_looked_up() -> None:
    with pytest.raises(InvalidDefinition):
        table('in list "blocked"', type="number")
    for expression in ('1 in list "a"', 'a in list "b" in list "c"', "a in b", 'not a in list "b"'):
        with pytest.raises(InvalidDefinition):
            table("true", type="boolean", expression=expression)


def test_lists_survive_csv_and_jdm_and_decide_the_same_in_plain_zen() -> None:
    asked = table(*CELLS)
    assert from_csv(to_csv(asked)) == asked
    back = from_jdm(json.loads(json.dumps(to_jdm(asked))))
    assert [rule.conditions for rule in back.rules] == [rule.conditions for rule in asked.rules]
    exported = zen.ZenEngine({"loader": {"type": "static", "content": {"t": to_jdm(asked)}}})
    for text in ("ann", "cid", "dora", "x", "?"):
        lists = {
            name: [value for value in known.expiries if known.holds(value, at=NOW)] for name, known in LISTS.items()
        }
        facts: dict[str, Any] = {"customer": {"id": text}}
        found = [row["row"] for row in exported.evaluate("t", facts | {"lists": lists})["result"]]
        assert found == [match.index for match in compile_rules(asked).evaluate(facts, look=look()).matched]
    computed = expressions_table()
    assert from_csv(to_csv(computed)) == computed
    back = from_jdm(to_jdm(computed))
    assert [column.formula for column in back.inputs] == [column.formula for column in computed.inputs]


def test_columns_ask_lists_as_single_facts_do() -> None:
    generator = random.Random(7)
    texts = [generator.choice(["ann", "ben", "cid", "dora", "x", "", None]) for _ in range(200)]
    for asked in (table(*CELLS), table(*CELLS, 'null, in list "blocked"', is_optional=True), expressions_table()):
        engine = compile_rules(asked, zone="Europe/Berlin")
        frame = pl.DataFrame({"customer.id": pl.Series(texts, dtype=pl.String)})
        found = evaluate_columns(asked, frame, look=look(), zone="Europe/Berlin")
        expected = []
        for place, text in enumerate(texts):
            result = engine.evaluate({"customer": {"id": text}}, look=look())
            pairs = zip(result.matched, result.rows, strict=True)
            expected += [{"fact": place, "rule": match.index, **outputs} for match, outputs in pairs]
        assert found.to_frame().to_dicts() == expected


def test_columns_take_what_a_list_said_line_by_line() -> None:
    asked = table('in list "blocked"', 'not in list "blocked"')
    known = list_column("customer.id", "blocked")
    frame = pl.DataFrame({"customer.id": ["ann", "ann", None], known: [True, False, True]})
    assert [places.tolist() for places in evaluate_columns(asked, frame).matches] == [[0], [1]]
    with pytest.raises(InvalidInput) as caught:
        evaluate_columns(asked, frame.drop(known))
    assert caught.value.errors[0].pointer == f"/{known}"


def kinds(asked: DecisionTable) -> list[tuple[str, tuple[int, ...]]]:
    return [(finding.kind, finding.rows) for finding in analyse_table(asked)]


def test_the_analysis_knows_that_a_text_is_on_a_list_or_off_it() -> None:
    assert kinds(table('in list "a"', 'not in list "a"')) == []
    assert kinds(table('in list "a"', 'in list "a"', '"x"', 'in list "b"', "", hit_policy="first")) == [
        ("dead_row", (1, 0)),
        *(("overlap", rows) for rows in [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]),
        ("gap", (4,)),
    ]
    [overlap, _gap] = analyse_table(table('in list "a"', '"x"', "", hit_policy="unique"))
    assert overlap.message.startswith("Rows 1 and 2 both match facts such as customer.id = 'x' (in list a)")
    assert kinds(table('in list "a", "x"', 'not(in list "a", "x")')) == []


_PARTS = st.sampled_from(
    ['in list "a"', 'not in list "a"', 'in list "b"', '"x"', 'not("x")', 'startsWith($, "x")', "null"]
)
_CELLS = st.lists(_PARTS, max_size=2).map(", ".join)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(_CELLS, min_size=1, max_size=4),
    st.lists(st.tuples(st.sampled_from(["x", "y", "xy"]), st.sets(st.sampled_from("ab")))),
)
def test_zen_and_our_own_reading_ask_lists_alike(cells: list[str], texts: list[tuple[str, set[str]]]) -> None:
    try:
        asked = table(*cells, is_optional=True)
    except InvalidDefinition:
        return  # a mixture of texts and functions that no cell can say
    engine = compile_rules(asked)
    for text, names in [*texts, (None, set())]:
        lists = {
            name: ListSnapshot(name=name, version=1, expiries={text: None} if name in names else {}) for name in "ab"
        }
        value = None if text is None else ListedText.of(text, names)
        expected = [
            index
            for index, rule in enumerate(asked.rules)
            if rule.conditions[0].is_any or rule.conditions[0].matcher()(value)
        ]
        for trace in (False, True) if engine.needs_look else ():
            result = engine.evaluate({"customer": {"id": text}}, look=Look(at=NOW, lists=lists), trace=trace)
            assert [match.index for match in result.matched] == expected


def test_the_time_is_read_in_the_zone_of_the_rules() -> None:
    fields = [{"field": field, "type": kind} for field, kind in TIME_FIELDS.items()]
    outputs = [{"field": f"o{at}", "type": kind} for at, kind in enumerate(TIME_FIELDS.values()) if kind != "date"]
    cells = [field for field, kind in TIME_FIELDS.items() if kind != "date"]
    asked = parse_decision_table(
        {
            "hit_policy": "first",
            "inputs": fields,
            "outputs": outputs,
            "rules": [
                {
                    "when": ['"2026-02-01"' if kind == "date" else "" for kind in TIME_FIELDS.values()],
                    "then": cells,
                    "note": "sunday",
                },
                {"when": [""] * len(fields), "then": ["null"] * len(cells)},
            ],
        }
    )
    result = compile_rules(asked, zone="Europe/Berlin").evaluate({}, look=look(), trace=True)
    assert list(result.outputs.values()) == ["2026-02-01T00:30:00+01:00", 2026, 2, 1, "sunday", 0, 30]
    assert result.trace is not None
    assert result.trace.values["time.today"] == "2026-02-01"
    assert compile_rules(asked).evaluate({}, look=look()).matched[0].index == 1


@pytest.mark.parametrize(
    ("column", "where"),
    [
        ({"field": "time.hours", "type": "number"}, "/inputs/0/field"),
        ({"field": "time.hour", "type": "string"}, "/inputs/0/type"),
        ({"field": "time.hour", "type": "number", "expression": "a + 1"}, "/inputs/0/field"),
        ({"field": "a", "type": "number", "expression": "time.weekday + 1"}, "/inputs/0/expression"),
        ({"field": "a", "type": "number", "expression": "time.second + 1"}, "/inputs/0/expression"),
    ],
)
def test_a_time_that_is_none_is_refused(column: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        table("", hit_policy="first", **column)
    assert [error.pointer for error in caught.value.errors] == [where]
