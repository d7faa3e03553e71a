"""A side decides columns as the engine decides row by row: the same outcomes, whatever the rows hold."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from inferhub.backtests.deciding import REFUSED, Decider, Outcomes
from inferhub.backtests.rows import FileRows
from inferhub.backtests.sides import Side
from inferhub.backtests.significance import mcnemar, share_difference, sum_difference
from inferhub.decisions.definition import parse_workflow
from inferhub.decisions.engine import Verdict, run_rows
from inferhub.decisions.queries import PublishedWorkflow
from inferhub.rules.rule_set import parse_rule_set
from inferhub.rules.rule_set_engine import compile_rule_set
from inferhub.rulesets.queries import RuleSetPlan

WORKFLOW = {
    "input": {"type": "object", "properties": {"always": {"type": "integer"}}, "additionalProperties": True},
    "predictions": [],
    "rule_set": "rules",
    "actions": {},
}
TABLE = {
    "hit_policy": "unique",
    "inputs": [
        {"field": "input.number", "type": "number"},
        {"field": "input.maybe", "type": "number", "is_optional": True},
        {"field": "input.text", "type": "string", "is_optional": True},
        {"field": "input.flag", "type": "boolean"},
        {"field": "input.deep.day", "type": "date", "is_optional": True},
        {"field": "double", "type": "number", "expression": "input.number * 2"},
    ],
    "outputs": [{"field": "score", "type": "number"}, {"field": "outcome", "type": "string"}],
    "rules": [
        {"when": ["> 10", "", "", "", "", ""], "then": ["1", '"large"']},
        {"when": ["[0..10]", "null", "", "true", "", ""], "then": ["2", '"flagged"']},
        {"when": ["<= 0.3", "< 5", '"a"', "", "", ""], "then": ["3", '""']},
        {"when": ["", "", '"b"', "", '< "2024-02-01"', "< 9"], "then": ["4", '"early"']},
        {"when": ["", "", "", "", "", ""], "then": ["5", '"else"']},
    ],
}

SEQUENCE = {
    "tables": [
        TABLE | {"name": "first"},
        {
            "name": "second",
            "hit_policy": "first",
            "inputs": [
                {"field": "first.outcome", "type": "string"},
                {"field": "first.score", "type": "number"},
                {"field": "input.maybe", "type": "number"},
            ],
            "outputs": [{"field": "outcome", "type": "string"}],
            "rules": [
                {"when": ['"large"', "", ">= 3"], "then": ['"large and much"']},
                {"when": ["", "> 2", ""], "then": ['"late"']},
                {"when": ["", "", ""], "then": ['"else"']},
            ],
        },
    ]
}

_ANY = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 12), st.sampled_from([0.3, 0.1 + 0.2, 10.0, 1e300]), st.text(max_size=2)
)
_DAYS = st.sampled_from(["2024-01-31", "2024-02-01", "2024-02-30", "no day", 5, None])
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "always": st.one_of(st.integers(0, 3), st.none()),
        "number": st.one_of(st.floats(-1, 12), st.integers(-1, 12), _ANY),
        "maybe": st.one_of(st.integers(0, 6), _ANY),
        "text": st.one_of(st.sampled_from(["a", "b"]), _ANY),
        "flag": st.one_of(st.booleans(), _ANY),
        "deep": st.one_of(st.fixed_dictionaries({}, optional={"day": _DAYS}), _ANY),
    },
)


def side(table: dict[str, Any], **more: Any) -> Side:
    rules = parse_rule_set(table)
    plan = parse_workflow(WORKFLOW | more)
    workflow = PublishedWorkflow(workflow_id=1, version_id=1, name="w", number=1, plan=plan)
    plan = RuleSetPlan(version_id=1, name="rules", number=1, engine=compile_rule_set(rules), rules=rules)
    return Side(workflow=workflow, rules=plan, models={})


SIDE, SEQUENCE_SIDE = side(TABLE), side(SEQUENCE)


SIDES_OF_MISSING_FACTS = [
    side(table, missing_facts=wanted) for table in (TABLE, SEQUENCE) for wanted in ("declined", "error")
]


def _no_model(*_: Any) -> Sequence[Any]:
    raise AssertionError("no model is asked")


@given(rows=st.lists(ROWS, min_size=1, max_size=30))
def test_columns_decide_as_the_engine_decides_row_by_row(rows: list[dict[str, Any]]) -> None:
    outcomes = Outcomes()
    decider = Decider(SIDE, outcomes, checks_input=True)
    (chunk,) = FileRows(inputs=rows).chunks(decider.wanted)
    found = decider.decide(chunk, defaultdict(float))
    verdicts = run_rows(SIDE.workflow.plan, SIDE.rules.engine, rows, _no_model)
    expected = [verdict.outcome if isinstance(verdict, Verdict) else REFUSED for verdict in verdicts]
    assert [outcomes.names[code] for code in found.outcomes] == expected
    matched = [verdict.trace.get("matched") if isinstance(verdict, Verdict) else None for verdict in verdicts]
    decided = [entry[0]["index"] if entry else -1 for entry in matched]
    # An empty outcome is undecided, though a row said it.
    assert [rule if rule != 2 else -1 for rule in found.rules.tolist()] == decided


# Facts and an expression are to blame at once.
@example(rows=[{"number": 1e300, "maybe": False}], asked=SIDES_OF_MISSING_FACTS[0])
@given(rows=st.lists(ROWS, min_size=1, max_size=30), asked=st.sampled_from(SIDES_OF_MISSING_FACTS))
def test_missing_facts_lead_where_the_workflow_says(rows: list[dict[str, Any]], asked: Side) -> None:
    outcomes = Outcomes()
    decider = Decider(asked, outcomes, checks_input=True)
    (chunk,) = FileRows(inputs=rows).chunks(decider.wanted)
    found = decider.decide(chunk, defaultdict(float))
    verdicts = run_rows(asked.workflow.plan, asked.rules.engine, rows, _no_model)
    expected = [verdict.outcome if isinstance(verdict, Verdict) else REFUSED for verdict in verdicts]
    assert [outcomes.names[code] for code in found.outcomes] == expected


@given(rows=st.lists(ROWS, min_size=1, max_size=30))
def test_tables_in_sequence_decide_over_columns_as_they_do_row_by_row(rows: list[dict[str, Any]]) -> None:
    outcomes = Outcomes()
    decider = Decider(SEQUENCE_SIDE, outcomes, checks_input=True)
    (chunk,) = FileRows(inputs=rows).chunks(decider.wanted)
    found = decider.decide(chunk, defaultdict(float))
    verdicts = run_rows(SEQUENCE_SIDE.workflow.plan, SEQUENCE_SIDE.rules.engine, rows, _no_model)
    expected = [verdict.outcome if isinstance(verdict, Verdict) else REFUSED for verdict in verdicts]
    assert [outcomes.names[code] for code in found.outcomes] == expected


def test_outcomes_that_are_computed_in_any_number_become_one_at_last() -> None:
    outcomes = Outcomes()
    codes = outcomes.codes([f"outcome {number}" for number in range(1000)])
    assert len(outcomes.names) == 200
    assert outcomes.names[codes[-1]] == "(others)"


def test_mcnemar_sees_the_rows_that_changed_only() -> None:
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 20) < 0.00001
    assert mcnemar(20, 0) == mcnemar(0, 20)


def test_an_interval_of_a_share_holds_its_estimate_and_shrinks_with_the_rows() -> None:
    few, many = share_difference(10, 30, 1000), share_difference(1000, 3000, 100_000)
    assert few.low < few.value == many.value == 0.02 < few.high
    assert many.high - many.low < (few.high - few.low) / 5


def test_bootstrap_and_central_limit_agree_where_both_may_speak() -> None:
    gaps = np.random.default_rng(3).normal(2, 10, 2000)
    bootstrap, limit = sum_difference(gaps, 20_000), sum_difference(gaps, 20_001)
    assert abs(bootstrap.low - limit.low) < 0.05 * (limit.high - limit.low)
    assert abs(bootstrap.high - limit.high) < 0.05 * (limit.high - limit.low)
    assert sum_difference(np.empty(0), 100).high == 0
