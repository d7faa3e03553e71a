"""Why a decision came out as it did: what its trace does not say itself, and what its models say when asked again."""

from collections.abc import Mapping
from typing import Any

from inferhub.decisions.definition import compile_workflow
from inferhub.decisions.models import Decision
from inferhub.errors import InferhubError
from inferhub.inference.services import predict
from inferhub.rules.rule_set_engine import explain_trace
from inferhub.rulesets.queries import find_rule_set_by_id

_PATIENCE_MS = 2000


def explained_trace(decision: Decision) -> dict[str, Any]:
    """The trace of a stored decision, with why each row of its tables that did not decide did not.

    That follows from what the trace holds and the rules by which it was decided, which never change. Of an erased
    decision nothing is left. A trace that does not fit its rules, as somebody altered it, is given as it is.
    """
    trace: dict[str, Any] = decision.trace
    if not trace.keys() & {"values", "tables"}:
        return trace
    engine = find_rule_set_by_id(decision.rule_set_version_id).engine
    try:
        return explain_trace(engine, trace)
    except (KeyError, TypeError, ValueError):
        return trace


def explain_predictions(decision: Decision) -> dict[str, dict[str, Any]]:
    """By the name of the prediction: its explanation (`inferhub.inference.explanations`).

    Only for models that can be explained, of versions that are still there; of an erased decision there is none.
    """
    if not decision.input:
        return {}
    found = {}
    for step in compile_workflow(decision.version.definition).predictions:
        said = decision.predictions.get(step.name, {})
        if "output" in said:
            row = {name: decision.input[field] for name, field in step.inputs if field in decision.input}
            explanation = _explanation(said, row)
            if explanation is not None:
                found[step.name] = explanation
    return found


def _explanation(said: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        again = predict(model=said["model"], version=said["version"], rows=[row], timeout_ms=_PATIENCE_MS, explain=True)
    except InferhubError:
        return None  # an explanation is welcome, and nothing waits for it
    return again.explanations[0] if again.explanations else None
