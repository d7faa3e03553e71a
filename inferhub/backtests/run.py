"""Run a back-test: both sides over all rows, chunk after chunk."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inferhub.backtests.deciding import Decider, Outcomes, timed
from inferhub.backtests.rows import Path, Source, Wanted
from inferhub.backtests.sides import Side
from inferhub.backtests.tally import Change, Tally


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to compare. `baseline` None: what was decided. `checks_input`: whether a side has to check each input."""

    candidate: Side
    baseline: Side | None
    amount: str
    segment: str
    checks_input: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What came of it. `seconds` by stage, both sides together."""

    report: dict[str, Any]
    changes: list[Change]
    seconds: Mapping[str, float]


def run_backtest(plan: Plan, source: Source, progress: Callable[[int], None] = lambda _: None) -> Found:
    """Decide every row of `source` by both sides; `progress` hears how many are done, and may raise to stop it."""
    started = time.perf_counter()
    outcomes = Outcomes()
    sides = [Decider(side, outcomes, checks_input=plan.checks_input) for side in _sides(plan)]
    amount, segment = _input(plan.amount), _input(plan.segment)
    tally = Tally(outcomes=outcomes, amount=amount, segment=segment)
    wanted = _joined([side.wanted for side in sides], [path for path in (amount, segment) if path])
    seconds, done = defaultdict[str, float](float), 0
    chunks = source.chunks(wanted)
    while True:
        with timed(seconds, "reading"):
            chunk = next(chunks, None)
        if chunk is None:
            break
        *before, candidate = [side.decide(chunk, seconds) for side in sides]
        with timed(seconds, "counting"):
            tally.add(chunk, before[0].outcomes if before else outcomes.codes(chunk.outcomes), candidate)
        done += chunk.count
        progress(done)
    with timed(seconds, "counting"):
        report = tally.report() | {"rule_notes": [rule.note for rule in plan.candidate.rules.engine.table.rules]}
    seconds["whole"] = time.perf_counter() - started
    rounded = {stage: round(spent, 3) for stage, spent in seconds.items()}
    return Found(report=report, changes=tally.changes, seconds=rounded)


def _sides(plan: Plan) -> list[Side]:
    return [plan.candidate] if plan.baseline is None else [plan.baseline, plan.candidate]


def _input(field: str) -> Path | None:
    return ("input", field) if field else None


def _joined(needs: list[Wanted], more: list[Path]) -> Wanted:
    facts = dict.fromkeys([*(path for need in needs for path in need.facts), *more])
    succeeded = dict.fromkeys(name for need in needs for name in need.succeeded)
    return Wanted(
        facts=tuple(facts),
        succeeded=tuple(succeeded),
        has_inputs=any(need.has_inputs for need in needs),
        has_times=any(need.has_times for need in needs),
    )
