"""Run a workflow: input, predictions, facts, rules, outcome, actions. Takes values and returns values; no database."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from inferhub.decisions.definition import LONGEST_OUTCOME, UNDECIDED, PredictionPlan, WorkflowPlan
from inferhub.decisions.failures import missing_facts_of
from inferhub.errors import FieldError, InferhubError, InvalidInput
from inferhub.lib.describe import describe, pointer
from inferhub.lib.subjects import subject_text
from inferhub.rules.engine import RuleResult
from inferhub.rules.look import Look
from inferhub.rules.rule_set_engine import Engine, SequenceTrace

Facts = Mapping[str, Any]


class Answered(NamedTuple):
    """What a model said of one row."""

    used: Mapping[str, Any]
    """The model, its version, its digest."""
    output: Mapping[str, Any]


Predict = Callable[[PredictionPlan, Sequence[Facts], Sequence[int]], Sequence[Answered]]
"""Predicts for some rows at once, all with the same fields; the numbers say which of the inputs they belong to."""

MakeLook = Callable[[int], Look]
"""Makes the look of the rules for one of the inputs, by its place."""

_LARGEST_EXACT = 2**53
# What no rule decided must not lie unseen, even where the author foresaw nothing.
_ASK_A_PERSON = ({"kind": "review", "title": "The rules could not decide"},)


class Verdict(NamedTuple):
    """What one run of a workflow says. `timings` are milliseconds by stage."""

    outcome: str
    outputs: dict[str, Any]
    predictions: dict[str, Any]
    trace: dict[str, Any]
    actions: tuple[dict[str, Any], ...]
    subject: str
    timings: dict[str, float]


def run_rows(
    plan: WorkflowPlan, rules: Engine, rows: Sequence[Facts], predict: Predict, look: MakeLook | None = None
) -> list[Verdict | InferhubError]:
    """Decide about many inputs, each by itself: one that is not as declared gets its error, the others a verdict.

    Everything else that goes wrong - a model that fails, a fact that is missing - is an outcome, `review`, with the
    reason in the trace: never a quiet guess. A workflow may name another outcome, a fallback for a prediction, or want
    an error (`inferhub.decisions.failures`).

    Each model is asked once for all of them. Rules that ask for lists or the time get a look each, which the trace
    keeps under `surroundings` (`Look.recorded` repeats it). The timings of a verdict are those of the whole, by row.
    """
    clock = _Clock(len(rows))
    verdicts: list[Verdict | InferhubError | None] = [_input_error(plan, row) for row in rows]
    asked = [(place, _Case(place, row)) for place, row in enumerate(rows) if verdicts[place] is None]
    clock.stop("validate")
    for step in plan.predictions:
        _predict_all(step, [case for _, case in asked], predict)
    clock.stop("model")
    results = [_apply_rules(rules, case, look) for _, case in asked]
    clock.stop("rules")
    for (place, case), (outcome, outputs, trace) in zip(asked, results, strict=True):
        if case.failure is not None:
            verdicts[place] = case.failure
            continue
        if "undecided" in trace and plan.missing_facts != UNDECIDED and (facts := missing_facts_of(trace)):
            verdicts[place] = _missing(plan, case, facts, trace, clock.laps)
            continue
        verdicts[place] = Verdict(
            outcome=outcome,
            outputs=outputs,
            predictions=case.predictions,
            trace=trace,
            actions=plan.actions.get(outcome, () if "undecided" not in trace else _ASK_A_PERSON),
            subject=subject_of(plan, case.facts_in),
            timings=clock.laps,
        )
    return [verdict for verdict in verdicts if verdict is not None]


def _missing(
    plan: WorkflowPlan, case: "_Case", facts: list[FieldError], trace: dict[str, Any], laps: dict[str, float]
) -> Verdict | InvalidInput:
    """What the workflow wants where facts are missing and that is not a review."""
    if plan.missing_facts == "error":
        return InvalidInput(errors=facts)
    return Verdict(
        outcome=plan.missing_facts,
        outputs={},
        predictions=case.predictions,
        trace=trace | {"missing_facts": plan.missing_facts},
        actions=plan.actions.get(plan.missing_facts, ()),
        subject=subject_of(plan, case.facts_in),
        timings=laps,
    )


def subject_of(plan: WorkflowPlan, facts_in: Facts) -> str:
    """Whom or what an input is about."""
    return subject_text(facts_in.get(plan.subject)) if plan.subject else ""


def check_input(plan: WorkflowPlan, facts_in: Facts) -> None:
    """Raise InvalidInput with a pointer for each field that is not as declared."""
    plan.input_schema.check(facts_in, at="/input")
    if not _is_plainly_exact(facts_in) and _is_inexact(facts_in):
        raise InvalidInput(errors=_inexact_integers(facts_in, "/input"))


def _input_error(plan: WorkflowPlan, facts_in: Facts) -> InvalidInput | None:
    try:
        check_input(plan, facts_in)
    except InvalidInput as exc:
        return exc
    return None


def _is_plainly_exact(facts_in: Facts) -> bool:
    """Whether it takes no look at each number: orjson refuses any of more than 53 bits."""
    try:
        orjson.dumps(facts_in, option=orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:
        return False
    return True


def _is_inexact(value: Any) -> bool:
    if type(value) is int:
        return abs(value) > _LARGEST_EXACT
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return any(map(_is_inexact, items))


def _inexact_integers(value: Any, place: str) -> list[FieldError]:
    """Whole numbers that a double cannot hold: rules and digests would see another number than the caller sent."""
    if isinstance(value, int) and _is_inexact(value):
        return [FieldError(pointer=place, expected="a number of at most 2^53, or a string", got=describe(value))]
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    return [error for key, item in items for error in _inexact_integers(item, place + pointer(key))]


class _Case:
    """One input on its way: what was predicted for it, and what went wrong with that."""

    __slots__ = ("facts_in", "failure", "place", "predictions", "problems")

    def __init__(self, place: int, facts_in: Facts) -> None:
        self.place = place
        self.facts_in = facts_in
        self.predictions: dict[str, Any] = {}
        self.problems: list[FieldError] = []
        self.failure: InferhubError | None = None

    def facts(self) -> dict[str, Any]:
        outputs = {name: entry["output"] for name, entry in self.predictions.items()}
        return {"input": self.facts_in, "prediction": outputs}


def _predict_all(step: PredictionPlan, cases: Sequence[_Case], predict: Predict) -> None:
    """Ask the model once for all cases that have the same fields."""
    alike: dict[tuple[str, ...], list[tuple[_Case, Facts]]] = defaultdict(list)
    for case in cases:
        row = {model_input: case.facts_in[field] for model_input, field in step.inputs if field in case.facts_in}
        alike[tuple(row)].append((case, row))
    for group in alike.values():
        _predict_group(step, group, predict)


def _predict_group(step: PredictionPlan, group: Sequence[tuple[_Case, Facts]], predict: Predict) -> None:
    try:
        answers = predict(step, [row for _, row in group], [case.place for case, _ in group])
    except InferhubError as exc:
        if len(group) > 1:  # each by itself, so that a bad row spoils no other
            for one in group:
                _predict_group(step, [one], predict)
            return
        case = group[0][0]
        entry = {"model": step.model, "error": str(exc)}
        if step.on_failure.fallback is not None:
            case.predictions[step.name] = entry | {"fallback": True, "output": dict(step.on_failure.fallback)}
            return
        if step.on_failure.is_error:
            case.failure = step.on_failure.error_of(step.name, exc)
        case.predictions[step.name] = entry
        case.problems.append(FieldError(pointer=f"/prediction/{step.name}", expected="a prediction", got=str(exc)))
        return
    for (case, _), answer in zip(group, answers, strict=True):
        case.predictions[step.name] = {**answer.used, "output": answer.output}


def _apply_rules(rules: Engine, case: _Case, make_look: MakeLook | None) -> tuple[str, dict[str, Any], dict[str, Any]]:
    if case.problems:
        return UNDECIDED, {}, _undecided(case.problems)
    if make_look is None:
        return _said(rules.evaluate(case.facts(), check=True))
    look = make_look(case.place)
    outcome, outputs, trace = _said(rules.evaluate(case.facts(), check=True, look=look))
    return outcome, outputs, trace | {"surroundings": look.to_dict()}


def _said(result: RuleResult) -> tuple[str, dict[str, Any], dict[str, Any]]:
    if result.undecided:
        return UNDECIDED, {}, _undecided(result.undecided) | _tables(result)
    outputs = result.outputs
    outcome = outputs.get("outcome")
    if not isinstance(outcome, str) or not 1 <= len(outcome) <= LONGEST_OUTCOME:
        words = f"a string of 1 to {LONGEST_OUTCOME} characters from the rules"
        expected = FieldError(pointer="/outcome", expected=words, got=describe(outcome))
        return UNDECIDED, outputs, _undecided([expected]) | _tables(result)
    return outcome, outputs, _trace(result)


def _trace(result: RuleResult) -> dict[str, Any]:
    matched = [{"index": rule.index, "note": rule.note} for rule in result.matched]
    return {"matched": matched, **(result.trace.to_dict() if result.trace else {})}


def _tables(result: RuleResult) -> dict[str, Any]:
    """How the tables of a sequence came out, as far as they came."""
    return result.trace.to_dict() if isinstance(result.trace, SequenceTrace) else {}


def _undecided(problems: list[FieldError] | tuple[FieldError, ...]) -> dict[str, Any]:
    return {"undecided": [{"pointer": p.pointer, "expected": p.expected, "got": p.got} for p in problems]}


class _Clock:
    """Laps in milliseconds for each of `rows`."""

    def __init__(self, rows: int) -> None:
        self.laps: dict[str, float] = {}
        self._rows = rows
        self._started = time.perf_counter()

    def stop(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage] = round((now - self._started) * 1000 / self._rows, 3)
        self._started = now
