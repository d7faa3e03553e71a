"""Take a person's data out of the decisions, so that their digests can still be checked.

What goes: input, subject, predictions, outputs and trace, the salt with which they could be guessed, and what people
wrote in reviews. What stays: that there was a decision, when, by which versions, with which outcome, its request id and
its digest; that there was a review, who settled it, and how.
"""

import uuid
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.decisions.digests import ERASED
from inferhub.decisions.flags import forget_flags
from inferhub.decisions.models import Decision, Review, ReviewComment, WorkflowTest
from inferhub.errors import FieldError, InvalidInput

ERASURE = "decision.erased"
"""The audit event without which no decision may be without its content."""


def erase_subject(*, subject: str, reason: str, actor: str, workflow: str = "") -> list[uuid.UUID]:
    """Erase the content of every decision about `subject`, of one workflow or of all; gives the decisions' ids.

    The audit log gets an event for each of them, which does not name the person. Test cases that were made of them go
    as well. An action that waits is still delivered, with what is left. Flags of the subject go too, unless one
    workflow is named. Raises InvalidInput.
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
    locked = decisions.order_by("id").select_for_update(of=("self",)).values_list("pk", flat=True)
    erased: list[uuid.UUID] = []
    with transaction.atomic():
        # Once more each time: a verdict that held the lock has made another decision about the subject meanwhile.
        while ids := list(locked.all()):
            erase_content(ids, reason=reason.strip(), actor=actor)
            erased += ids
        if not workflow:
            forget_flags(subject)
    return erased


def erase_content(ids: Sequence[uuid.UUID], *, reason: str, actor: str) -> None:
    """Erase these decisions, which are locked, and what was made of their content; one audit event for each."""
    now = timezone.now()
    Decision.objects.filter(pk__in=ids).update(erased_at=now, **ERASED)
    WorkflowTest.objects.filter(decision_id__in=ids).delete()
    # What people wrote about the case; the decision that a review made has content of its own.
    Review.objects.filter(decision_id__in=ids).update(reason="")
    ReviewComment.objects.filter(review__decision_id__in=ids).update(text="")
    details = {"reason": reason, "erased_at": now.isoformat()}
    for decision_id in ids:
        record_event(ERASURE, actor=actor, subject=f"decision:{decision_id}", details=details)
