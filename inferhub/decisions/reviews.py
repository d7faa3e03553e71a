"""Settle reviews."""

from django.db import transaction
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.decisions.models import Review, Verdict
from inferhub.errors import Conflict, FieldError, InvalidInput
from inferhub.lib.describe import describe


def settle_review(*, review: Review, verdict: str, reason: str, actor: str) -> None:
    """Write a person's verdict, once. Raises InvalidInput and, where somebody was quicker, Conflict."""
    errors = []
    if verdict not in Verdict.values:
        expected = f"one of {', '.join(Verdict.values)}"
        errors.append(FieldError(pointer="/verdict", expected=expected, got=describe(verdict)))
    if not reason.strip():
        errors.append(FieldError(pointer="/reason", expected="a reason", got="nothing"))
    if errors:
        raise InvalidInput(errors=errors)
    with transaction.atomic():
        settled = Review.objects.filter(pk=review.pk, verdict="").update(
            verdict=verdict, reason=reason.strip(), settled_at=timezone.now(), settled_by=actor
        )
        if not settled:
            now = Review.objects.get(pk=review.pk)
            raise Conflict(f"This review was settled before: {now.verdict} by {now.settled_by}.")
        record_event(
            "review.settled",
            actor=actor,
            subject=f"decision:{review.decision_id}",
            details={"verdict": verdict, "reason": reason.strip()},
        )
