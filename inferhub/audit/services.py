"""Write audit events. There is no other way to change the audit log."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from inferhub.audit.digests import digest_of_event
from inferhub.audit.models import AuditEvent
from inferhub.lib.request_ids import current_request_id

_AT_ONCE = 1000


def record_event(action: str, *, actor: str, subject: str, details: dict[str, Any] | None = None) -> None:
    """Write one audit event in the present transaction, so that it stands exactly when the deed does."""
    record_events(action, actor=actor, about=[(subject, details or {})])


def record_events(action: str, *, actor: str, about: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """The same deed to many: `about` holds the subject of each event, and its details."""
    if not connection.in_atomic_block:
        raise RuntimeError(f"record_events({action!r}) must run in the transaction of what it records")
    made = [event_values(action, actor=actor, subject=subject, details=details) for subject, details in about]
    AuditEvent.objects.bulk_create([AuditEvent(**values) for values in made], batch_size=_AT_ONCE)


def event_values(
    action: str,
    *,
    actor: str,
    subject: str,
    details: dict[str, Any] | None = None,
    occurred_at: datetime | None = None,
) -> dict[str, Any]:
    """The fields of an audit event, for whoever writes many at once, in the transaction of what they tell."""
    values = {
        "occurred_at": occurred_at or timezone.now(),
        "action": action,
        "actor": actor,
        "subject": subject[:200],
        "request_id": current_request_id.get(),
        "details": details or {},
    }
    return values | {"digest": digest_of_event(**values)}
