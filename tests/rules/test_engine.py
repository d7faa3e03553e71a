import json
import math
import multiprocessing
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zen
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from inferhub import rules
from inferhub.errors import InvalidDefinition
from inferhub.rules.conditions import NumberCondition
from inferhub.rules.engine import RuleEngine, compile_rules
from inferhub.rules.jdm import to_jdm
from inferhub.rules.rule_set_engine import explain_trace
from inferhub.rules.table import DecisionTable, parse_decision_table

from . import tables
from .tables import ORDERS


def engine(definition: dict[str, Any] | None = None, **changes: Any) -> RuleEngine:
    return compile_rules(parse_decision_table({**(definition or ORDERS), **changes}))


def order(risk: Any, country: Any = "DE") -> dict[str, Any]:
    return {"prediction": {"risk": {"value": risk}}, "order": {"country": country}}


def one_column(cells: list[str], kind: str = "number", *, hit_policy: str = "collect", **column: Any) -> RuleEngine:
    """Rows answer with their own index."""
    rules = [{"when": [cell], "then": [str(index)]} for index, cell in enumerate(cells)]
    return engine(
        {
            "hit_policy": hit_policy,
            "inputs": [{"field": "x", "type": kind, **column}],
            "outputs": [{"field": "row", "type": "number"}],
            "rules": rules,
        }
    )


def rows(built: RuleEngine, facts: dict[str, Any]) -> list[int]:
    """What zen finds, and our own reading, which a trace asks for."""
    result = built.evaluate(facts)
    assert result.is_decided, result.undecided
    assert built.evaluate(facts, trace=True).rows == result.rows
    return [row["row"] for row in result.rows]


def test_the_first_matching_row_decides() -> None:
    result = engine().evaluate(order(0.7))
    assert result.outputs == {"outcome": "review", "limit": 100}
    assert [(match.index, match.note) for match in result.matched] == [(1, "")]


def test_the_else_row_decides_when_no_other_does() -> None:
    result = engine().evaluate(order(0.7, "FR"))
    assert result.outputs == {"outcome": "accept", "limit": 1000.5}
    assert result.matched[0].note == "else"


def test_outputs_belong_to_the_caller() -> None:
    built = engine()
    built.evaluate(order(0.95)).outputs["outcome"] = "changed"
    assert built.evaluate(order(0.95)).outputs["outcome"] == "reject"


def test_collect_gives_every_matching_row_or_none() -> None:
    built = one_column(["> 1", "> 2", "> 3"])
    assert rows(built, {"x": 2.5}) == [0, 1]
    assert rows(built, {"x": 0}) == []
    assert built.evaluate({"x": 0}).outputs == {}


def test_unique_takes_the_only_row_else_the_else_row() -> None:
    built = one_column(["> 1", "> 10", ""], hit_policy="unique")
    assert rows(built, {"x": 5}) == [0]
    assert rows(built, {"x": 0}) == [2]


def test_two_rows_of_a_unique_table_decide_nothing_and_are_named() -> None:
    [error] = one_column(["> 1", "> 10", ""], hit_policy="unique").evaluate({"x": 11}).undecided
    assert (error.pointer, error.got) == ("/rules", "the rows 0 and 1")


@pytest.mark.parametrize(
    ("facts", "pointer", "got"),
    [
        ({"order": {"country": "DE"}}, "/prediction/risk/value", "nothing"),
        ({"prediction": 7, "order": {"country": "DE"}}, "/prediction/risk/value", "nothing"),
        ({"prediction": {"risk": "high"}, "order": {"country": "DE"}}, "/prediction/risk/value", "nothing"),
        (order(None), "/prediction/risk/value", "null"),
        (order(math.nan), "/prediction/risk/value", "NaN"),
        (order(-math.inf), "/prediction/risk/value", "infinity"),
        (order("0.7"), "/prediction/risk/value", "the string '0.7'"),
        (order(True), "/prediction/risk/value", "true"),
        (order(np.float32("nan")), "/prediction/risk/value", "NaN"),
        (order(Decimal("NaN")), "/prediction/risk/value", "a decimal that no float64 holds"),
        (order(Decimal("0.12345678901234567890")), "/prediction/risk/value", "a decimal that no float64 holds"),
        (order(datetime(2024, 1, 1, tzinfo=UTC)), "/prediction/risk/value", "a point in time"),
        (order(0.7, 5), "/order/country", "5"),
        (order(0.7, b"DE"), "/order/country", "a bytes"),
        (order(0.7, "\ud800"), "/order/country", "a lone surrogate"),
    ],
)
def test_a_fact_that_cannot_be_used_is_named_and_decides_nothing(facts: Any, pointer: str, got: str) -> None:
    for trace in (False, True):
        result = engine().evaluate(facts, trace=trace)
        assert [(error.pointer, error.got) for error in result.undecided] == [(pointer, got)]
        assert not result.rows
        assert not result.matched


