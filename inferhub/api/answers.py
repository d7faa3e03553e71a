"""What callers get, as JSON Schema, for the documentation and for tests that hold answers against it."""

from typing import Any


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def page_of(entry: dict[str, Any]) -> dict[str, Any]:
    """A page of a list: `next` and `previous` are addresses or null."""
    link = {"type": ["string", "null"]}
    return _object(next=link, previous=link, results={"type": "array", "items": entry})


_STRING = {"type": "string"}
_STRING_OR_NULL = {"type": ["string", "null"]}
_COUNT = {"type": "integer", "minimum": 0}
_OBJECT = {"type": "object"}
_TIME = {"type": "string", "format": "date-time"}
_TIME_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
_MODEL_USED = {"model": _STRING, "version": {"type": "integer", "minimum": 1}, "digest": _STRING}

_EXPLANATION = {
    "description": "Contributions add up with base_value to value, in the unit in which the trees add up: that of the "
    "target, or the log-odds of the class `of`. A recommender gives the reasons of its list.",
    "anyOf": [
        {
            "type": "object",
            "properties": {
                "of": {"type": ["string", "integer"]},
                "base_value": {"type": "number"},
                "value": {"type": "number"},
                "contributions": {"type": "object", "additionalProperties": {"type": "number"}},
            },
            "required": ["base_value", "value", "contributions"],
            "additionalProperties": False,
        },
        _object(reasons={"type": "array", "items": _STRING}),
    ],
}
PREDICTION = _object(
    **_MODEL_USED, predictions={"type": "array", "items": _OBJECT}, duration_ms={"type": "number", "minimum": 0}
)
PREDICTION["properties"]["explanations"] = {"type": "array", "items": _EXPLANATION, "description": "Where asked for."}
_RECOMMENDED = _object(item_id=_STRING, score={"type": "number"}, reason=_STRING)
RECOMMENDATION = _object(
    scenario=_STRING, user_id=_STRING_OR_NULL, items={"type": "array", "items": _RECOMMENDED}, **_MODEL_USED
)
STORED_RECOMMENDATION = _object(
    scenario=_STRING,
    user_id=_STRING,
    items={"type": "array", "items": _RECOMMENDED},
    **_MODEL_USED,
    generation={"type": "integer"},
    published_at=_TIME,
)
PROBLEM = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "properties": {
        "type": _STRING,
        "title": _STRING,
        "status": {"type": "integer"},
        "detail": _STRING,
        "errors": {"type": "array", "items": _object(pointer=_STRING, expected=_STRING, got=_STRING)},
        "request_id": _STRING,
    },
    "required": ["type", "title", "status", "detail"],
}
DECISION = _object(
    decision_id={"type": ["string", "null"], "format": "uuid"},
    workflow=_STRING,
    workflow_version=_COUNT,
    rule_set=_STRING,
    rule_set_version=_COUNT,
    request_id=_STRING,
    subject=_STRING,
    outcome=_STRING,
    outputs=_OBJECT,
    predictions=_OBJECT,
    trace={"type": ["object", "null"]},
    actions={"type": "array", "items": _object(action_id=_STRING_OR_NULL, kind=_STRING, state=_STRING)},
    timings_ms=_OBJECT,
    digest=_STRING_OR_NULL,
    decided_at=_TIME,
    is_repeat={"type": "boolean"},
)
REPLAY = _object(
    decision_id={"type": "string", "format": "uuid"},
    is_equal={"type": "boolean"},
    differences={"type": "array", "items": _object(pointer=_STRING, stored={}, replayed={})},
    problem=_STRING | {"description": "Why it could not be decided again; empty where it could."},
    takes_failure={"type": "boolean", "description": "A prediction had failed; its error was taken as recorded."},
)
DECISIONS = {
    "description": "One decision, or the results of the rows in their order.",
    "oneOf": [
        DECISION,
        _object(
            results={
                "type": "array",
                "items": _object(
                    status={"type": "integer", "description": "What the row alone would have been answered with."},
                    decision={"oneOf": [DECISION, {"type": "null"}]},
                    problem={"oneOf": [PROBLEM, {"type": "null"}]},
                ),
            }
        ),
    ],
}
DEFERRED = _object(
    call_id=_STRING,
    url=_STRING,
    state={"enum": ["queued", "running", "succeeded", "failed"]},
    answer={"type": ["object", "null"]},
    problem={"type": ["object", "null"]},
)
_STRINGS = {"type": "array", "items": _STRING}
MODEL = _object(
    name=_STRING,
    task=_STRING,
    description=_STRING,
    owner=_STRING,
    tags=_STRINGS,
    approval={"enum": ["four-eyes", "direct"]},
    gates=_OBJECT,
    aliases=_OBJECT,
    latest_version=_COUNT,
    created_at=_TIME,
)
_NUMBER_OR_NULL = {"type": ["number", "null"]}
SHADOW = _object(
    model=_STRING,
    alias=_STRING,
    shadow_version={"type": ["integer", "null"]},
    since=_TIME_OR_NULL,
    until=_TIME_OR_NULL,
    requests=_COUNT,
    compared=_COUNT,
    equal=_COUNT,
    share_equal=_NUMBER_OR_NULL,
    flipped=_COUNT,
    failed=_COUNT,
    left_out=_COUNT,
    largest_difference=_NUMBER_OR_NULL,
    version_ms=_NUMBER_OR_NULL,
    shadow_ms=_NUMBER_OR_NULL,
    differences={"type": "array", "items": _object(up_to=_NUMBER_OR_NULL, count=_COUNT)},
    problem=_STRING,
)
_MODEL_VERSION = {
    "model": _STRING,
    "version": _COUNT,
    "state": {"enum": ["validating", "ready", "rejected", "archived"]},
    "state_reason": _STRING,
    "digest": _STRING,
    "size": _COUNT,
    "signature": _OBJECT,
    "labels": {"type": "array"},
    "aliases": _STRINGS,
    "certificate": _OBJECT,
    "metrics": _OBJECT,
    "lineage": _OBJECT,
    "measured": _OBJECT,
    "steps": _OBJECT,
    "model_card": _STRING,
    "notes": _STRING,
    "created_at": _TIME,
    "created_by": _STRING,
}
MODEL_VERSION = _object(**_MODEL_VERSION)
_CHANGE_ADDRESS = _STRING_OR_NULL | {"description": "The change request that the alias waits for."}
REGISTERED_VERSION = _object(**_MODEL_VERSION, change=_CHANGE_ADDRESS)
_VERSION_OR_NULL = {"type": ["integer", "null"]}
ALIAS = _object(
    model=_STRING,
    alias=_STRING,
    version=_COUNT,
    previous_version=_VERSION_OR_NULL | {"description": "Where a rollback leads."},
    canary_version=_VERSION_OR_NULL,
    canary_percent=_COUNT,
    shadow_version=_VERSION_OR_NULL,
    change=_VERSION_OR_NULL | {"description": "The change request that allowed the last move."},
    moved_at=_TIME,
)
_CHANGE = {
    "id": _COUNT,
    "kind": _STRING,
    "subject": _STRING,
    "payload": _OBJECT,
    "reason": _STRING,
    "evidence": _OBJECT | {"description": "What spoke for it when it was asked for: the gates."},
    "requested_by": _STRING,
    "requested_at": _TIME,
    "state": {"enum": ["pending", "approved", "rejected", "withdrawn"]},
    "decided_by": _STRING,
    "decided_at": _TIME_OR_NULL,
    "decision_reason": _STRING,
    "applied_at": _TIME_OR_NULL,
}
CHANGE = _object(**_CHANGE)
_NOW = {
    "type": ["object", "null"],
    "description": "What speaks for a pending one at this moment, or why it cannot be carried out (`refused`).",
}
CHANGE_NOW = _object(**_CHANGE, now=_NOW)
_LINES = {"type": "array", "items": _object(name=_STRING, left={}, right={}, is_same={"type": "boolean"})}
COMPARISON = _object(left=_COUNT, right=_COUNT, properties=_LINES, tensors=_LINES, metrics=_LINES)
WORKFLOW = _object(name=_STRING, description=_STRING, version=_COUNT, rule_set=_STRING, definition=_OBJECT)
JOB = _object(
    job_id=_STRING,
    kind=_STRING,
    scenario=_STRING,
    state={"enum": ["queued", "running", "succeeded", "failed"]},
    total=_COUNT,
    done=_COUNT,
    problem=_STRING,
    requested_by=_STRING,
    created_at=_TIME,
    started_at=_TIME_OR_NULL,
    finished_at=_TIME_OR_NULL,
)
IMPORTED_RULE_SET = _object(name=_STRING, version=_COUNT, digest=_STRING, definition=_OBJECT)
LOOKUP_LIST = _object(name=_STRING, description=_STRING, version=_COUNT, entries=_COUNT, created_at=_TIME)
LIST_ENTRY = _object(
    value=_STRING,
    note=_STRING,
    expires_at=_TIME_OR_NULL,
    added_in=_COUNT,
    removed_in=_VERSION_OR_NULL | {"description": "The version from which on it is not on the list."},
)
LIST_VERSION = _object(
    version=_COUNT, added=_COUNT, removed=_COUNT, reason=_STRING, created_at=_TIME, created_by=_STRING
)
LIST_CHANGE = _object(version=_COUNT, added=_COUNT, removed=_COUNT)
ERASED = _object(decisions=_COUNT, calls=_COUNT)
HEALTH = _object(status=_STRING)
