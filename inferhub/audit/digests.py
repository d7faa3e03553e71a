"""What the digest of an audit event covers: everything but its number, which its seal covers.

digest = sha256(canonical JSON of {action, actor, details, occurred_at, request_id, subject})
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from inferhub.lib.canonical import canonical_json
from inferhub.lib.moments import iso_text


def canonical_event(
    *,
    occurred_at: datetime,
    action: str,
    actor: str,
    subject: str,
    request_id: str,
    details: Mapping[str, Any],
) -> bytes:
    """The text whose sha256 is the digest of an audit event; `occurred_at` is in UTC."""
    return canonical_json(
        {
            "action": action,
            "actor": actor,
            "details": details,
            "occurred_at": iso_text(occurred_at),
            "request_id": request_id,
            "subject": subject,
        }
    )


def digest_of_event(**fields: Any) -> str:
    """The digest of an event with these fields (`canonical_event`)."""
    return hashlib.sha256(canonical_event(**fields)).hexdigest()
