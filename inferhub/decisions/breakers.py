"""Circuit breakers: leave a target alone while it fails, and find out now and then whether it is back.

After some failures in a row a target's breaker opens: its actions wait, without using up attempts. When the rest is
over, one of them goes as a probe. Does it arrive, the breaker closes and all follow; does it not, the next rest is
longer. A target that says how long it wants to be left alone (Retry-After) gets that at once. The state is a row in
PostgreSQL (`DeliveryTarget`), which all processes share.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.decisions.actions.base import DeliveryResult
from inferhub.decisions.models import DeliveryTarget
from inferhub.lib.retry import backoff

FAILURES_TO_OPEN = 5
_FIRST_REST = timedelta(seconds=10)
_LONGEST_REST = timedelta(minutes=5)
_PROBE = timedelta(seconds=60)  # longer than any attempt: after it the probe is taken for lost, and another one goes
_ACTOR = "system:worker"


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """Leave to try a target once; `is_clean` where no failure was remembered when it was given."""

    target: str
    is_clean: bool


def ask(target: str, *, now: datetime) -> Gate | None:
    """Leave to try `target` now, or None while its breaker is open."""
    if not target:
        return Gate(target="", is_clean=True)
    found = DeliveryTarget.objects.filter(name=target).first()
    if found is None or found.open_until is None:
        return Gate(target=target, is_clean=found is None or found.failure_count == 0)
    if found.open_until > now:
        return None
    # Compare-and-set: of several workers that come when the rest is over, one gets the probe.
    is_mine = DeliveryTarget.objects.filter(pk=found.pk, open_until=found.open_until).update(open_until=now + _PROBE)
    return Gate(target=target, is_clean=False) if is_mine else None


def note(gate: Gate, result: DeliveryResult) -> bool:
    """Remember how the attempt ended; says whether this closed an open breaker. Runs in the attempt's transaction."""
    if not gate.target or result.is_own_fault:
        return False
    if not result.is_success:
        _note_failure(gate.target, result)
        return False
    return not gate.is_clean and close(gate.target, actor=_ACTOR)


def close(target: str, *, actor: str) -> bool:
    """Forget the failures of `target`; says whether its breaker was open."""
    with transaction.atomic():
        known = DeliveryTarget.objects.filter(name=target)
        was_open = known.filter(open_until__isnull=False).update(failure_count=0, open_until=None, opened_at=None)
        if was_open:
            record_event("delivery_target.closed", actor=actor, subject=f"target:{target}")
        else:
            known.filter(failure_count__gt=0).update(failure_count=0)
    return bool(was_open)


def rest_after(failure_count: int) -> timedelta | None:
    """How long to leave a target alone after so many failures in a row; None: not at all yet."""
    if failure_count < FAILURES_TO_OPEN:
        return None
    return backoff(failure_count - FAILURES_TO_OPEN + 1, first=_FIRST_REST, longest=_LONGEST_REST)


def state_of(target: DeliveryTarget, *, now: datetime) -> str:
    """`closed` (all is well), `open` (it rests), or `half-open` (the rest is over, a probe is to go)."""
    if target.open_until is None:
        return "closed"
    return "open" if target.open_until > now else "half-open"


def _note_failure(target: str, result: DeliveryResult) -> None:
    DeliveryTarget.objects.bulk_create([DeliveryTarget(name=target)], ignore_conflicts=True)
    found = DeliveryTarget.objects.select_for_update().get(name=target)
    now = timezone.now()
    found.failure_count += 1
    found.failed_at, found.problem = now, result.detail[:500]
    rest = max(filter(None, [rest_after(found.failure_count), result.retry_after]), default=None)
    if rest is not None:
        found.open_until = now + rest
        if found.opened_at is None:
            found.opened_at = now
            details = {"failures": found.failure_count, "problem": found.problem}
            record_event("delivery_target.opened", actor=_ACTOR, subject=f"target:{target}", details=details)
    found.save(update_fields=["failure_count", "failed_at", "problem", "open_until", "opened_at"])
