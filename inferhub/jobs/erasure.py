"""Take a person's data out of decisions, and out of the answers that are kept for those who asked for them."""

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q

from inferhub.decisions.erasure import erase_subject
from inferhub.jobs.models import DeferredCall


@dataclass(frozen=True, kw_only=True, slots=True)
class Erased:
    """How many decisions lost their content, and how many deferred calls are gone."""

    decisions: int
    calls: int


def erase_person(*, subject: str, reason: str, actor: str, workflow: str = "") -> Erased:
    """Erase what decisions, and deferred calls that were answered with them, hold about `subject`.

    Raises InvalidInput.
    """
    with transaction.atomic():
        decision_ids = erase_subject(subject=subject, reason=reason, actor=actor, workflow=workflow)
        about = {"subject": subject} | ({"workflow": workflow} if workflow else {})
        answered = Q(answer__contains=about) | Q(answer__contains={"results": [{"decision": about}]})
        calls, _ = DeferredCall.objects.filter(answered, kind="decide").delete()
    return Erased(decisions=len(decision_ids), calls=calls)