def test_every_bad_fact_is_named_at_once() -> None:
    assert [error.pointer for error in engine().evaluate({}).undecided] == ["/prediction/risk/value", "/order/country"]


@pytest.mark.parametrize(
    "value", [0.7, np.float32(0.7), np.float64(0.7), np.float16(0.7), Decimal("0.7"), np.array(0.7)[()]]
)
def test_numbers_of_other_kinds_are_read_as_what_they_name(value: Any) -> None:
    built = engine(rules=[{"when": ["== 0.7", ""], "then": ['"yes"', "1"]}, ORDERS["rules"][-1]])
    assert built.evaluate(order(value)).outputs["outcome"] == "yes"


def test_numpy_booleans_and_dates_are_read() -> None:
    assert rows(one_column(["true"], "boolean"), {"x": np.bool_(True)}) == [0]
    assert rows(one_column(['> "2024-02-28"'], "date"), {"x": date(2024, 2, 29)}) == [0]
    [error] = one_column(['> "2024-02-28"'], "date").evaluate({"x": datetime(2024, 1, 1, tzinfo=UTC)}).undecided
    assert error.got == "a point in time"


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (0.3, [1, 2]),
        (0.30000000000000004, [0, 2]),
        (math.nextafter(0.3, 0), [3]),
        (1e-300, [3]),
        (1.7e308, [0, 2]),
        (10**400, [0, 2]),
        (-(10**400), [3]),
    ],
)
def test_numbers_compare_exactly_at_a_boundary_and_beyond_what_zen_holds(fact: float, expected: list[int]) -> None:
    assert rows(one_column(["> 0.3", "== 0.3", ">= 0.3", "< 0.3"]), {"x": fact}) == expected


def test_the_smallest_number_is_still_more_than_zero() -> None:
    assert rows(one_column(["> 0", "== 0", "< 0"]), {"x": 5e-324}) == [0]
    assert rows(one_column(["> 0", "== 0", "< 0"]), {"x": -5e-324}) == [2]
    assert rows(one_column(["> 0", "== 0", "< 0"]), {"x": -0.0}) == [1]


def test_null_in_an_optional_column_is_met_only_where_it_is_named() -> None:
    cells = ["> 5", "not(5)", "null", "null, > 5", "!= null", ""]
    built = one_column(cells, is_optional=True)
    for facts in ({"x": None}, {}):
        assert rows(built, facts) == [2, 3, 5]
    assert rows(built, {"x": 6}) == [0, 1, 3, 4, 5]
    texts = ['"a"', 'not("a")', 'null, "a"', '"", null', 'not(startsWith($, "a"))', 'null, startsWith($, "a")', "-"]
    assert rows(one_column(texts, "string", is_optional=True), {"x": None}) == [2, 3, 5, 6]


def test_results_can_use_number_fields_in_decimal_arithmetic() -> None:
    built = engine(
        inputs=[{"field": "a", "type": "number"}, {"field": "b", "type": "number"}],
        outputs=[{"field": "sum", "type": "number"}, {"field": "share", "type": "number"}],
        rules=[{"when": ["", ""], "then": ["a + b * -2", "(a - b) / a"]}],
    )
    assert built.evaluate({"a": 0.3, "b": 0.1}).outputs == {"sum": 0.1, "share": pytest.approx(2 / 3)}
    assert built.evaluate({"a": 4, "b": 1}).outputs == {"sum": 2, "share": 0.75}


