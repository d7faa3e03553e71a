"""Run a workflow: input, predictions, facts, rules, outcome, actions. Takes values and returns values; no database."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from inferhub.decisions.definition import LONGEST_OUTCOME, UNDECIDED, PredictionPlan, WorkflowPlan
from inferhub.errors import FieldError, InferhubError, InvalidInput
from inferhub.inference.prediction import Prediction
from inferhub.lib.describe import describe, pointer
from inferhub.rules.engine import RuleEngine

_LARGEST_EXACT = 2**53
# What no rule decided must not lie unseen, even where the author foresaw nothing.
_ASK_A_PERSON = ({"kind": "review", "title": "The rules could not decide"},)
Predict = Callable[[PredictionPlan, Mapping[str, Any]], Prediction]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What one run of a workflow says. `timings` are milliseconds by stage."""

    outcome: str
    outputs: dict[str, Any]
    predictions: dict[str, Any]
    trace: dict[str, Any]
    actions: tuple[dict[str, Any], ...]
    subject: str
    timings: dict[str, float]


def run_workflow(plan: WorkflowPlan, rules: RuleEngine, facts_in: Mapping[str, Any], predict: Predict) -> Verdict:
    """Decide about one input.

    Raises InvalidInput where the input is not as the workflow declares it. Everything else that goes wrong - a model
    that fails, a fact that is missing - is an outcome, `review`, with the reason in the trace: never a quiet guess.
    """
    clock = _Clock()
    check_input(plan, facts_in)
    clock.stop("validate")
    predictions, problems = _predictions(plan, facts_in, predict)
    clock.stop("model")
    outcome, outputs, trace = _apply_rules(rules, _facts(facts_in, predictions), problems)
    clock.stop("rules")
    return Verdict(
        outcome=outcome,
        outputs=outputs,
        predictions=predictions,
        trace=trace,
        actions=plan.actions.get(outcome, () if "undecided" not in trace else _ASK_A_PERSON),
        subject=subject_of(plan, facts_in),
        timings=clock.laps,
    )


def subject_of(plan: WorkflowPlan, facts_in: Mapping[str, Any]) -> str:
    """Whom or what an input is about."""
    return str(facts_in.get(plan.subject, ""))[:200] if plan.subject else ""


def check_input(plan: WorkflowPlan, facts_in: Mapping[str, Any]) -> None:
    """Raise InvalidInput with a pointer for each field that is not as declared."""
    plan.input_schema.check(facts_in, at="/input")
    inexact = list(_inexact_integers(facts_in, "/input"))
    if inexact:
        raise InvalidInput(errors=inexact)


def _inexact_integers(value: Any, place: str) -> list[FieldError]:
    """Whole numbers that a double cannot hold: rules and digests would see another number than the caller sent."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST_EXACT:
        return [FieldError(pointer=place, expected="a number of at most 2^53, or a string", got=describe(value))]
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    return [error for key, item in items for error in _inexact_integers(item, place + pointer(key))]


def _predictions(
    plan: WorkflowPlan, facts_in: Mapping[str, Any], predict: Predict
) -> tuple[dict[str, Any], list[FieldError]]:
    predictions: dict[str, Any] = {}
    problems: list[FieldError] = []
    for step in plan.predictions:
        row = {model_input: facts_in[field] for model_input, field in step.inputs if field in facts_in}
        try:
            answer = predict(step, row)
        except InferhubError as exc:
            predictions[step.name] = {"model": step.model, "error": str(exc)}
            problems.append(FieldError(pointer=f"/prediction/{step.name}", expected="a prediction", got=str(exc)))
        else:
            predictions[step.name] = {
                "model": answer.model,
                "version": answer.version,
                "digest": answer.digest,
                "output": answer.rows[0],
            }
    return predictions, problems


def _facts(facts_in: Mapping[str, Any], predictions: Mapping[str, Any]) -> dict[str, Any]:
    outputs = {name: entry["output"] for name, entry in predictions.items() if "output" in entry}
    return {"input": dict(facts_in), "prediction": outputs}


def _apply_rules(
    rules: RuleEngine, facts: dict[str, Any], problems: list[FieldError]
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    if problems:
        return UNDECIDED, {}, _undecided(problems)
    result = rules.evaluate(facts, trace=True)
    if result.undecided:
        return UNDECIDED, {}, _undecided(result.undecided)
    outputs = dict(result.outputs)
    outcome = outputs.get("outcome")
    if not isinstance(outcome, str) or not 1 <= len(outcome) <= LONGEST_OUTCOME:
        words = f"a string of 1 to {LONGEST_OUTCOME} characters from the rules"
        expected = FieldError(pointer="/outcome", expected=words, got=describe(outcome))
        return UNDECIDED, outputs, _undecided([expected])
    explanation = result.trace.to_dict() if result.trace else {}
    return outcome, outputs, {"matched": [asdict(rule) for rule in result.matched], **explanation}


def _undecided(problems: list[FieldError] | tuple[FieldError, ...]) -> dict[str, Any]:
    return {"undecided": [{"pointer": p.pointer, "expected": p.expected, "got": p.got} for p in problems]}


class _Clock:
    """Laps in milliseconds."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._started = time.perf_counter()

    def stop(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage] = round((now - self._started) * 1000, 3)
        self._started = now
