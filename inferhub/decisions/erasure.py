"""Take a person's data out of the decisions, so that their digests can still be checked.

What goes: input, subject, predictions, outputs and trace, and the salt with which they could be guessed. What stays:
that there was a decision, when, by which versions, with which outcome, its request id, and its digest.
"""

import uuid

from django.db import transaction
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.decisions.digests import ERASED
from inferhub.decisions.models import Decision
from inferhub.errors import FieldError, InvalidInput

ERASURE = "decision.erased"
"""The audit event without which no decision may be without its content."""


def erase_subject(*, subject: str, reason: str, actor: str, workflow: str = "") -> list[uuid.UUID]:
    """Erase the content of every decision about `subject`, of one workflow or of all; gives the decisions' ids.

    The audit log gets an event for each of them, which does not name the person. An action that waits is still
    delivered, with what is left. Raises InvalidInput.
    """
    needed = (("subject", subject, "the subject of decisions"), ("reason", reason, "a reason, for the audit log"))
    errors = [
        FieldError(pointer=f"/{name}", expected=expected, got="nothing")
        for name, value, expected in needed
        if not value.strip()
    ]
    if errors:
        raise InvalidInput(errors=errors)
    decisions = Decision.objects.filter(subject=subject, erased_at=None)
    if workflow:
        decisions = decisions.filter(workflow__name=workflow)
    with transaction.atomic():
        ids = list(decisions.order_by("id").select_for_update(of=("self",)).values_list("pk", flat=True))
        now = timezone.now()
        details = {"reason": reason.strip(), "erased_at": now.isoformat()}
        Decision.objects.filter(pk__in=ids).update(erased_at=now, **ERASED)
        for decision_id in ids:
            record_event(ERASURE, actor=actor, subject=f"decision:{decision_id}", details=details)
    return ids
