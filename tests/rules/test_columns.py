import math
import random
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferhub.errors import InvalidInput
from inferhub.rules.columns import ColumnResult, evaluate_columns
from inferhub.rules.engine import compile_rules
from inferhub.rules.table import DecisionTable, parse_decision_table

from . import tables
from .tables import ORDERS
from .test_engine import computed_table

TYPES = {"number": pl.Float64, "string": pl.String, "boolean": pl.Boolean, "date": pl.Date}


def frame_of(table: DecisionTable, facts: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            column.field: pl.Series([fact.get(column.field) for fact in facts], dtype=TYPES[column.kind], strict=True)
            for column in table.inputs
        }
    )


def assert_equal_to_engine(
    table: DecisionTable, facts: list[dict[str, Any]], frame: pl.DataFrame | None = None
) -> ColumnResult:
    """Every fact has the same rows, the same outputs and the same errors both ways."""
    engine = compile_rules(table)
    found = evaluate_columns(table, frame_of(table, facts) if frame is None else frame)
    lines = found.to_frame().to_dicts()
    expected_undecided: dict[str, list[int]] = {}
    expected_lines = []
    for place, fact in enumerate(facts):
        result = engine.evaluate(tables.nested(fact))
        for error in result.undecided:
            expected_undecided.setdefault(error.pointer, []).append(place)
        for match, outputs in zip(result.matched, result.rows, strict=True):
            expected_lines.append({"fact": place, "rule": match.index, **outputs})
    assert {where: places.tolist() for where, places in found.undecided.items()} == expected_undecided
    assert lines == expected_lines
    return found


COLUMN_FACTS: dict[str, st.SearchStrategy[Any]] = {
    "number": st.one_of(st.sampled_from([*tables.EDGES, 5e-324, -1e-25, 1e25]), st.floats(), st.none()),
    "string": st.one_of(st.sampled_from(tables.TEXTS), st.text(max_size=4), st.none()),
    "boolean": st.sampled_from([True, False, None]),
    "date": st.one_of(st.sampled_from(tables.DAYS).map(date.fromisoformat), st.dates(), st.none()),
}


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_columns_decide_as_single_facts_do(data: st.DataObject) -> None:
    table = parse_decision_table(data.draw(tables.definitions()))
    fact = st.fixed_dictionaries({column.field: COLUMN_FACTS[column.kind] for column in table.inputs})
    assert_equal_to_engine(table, data.draw(st.lists(fact, max_size=12)))


@pytest.mark.parametrize("hit_policy", ["first", "collect", "unique"])
def test_many_random_facts_at_the_boundaries_are_decided_alike(hit_policy: str) -> None:
    generator = random.Random(3)
    rules = [
        {"when": [f"[{low}..{low + 10})", 'in ["DE", "AT"]', ""], "then": [f'"r{low}"']} for low in range(0, 90, 10)
    ]
    table = parse_decision_table(
        {
            "hit_policy": hit_policy,
            "inputs": [
                {"field": "risk", "type": "number"},
                {"field": "country", "type": "string"},
                {"field": "score", "type": "number", "is_optional": True},
            ],
            "outputs": [{"field": "outcome", "type": "string"}],
            "rules": [
                *rules,
                {"when": ["", 'not(startsWith($, "D"))', "null, > 0.5"], "then": ['"foreign"']},
                {"when": ["", "", ""], "then": ['"else"']},
            ],
        }
    )
    numbers = [10.0 * step for step in range(11)]
    numbers += [math.nextafter(number, toward) for number in numbers for toward in (-math.inf, math.inf)]
    numbers += [math.nan, math.inf]
    facts = [
        {
            "risk": generator.choice([*numbers, None]),
            "country": generator.choice(["DE", "AT", "FR", "", None]),
            "score": generator.choice([None, 0.5, 0.50000001, math.nan]),
        }
        for _ in range(20_000)
    ]
    assert_equal_to_engine(table, facts)


