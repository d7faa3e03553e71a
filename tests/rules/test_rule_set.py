"""Rule sets of several tables."""

import copy
import json
import random
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from inferhub.errors import InvalidDefinition
from inferhub.rules.analysis import Finding, analyse_rule_set
from inferhub.rules.columns import evaluate_columns
from inferhub.rules.engine import RuleEngine, compile_rules
from inferhub.rules.lists import ListSnapshot
from inferhub.rules.look import Look
from inferhub.rules.rule_set import RuleSet, lists_asked, parse_rule_set
from inferhub.rules.rule_set_columns import evaluate_rule_set
from inferhub.rules.rule_set_engine import compile_rule_set, explain_trace, is_explained
from inferhub.rules.table import parse_decision_table

from . import sequences, tables
from .sequences import SCREENING, find
from .tables import ORDERS

NOW = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)


def look() -> Look:
    return Look(at=NOW, lists={"blocked": ListSnapshot(name="blocked", version=1, expiries={"ben": None})})


def parse(definition: Any) -> RuleSet:
    return parse_rule_set(definition, find)


def order(total: float, customer: str = "ann", age: float | None = 40, country: str = "DE") -> dict[str, Any]:
    return {"input": {"total": total, "customer": customer, "age": age, "country": country}}


@pytest.mark.parametrize(
    ("facts", "outcome", "why"),
    [
        (order(50), "accept", "nothing"),
        (order(1001), "review", "large, very large"),
        (order(50, "ben"), "reject", "blocked"),
        (order(1001, "ben"), "reject", "large, very large, blocked"),
        (order(0.3, age=None), "accept", "nothing"),
        (order(90, country="CH"), "accept", "nothing"),
    ],
)
def test_later_tables_see_what_earlier_ones_say(facts: dict[str, Any], outcome: str, why: str) -> None:
    result = compile_rule_set(parse(SCREENING)).evaluate(facts, look=look())
    assert result.outputs == {"outcome": outcome, "why": why}


def test_the_trace_tells_of_each_table_what_matched_what_it_said_and_why_not() -> None:
    result = compile_rule_set(parse(SCREENING)).evaluate(order(1001), look=look(), trace=True)
    assert result.trace is not None
    told = json.loads(json.dumps(result.trace.to_dict()))["tables"]
    assert [table["name"] for table in told] == ["risk", "credit", "level", "outcome"]
    assert told[0]["outputs"] == {"points": 0.3, "worst": 2, "hits": 2, "reasons": "large, very large"}
    assert [match["index"] for match in told[0]["matched"]] == [0, 1]
    assert (told[1]["rule_set"], told[1]["version"], told[1]["outputs"]["limit"]) == ("credit-check", 3, 1000)
    assert told[2]["values"]["room"] == -1
    assert told[3]["rejections"][0] == {"index": 0, "field": "level.name", "condition": '"high"', "got": "middle"}
    assert result.trace.rejections[0].condition == '"high"'


@pytest.mark.parametrize("facts", [order(50), order(1001, "ben"), order(90, country="CH"), {"input": {"total": 5}}])
def test_what_is_explained_later_of_a_sequence_is_what_a_trace_says_at_once(facts: dict[str, Any]) -> None:
    engine, seen = compile_rule_set(parse(SCREENING)), look()
    checked, whole = engine.evaluate(facts, look=seen, check=True), engine.evaluate(facts, look=look(), trace=True)
    assert checked.trace is not None
    assert whole.trace is not None
    kept = json.loads(json.dumps(checked.trace.to_dict() | {"surroundings": seen.to_dict()}))
    assert not is_explained(kept) or "values" not in kept["tables"][0]
    explained = explain_trace(engine, kept)
    assert explained["tables"] == json.loads(json.dumps(whole.trace.to_dict()))["tables"]
    assert is_explained(explained)


def test_a_table_that_cannot_decide_ends_the_sequence_and_is_named() -> None:
    definition = copy.deepcopy(SCREENING)
    definition["tables"][2]["hit_policy"] = "unique"
    engine = compile_rule_set(parse(definition))
    [error] = engine.evaluate(order(200, "ben", age=None, country="CH"), look=look()).undecided or [None]
    assert error is None or error.pointer.startswith("/tables/2/rules")
    result = compile_rule_set(parse(SCREENING)).evaluate(order(0.0, age=10), look=look(), trace=True)
    assert result.is_decided
    broken = copy.deepcopy(SCREENING)
    broken["tables"][2]["rules"][0] = {"when": ["", "", "", ""], "then": ['"high"', "1 / risk.points"]}
    del broken["tables"][2]["rules"][1:]
    result = compile_rule_set(parse(broken)).evaluate(order(50), look=look(), trace=True)
    assert [(e.pointer, e.got) for e in result.undecided] == [("/tables/2/rules/0/then/1", "a division by zero")]
    assert result.trace is not None
    assert [table["name"] for table in result.trace.to_dict()["tables"]] == ["risk", "credit", "level"]
    missing = compile_rule_set(parse(SCREENING)).evaluate({"input": {"total": 5, "customer": "ann"}}, look=look())
    assert [error.pointer for error in missing.undecided] == ["/input/country"]