@pytest.mark.parametrize(
    ("a", "got"),
    [(0, "a division by zero"), (1e-300, "5.000e+300")],
)
def test_a_result_that_cannot_be_computed_is_named_with_its_cell(a: float, got: str) -> None:
    built = engine(
        inputs=[{"field": "a", "type": "number"}],
        outputs=[{"field": "ratio", "type": "number"}],
        rules=[{"when": [""], "then": ["5 / a"]}],
    )
    [error] = built.evaluate({"a": a}).undecided
    assert (error.pointer, error.got) == ("/rules/0/then/0", got)
    assert built.evaluate({"a": 10**5000}).is_decided


def computed_table(hit_policy: str = "first") -> dict[str, Any]:
    return {
        "hit_policy": hit_policy,
        "inputs": [
            {"field": "excess", "type": "number", "expression": "order.total - 1.5 * customer.usual"},
            {"field": "share", "type": "number", "expression": "order.total / customer.usual"},
        ],
        "outputs": [{"field": "outcome", "type": "string"}, {"field": "excess", "type": "number"}],
        "rules": [
            {"when": ["> 0", ""], "then": ['"review"', "excess"]},
            {"when": ["", "< 0.1"], "then": ['"ask"', "excess * 2"]},
            {"when": ["", ""], "then": ['"accept"', "0"]},
        ],
    }


def test_an_input_can_be_computed_from_other_fields() -> None:
    built = engine(computed_table())
    assert built.evaluate({"order": {"total": 16}, "customer": {"usual": 10}}).outputs["excess"] == 1
    assert built.evaluate({"order": {"total": 15}, "customer": {"usual": 10}}).outputs["outcome"] == "accept"
    assert built.evaluate({"order": {"total": 0.3}, "customer": {"usual": 0.2}}).outputs["outcome"] == "accept"


def test_a_computed_input_whose_fields_are_missing_or_that_fails_is_named() -> None:
    built = engine(computed_table())
    errors = built.evaluate({"order": {"total": "16"}}).undecided
    assert [(error.pointer, error.got) for error in errors] == [
        ("/customer/usual", "nothing"),
        ("/order/total", "the string '16'"),
    ]
    [error] = built.evaluate({"order": {"total": 16}, "customer": {"usual": 0}}).undecided
    assert (error.pointer, error.got) == ("/inputs/1/expression", "a division by zero")


def test_a_computed_input_is_exported_as_the_field_expression_that_zen_knows() -> None:
    table = parse_decision_table(computed_table())
    exported = zen.ZenEngine({"loader": {"type": "static", "content": {"t": to_jdm(table)}}})
    for total in (14, 15, 16, 0.5):
        facts = {"order": {"total": total}, "customer": {"usual": 10}}
        outcome = exported.evaluate("t", facts)["result"]["outcome"]
        assert outcome == compile_rules(table).evaluate(facts).outputs["outcome"]


def test_results_can_pass_on_texts_and_booleans() -> None:
    built = engine(
        inputs=[{"field": "order.country", "type": "string"}, {"field": "is_new", "type": "boolean"}],
        outputs=[
            {"field": "to", "type": "string"},
            {"field": "greet", "type": "boolean"},
            {"field": "gift", "type": "string"},
        ],
        rules=[{"when": ["", ""], "then": ["order.country", "is_new", "null"]}],
    )
    facts = {"order": {"country": "DE"}, "is_new": True}
    assert built.evaluate(facts).outputs == {"to": "DE", "greet": True, "gift": None}


def test_the_trace_says_for_each_other_row_which_cell_rejected_it() -> None:
    trace = engine().evaluate(order(0.7), trace=True).trace
    assert trace is not None
    assert trace.to_dict() == {
        "values": {"prediction.risk.value": 0.7, "order.country": "DE"},
        "rejections": [{"index": 0, "field": "prediction.risk.value", "condition": "> 0.9", "got": 0.7}],
        "overruled": [2],
    }
    assert engine().evaluate(order(0.7)).trace is None