def test_computed_results_are_the_same_and_failures_are_undecided() -> None:
    table = parse_decision_table(
        {
            "hit_policy": "first",
            "inputs": [{"field": "a", "type": "number"}, {"field": "b", "type": "number"}],
            "outputs": [{"field": "ratio", "type": "number"}, {"field": "sum", "type": "number"}],
            "rules": [
                {"when": ["< 0", ""], "then": ["0", "a + b"]},
                {"when": ["", ""], "then": ["a / b", "a + 0.1"]},
            ],
        }
    )
    facts = [{"a": 1.0, "b": 4.0}, {"a": -1.0, "b": 0.3}, {"a": 1.0, "b": 0.0}, {"a": 0.2, "b": 2.0}]
    found = assert_equal_to_engine(table, facts)
    assert found.rule.tolist() == [1, 0, -1, 1]


def test_a_fact_of_which_one_of_several_results_fails_is_undecided() -> None:
    table = parse_decision_table(
        {
            "hit_policy": "collect",
            "inputs": [{"field": "a", "type": "number"}],
            "outputs": [{"field": "y", "type": "number"}],
            "rules": [{"when": [""], "then": ["1"]}, {"when": ["< 5"], "then": ["1 / a"]}],
        }
    )
    found = assert_equal_to_engine(table, [{"a": 0.0}, {"a": 2.0}, {"a": 9.0}])
    assert found.rule.tolist() == [-1, 0, 0]


@pytest.mark.parametrize("hit_policy", ["first", "collect", "unique"])
def test_computed_inputs_are_the_same(hit_policy: str) -> None:
    table = parse_decision_table(computed_table(hit_policy))
    numbers = [0.0, 0.1, 0.2, 0.3, 1.5, 10.0, 15.0, 1e-300, math.nan, None]
    facts = [{"order.total": total, "customer.usual": usual} for total in numbers for usual in numbers]
    engine = compile_rules(table)
    frame = pl.DataFrame(facts, schema={"order.total": pl.Float64, "customer.usual": pl.Float64}, strict=True)
    assert_equal_to_engine(table, facts, frame)
    assert engine.evaluate(tables.nested(facts[0])).undecided


def test_a_float32_column_is_read_by_the_decimals_that_name_its_numbers() -> None:
    table = parse_decision_table(
        {
            "hit_policy": "collect",
            "inputs": [{"field": "p", "type": "number"}],
            "outputs": [{"field": "y", "type": "number"}],
            "rules": [{"when": [">= 0.9"], "then": ["1"]}],
        }
    )
    numbers = np.array([0.9, np.nextafter(np.float32(0.9), np.float32(0)), np.nan, np.inf], dtype=np.float32)
    found = evaluate_columns(table, pl.DataFrame({"p": numbers}))
    assert [places.tolist() for places in found.matches] == [[0]]
    assert found.undecided["/p"].tolist() == [2, 3]


def test_whole_number_and_category_columns_are_read() -> None:
    table = parse_decision_table(ORDERS)
    frame = pl.DataFrame(
        {
            "prediction.risk.value": pl.Series([1, 0], dtype=pl.Int8),
            "order.country": pl.Series(["DE", None], dtype=pl.Categorical),
        }
    )
    found = evaluate_columns(table, frame)
    assert found.rule.tolist() == [0, -1]
    assert found.to_frame().to_dicts() == [{"fact": 0, "rule": 0, "outcome": "reject", "limit": 0.0}]


def test_a_missing_or_mistyped_column_is_named() -> None:
    frame = pl.DataFrame({"order.country": [1, 2]})
    with pytest.raises(InvalidInput) as caught:
        evaluate_columns(parse_decision_table(ORDERS), frame)
    assert [(error.pointer, error.got) for error in caught.value.errors] == [
        ("/prediction.risk.value", "nothing"),
        ("/order.country", "Int64"),
    ]


def test_no_facts_give_no_lines() -> None:
    frame = pl.DataFrame(schema={"prediction.risk.value": pl.Float64, "order.country": pl.String})
    found = evaluate_columns(parse_decision_table(ORDERS), frame)
    assert found.to_frame().height == 0
    assert found.rule.tolist() == []
