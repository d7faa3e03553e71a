"""A decision that is made but not yet written: a JSON object with its columns, its actions and what its event says.

The JSON is made by the thread that decides, so that whoever writes many drafts has only to put them one after another.
It says each thing once: what event and actions share with the decision, `inferhub.decisions.log_statement` repeats.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from django.utils import timezone

from inferhub.audit.services import event_values
from inferhub.decisions.digests import commitment_of, digest_of_fields, new_salt
from inferhub.decisions.engine import Verdict
from inferhub.decisions.lanes import lane_number
from inferhub.decisions.queries import PublishedWorkflow
from inferhub.lib.canonical import encode_both
from inferhub.lib.ids import uuid7
from inferhub.lib.moments import iso_text
from inferhub.rulesets.queries import RuleSetPlan

MADE = "decision.made"
"""The audit event of a decision."""


class DraftAction(NamedTuple):
    """An action that will be pending once the decision is written."""

    id: uuid.UUID
    kind: str


class Draft(NamedTuple):
    """What is to be written, and what is told of it."""

    id: uuid.UUID
    published: PublishedWorkflow
    rules: RuleSetPlan
    request_id: str
    verdict: Verdict
    actions: tuple[DraftAction, ...]
    digest: str
    created_at: datetime
    row: bytes


def make_draft(
    published: PublishedWorkflow,
    rules: RuleSetPlan,
    verdict: Verdict,
    facts_in: Mapping[str, Any],
    *,
    request_id: str,
    actor: str,
) -> Draft:
    decision_id, now = uuid7(), timezone.now()
    content, canonical = encode_both(
        {
            "input": facts_in,
            "outputs": verdict.outputs,
            "predictions": verdict.predictions,
            "subject": verdict.subject,
            "trace": verdict.trace,
        }
    )
    salt = new_salt()
    commitment = commitment_of(salt, canonical)
    fixed = {
        "id": str(decision_id),
        "request_id": request_id,
        "outcome": verdict.outcome,
        "actor": actor,
        "created_at": iso_text(now),
        "timings": verdict.timings,
    }
    digest = digest_of_fields(
        {
            **fixed,
            "workflow": published.workflow_id,
            "workflow_version": published.version_id,
            "rule_set_version": rules.version_id,
        },
        commitment,
    )
    actions = tuple([DraftAction(id=uuid7(), kind=settings["kind"]) for settings in verdict.actions])
    event = event_values(
        MADE,
        actor=actor,
        subject=f"decision:{fixed['id']}",
        details={"outcome": verdict.outcome, "digest": digest, "actions": len(actions)},
        occurred_at=now,
    )
    row = {
        **fixed,
        "workflow_id": published.workflow_id,
        "version_id": published.version_id,
        "rule_set_version_id": rules.version_id,
        "salt": salt,
        "commitment": commitment,
        "digest": digest,
        "actions": _action_rows(actions, verdict, published.plan.lanes.get(verdict.outcome)),
        "event_request_id": event["request_id"],
        "event_details": event["details"],
        "event_digest": event["digest"],
    }
    return Draft(
        id=decision_id,
        published=published,
        rules=rules,
        request_id=request_id,
        verdict=verdict,
        actions=actions,
        digest=digest,
        created_at=now,
        row=b"%b,%b" % (orjson.dumps(row)[:-1], content[1:]),  # one object out of two
    )


def _action_rows(
    actions: tuple[DraftAction, ...], verdict: Verdict, places: tuple[str, ...] | None
) -> list[dict[str, Any]]:
    """`places`: what each action queues up for, where any of them has to keep the order."""
    rows: list[dict[str, Any]] = [
        {"id": action.id, "kind": action.kind, "settings": settings}
        for action, settings in zip(actions, verdict.actions, strict=True)
    ]
    if places is not None and len(places) == len(rows):
        for row, place in zip(rows, places, strict=True):
            row["lane"] = lane_number(place, verdict.subject)
    return rows
