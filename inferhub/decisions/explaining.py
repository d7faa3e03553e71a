"""Why the models of a decision answered as they did: asked again of the same versions, with the same input."""

from collections.abc import Mapping
from typing import Any

from inferhub.decisions.definition import parse_workflow
from inferhub.decisions.models import Decision
from inferhub.errors import InferhubError
from inferhub.inference.services import predict

_PATIENCE_MS = 2000


def explain_predictions(decision: Decision) -> dict[str, dict[str, Any]]:
    """By the name of the prediction: its explanation (`inferhub.inference.explanations`).

    Only for models that can be explained, of versions that are still there; of an erased decision there is none.
    """
    if not decision.input:
        return {}
    found = {}
    for step in parse_workflow(decision.version.definition).predictions:
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
