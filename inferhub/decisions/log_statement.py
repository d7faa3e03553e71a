"""The statements of the decision log, made from the models, so that they name the columns that there are."""

from collections.abc import Iterable
from typing import Any

from django.db import connection, models

from inferhub.audit.models import AuditEvent
from inferhub.decisions.drafts import MADE
from inferhub.decisions.models import Action, ActionState, Decision, DecisionKey


def _columns(model: type[models.Model]) -> dict[str, str]:
    """Column to type."""
    fields: list[models.Field[Any, Any]] = list(model._meta.concrete_fields)
    return {str(field.column): field.db_type(connection) or "" for field in fields}


def _typed(columns: dict[str, str]) -> str:
    return ", ".join(f'"{name}" {kind}' for name, kind in columns.items())


def _names(columns: Iterable[str], prefix: str = "") -> str:
    return ", ".join(f'{prefix}"{name}"' for name in columns)


_DECISION = _columns(Decision)
del _DECISION["reviewed_decision_id"]  # only verdicts have one, and they are not written by this
_EVENT = {"event_request_id": "text", "event_details": "jsonb", "event_digest": "text"}
_OF_DECISION = {
    "decision_id": "draft.id",
    "state": f"'{ActionState.PENDING.value}'",
    "attempt_count": "0",
    "next_attempt_at": "draft.created_at",
    "created_at": "draft.created_at",
}
"""What an action has of its decision, or at its beginning."""
_ACTION = {name: kind for name, kind in _columns(Action).items() if name not in _OF_DECISION}
_KEYS = f'"{DecisionKey._meta.db_table}"'

WRITE = f"""
WITH draft AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%s) AS given ({_typed(_DECISION | _EVENT)}, actions jsonb)
), claimed AS (
    -- In one order everywhere, so that two writers with the same keys wait for each other and never in a circle.
    INSERT INTO {_KEYS} (workflow_id, request_id, decision_id)
    SELECT workflow_id, request_id, id FROM draft ORDER BY workflow_id, request_id
    ON CONFLICT (workflow_id, request_id) DO NOTHING RETURNING decision_id
), decision AS (
    INSERT INTO "{Decision._meta.db_table}" ({_names(_DECISION)})
    SELECT {_names(_DECISION, "draft.")} FROM draft JOIN claimed ON draft.id = claimed.decision_id
), action AS (
    INSERT INTO "{Action._meta.db_table}" ({_names(_OF_DECISION)}, {_names(_ACTION)})
    SELECT {", ".join(_OF_DECISION.values())}, {_names(_ACTION, "given.")}
    FROM draft JOIN claimed ON draft.id = claimed.decision_id,
    jsonb_to_recordset(draft.actions) AS given ({_typed(_ACTION)})
), event AS (
    INSERT INTO "{AuditEvent._meta.db_table}" (occurred_at, action, actor, subject, request_id, details, digest)
    SELECT created_at, '{MADE}', actor, 'decision:' || id, event_request_id, event_details, event_digest
    FROM draft JOIN claimed ON draft.id = claimed.decision_id
)
SELECT id FROM draft WHERE id NOT IN (SELECT decision_id FROM claimed)
"""  # noqa: S608 - names of our own models
"""Parameter: drafts, a JSON array of their rows. Gives the ids of those that are none, as another decision stands."""

STANDING = f"""
SELECT workflow_id, request_id, decision_id FROM {_KEYS}
WHERE (workflow_id, request_id) IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))
"""  # noqa: S608 - names of our own models
"""Parameters: workflow ids and request ids."""

MAKE_PARTITIONS = "SELECT inferhub_partition_decisions(%s)"
"""Parameter: how many months ahead."""
