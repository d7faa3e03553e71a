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

PREDICTION = _object(
    **_MODEL_USED, predictions={"type": "array", "items": _OBJECT}, duration_ms={"type": "number", "minimum": 0}
)
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
DECISION = _object(
    decision_id={"type": "string", "format": "uuid"},
    workflow=_STRING,
    workflow_version=_COUNT,
    rule_set=_STRING,
    rule_set_version=_COUNT,
    request_id=_STRING,
    subject=_STRING,
    outcome=_STRING,
    outputs=_OBJECT,
    predictions=_OBJECT,
    trace=_OBJECT,
    actions={"type": "array", "items": _object(action_id=_STRING, kind=_STRING, state=_STRING)},
    timings_ms=_OBJECT,
    digest=_STRING,
    decided_at=_TIME,
    is_repeat={"type": "boolean"},
)
DEFERRED = _object(
    call_id=_STRING,
    url=_STRING,
    state={"enum": ["queued", "running", "succeeded", "failed"]},
    answer={"type": ["object", "null"]},
    problem={"type": ["object", "null"]},
)
MODEL = _object(
    name=_STRING, task=_STRING, description=_STRING, aliases=_OBJECT, latest_version=_COUNT, created_at=_TIME
)
MODEL_VERSION = _object(
    model=_STRING,
    version=_COUNT,
    digest=_STRING,
    size=_COUNT,
    signature=_OBJECT,
    labels={"type": "array"},
    aliases={"type": "array", "items": _STRING},
    certificate=_OBJECT,
    metrics=_OBJECT,
    lineage=_OBJECT,
    notes=_STRING,
    created_at=_TIME,
    created_by=_STRING,
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
HEALTH = _object(status=_STRING)