def test_a_checked_evaluation_traces_what_the_rules_saw_and_the_rest_follows() -> None:
    trace = engine().evaluate(order(0.7), check=True).trace
    assert trace is not None
    assert trace.to_dict() == {"values": {"prediction.risk.value": 0.7, "order.country": "DE"}}
    whole = engine().evaluate(order(0.7), trace=True).trace
    assert whole is not None
    assert explain_trace(engine(), trace.to_dict()) == whole.to_dict()


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_what_is_explained_later_is_what_a_trace_says_at_once(data: st.DataObject) -> None:
    policy = data.draw(st.sampled_from(["first", "collect", "unique"]))
    built = compile_rules(parse_decision_table(data.draw(tables.definitions(policy))))
    for _ in range(5):
        facts = tables.nested(data.draw(tables.facts_for(built.table.to_dict())))
        checked, whole = built.evaluate(facts, check=True), built.evaluate(facts, trace=True)
        assert checked._replace(trace=None) == whole._replace(trace=None)
        if checked.trace is not None:
            assert whole.trace is not None
            kept = json.loads(json.dumps(checked.trace.to_dict()))
            assert explain_trace(built, kept) == json.loads(json.dumps(whole.trace.to_dict()))


@pytest.mark.parametrize("hit_policy", ["first", "collect"])
def test_rows_that_our_own_reading_does_not_find_decide_nothing(
    monkeypatch: pytest.MonkeyPatch, hit_policy: str
) -> None:
    built = one_column(["> 1", "" if hit_policy == "first" else "> 2"], hit_policy=hit_policy)
    found = {"row": 1} if hit_policy == "first" else [{"row": 1}]
    monkeypatch.setattr(built, "_zen", SimpleNamespace(evaluate=lambda _key, _facts: {"result": found}))
    for asked in ({"check": True}, {"trace": True}):
        result = built.evaluate({"x": 3}, **asked)
        [error] = result.undecided
        assert (error.pointer, error.expected) == ("/rules", "the rows [1], which zen finds")
        assert result.trace is not None
        assert result.trace.to_dict()["overruled"] == [0]  # not to be told later: zen might be right by then


def test_the_trace_shows_days_as_people_write_them() -> None:
    trace = one_column(['> "2024-01-31"'], "date").evaluate({"x": date(2024, 1, 31)}, trace=True).trace
    assert trace is not None
    assert trace.to_dict()["rejections"][0]["got"] == "2024-01-31"


def test_threads_can_share_an_engine() -> None:
    built = one_column([f"== {number}" for number in range(50)])
    with ThreadPoolExecutor(8) as executor:
        found = list(executor.map(lambda number: rows(built, {"x": number % 50}), range(2000)))
    assert found == [[number % 50] for number in range(2000)]


def test_what_the_engine_says_of_a_table_comes_without_its_stack_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("no such node\n  at zen_engine::decision (src/lib.rs:1)")

    monkeypatch.setattr(zen, "ZenEngine", refuse)
    with pytest.raises(InvalidDefinition) as caught:
        engine()
    assert str(caught.value) == "The rule engine refuses the table: no such node"


def test_nothing_of_zen_is_used_that_builds_a_runtime_or_hangs_in_a_forked_child() -> None:
    sources = "".join(path.read_text() for path in Path(rules.__path__[0]).glob("*.py"))
    assert re.findall(r"zen\.(\w+)", sources.replace("zen.evaluate", "")) == ["ZenEngine", "ZenEngine"]
    for name in ("evaluate_batch", "async_evaluate", "create_decision", "get_decision", "evaluate_expression"):
        assert name not in sources


def _child(built: RuleEngine, queue: "multiprocessing.Queue[object]") -> None:
    queue.put(built.evaluate(order(0.7)).outputs["outcome"])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_can_use_its_parents_engine() -> None:
    built = engine()
    built.evaluate(order(0.7))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_child, args=(built, queue))
    child.start()
    assert queue.get(timeout=20) == "review"
    child.join(20)


