"""What the digest of an audit event covers: everything but its number, which its seal covers.

digest = sha256(canonical JSON of {action, actor, details, occurred_at, request_id, subject})
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from inferhub.lib.canonical import digest_of


def event_fields(
    *,
    occurred_at: datetime,
    action: str,
    actor: str,
    subject: str,
    request_id: str,
    details: Mapping[str, Any],
) -> dict[str, Any]:
    """What the digest of an audit event covers; `occurred_at` is in UTC."""
    return {
        "action": action,
        "actor": actor,
        "details": details,
        "occurred_at": occurred_at.isoformat(),
        "request_id": request_id,
        "subject": subject,
    }


def digest_of_event(**fields: Any) -> str:
    """The digest of an event with these fields (`event_fields`)."""
    return digest_of(event_fields(**fields))
