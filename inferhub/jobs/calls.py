"""The three calls that retail systems make. Each runs at once in a web process, or later on a worker: the same code."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from inferhub.decisions.drafts import Draft
from inferhub.decisions.explaining import explained_trace
from inferhub.decisions.log import finish
from inferhub.decisions.models import ActionState, Decision
from inferhub.decisions.services import Decided, Request, deciding
from inferhub.errors import InferhubError, InvalidInput, Unavailable, error_to_dict
from inferhub.inference.services import predict
from inferhub.lib.moments import iso_text, parse_moment
from inferhub.lib.stopwatch import Stopwatch
from inferhub.recommendations.services import recommend
from inferhub.rules.rule_set_engine import explain_trace
from inferhub.runtime.rows import Columns

log = structlog.get_logger(__name__)

Answer = dict[str, Any]


def run_call(kind: str, target: str, body: dict[str, Any], actor: str) -> Answer:
    """Run one call; `body` has passed the schema of its kind. Returns the JSON answer; raises InferhubError."""
    return finish(calling(kind, target, body, actor, Stopwatch()))


async def calling(kind: str, target: str, body: dict[str, Any], actor: str, watch: Stopwatch) -> Answer:
    """`run_call` for whoever drives the coroutine, which awaits the commit of decisions and nothing else.

    `watch` is told the stages of predict and recommend; the answer of decide holds its own.
    """
    if kind == "decide":
        return await _decide(target, body, actor)
    return _predict(target, body, watch) if kind == "predict" else _recommend(target, body, watch)


def decision_answer(decision: Decision, *, has_trace: bool = True) -> Answer:
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
        "trace": explained_trace(decision) if has_trace else None,
        "actions": [{"action_id": str(action.pk), "kind": action.kind, "state": action.state} for action in actions],
        "timings_ms": decision.timings,
        "digest": decision.digest,
        "decided_at": decision.created_at.isoformat(),
        "is_repeat": True,
        **({"reviewed_decision_id": str(link)} if (link := decision.reviewed_decision_id) else {}),
    }


def _draft_answer(draft: Draft, timings: Mapping[str, float], *, has_trace: bool, is_dry_run: bool) -> Answer:
    """The same of a decision that was made just now, without reading it again. What a dry run made has no ids."""
    verdict = draft.verdict
    state = "not stored" if is_dry_run else ActionState.PENDING.value
    actions = [(None if is_dry_run else str(action.id), action.kind) for action in draft.actions]
    return {
        "decision_id": None if is_dry_run else str(draft.id),
        "workflow": draft.published.name,
        "workflow_version": draft.published.number,
        "rule_set": draft.rules.name,
        "rule_set_version": draft.rules.number,
        "request_id": draft.request_id,
        "subject": verdict.subject,
        "outcome": verdict.outcome,
        "outputs": verdict.outputs,
        "predictions": verdict.predictions,
        "trace": explain_trace(draft.rules.engine, verdict.trace) if has_trace else None,
        "actions": [{"action_id": action_id, "kind": kind, "state": state} for action_id, kind in actions],
        "timings_ms": timings,
        "digest": None if is_dry_run else draft.digest,
        "decided_at": iso_text(draft.created_at),
        "is_repeat": False,
    }


def _predict(model: str, body: dict[str, Any], watch: Stopwatch) -> Answer:
    answer = predict(
        model=model,
        rows=Columns(values=body["columns"]) if "columns" in body else body["rows"],
        alias=body.get("alias", "champion"),
        version=body.get("version"),
        parameters=body.get("parameters"),
        key=body.get("key", ""),
        timeout_ms=body.get("timeout_ms"),
        explain=body.get("explain", False),
        watch=watch,
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


def _recommend(scenario: str, body: dict[str, Any], watch: Stopwatch) -> Answer:
    answer = recommend(
        scenario=scenario,
        user_id=body.get("user_id"),
        history=body.get("history"),
        exclude=body.get("exclude", ()),
        k=body.get("k"),
        watch=watch,
    )
    return {
        "scenario": scenario,
        "user_id": body.get("user_id"),
        "items": answer.items,
        "model": answer.model,
        "version": answer.version,
        "digest": answer.digest,
    }


async def _decide(workflow: str, body: dict[str, Any], actor: str) -> Answer:
    """One decision; or for `rows` one result for each, a decision or a problem (`inferhub.errors.error_to_dict`)."""
    entries = body.get("rows", [body])
    requests = [Request(facts=entry["input"], request_id=entry.get("request_id", "")) for entry in entries]
    is_dry_run = body.get("dry_run", False)
    as_of = parse_moment(body["as_of"], at="/as_of") if "as_of" in body else None
    found = await deciding(workflow=workflow, requests=requests, actor=actor, is_dry_run=is_dry_run, as_of=as_of)
    if "rows" in body:
        return {"results": [_row_result(place, one, body) for place, one in enumerate(found)]}
    if isinstance(found[0], Exception):
        raise found[0]
    return _decided_answer(found[0], body)


def _decided_answer(found: Decided, body: Mapping[str, Any]) -> Answer:
    has_trace = body.get("trace", True)
    if isinstance(found.record, Decision):
        return decision_answer(found.record, has_trace=has_trace)
    return _draft_answer(found.record, found.timings, has_trace=has_trace, is_dry_run=body.get("dry_run", False))


def _row_result(place: int, found: Decided | Exception, body: Mapping[str, Any]) -> Answer:
    if isinstance(found, Decided):
        return {"decision": _decided_answer(found, body), "problem": None}
    if not isinstance(found, InferhubError):
        log.error("unforeseen error in a row", row=place, exc_info=found)
        found = Unavailable(f"The row met an unforeseen {type(found).__name__}; the server's log has the details.")
    if isinstance(found, InvalidInput) and found.errors:
        found = InvalidInput(errors=[replace(error, pointer=f"/rows/{place}{error.pointer}") for error in found.errors])
    return {"decision": None, "problem": error_to_dict(found)}


def with_request_ids(body: dict[str, Any]) -> dict[str, Any]:
    """A request to decide in which every input has a request id, so that a second try cannot decide twice."""
    if "rows" in body:
        return body | {"rows": [with_request_ids(row) for row in body["rows"]]}
    return {"request_id": f"deferred-{uuid.uuid4()}"} | body