def expected_rows(table: DecisionTable, values: list[Any]) -> list[int]:
    """The matching rows by our own reading of the cells."""
    return [
        index
        for index, rule in enumerate(table.rules)
        if all(
            condition.is_any or condition.matcher()(value)
            for condition, value in zip(rule.conditions, values, strict=True)
        )
    ]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_zen_and_our_own_reading_find_the_same_rows(data: st.DataObject) -> None:
    table = parse_decision_table(data.draw(tables.definitions("collect")))
    built = compile_rules(table)
    for _ in range(5):
        facts = data.draw(tables.facts_for(table.to_dict()))
        values, errors = built._reader.read(tables.nested(facts))
        assert not errors
        asked, result = built.evaluate(tables.nested(facts)), built.evaluate(tables.nested(facts), trace=True)
        assert [match.index for match in asked.matched] == expected_rows(table, values)
        assert asked == result._replace(trace=None)
        assert result.trace is not None
        rejected = [rejection.index for rejection in result.trace.rejections]
        assert sorted([*rejected, *(match.index for match in result.matched)]) == list(range(len(table.rules)))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_the_policies_agree_on_the_rows_that_match(data: st.DataObject) -> None:
    table = parse_decision_table(data.draw(tables.definitions("first")))
    facts = tables.nested(data.draw(tables.facts_for(table.to_dict())))
    results = {
        policy: compile_rules(parse_decision_table({**table.to_dict(), "hit_policy": policy})).evaluate(facts)
        for policy in ("first", "collect", "unique")
    }
    for policy, result in results.items():
        built = compile_rules(parse_decision_table({**table.to_dict(), "hit_policy": policy}))
        assert built.evaluate(facts, trace=True)._replace(trace=None) == result
    matching = [match.index for match in results["collect"].matched]
    assert [match.index for match in results["first"].matched] == matching[:1]
    assert results["unique"].is_decided == (len(matching) <= 2)
    if len(matching) <= 2:
        assert [match.index for match in results["unique"].matched] == matching[:1]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_bad_fact_never_falls_into_the_else_row(data: st.DataObject) -> None:
    table = parse_decision_table(data.draw(tables.definitions()))
    fields = data.draw(tables.facts_for(table.to_dict()))
    column = data.draw(st.sampled_from(table.inputs))
    bad = data.draw(tables.WRONG[column.kind])
    assume(not (column.is_optional and bad in (None, ...)))
    result = compile_rules(table).evaluate(tables.nested({**fields, column.field: bad}))
    assert [error.pointer for error in result.undecided] == ["/" + column.field.replace(".", "/")]
    assert not result.rows


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_an_exported_table_decides_the_same_in_plain_zen(data: st.DataObject) -> None:
    table = parse_decision_table(data.draw(tables.definitions()))
    exported = zen.ZenEngine({"loader": {"type": "static", "content": {"t": to_jdm(table)}}})
    facts = data.draw(tables.facts_for(table.to_dict()))
    plain = {path: value.isoformat() if isinstance(value, date) else value for path, value in facts.items()}
    assume(
        not any(isinstance(value, (int, float)) and value and not 1e-9 < abs(value) < 1e15 for value in plain.values())
    )
    for path, value in plain.items():
        if isinstance(value, float):
            plain[path] = float(f"{value:.12g}")
    result = compile_rules(table).evaluate(tables.nested(plain))
    assume(result.is_decided)
    found = exported.evaluate("t", tables.nested(plain))["result"]
    assert (found if table.hit_policy == "collect" else [found]) == list(result.rows)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_table_survives_its_own_definition(data: st.DataObject) -> None:
    table = parse_decision_table(data.draw(tables.definitions()))
    assert parse_decision_table(table.to_dict()) == table


def test_a_condition_over_floats_is_one_comparison_of_inclusive_bounds() -> None:
    matches = NumberCondition((((0.0, 1), (1.0, 0)),)).matcher()
    assert [matches(value) for value in (0.0, 5e-324, math.nextafter(1, 0), 1.0, 1)] == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_where_zen_and_our_own_reading_find_other_rows_nothing_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    built = one_column(["> 10", ""], hit_policy="first")
    ((at, _, rejection),) = built._rows[0].tests
    monkeypatch.setitem(built.__dict__, "_tests", [((at, lambda _: False, rejection),), *built._tests[1:]])
    result = built.evaluate({"x": 20}, trace=True)
    assert not result.matched
    assert "zen" in result.undecided[0].expected
