"""The statements of the decision log, made from the models, so that they name the columns that there are."""

from collections.abc import Iterable
from typing import Any

from django.db import connection, models

from inferhub.audit.models import AuditEvent
from inferhub.audit.services import event_values
from inferhub.decisions.models import Action, Decision, DecisionKey

_EVENT_FIELDS = tuple(event_values("", actor="", subject=""))


def _columns(model: type[models.Model], names: Iterable[str] = ()) -> dict[str, str]:
    """Column to type, of the fields called `names` or else of all."""
    wanted = set(names)
    fields: list[models.Field[Any, Any]] = list(model._meta.concrete_fields)
    return {str(f.column): f.db_type(connection) or "" for f in fields if not wanted or f.name in wanted}


def _records(columns: dict[str, str]) -> str:
    """The parameter, a JSON array of objects, as a table."""
    typed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    return f"jsonb_to_recordset(%s) AS given ({typed})"


def _names(columns: dict[str, str], prefix: str = "") -> str:
    return ", ".join(f'{prefix}"{name}"' for name in columns)


_DECISION = _columns(Decision)
del _DECISION["reviewed_decision_id"]  # only verdicts have one, and they are not written by this
_ACTION = _columns(Action)
_EVENT = _columns(AuditEvent, _EVENT_FIELDS)
_KEYS = f'"{DecisionKey._meta.db_table}"'

WRITE = f"""
WITH draft AS MATERIALIZED (
    SELECT * FROM {_records(_DECISION)}
), claimed AS (
    -- In one order everywhere, so that two writers with the same keys wait for each other and never in a circle.
    INSERT INTO {_KEYS} (workflow_id, request_id, decision_id)
    SELECT workflow_id, request_id, id FROM draft ORDER BY workflow_id, request_id
    ON CONFLICT (workflow_id, request_id) DO NOTHING RETURNING decision_id
), decision AS (
    INSERT INTO "{Decision._meta.db_table}" ({_names(_DECISION)})
    SELECT {_names(_DECISION, "draft.")} FROM draft JOIN claimed ON draft.id = claimed.decision_id
), action AS (
    INSERT INTO "{Action._meta.db_table}" ({_names(_ACTION)})
    SELECT {_names(_ACTION, "given.")} FROM {_records(_ACTION)} JOIN claimed USING (decision_id)
), event AS (
    INSERT INTO "{AuditEvent._meta.db_table}" ({_names(_EVENT)})
    SELECT {_names(_EVENT, "given.")} FROM {_records(_EVENT | {"decision_id": "uuid"})}
    JOIN claimed USING (decision_id)
)
SELECT decision_id FROM claimed
"""  # noqa: S608 - names of our own models
"""Parameters: drafts, their actions, their audit events. Gives the ids of the drafts that are decisions now."""

STANDING = f"""
SELECT workflow_id, request_id, decision_id FROM {_KEYS}
WHERE (workflow_id, request_id) IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))
"""  # noqa: S608 - names of our own models
"""Parameters: workflow ids and request ids."""

MAKE_PARTITIONS = "SELECT inferhub_partition_decisions(%s)"
"""Parameter: how many months ahead."""
