"""Retention by workflow: the content of decisions that are older than their workflow keeps them is erased.

Partitions are months of all workflows together, so that a month cannot be detached for one of them. What is erased is
what `inferhub.decisions.erasure` erases: the decision, its outcome and its digest stay, and can still be verified.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef

from inferhub.audit.services import record_event
from inferhub.decisions.erasure import erase_content
from inferhub.decisions.models import Action, ActionState, Decision, Review, Workflow

_BATCH = 1000
ACTOR = "system:retention"


def expire_content(*, now: datetime) -> int:
    """Erase what is over the `retention_months` of the version in force, of every workflow; gives how many decisions.

    A decision whose action or review is open waits for that. Each batch is a transaction with its audit event.
    """
    kept = ((workflow, _months_of(workflow)) for workflow in Workflow.objects.with_current())
    return sum(_expire(workflow, months_before(now, months)) for workflow, months in kept if months)


def months_before(now: datetime, months: int) -> datetime:
    """The same time of day so many months ago, on the first of the month: no day is missing in any month.

    >>> months_before(datetime(2026, 3, 31, 12), 1)
    datetime.datetime(2026, 2, 1, 12, 0)
    """
    number = now.year * 12 + now.month - 1 - months
    return now.replace(year=max(number // 12, 1), month=number % 12 + 1, day=1)


def _months_of(workflow: Workflow) -> int:
    current = workflow.current
    return int(current.definition.get("retention_months", 0)) if current else 0


def _expire(workflow: Workflow, before: datetime) -> int:
    count = 0
    while done := _expire_batch(workflow, before):
        count += done
    return count


def _expire_batch(workflow: Workflow, before: datetime) -> int:
    open_action = Action.objects.filter(decision_id=OuterRef("pk"), state=ActionState.PENDING)
    open_review = Review.objects.filter(decision_id=OuterRef("pk"), verdict="")
    old = Decision.objects.filter(workflow=workflow, created_at__lt=before, erased_at=None)
    with transaction.atomic():
        waiting = old.exclude(Exists(open_action)).exclude(Exists(open_review)).order_by("id")
        ids = list(waiting.select_for_update(of=("self",)).values_list("pk", flat=True)[:_BATCH])
        if ids:
            erase_content(ids, reason="the workflow's retention", actor=ACTOR)
            details = {"count": len(ids), "before": before.isoformat(), "first": str(ids[0]), "last": str(ids[-1])}
            record_event("workflow.content_expired", actor=ACTOR, subject=workflow.audit_subject, details=details)
    return len(ids)
