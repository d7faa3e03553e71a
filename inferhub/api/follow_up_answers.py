"""What callers get of what follows decisions, as JSON Schema: actions, flags, reviews, the audit log, erasure."""

from inferhub.api.answers import DECISION
from inferhub.api.shapes import COUNT, OBJECT, STRING, STRING_OR_NULL, STRINGS, TIME, TIME_OR_NULL, object_of

_ACTION = {
    "action_id": STRING,
    "decision_id": STRING,
    "workflow": STRING,
    "kind": STRING,
    "settings": OBJECT,
    "state": {"enum": ["pending", "delivered", "dead", "cancelled"]},
    "target": STRING_OR_NULL | {"description": "Such as webhook:shop; null for one that was not tried yet."},
    "attempts": COUNT,
    "next_attempt_at": TIME_OR_NULL,
    "finished_at": TIME_OR_NULL,
    "created_at": TIME,
}
_ATTEMPT = object_of(
    number=COUNT,
    started_at=TIME,
    duration_ms={"type": "number"},
    is_success={"type": "boolean"},
    status_code={"type": ["integer", "null"]},
    detail=STRING,
)
ACTION = object_of(**_ACTION)
_KIND = object_of(
    kind=STRING,
    description=STRING,
    needs_subject={"type": "boolean", "description": "Whether the workflow must name its subject."},
    settings=OBJECT | {"description": "JSON Schema of what an action says beside kind and ordered."},
)
ACTION_KINDS = object_of(kinds={"type": "array", "items": _KIND})
ACTION_WITH_ATTEMPTS = object_of(**_ACTION, history={"type": "array", "items": _ATTEMPT})
REDRIVEN = object_of(redriven=COUNT, left=COUNT)
DELIVERY_TARGET = object_of(
    target=STRING,
    breaker={
        "enum": ["closed", "open", "half-open"],
        "description": "open: it failed several times in a row and is left alone; half-open: a probe is to go.",
    },
    failures=COUNT | {"description": "In a row."},
    problem=STRING,
    failed_at=TIME_OR_NULL,
    opened_at=TIME_OR_NULL,
    open_until=TIME_OR_NULL,
    waiting=COUNT | {"description": "Actions that had to wait for it."},
    dead=COUNT | {"description": "Actions that were given up."},
)
TRIED_TARGET = object_of(is_success={"type": "boolean"}, status_code={"type": ["integer", "null"]}, detail=STRING)
_ENDPOINT = {
    "name": STRING,
    "url": STRING,
    "is_active": {"type": "boolean"},
    "target": STRING,
    "created_at": TIME,
}
WEBHOOK_ENDPOINT = object_of(**_ENDPOINT)
SAVED_ENDPOINT = object_of(**_ENDPOINT, secret=STRING)
_FLAG = {"name": STRING, "is_held": {"type": "boolean"}, "changed_at": TIME_OR_NULL}
_FLAG_CHANGE = object_of(
    change_id=STRING,
    is_held={"type": "boolean"},
    is_applied={"type": "boolean", "description": "false: it came late, and a later change was in force."},
    actor=STRING,
    reason=STRING,
    decision_id=STRING_OR_NULL,
    made_at=TIME,
)
FLAGS = object_of(subject=STRING, is_held={"type": "boolean"}, flags={"type": "array", "items": object_of(**_FLAG)})
FLAG_WITH_HISTORY = object_of(**_FLAG, history={"type": "array", "items": _FLAG_CHANGE})
_ID_OR_NULL = {"type": ["string", "null"], "format": "uuid"}
_REVIEW = {
    "review_id": COUNT,
    "title": STRING,
    "state": {"enum": ["open", "settled"]},
    "priority": {"enum": ["low", "normal", "high"]},
    "due_at": TIME_OR_NULL,
    "is_overdue": {"type": "boolean"},
    "decision_id": STRING,
    "workflow": STRING,
    "request_id": STRING,
    "subject": STRING,
    "outcome": STRING | {"description": "What the rules said."},
    "created_at": TIME,
    "assigned_to": STRING | {"description": "The actor who works on it; empty: nobody."},
    "assigned_at": TIME_OR_NULL,
    "verdict": {"enum": ["", "approved", "rejected", "changed"]},
    "final_outcome": STRING | {"description": "What the verdict led to; empty while it is open."},
    "new_decision_id": _ID_OR_NULL | {"description": "The decision that the verdict made."},
    "reason": STRING,
    "settled_at": TIME_OR_NULL,
    "settled_by": STRING,
}
REVIEW = object_of(**_REVIEW)
_ANSWERS = object_of(approve=STRING, reject=STRING, outcomes=STRINGS) | {
    "description": "The outcomes that approving and rejecting lead to, and all that the verdict changed may name."
}
_COMMENT = object_of(actor=STRING, text=STRING, created_at=TIME)
CASE = object_of(
    **_REVIEW, answers=_ANSWERS, input=OBJECT, decision=DECISION, comments={"type": "array", "items": _COMMENT}
)
NEXT_CASE = object_of(review={"oneOf": [CASE, {"type": "null"}], "description": "null: nothing waits for the caller."})
AUDIT_EVENT = object_of(
    id=COUNT,
    occurred_at=TIME,
    action=STRING,
    actor=STRING,
    subject=STRING,
    request_id=STRING,
    details=OBJECT,
    digest=STRING,
)
_HEADER = {
    "count": COUNT,
    "number": COUNT,
    "previous": STRING,
    "root": STRING,
    "sealed_at": TIME,
    "skip": STRING,
    "stream": STRING,
    "digest": STRING,
}
SEAL = object_of(**_HEADER)
PROOF = object_of(
    format=STRING,
    stream=STRING,
    id=STRING,
    canonical=STRING | {"description": "The text whose sha256 was sealed."},
    record_id=STRING,
    place=COUNT,
    path={"type": "array", "items": STRING},
    seals={"type": "array", "items": SEAL, "description": "From the newest down to the one that covers the row."},
)
PROOF["properties"] |= {
    "salt": STRING | {"description": "With the content, of a decision that was not erased."},
    "content": STRING | {"description": "What the commitment in the canonical text is made of."},
    "names": object_of(workflow=STRING, workflow_version=COUNT, rule_set=STRING, rule_set_version=COUNT)
    | {"description": "Of a decision: the versions as people know them. Told beside, and not under the seal."},
}
VERIFICATION = object_of(
    verification_id=STRING,
    state={"enum": ["queued", "running", "passed", "failed", "broken"]},
    since_seal=COUNT,
    head=COUNT,
    rows=COUNT,
    total=COUNT,
    report=OBJECT | {"description": "Counts, and the first findings: kind, stream, id, seal, expected, found."},
    problem=STRING | {"description": "Why it is broken."},
    requested_by=STRING,
    created_at=TIME,
    started_at=TIME_OR_NULL,
    finished_at=TIME_OR_NULL,
)
ERASED = object_of(
    erasure_id=STRING_OR_NULL | {"description": "Of the audit event, whose subject is erasure:ID; null in a dry run."},
    dry_run={"type": "boolean", "description": "Nothing was erased; the counts say what would go."},
    decisions=COUNT,
    actions=COUNT | {"description": "Cancelled before they were delivered."},
    comments=COUNT | {"description": "Of reviews."},
    test_cases=COUNT,
    flags=COUNT,
    list_entries=COUNT | {"description": "Of look-up lists, those of past versions among them."},
    backtest_rows=COUNT | {"description": "Of files whose back-tests are not finished."},
    backtest_amounts=COUNT | {"description": "Beside rows that a back-test found to change."},
    calls=COUNT | {"description": "Deferred ones."},
    answers=COUNT | {"description": "Kept for writes under an Idempotency-Key."},
    events=COUNT | {"description": "Views, baskets and purchases; an import does not bring them back."},
    recommendations=COUNT | {"description": "Lists that bulk jobs stored, published or not."},
    lists={"type": "object", "additionalProperties": COUNT, "description": "Entries by the name of the list."},
    left=object_of(
        tables={"type": "object", "additionalProperties": COUNT, "description": "Decisions by detached table."},
        lists=STRINGS | {"description": "Look-up lists whose description names the subject."},
        audit_events={"type": "array", "items": COUNT, "description": "Ids; reasons that name the subject."},
    )
    | {"description": "What an erasure does not reach; empty where one workflow was named."},
)
