"""What callers get, as JSON Schema, for the documentation and for tests that hold answers against it.

Of calls, models, workflows, rule sets, lists and jobs; what follows decisions is in `follow_up_answers`.
"""

from inferhub.api.shapes import COUNT, OBJECT, STRING, STRING_OR_NULL, STRINGS, TIME, TIME_OR_NULL, object_of

_MODEL_USED = {"model": STRING, "version": {"type": "integer", "minimum": 1}, "digest": STRING}

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
        object_of(reasons={"type": "array", "items": STRING}),
    ],
}
PREDICTION = object_of(
    **_MODEL_USED, predictions={"type": "array", "items": OBJECT}, duration_ms={"type": "number", "minimum": 0}
)
PREDICTION["properties"]["explanations"] = {"type": "array", "items": _EXPLANATION, "description": "Where asked for."}
_RECOMMENDED = object_of(item_id=STRING, score={"type": "number"}, reason=STRING)
_BOOST = object_of(factor={"type": "number", "minimum": 0}, rule=STRING)
_BOOST["properties"]["problem"] = STRING | {"description": "Why the rules could not judge the item."}
_RECOMMENDED["properties"]["boost"] = _BOOST | {"description": "Where a rule of the scenario moved the item."}
RECOMMENDATION = object_of(
    scenario=STRING, user_id=STRING_OR_NULL, items={"type": "array", "items": _RECOMMENDED}, **_MODEL_USED
)
STORED_RECOMMENDATION = object_of(
    scenario=STRING,
    user_id=STRING,
    items={"type": "array", "items": _RECOMMENDED},
    **_MODEL_USED,
    generation={"type": "integer"},
    published_at=TIME,
)
PROBLEM = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "properties": {
        "type": STRING,
        "title": STRING,
        "status": {"type": "integer"},
        "detail": STRING,
        "errors": {"type": "array", "items": object_of(pointer=STRING, expected=STRING, got=STRING)},
        "request_id": STRING,
    },
    "required": ["type", "title", "status", "detail"],
}
DECISION = object_of(
    decision_id={"type": ["string", "null"], "format": "uuid"},
    workflow=STRING,
    workflow_version=COUNT,
    rule_set=STRING,
    rule_set_version=COUNT,
    request_id=STRING,
    subject=STRING,
    outcome=STRING,
    outputs=OBJECT,
    predictions=OBJECT,
    trace={"type": ["object", "null"]},
    actions={"type": "array", "items": object_of(action_id=STRING_OR_NULL, kind=STRING, state=STRING)},
    timings_ms=OBJECT,
    digest=STRING_OR_NULL,
    decided_at=TIME,
    is_repeat={"type": "boolean"},
)
DECISION["properties"]["reviewed_decision_id"] = STRING | {
    "format": "uuid",
    "description": "Only of a decision that a person made: the one that was reviewed.",
}
REPLAY = object_of(
    decision_id={"type": "string", "format": "uuid"},
    is_equal={"type": "boolean"},
    differences={"type": "array", "items": object_of(pointer=STRING, stored={}, replayed={})},
    problem=STRING | {"description": "Why it could not be decided again; empty where it could."},
    takes_failure={"type": "boolean", "description": "A prediction had failed; its error was taken as recorded."},
)
DECISIONS = {
    "description": "One decision, or the results of the rows in their order.",
    "oneOf": [
        DECISION,
        object_of(
            results={
                "type": "array",
                "items": object_of(
                    status={"type": "integer", "description": "What the row alone would have been answered with."},
                    decision={"oneOf": [DECISION, {"type": "null"}]},
                    problem={"oneOf": [PROBLEM, {"type": "null"}]},
                ),
            }
        ),
    ],
}
DEFERRED = object_of(
    call_id=STRING,
    url=STRING,
    state={"enum": ["queued", "running", "succeeded", "failed"]},
    answer={"type": ["object", "null"]},
    problem={"type": ["object", "null"]},
)
MODEL = object_of(
    name=STRING,
    task=STRING,
    description=STRING,
    owner=STRING,
    tags=STRINGS,
    approval={"enum": ["four-eyes", "direct"]},
    gates=OBJECT,
    aliases=OBJECT,
    latest_version=COUNT,
    created_at=TIME,
)
_NUMBER_OR_NULL = {"type": ["number", "null"]}
SHADOW = object_of(
    model=STRING,
    alias=STRING,
    shadow_version={"type": ["integer", "null"]},
    since=TIME_OR_NULL,
    until=TIME_OR_NULL,
    requests=COUNT,
    compared=COUNT,
    equal=COUNT,
    share_equal=_NUMBER_OR_NULL,
    flipped=COUNT,
    failed=COUNT,
    left_out=COUNT,
    largest_difference=_NUMBER_OR_NULL,
    version_ms=_NUMBER_OR_NULL,
    shadow_ms=_NUMBER_OR_NULL,
    differences={"type": "array", "items": object_of(up_to=_NUMBER_OR_NULL, count=COUNT)},
    problem=STRING,
)
_MODEL_VERSION = {
    "model": STRING,
    "version": COUNT,
    "state": {"enum": ["validating", "ready", "rejected", "archived"]},
    "state_reason": STRING,
    "digest": STRING,
    "size": COUNT,
    "signature": OBJECT | {"description": "The tensors of the file's graph."},
    "request": {
        "type": ["object", "null"],
        "description": "What callers send and get, with the declared steps: `inputs`, `outputs`, and as `example` a "
        "body for the address predictions. null where the version cannot be asked.",
    },
    "labels": {"type": "array"},
    "aliases": STRINGS,
    "certificate": OBJECT,
    "metrics": OBJECT,
    "lineage": OBJECT,
    "measured": OBJECT,
    "steps": OBJECT,
    "model_card": STRING,
    "notes": STRING,
    "created_at": TIME,
    "created_by": STRING,
}
MODEL_VERSION = object_of(**_MODEL_VERSION)
_CHANGE_ADDRESS = STRING_OR_NULL | {"description": "The change request that the alias waits for."}
REGISTERED_VERSION = object_of(**_MODEL_VERSION, change=_CHANGE_ADDRESS)
_VERSION_OR_NULL = {"type": ["integer", "null"]}
ALIAS = object_of(
    model=STRING,
    alias=STRING,
    version=COUNT,
    previous_version=_VERSION_OR_NULL | {"description": "Where a rollback leads."},
    canary_version=_VERSION_OR_NULL,
    canary_percent=COUNT,
    shadow_version=_VERSION_OR_NULL,
    change=_VERSION_OR_NULL | {"description": "The change request that allowed the last move."},
    moved_at=TIME,
)
_CHANGE = {
    "id": COUNT,
    "kind": STRING,
    "subject": STRING,
    "payload": OBJECT,
    "reason": STRING,
    "evidence": OBJECT | {"description": "What spoke for it when it was asked for: the gates."},
    "requested_by": STRING,
    "requested_at": TIME,
    "state": {"enum": ["pending", "approved", "rejected", "withdrawn"]},
    "decided_by": STRING,
    "decided_at": TIME_OR_NULL,
    "decision_reason": STRING,
    "applied_at": TIME_OR_NULL,
}
CHANGE = object_of(**_CHANGE)
_NOW = {
    "type": ["object", "null"],
    "description": "What speaks for a pending one at this moment, or why it cannot be carried out (`refused`).",
}
CHANGE_NOW = object_of(**_CHANGE, now=_NOW)
_LINES = {"type": "array", "items": object_of(name=STRING, left={}, right={}, is_same={"type": "boolean"})}
COMPARISON = object_of(left=COUNT, right=COUNT, properties=_LINES, tensors=_LINES, metrics=_LINES)
_APPROVAL = {"enum": ["four-eyes", "direct"]}
_IN_FORCE = COUNT | {"description": "The version in force now; 0: none."}
WORKFLOW = object_of(
    name=STRING,
    description=STRING,
    approval=_APPROVAL,
    version=_IN_FORCE,
    rule_set=STRING,
    definition=OBJECT,
)
RULE_SET = object_of(name=STRING, description=STRING, approval=_APPROVAL, version=_IN_FORCE, definition=OBJECT)
_AUTHORED_VERSION = {
    "name": STRING,
    "version": COUNT,
    "state": {"enum": ["draft", "failing", "tested", "waiting", "approved", "published", "retired"]},
    "digest": STRING,
    "note": STRING,
    "created_at": TIME,
    "created_by": STRING,
}
AUTHORED_VERSION = object_of(**_AUTHORED_VERSION, definition=OBJECT)
FINDINGS = {
    "type": "array",
    "description": "What the check of the tables found: rows that never decide, that overlap, facts without a row.",
    "items": object_of(
        pointer=STRING | {"description": "The row in the definition, or the table."},
        kind={"enum": ["comma", "dead_row", "gap", "overlap", "undetermined"]},
        severity={"enum": ["error", "warning", "info"]},
        rows={"type": "array", "items": COUNT, "description": "Indices of rules, the row concerned first."},
        message=STRING | {"description": "Counts rows from 1."},
        example={"type": ["object", "null"], "description": "Facts by input field that show it."},
    ),
}
SAVED_RULE_SET = object_of(**_AUTHORED_VERSION, definition=OBJECT, findings=FINDINGS)
AUTHORED_VERSIONS = object_of(versions={"type": "array", "items": object_of(**_AUTHORED_VERSION)})
PUBLICATION = object_of(
    id=COUNT,
    name=STRING,
    version=COUNT,
    effective_from=TIME,
    effective_until=TIME_OR_NULL,
    is_in_force={"type": "boolean"},
    is_rollback={"type": "boolean"},
    reason=STRING,
    change=_VERSION_OR_NULL | {"description": "The change request that allowed it."},
    published_at=TIME,
    published_by=STRING,
    cancelled_at=TIME_OR_NULL,
    cancelled_by=STRING,
    cancel_reason=STRING,
)
AUTHORED_POLICY = object_of(name=STRING, approval=_APPROVAL)
PUBLICATIONS = object_of(publications={"type": "array", "items": PUBLICATION})
AUTHORED_COMPARISON = object_of(
    left=COUNT,
    right=COUNT,
    fields={"type": "array", "items": object_of(pointer=STRING, change=STRING, left={}, right={})},
    rows={
        "type": "array",
        "items": object_of(
            table=STRING,
            change={"enum": ["added", "removed", "changed", "moved"]},
            left={"type": ["integer", "null"]},
            right={"type": ["integer", "null"]},
            cells={"type": "array", "items": object_of(column=STRING, left=STRING_OR_NULL, right=STRING_OR_NULL)},
        ),
    },
)
TEST_CASES = object_of(tests={"type": "array", "items": object_of(case=OBJECT, changed_at=TIME, changed_by=STRING)})
_CASE_RESULT = object_of(
    name=STRING,
    passed={"type": "boolean"},
    expected=OBJECT,
    got=OBJECT,
    differences={"type": "array", "items": object_of(pointer=STRING, expected=STRING, got=STRING)},
)
TEST_RUN = object_of(
    name=STRING,
    version=COUNT,
    passed={"type": "boolean"},
    count=COUNT,
    failed=COUNT,
    results={"type": "array", "items": _CASE_RESULT},
)
_STARTER = object_of(
    name=STRING,
    title=STRING,
    audience=STRING,
    summary=STRING,
    caution=STRING,
    samples={"type": "array", "items": object_of(title=STRING, body=OBJECT)},
    installed_as={"type": "array", "items": STRING},
)
STARTERS = object_of(starters={"type": "array", "items": _STARTER})
INSTALLATION = object_of(
    name=STRING,
    starter=STRING,
    state=STRING,
    done=COUNT,
    steps={"type": "array", "items": STRING},
    problem=STRING,
    requested_by=STRING,
    created_at=TIME,
    finished_at=TIME_OR_NULL,
    **{"try": STRING | {"description": "Where requests to it go, once it is installed."}},
)
JOB = object_of(
    job_id=STRING,
    kind=STRING,
    scenario=STRING,
    state={"enum": ["queued", "running", "succeeded", "failed"]},
    total=COUNT,
    done=COUNT,
    problem=STRING,
    requested_by=STRING,
    created_at=TIME,
    started_at=TIME_OR_NULL,
    finished_at=TIME_OR_NULL,
)
IMPORTED_RULE_SET = object_of(
    name=STRING,
    version=COUNT,
    digest=STRING,
    definition=OBJECT,
    is_unchanged={"type": "boolean", "description": "Whether the version was there already, and nothing changed."},
    findings=FINDINGS,
)
LOOKUP_LIST = object_of(name=STRING, description=STRING, version=COUNT, entries=COUNT, created_at=TIME)
LIST_ENTRY = object_of(
    value=STRING,
    note=STRING,
    expires_at=TIME_OR_NULL,
    added_in=COUNT,
    removed_in=_VERSION_OR_NULL | {"description": "The version from which on it is not on the list."},
)
LIST_VERSION = object_of(version=COUNT, added=COUNT, removed=COUNT, reason=STRING, created_at=TIME, created_by=STRING)
LIST_CHANGE = object_of(version=COUNT, added=COUNT, removed=COUNT)
