"""Decision tables: how fast one is evaluated, and that nothing broken or different slips through.

The table has 20 rows and 3 inputs; the facts vary. Evaluations are counted in processor time, as they never wait, and
in the best of many short batches, as anything else on the machine only adds to it. A million facts are matched over
columns and each is compared with what the engine decides of it alone. Then a back-test of a million decisions, which
reads them out of PostgreSQL (benchmarks/rules_backtest.py).
"""

import math
import random
import time
from collections.abc import Callable
from typing import Any

import polars as pl

from benchmarks.report import parser, publish
from benchmarks.rules_backtest import measure_report
from benchmarks.table import definition
from inferhub.errors import InvalidDefinition
from inferhub.rules.columns import evaluate_columns
from inferhub.rules.engine import RuleEngine, compile_rules
from inferhub.rules.table import parse_decision_table
from tests.rules.tables import broken

BARS = {
    "evaluations_per_second": ">=100000",
    "evaluations_per_second_traced": ">=40000",
    "broken_refused": ">=1000",
    "backtest_match_seconds": "<=1",
    "backtest_mismatches": "<=0",
    "backtest_report_seconds": "<=15",
}
BATCH, BATCHES = 200, 100
FACTS = 1_000_000


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
        **measure_columns(engine, generator),
        **measure_report(),
    }


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
