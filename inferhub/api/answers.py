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
    "description": "Contributions add up with base_value to value, in the unit in which trees add up, which `scale` "
    "names: the answer itself, its logarithm (log), the logarithm of 1 + it (log1p), or the log-odds or another margin "
    "of the class `of`. A recommender gives the reasons of its list.",
    "anyOf": [
        {
            "type": "object",
            "properties": {
                "of": {"type": ["string", "integer"]},
                "scale": {"type": "string", "enum": ["answer", "log", "log1p", "log-odds", "margin"]},
                "base_value": {"type": "number"},
                "value": {"type": "number"},
                "contributions": {"type": "object", "additionalProperties": {"type": "number"}},
            },
            "required": ["scale", "base_value", "value", "contributions"],
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
_BOOST = _object(factor={"type": "number", "minimum": 0}, rule=_STRING)
_BOOST["properties"]["problem"] = _STRING | {"description": "Why the rules could not judge the item."}
_RECOMMENDED["properties"]["boost"] = _BOOST | {"description": "Where a rule of the scenario moved the item."}
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
DECISION["properties"]["reviewed_decision_id"] = _STRING | {
    "format": "uuid",
    "description": "Only of a decision that a person made: the one that was reviewed.",
}
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
    "signature": _OBJECT | {"description": "The tensors of the file's graph."},
    "request": {
        "type": ["object", "null"],
        "description": "What callers send and get, with the declared steps: `inputs`, `outputs`, and as `example` a "
        "body for the address predictions. null where the version cannot be asked.",
    },
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
_APPROVAL = {"enum": ["four-eyes", "direct"]}
_IN_FORCE = _COUNT | {"description": "The version in force now; 0: none."}
WORKFLOW = _object(
    name=_STRING,
    description=_STRING,
    approval=_APPROVAL,
    version=_IN_FORCE,
    rule_set=_STRING,
    definition=_OBJECT,
)
RULE_SET = _object(name=_STRING, description=_STRING, approval=_APPROVAL, version=_IN_FORCE, definition=_OBJECT)
_AUTHORED_VERSION = {
    "name": _STRING,
    "version": _COUNT,
    "state": {"enum": ["draft", "failing", "tested", "waiting", "approved", "published", "retired"]},
    "digest": _STRING,
    "note": _STRING,
    "created_at": _TIME,
    "created_by": _STRING,
}
AUTHORED_VERSION = _object(**_AUTHORED_VERSION, definition=_OBJECT)
AUTHORED_VERSIONS = _object(versions={"type": "array", "items": _object(**_AUTHORED_VERSION)})
PUBLICATION = _object(
    id=_COUNT,
    name=_STRING,
    version=_COUNT,
    effective_from=_TIME,
    effective_until=_TIME_OR_NULL,
    is_in_force={"type": "boolean"},
    is_rollback={"type": "boolean"},
    reason=_STRING,
    change=_VERSION_OR_NULL | {"description": "The change request that allowed it."},
    published_at=_TIME,
    published_by=_STRING,
    cancelled_at=_TIME_OR_NULL,
    cancelled_by=_STRING,
    cancel_reason=_STRING,
)
AUTHORED_POLICY = _object(name=_STRING, approval=_APPROVAL)
PUBLICATIONS = _object(publications={"type": "array", "items": PUBLICATION})
AUTHORED_COMPARISON = _object(
    left=_COUNT,
    right=_COUNT,
    fields={"type": "array", "items": _object(pointer=_STRING, change=_STRING, left={}, right={})},
    rows={
        "type": "array",
        "items": _object(
            table=_STRING,
            change={"enum": ["added", "removed", "changed", "moved"]},
            left={"type": ["integer", "null"]},
            right={"type": ["integer", "null"]},
            cells={"type": "array", "items": _object(column=_STRING, left=_STRING_OR_NULL, right=_STRING_OR_NULL)},
        ),
    },
)
TEST_CASES = _object(tests={"type": "array", "items": _object(case=_OBJECT, changed_at=_TIME, changed_by=_STRING)})
_CASE_RESULT = _object(
    name=_STRING,
    passed={"type": "boolean"},
    expected=_OBJECT,
    got=_OBJECT,
    differences={"type": "array", "items": _object(pointer=_STRING, expected=_STRING, got=_STRING)},
)
TEST_RUN = _object(
    name=_STRING,
    version=_COUNT,
    passed={"type": "boolean"},
    count=_COUNT,
    failed=_COUNT,
    results={"type": "array", "items": _CASE_RESULT},
)
_STARTER = _object(
    name=_STRING,
    title=_STRING,
    audience=_STRING,
    summary=_STRING,
    caution=_STRING,
    samples={"type": "array", "items": _object(title=_STRING, body=_OBJECT)},
    installed_as={"type": "array", "items": _STRING},
)
STARTERS = _object(starters={"type": "array", "items": _STARTER})
INSTALLATION = _object(
    name=_STRING,
    starter=_STRING,
    state=_STRING,
    done=_COUNT,
    steps={"type": "array", "items": _STRING},
    problem=_STRING,
    requested_by=_STRING,
    created_at=_TIME,
    finished_at=_TIME_OR_NULL,
    **{"try": _STRING | {"description": "Where requests to it go, once it is installed."}},
)
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
IMPORTED_RULE_SET = _object(
    name=_STRING,
    version=_COUNT,
    digest=_STRING,
    definition=_OBJECT,
    is_unchanged={"type": "boolean", "description": "Whether the version was there already, and nothing changed."},
)
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
_ACTION = {
    "action_id": _STRING,
    "decision_id": _STRING,
    "workflow": _STRING,
    "kind": _STRING,
    "settings": _OBJECT,
    "state": {"enum": ["pending", "delivered", "dead", "cancelled"]},
    "target": _STRING_OR_NULL | {"description": "Such as webhook:shop; null for one that was not tried yet."},
    "attempts": _COUNT,
    "next_attempt_at": _TIME_OR_NULL,
    "finished_at": _TIME_OR_NULL,
    "created_at": _TIME,
}
_ATTEMPT = _object(
    number=_COUNT,
    started_at=_TIME,
    duration_ms={"type": "number"},
    is_success={"type": "boolean"},
    status_code={"type": ["integer", "null"]},
    detail=_STRING,
)
ACTION = _object(**_ACTION)
_KIND = _object(
    kind=_STRING,
    description=_STRING,
    needs_subject={"type": "boolean", "description": "Whether the workflow must name its subject."},
    settings=_OBJECT | {"description": "JSON Schema of what an action says beside kind and ordered."},
)
ACTION_KINDS = _object(kinds={"type": "array", "items": _KIND})
ACTION_WITH_ATTEMPTS = _object(**_ACTION, history={"type": "array", "items": _ATTEMPT})
REDRIVEN = _object(redriven=_COUNT, left=_COUNT)
DELIVERY_TARGET = _object(
    target=_STRING,
    breaker={
        "enum": ["closed", "open", "half-open"],
        "description": "open: it failed several times in a row and is left alone; half-open: a probe is to go.",
    },
    failures=_COUNT | {"description": "In a row."},
    problem=_STRING,
    failed_at=_TIME_OR_NULL,
    opened_at=_TIME_OR_NULL,
    open_until=_TIME_OR_NULL,
    waiting=_COUNT | {"description": "Actions that had to wait for it."},
    dead=_COUNT | {"description": "Actions that were given up."},
)
TRIED_TARGET = _object(is_success={"type": "boolean"}, status_code={"type": ["integer", "null"]}, detail=_STRING)
_ENDPOINT = {
    "name": _STRING,
    "url": _STRING,
    "is_active": {"type": "boolean"},
    "target": _STRING,
    "created_at": _TIME,
}
WEBHOOK_ENDPOINT = _object(**_ENDPOINT)
SAVED_ENDPOINT = _object(**_ENDPOINT, secret=_STRING)
_FLAG = {"name": _STRING, "is_held": {"type": "boolean"}, "changed_at": _TIME_OR_NULL}
_FLAG_CHANGE = _object(
    change_id=_STRING,
    is_held={"type": "boolean"},
    is_applied={"type": "boolean", "description": "false: it came late, and a later change was in force."},
    actor=_STRING,
    reason=_STRING,
    decision_id=_STRING_OR_NULL,
    made_at=_TIME,
)
FLAGS = _object(subject=_STRING, is_held={"type": "boolean"}, flags={"type": "array", "items": _object(**_FLAG)})
FLAG_WITH_HISTORY = _object(**_FLAG, history={"type": "array", "items": _FLAG_CHANGE})
_ID_OR_NULL = {"type": ["string", "null"], "format": "uuid"}
_REVIEW = {
    "review_id": _COUNT,
    "title": _STRING,
    "state": {"enum": ["open", "settled"]},
    "priority": {"enum": ["low", "normal", "high"]},
    "due_at": _TIME_OR_NULL,
    "is_overdue": {"type": "boolean"},
    "decision_id": _STRING,
    "workflow": _STRING,
    "request_id": _STRING,
    "subject": _STRING,
    "outcome": _STRING | {"description": "What the rules said."},
    "created_at": _TIME,
    "assigned_to": _STRING | {"description": "The actor who works on it; empty: nobody."},
    "assigned_at": _TIME_OR_NULL,
    "verdict": {"enum": ["", "approved", "rejected", "changed"]},
    "final_outcome": _STRING | {"description": "What the verdict led to; empty while it is open."},
    "new_decision_id": _ID_OR_NULL | {"description": "The decision that the verdict made."},
    "reason": _STRING,
    "settled_at": _TIME_OR_NULL,
    "settled_by": _STRING,
}
REVIEW = _object(**_REVIEW)
_ANSWERS = _object(approve=_STRING, reject=_STRING, outcomes=_STRINGS) | {
    "description": "The outcomes that approving and rejecting lead to, and all that the verdict changed may name."
}
_COMMENT = _object(actor=_STRING, text=_STRING, created_at=_TIME)
CASE = _object(
    **_REVIEW, answers=_ANSWERS, input=_OBJECT, decision=DECISION, comments={"type": "array", "items": _COMMENT}
)
NEXT_CASE = _object(review={"oneOf": [CASE, {"type": "null"}], "description": "null: nothing waits for the caller."})
AUDIT_EVENT = _object(
    id=_COUNT,
    occurred_at=_TIME,
    action=_STRING,
    actor=_STRING,
    subject=_STRING,
    request_id=_STRING,
    details=_OBJECT,
    digest=_STRING,
)
_HEADER = {
    "count": _COUNT,
    "number": _COUNT,
    "previous": _STRING,
    "root": _STRING,
    "sealed_at": _TIME,
    "skip": _STRING,
    "stream": _STRING,
    "digest": _STRING,
}
SEAL = _object(**_HEADER)
PROOF = _object(
    format=_STRING,
    stream=_STRING,
    id=_STRING,
    canonical=_STRING | {"description": "The text whose sha256 was sealed."},
    record_id=_STRING,
    place=_COUNT,
    path={"type": "array", "items": _STRING},
    seals={"type": "array", "items": SEAL, "description": "From the newest down to the one that covers the row."},
)
PROOF["properties"] |= {
    "salt": _STRING | {"description": "With the content, of a decision that was not erased."},
    "content": _STRING | {"description": "What the commitment in the canonical text is made of."},
    "names": _object(workflow=_STRING, workflow_version=_COUNT, rule_set=_STRING, rule_set_version=_COUNT)
    | {"description": "Of a decision: the versions as people know them. Told beside, and not under the seal."},
}
VERIFICATION = _object(
    verification_id=_STRING,
    state={"enum": ["queued", "running", "passed", "failed", "broken"]},
    since_seal=_COUNT,
    head=_COUNT,
    rows=_COUNT,
    total=_COUNT,
    report=_OBJECT | {"description": "Counts, and the first findings: kind, stream, id, seal, expected, found."},
    problem=_STRING | {"description": "Why it is broken."},
    requested_by=_STRING,
    created_at=_TIME,
    started_at=_TIME_OR_NULL,
    finished_at=_TIME_OR_NULL,
)
ERASED = _object(
    erasure_id=_STRING_OR_NULL | {"description": "Of the audit event, whose subject is erasure:ID; null in a dry run."},
    dry_run={"type": "boolean", "description": "Nothing was erased; the counts say what would go."},
    decisions=_COUNT,
    actions=_COUNT | {"description": "Cancelled before they were delivered."},
    comments=_COUNT | {"description": "Of reviews."},
    test_cases=_COUNT,
    flags=_COUNT,
    list_entries=_COUNT | {"description": "Of look-up lists, those of past versions among them."},
    backtest_rows=_COUNT | {"description": "Of files whose back-tests are not finished."},
    backtest_amounts=_COUNT | {"description": "Beside rows that a back-test found to change."},
    calls=_COUNT | {"description": "Deferred ones."},
    answers=_COUNT | {"description": "Kept for writes under an Idempotency-Key."},
    events=_COUNT | {"description": "Views, baskets and purchases; an import does not bring them back."},
    recommendations=_COUNT | {"description": "Lists that bulk jobs stored, published or not."},
    lists={"type": "object", "additionalProperties": _COUNT, "description": "Entries by the name of the list."},
    left=_object(
        tables={"type": "object", "additionalProperties": _COUNT, "description": "Decisions by detached table."},
        lists=_STRINGS | {"description": "Look-up lists whose description names the subject."},
        audit_events={"type": "array", "items": _COUNT, "description": "Ids; reasons that name the subject."},
    )
    | {"description": "What an erasure does not reach; empty where one workflow was named."},
)