def test_one_table_is_a_rule_set_and_costs_nothing_more() -> None:
    rule_set = parse(ORDERS)
    assert rule_set.is_single
    assert rule_set.to_dict() == parse_decision_table(ORDERS).to_dict()
    assert type(compile_rule_set(rule_set)) is RuleEngine


def test_a_rule_set_survives_its_own_definition() -> None:
    assert parse(SCREENING).to_dict() == SCREENING
    assert parse(parse(SCREENING).to_dict()) == parse(SCREENING)
    assert list(lists_asked(parse(SCREENING))) == [("/tables/0/rules/2/when/1", "blocked")]


def changed(path: str, value: Any) -> dict[str, Any]:
    """SCREENING with another value, or without one (...), at a path."""
    definition = copy.deepcopy(SCREENING)
    part: Any = definition
    *parents, last = [int(key) if key.isdecimal() else key for key in path.split("/")]
    for key in parents:
        part = part[key]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return definition


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("colour", "red", "/colour"),
        ("tables", [], "/tables"),
        ("tables", {}, "/tables"),
        ("time_zone", "Mars", "/time_zone"),
        ("time_zone", "../../etc/passwd", "/time_zone"),
        ("tables/0/name", "Risk", "/tables/0/name"),
        ("tables/0/name", "input", "/tables/0/name"),
        ("tables/0/name", ..., "/tables/0/name"),
        ("tables/2/name", "risk", "/tables/2/name"),
        ("tables/0/hit_policy", "any", "/tables/0/hit_policy"),
        ("tables/0/rules/1/when/0", "> x", "/tables/0/rules/1/when/0"),
        ("tables/0/outputs/1/aggregate", "average", "/tables/0/outputs/1/aggregate"),
        ("tables/0/outputs/1/aggregate", ..., "/tables/0/outputs/1/aggregate"),
        ("tables/0/outputs/3/aggregate", "sum", "/tables/0/outputs/3/aggregate"),
        ("tables/3/outputs/0/aggregate", "join", "/tables/3/outputs/0/aggregate"),
        ("tables/1/version", 4, "/tables/1/version"),
        ("tables/1/version", "3", "/tables/1/version"),
        ("tables/1/rule_set", "No slug", "/tables/1/rule_set"),
        ("tables/1/hit_policy", "first", "/tables/1/hit_policy"),
        ("tables/2/inputs/1/field", "risk.score", "/tables/2/inputs/1/field"),
        ("tables/2/inputs/1/field", "outcome.why", "/tables/2/inputs/1/field"),
        ("tables/2/inputs/0/type", "string", "/tables/2/rules/0/when/0"),
        ("tables/3/inputs/0/type", "number", "/tables/3/rules/0/when/0"),
        ("tables/2/inputs/3/field", "credit.limit", "/tables/2/inputs/3/type"),
        ("tables/2/inputs/2/expression", "credit.is_known + 1", "/tables/2/inputs/2/expression"),
        ("tables/2/inputs/2/expression", "risk.worst + 1", "/tables/2/inputs/2"),
        ("tables/3/inputs/2/is_optional", ..., "/tables/3/inputs/2"),
    ],
)
def test_a_sequence_is_refused_where_it_is_wrong(path: str, value: Any, where: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        parse(changed(path, value))
    assert where in [error.pointer for error in caught.value.errors]


def test_a_table_that_collects_many_answers_can_only_come_last() -> None:
    definition = copy.deepcopy(SCREENING)
    for column in definition["tables"][0]["outputs"]:
        del column["aggregate"]
    with pytest.raises(InvalidDefinition) as caught:
        parse(definition)
    assert caught.value.errors[0].pointer == "/tables/0/outputs"


def test_rule_sets_within_rule_sets_are_bounded() -> None:
    def endless(name: str, version: int) -> object:
        return {"tables": [{"name": "more", "rule_set": name, "version": version}]}

    with pytest.raises(InvalidDefinition, match="to the depth of"):
        parse_rule_set(endless("a", 1), endless)


def aggregated(aggregate: str, cells: list[str], kind: str = "number") -> Any:
    return parse_decision_table(
        {
            "hit_policy": "collect",
            "inputs": [{"field": "x", "type": "number"}],
            "outputs": [{"field": "y", "type": kind, "aggregate": aggregate}],
            "rules": [{"when": [f"> {at}"], "then": [cell]} for at, cell in enumerate(cells)],
        }
    )


@pytest.mark.parametrize(
    ("aggregate", "none", "some"),
    [("sum", 0, 0.3), ("min", None, 0.1), ("max", None, 0.2), ("count", 0, 2)],
)
def test_results_are_combined_exactly_and_of_none_there_is_a_value(aggregate: str, none: Any, some: Any) -> None:
    table = aggregated(aggregate, ["0.1", "0.2", "null"])
    engine = compile_rules(table)
    frame = pl.DataFrame({"x": [0.0, 5.0, 5.0]})
    assert [engine.evaluate({"x": x}).outputs["y"] for x in (0, 5)] == [none, some]
    assert evaluate_columns(table, frame).to_frame()["y"].to_list() == [none, some, some]


def test_a_sum_that_is_too_large_is_undecided_both_ways() -> None:
    table = aggregated("sum", ["x * 10", "x * 10"])
    facts = [5.0, 9e18, 0.0]
    engine = compile_rules(table)
    results = [engine.evaluate({"x": x}) for x in facts]
    assert [[error.pointer for error in result.undecided] for result in results] == [[], ["/outputs/0/aggregate"], []]
    found = evaluate_columns(table, pl.DataFrame({"x": facts}))
    assert found.undecided["/outputs/0/aggregate"].tolist() == [1]
    assert found.to_frame()["y"].to_list() == [100.0, 0.0]


def assert_alike(rule_set: RuleSet, facts: list[dict[str, Any]]) -> None:
    """Columns say of every fact what the engine says of it alone."""
    engine = compile_rule_set(rule_set)
    types = [pl.Float64, pl.String, pl.Float64, pl.String]
    frame = pl.DataFrame(facts, schema=dict(zip(sequences.COLUMNS, types, strict=True)))
    found = evaluate_rule_set(rule_set, frame, look=look())
    lines, undecided = [], dict[str, list[int]]()
    for place, fact in enumerate(facts):
        result = engine.evaluate(tables.nested(fact), look=look())
        for error in result.undecided:
            undecided.setdefault(error.pointer, []).append(place)
        if result.is_decided:
            rule = result.matched[0].index if result.matched else -1
            lines.append({"fact": place, "rule": rule, **result.outputs})
    assert {where: places.tolist() for where, places in found.undecided.items()} == undecided
    assert found.to_frame().to_dicts() == lines
    rules = {line["fact"]: line["rule"] for line in lines}
    assert found.rule.tolist() == [rules.get(place, -1) for place in range(len(facts))]


def test_columns_of_a_sequence_decide_as_single_facts_do() -> None:
    generator = random.Random(11)
    facts = [sequences.facts(generator) for _ in range(3000)]
    for last in range(4):
        assert_alike(parse({**SCREENING, "tables": SCREENING["tables"][: last + 1]}), facts)
    unique = changed("tables/3/hit_policy", "unique")
    assert_alike(parse(unique), facts)


def two_tables(cells: list[str], outputs: list[str], hit_policy: str = "first") -> dict[str, Any]:
    """A table that says one of `outputs`, and one with a row for each of `cells` about it."""
    numbered = list(enumerate(outputs, start=1))
    first = {
        "name": "level",
        "hit_policy": "first",
        "inputs": [{"field": "x", "type": "number"}],
        "outputs": [{"field": "name", "type": "string"}],
        "rules": [{"when": [f"< {at}" if at < len(outputs) else ""], "then": [f'"{text}"']} for at, text in numbered],
    }
    rows = [*((cell, str(at)) for at, cell in enumerate(cells)), ("", "-1")]
    last = {
        "name": "answer",
        "hit_policy": hit_policy,
        "inputs": [{"field": "level.name", "type": "string"}],
        "outputs": [{"field": "row", "type": "number"}],
        "rules": [{"when": [cell], "then": [answer]} for cell, answer in rows],
    }
    return {"tables": [first, last]}


def about_the_last(definition: dict[str, Any]) -> list[Finding]:
    return [finding for place, _, finding in analyse_rule_set(parse(definition)) if place == "/tables/1"]


def test_the_analysis_knows_what_earlier_tables_can_say() -> None:
    full = about_the_last(two_tables(['"high"', '"low"'], ["high", "low"]))
    assert [(finding.kind, finding.rows) for finding in full] == [("dead_row", (2, 0, 1))]
    misspelt = about_the_last(two_tables(['"high"', '"hgih"'], ["high", "low"]))
    assert [(finding.kind, finding.rows) for finding in misspelt] == [("dead_row", (1,)), ("gap", (2,))]
    assert misspelt[0].message == "Row 2 can never decide: level.name never has such a value."
    assert misspelt[1].example == {"level.name": "low"}


def test_rows_overlap_only_in_what_earlier_tables_can_say() -> None:
    cells = ['startsWith($, "h")', 'endsWith($, "w")']
    for outputs, kinds in ((["high", "low"], ["dead_row"]), (["how", "no"], ["overlap", "gap"])):
        found = about_the_last(two_tables(cells, outputs, "unique"))
        assert [finding.kind for finding in found if finding.kind != "dead_row"] == [
            k for k in kinds if k != "dead_row"
        ]


def test_a_sequence_with_any_table_broken_is_refused() -> None:
    generator = random.Random(13)
    refused = 0
    for _ in range(500):
        definition = copy.deepcopy(SCREENING)
        at = generator.choice([0, 2, 3])
        definition["tables"][at] = tables.broken(definition["tables"][at], generator)
        try:
            parse(definition)
        except InvalidDefinition as exc:
            refused += all(error.pointer.startswith("/tables/") for error in exc.errors)
    assert refused == 500
