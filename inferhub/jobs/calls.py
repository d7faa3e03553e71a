"""The three calls that retail systems make. Each runs at once in a web process, or later on a worker: the same code."""

from collections.abc import Callable, Mapping
from typing import Any

from inferhub.decisions.drafts import Draft
from inferhub.decisions.models import Decision
from inferhub.decisions.services import Decided, Request, decide_all
from inferhub.inference.services import predict
from inferhub.recommendations.services import recommend

Answer = dict[str, Any]


def run_call(kind: str, target: str, body: dict[str, Any], actor: str) -> Answer:
    """Run one call; `body` has passed the schema of its kind. Returns the JSON answer; raises InferhubError."""
    return _KINDS[kind](target, body, actor)


def decision_answer(decision: Decision) -> Answer:
    """A decision of the past as REST shows it."""
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
        "is_repeat": True,
    }


def _draft_answer(draft: Draft, timings: Mapping[str, float]) -> Answer:
    """The same of a decision that was made just now, without reading it again."""
    verdict = draft.verdict
    return {
        "decision_id": str(draft.id),
        "workflow": draft.published.name,
        "workflow_version": draft.published.number,
        "rule_set": draft.rules.name,
        "rule_set_version": draft.rules.number,
        "request_id": draft.request_id,
        "subject": verdict.subject,
        "outcome": verdict.outcome,
        "outputs": verdict.outputs,
        "predictions": verdict.predictions,
        "trace": verdict.trace,
        "actions": [{"action_id": str(a.id), "kind": a.kind, "state": a.state} for a in draft.actions],
        "timings_ms": timings,
        "digest": draft.digest,
        "decided_at": draft.created_at.isoformat(),
        "is_repeat": False,
    }


def _predict(model: str, body: dict[str, Any], _actor: str) -> Answer:
    answer = predict(
        model=model,
        rows=body["rows"],
        alias=body.get("alias", "champion"),
        version=body.get("version"),
        parameters=body.get("parameters"),
    )
    return {
        "model": answer.model,
        "version": answer.version,
        "digest": answer.digest,
        "predictions": answer.rows,
        "duration_ms": answer.duration_ms,
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
    request = Request(facts=body["input"], request_id=body.get("request_id", ""))
    found = decide_all(workflow=workflow, requests=[request], actor=actor)[0]
    if isinstance(found, Exception):
        raise found
    return _decided_answer(found)


def _decided_answer(found: Decided) -> Answer:
    if isinstance(found.record, Draft):
        return _draft_answer(found.record, found.timings)
    return decision_answer(found.record)


_KINDS: dict[str, Callable[[str, dict[str, Any], str], Answer]] = {
    "predict": _predict,
    "recommend": _recommend,
    "decide": _decide,
}
