"""Decision tables: how fast one is evaluated, and that nothing broken or different slips through.

The table has 20 rows and 3 inputs; the facts vary. Evaluations are counted in processor time, as they never wait, and
in the best of many short batches, as anything else on the machine only adds to it. A million facts are matched over
columns and each is compared with what the engine decides of it alone; a quarter of a million go through several tables
in sequence, which combine rows and ask a look-up list, and are compared in the same way. Each fact that a table cannot
use is counted where it falls into the else row. Then a back-test of a million decisions, which reads them out of
PostgreSQL (benchmarks/rules_backtest.py).
"""

import math
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl

from benchmarks.report import parser, publish
from benchmarks.rules_backtest import measure_report
from benchmarks.table import definition
from inferhub.errors import InvalidDefinition
from inferhub.rules.columns import evaluate_columns, evaluate_rule_set
from inferhub.rules.engine import RuleEngine, compile_rules
from inferhub.rules.lists import ListSnapshot
from inferhub.rules.look import Look
from inferhub.rules.rule_set import parse_rule_set
from inferhub.rules.rule_set_engine import compile_rule_set
from inferhub.rules.table import parse_decision_table
from tests.rules import sequences
from tests.rules.tables import broken, nested

BARS = {
    "evaluations_per_second": ">=100000",
    "evaluations_per_second_traced": ">=40000",
    "broken_refused": ">=1000",
    "backtest_match_seconds": "<=1",
    "backtest_mismatches": "<=0",
    "backtest_report_seconds": "<=15",
    "sequence_mismatches": "<=0",
    "silent_falls": "<=0",
}
BATCH, BATCHES = 200, 100
FACTS = 1_000_000
SEQUENCE_FACTS = 250_000
NOW = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)


def make_facts(generator: random.Random) -> dict[str, Any]:
    """Half of them meet a row, half of them the else row."""
    row = generator.randrange(19)
    country = chr(97 + row) if generator.random() < 0.5 else generator.choice("xyz")
    order = {"country": country, "items": row + generator.randint(0, 5)}
    return {"prediction": {"value": 10 * row + generator.uniform(0.1, 9.9)}, "order": order}


def per_second(call: Callable[[dict[str, Any]], object], facts: list[dict[str, Any]]) -> float:
    best = float("inf")
    for batch in range(BATCHES):
        chosen = facts[batch % 10 :: 10]
        start = time.process_time()
        for one in chosen:
            call(one)
        best = min(best, (time.process_time() - start) / len(chosen))
    return 1 / best


def measure(engine: RuleEngine) -> dict[str, float]:
    generator = random.Random(5)
    facts = [make_facts(generator) for _ in range(10 * BATCH)]
    return {
        "evaluations_per_second": per_second(engine.evaluate, facts),
        "evaluations_per_second_traced": per_second(lambda one: engine.evaluate(one, trace=True), facts),
        "broken_refused": sum(is_refused(broken(definition(), generator)) for _ in range(1000)),
        "silent_falls": count_silent_falls(engine, generator),
        **measure_columns(engine, generator),
        **measure_report(),
        **measure_sequence(generator),
    }


def count_silent_falls(engine: RuleEngine, generator: random.Random) -> int:
    """Of 10,000 facts with one field missing, null, NaN or of another type, those that any row decides."""
    wrong: dict[str, list[Any]] = {"number": [None, math.nan, math.inf, "12", True, [1]], "string": [None, 5, True, {}]}
    falls = 0
    for _ in range(10_000):
        facts = make_facts(generator)
        column = generator.choice(engine.table.inputs)
        parent, last = column.path
        if generator.random() < 0.2:
            del facts[parent][last]
        else:
            facts[parent][last] = generator.choice(wrong[column.kind])
        falls += engine.evaluate(facts).is_decided
    return falls


def measure_sequence(generator: random.Random) -> dict[str, float]:
    """Four tables in sequence over columns, each fact compared with what the engine says of it alone."""
    rule_set = parse_rule_set(sequences.SCREENING, sequences.find)
    engine = compile_rule_set(rule_set)
    facts = [sequences.facts(generator) for _ in range(SEQUENCE_FACTS)]
    types = [pl.Float64, pl.String, pl.Float64, pl.String]
    frame = pl.DataFrame(facts, schema=dict(zip(sequences.COLUMNS, types, strict=True)))
    lists = {"blocked": ListSnapshot(name="blocked", version=1, expiries={"ben": None})}
    start = time.perf_counter()
    found = evaluate_rule_set(rule_set, frame, look=Look(at=NOW, lists=lists)).to_frame()
    seconds = time.perf_counter() - start
    said = {line.pop("fact"): line for line in found.to_dicts()}
    mismatches = 0
    for place, fact in enumerate(facts):
        result = engine.evaluate(nested(fact), look=Look(at=NOW, lists=lists))
        alone = {"rule": result.matched[0].index, **result.outputs} if result.is_decided else None
        mismatches += said.get(place) != alone
    return {"sequence_match_seconds": seconds, "sequence_facts": SEQUENCE_FACTS, "sequence_mismatches": mismatches}


def is_refused(broken_definition: dict[str, Any]) -> bool:
    try:
        parse_decision_table(broken_definition)
    except InvalidDefinition:
        return True
    return False


def measure_columns(engine: RuleEngine, generator: random.Random) -> dict[str, float]:
    """A million facts, many of them at the boundaries of the table's cells, some null."""
    facts = [make_edge(generator) for _ in range(FACTS)]
    frame = pl.DataFrame(facts, schema=["prediction.value", "order.country", "order.items"], orient="row")
    start = time.perf_counter()
    found = evaluate_columns(engine.table, frame).rule
    seconds = time.perf_counter() - start
    mismatches = 0
    for rule, (value, country, items) in zip(found.tolist(), facts, strict=True):
        result = engine.evaluate({"prediction": {"value": value}, "order": {"country": country, "items": items}})
        mismatches += rule != (result.matched[0].index if result.is_decided else -1)
    return {"backtest_match_seconds": seconds, "backtest_facts": FACTS, "backtest_mismatches": mismatches}


def make_edge(generator: random.Random) -> tuple[float | None, str | None, float | None]:
    row = generator.randrange(19)
    edge = float(10 * row)
    value = generator.choice(
        [
            edge,
            math.nextafter(edge, math.inf),
            math.nextafter(edge, -math.inf),
            generator.uniform(edge, edge + 10),
            None,
        ]
    )
    items = generator.choice([float(row), row + 5.0, math.nextafter(row, -math.inf), row + 0.5])
    return value, generator.choice([chr(97 + row), chr(97 + row), "z", None]), items


def main() -> None:
    path = parser("Decision tables: speed, and that nothing slips through.", "rules").parse_args().json
    publish("rules", measure(compile_rules(parse_decision_table(definition()))), BARS, path)


if __name__ == "__main__":
    main()
