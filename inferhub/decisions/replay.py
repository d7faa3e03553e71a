"""Replay decisions: one, or those of a period."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from inferhub.audit.services import record_event
from inferhub.decisions.models import Decision, Workflow
from inferhub.decisions.rerun import Replayed, rerun
from inferhub.errors import Conflict, NotFound

_STRIDE = 1000


@dataclass(kw_only=True, slots=True)
class ReplayCount:
    """How many decisions were replayed, and how that came out.

    `impossible`: they could not be decided again, since a version is gone, for example. `erased` were left out.
    `failures_taken`: of those replayed, the ones with a failed prediction, whose error was taken as it is recorded.
    """

    replayed: int = 0
    equal: int = 0
    different: int = 0
    impossible: int = 0
    failures_taken: int = 0
    erased: int = 0

    @property
    def mismatches(self) -> int:
        return self.different + self.impossible

    def add(self, found: Replayed) -> None:
        self.replayed += 1
        self.equal += found.is_equal
        self.different += bool(found.differences)
        self.impossible += bool(found.problem)
        self.failures_taken += found.takes_failure


def replay_decision(decision_id: uuid.UUID | str) -> Replayed:
    """Replay one decision. Raises NotFound, and Conflict where its content was erased."""
    decision = Decision.objects.filter(pk=decision_id).first()
    if decision is None:
        raise NotFound(f"There is no decision {decision_id}.")
    if decision.reviewed_decision_id is not None:
        raise Conflict(f"A person made the decision {decision_id}, in a review: there is nothing to decide again.")
    if decision.erased_at is not None:
        raise Conflict(f"The content of the decision {decision_id} was erased: nothing is left to decide again from.")
    return next(rerun([decision]))


def replay_period(
    *,
    since: datetime,
    until: datetime | None = None,
    workflow: str = "",
    actor: str,
    tell: Callable[[Replayed], None] = lambda _: None,
    progress: Callable[[int], None] = lambda _: None,
) -> ReplayCount:
    """Replay the decisions of a period, of one workflow or of all; the audit log gets the counts.

    `tell` hears of each that is not equal, `progress` now and then how many are done. Raises NotFound.
    """
    decisions = decisions_of_period(since=since, until=until, workflow=workflow)
    count = ReplayCount(erased=decisions.exclude(erased_at=None).count())
    for found in rerun(decisions.filter(erased_at=None).order_by("id").iterator(chunk_size=_STRIDE)):
        count.add(found)
        if not found.is_equal:
            tell(found)
        if count.replayed % _STRIDE == 0:
            progress(count.replayed)
    progress(count.replayed)
    asked = {"since": since.isoformat(), "until": until and until.isoformat(), "workflow": workflow or None}
    counts = {"equal": count.equal, "different": count.different, "impossible": count.impossible}
    with transaction.atomic():
        record_event("decisions.replayed", actor=actor, subject="decisions", details=asked | counts)
    return count


def decisions_of_period(*, since: datetime, until: datetime | None = None, workflow: str = "") -> QuerySet[Decision]:
    """Those that rules, and no person, made from `since` to before `until`. Raises NotFound for the workflow."""
    decisions = Decision.objects.filter(created_at__gte=since, reviewed_decision_id=None)
    if until is not None:
        decisions = decisions.filter(created_at__lt=until)
    if not workflow:
        return decisions
    found = Workflow.objects.filter(name=workflow).first()
    if found is None:
        raise NotFound(f"There is no workflow '{workflow}'.")
    return decisions.filter(workflow=found)
