"""The three calls that retail systems make. Each runs at once in a web process, or later on a worker: the same code."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet

from inferhub.decisions.models import Decision
from inferhub.decisions.services import decide
from inferhub.inference.services import predict
from inferhub.recommendations.services import recommend
from inferhub.runtime.rows import Columns

Answer = dict[str, Any]


def run_call(kind: str, target: str, body: dict[str, Any], actor: str) -> Answer:
    """Run one call; `body` has passed the schema of its kind. Returns the JSON answer; raises InferhubError."""
    return _KINDS[kind](target, body, actor)


def decision_answer(decision: Decision, *, is_new: bool) -> Answer:
    """A decision as REST shows it."""
    actions = sorted(decision.actions.all(), key=lambda action: action.pk)
    return {
        "decision_id": str(decision.pk),
        "workflow": decision.workflow.name,
        "workflow_version": decision.version.number,
        "rule_set": decision.rule_set_version.rule_set.name,
        "rule_set_version": decision.rule_set_version.number,
        "request_id": decision.request_id,
        "subject": decision.subject,
        "outcome": decision.outcome,
        "outputs": decision.outputs,
        "predictions": decision.predictions,
        "trace": decision.trace,
        "actions": [{"action_id": str(action.pk), "kind": action.kind, "state": action.state} for action in actions],
        "timings_ms": decision.timings,
        "digest": decision.digest,
        "decided_at": decision.created_at.isoformat(),
        "is_repeat": not is_new,
    }


def decisions_with_names() -> QuerySet[Decision]:
    """Decisions with everything that `decision_answer` names, in two queries however many there are."""
    return Decision.objects.select_related("workflow", "version", "rule_set_version__rule_set").prefetch_related(
        "actions"
    )


def _predict(model: str, body: dict[str, Any], _actor: str) -> Answer:
    answer = predict(
        model=model,
        rows=Columns(values=body["columns"]) if "columns" in body else body["rows"],
        alias=body.get("alias", "champion"),
        version=body.get("version"),
        parameters=body.get("parameters"),
        key=body.get("key", ""),
        timeout_ms=body.get("timeout_ms"),
        explain=body.get("explain", False),
    )
    explained = {} if answer.explanations is None else {"explanations": answer.explanations}
    return {
        "model": answer.model,
        "version": answer.version,
        "digest": answer.digest,
        "predictions": answer.rows,
        "duration_ms": answer.duration_ms,
        **explained,
    }


def _recommend(scenario: str, body: dict[str, Any], _actor: str) -> Answer:
    answer = recommend(
        scenario=scenario,
        user_id=body.get("user_id"),
        history=body.get("history"),
        exclude=body.get("exclude", ()),
        k=body.get("k"),
    )
    return {
        "scenario": scenario,
        "user_id": body.get("user_id"),
        "items": answer.items,
        "model": answer.model,
        "version": answer.version,
        "digest": answer.digest,
    }


def _decide(workflow: str, body: dict[str, Any], actor: str) -> Answer:
    decision, is_new = decide(
        workflow=workflow, facts_in=body["input"], request_id=body.get("request_id", ""), actor=actor
    )
    named = decisions_with_names().get(pk=decision.pk)
    named.timings = decision.timings  # with that of the commit, which no row can hold
    return decision_answer(named, is_new=is_new)


_KINDS: dict[str, Callable[[str, dict[str, Any], str], Answer]] = {
    "predict": _predict,
    "recommend": _recommend,
    "decide": _decide,
}
