"""A decision that is made but not yet written: its row, its actions and its audit event, as JSON objects by column.

The JSON is made by the thread that decides, so that whoever writes many drafts has only to put them one after another.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.utils import timezone

from inferhub.audit.services import event_values
from inferhub.decisions.digests import commitment_of, digest_of_fields, new_salt
from inferhub.decisions.engine import Verdict
from inferhub.decisions.lanes import lane_number
from inferhub.decisions.models import ActionState
from inferhub.decisions.queries import PublishedWorkflow
from inferhub.lib.canonical import encode_both
from inferhub.lib.ids import uuid7
from inferhub.rulesets.queries import RuleSetPlan


@dataclass(frozen=True, kw_only=True, slots=True)
class DraftAction:
    """An action that will be pending once the decision is written."""

    id: uuid.UUID
    kind: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What is to be written, and what is told of it."""

    id: uuid.UUID
    published: PublishedWorkflow
    rules: RuleSetPlan
    request_id: str
    verdict: Verdict
    actions: tuple[DraftAction, ...]
    digest: str
    created_at: datetime
    decision_row: bytes
    action_rows: tuple[bytes, ...]
    event_row: bytes


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
    given = {
        "input": facts_in,
        "outputs": verdict.outputs,
        "predictions": verdict.predictions,
        "subject": verdict.subject,
        "trace": verdict.trace,
    }
    texts = {name: encode_both(value) for name, value in given.items()}
    salt = new_salt()
    commitment = commitment_of(salt, _canonical_object(texts))
    fixed = {
        "id": str(decision_id),
        "request_id": request_id,
        "outcome": verdict.outcome,
        "actor": actor,
        "created_at": now.isoformat(),
    }
    versions = {
        "workflow": published.workflow_id,
        "workflow_version": published.version_id,
        "rule_set_version": rules.version_id,
    }
    digest = digest_of_fields(fixed | versions | {"timings": verdict.timings}, commitment)
    actions = tuple([DraftAction(id=uuid7(), kind=settings["kind"]) for settings in verdict.actions])
    row = fixed | {
        "workflow_id": published.workflow_id,
        "version_id": published.version_id,
        "rule_set_version_id": rules.version_id,
        "timings": verdict.timings,
        "salt": salt,
        "commitment": commitment,
        "digest": digest,
        **{name: orjson.Fragment(text) for name, (text, _) in texts.items()},
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
        decision_row=orjson.dumps(row),
        action_rows=_action_rows(actions, verdict, fixed, published.plan.lanes.get(verdict.outcome)),
        event_row=_event_row(fixed, digest, len(actions), now),
    )


def _canonical_object(texts: Mapping[str, tuple[bytes, bytes]]) -> bytes:
    """The canonical form of an object from those of its members, which stand in the order of their names."""
    return b"{" + b",".join([b'"%s":%s' % (name.encode(), canonical) for name, (_, canonical) in texts.items()]) + b"}"


def _action_rows(
    actions: tuple[DraftAction, ...], verdict: Verdict, fixed: Mapping[str, str], places: tuple[str, ...] | None
) -> tuple[bytes, ...]:
    """`places`: what each action queues up for, where any of them has to keep the order."""
    if places is None or len(places) != len(actions):
        return tuple(map(_action_row, actions, verdict.actions, [fixed] * len(actions)))
    lanes = [lane_number(place, verdict.subject) for place in places]
    return tuple(map(_action_row, actions, verdict.actions, [fixed] * len(actions), lanes))


def _action_row(
    action: DraftAction, settings: Mapping[str, Any], fixed: Mapping[str, str], lane: int | None = None
) -> bytes:
    row = {
        "id": action.id,
        "decision_id": fixed["id"],
        "kind": action.kind,
        "settings": settings,
        "state": ActionState.PENDING.value,
        "attempt_count": 0,
        "next_attempt_at": fixed["created_at"],
        "created_at": fixed["created_at"],
    }
    if lane is not None:
        row["lane"] = lane
    return orjson.dumps(row)


def _event_row(fixed: Mapping[str, str], digest: str, action_count: int, occurred_at: datetime) -> bytes:
    event = event_values(
        "decision.made",
        actor=fixed["actor"],
        subject=f"decision:{fixed['id']}",
        details={"outcome": fixed["outcome"], "digest": digest, "actions": action_count},
        occurred_at=occurred_at,
    )
    return orjson.dumps(event | {"decision_id": fixed["id"]})
