"""Deliver actions: claim, try, record the attempt, and try again later.

PostgreSQL holds what is to be done; Celery is only rung. Where the bell was not heard, the sweeper finds the row.
"""

import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.celery import bell
from inferhub.decisions import breakers
from inferhub.decisions.actions.base import DeliveryResult
from inferhub.decisions.actions.registry import find_kind
from inferhub.decisions.attempts import target_of, try_once
from inferhub.decisions.models import Action, ActionAttempt, ActionState, DeliveryTarget
from inferhub.lib.bell import Ringer
from inferhub.lib.retry import backoff

log = structlog.get_logger(__name__)

_LEASE = timedelta(seconds=60)  # longer than any attempt: after it the worker is taken for dead
_FIRST_WAIT = timedelta(seconds=2)
_LONGEST_WAIT = timedelta(hours=1)
_MOST_ATTEMPTS = 15  # with the waits above about five hours
_POSTPONEMENT = timedelta(minutes=5)
_IN_ONE_MESSAGE = 200  # a message costs as much as ten decisions
_SWEEP_LOCK = 0x1F5EED  # any number that nothing else locks


def ring_bell(action_ids: Sequence[uuid.UUID]) -> None:
    """Tell the workers; the rows are committed already, so a bell that nobody hears only delays."""
    for start in range(0, len(action_ids), _IN_ONE_MESSAGE):
        message = [str(action_id) for action_id in action_ids[start : start + _IN_ONE_MESSAGE]]
        bell.ring("inferhub.decisions.tasks.deliver_actions", message)


def ring_bell_soon(action_ids: Sequence[uuid.UUID]) -> None:
    """The same without waiting for the broker; what several callers bring meanwhile goes out together."""
    _ringer.add(action_ids)


def deliver_actions(action_ids: Sequence[str], *, seconds: float) -> None:
    """Try each of them once, for a while: what slow receivers leave over is for other workers."""
    ends = time.monotonic() + seconds
    for place, action_id in enumerate(action_ids):
        if time.monotonic() > ends:
            ring_bell([uuid.UUID(left) for left in action_ids[place:]])
            return
        deliver_action(action_id)


def deliver_action(action_id: uuid.UUID | str) -> None:
    """Try once to deliver an action that is due.

    Does nothing where another worker has it, it is finished, an earlier one of its lane is not, or its target rests.
    """
    if not _claim(action_id):
        return
    action = Action.objects.select_related("decision__workflow").get(pk=action_id)
    if action.state != ActionState.PENDING:
        return  # cancelled meanwhile
    kind = find_kind(action.kind)
    started_at, started = timezone.now(), time.perf_counter()
    target, failed = target_of(kind, action)
    gate = breakers.ask(target, now=started_at)
    if gate is None:
        _put_back(action, target, until=started_at)
        return
    result = _given_up(action) or failed or try_once(kind, action)
    if result.is_postponed:
        _put_back(action, target, until=started_at + _POSTPONEMENT)
    else:
        duration_ms = (time.perf_counter() - started) * 1000
        _record(action, gate, result, ActionAttempt(started_at=started_at, duration_ms=duration_ms))


def due_actions(*, target: str = "", limit: int = 500) -> list[uuid.UUID]:
    """The ids of the actions that can be tried now (of one target, or of all), the longest waiting first."""
    due = _claimable(timezone.now())
    if target:
        due = due.filter(target=target)
    return list(due.order_by("next_attempt_at").values_list("pk", flat=True)[:limit])


def sweep(*, seconds: float) -> None:
    """Deliver what is due and whose bell was not heard: retries, lost messages, workers that died.

    One sweep runs at a time, and for a while only: slow receivers must not keep every worker from everything else.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_SWEEP_LOCK])
        if cursor.fetchone() != (True,):
            return
        try:
            ends = time.monotonic() + seconds
            for action_id in due_actions():
                if time.monotonic() > ends:
                    return
                deliver_action(action_id)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_SWEEP_LOCK])


def _claimable(now: datetime) -> QuerySet[Action]:
    """Actions that are due, the first of their lane where they have one, and whose target does not rest."""
    earlier = Action.objects.filter(lane=OuterRef("lane"), pk__lt=OuterRef("pk"), state=ActionState.PENDING)
    resting = DeliveryTarget.objects.filter(name=OuterRef("target"), open_until__gt=now)
    return Action.objects.filter(
        ~Exists(earlier), ~Exists(resting), state=ActionState.PENDING, next_attempt_at__lte=now
    )


def _claim(action_id: uuid.UUID | str) -> bool:
    """Take the action by compare-and-set: its next attempt moves to the end of this worker's lease."""
    now = timezone.now()
    mine = _claimable(now).filter(pk=action_id)
    return bool(mine.update(next_attempt_at=now + _LEASE, attempt_count=F("attempt_count") + 1))


def _given_up(action: Action) -> DeliveryResult | None:
    """What comes of an action that took its worker down each time, so that nobody could give it up before."""
    if _attempt_of_drive(action) <= _MOST_ATTEMPTS:
        return None
    detail = f"no worker came back from {_MOST_ATTEMPTS} attempts"
    return DeliveryResult(is_success=False, is_permanent=True, is_own_fault=True, detail=detail)


def _attempt_of_drive(action: Action) -> int:
    """Counted from when the action was made, or driven again as a dead letter."""
    return action.attempt_count - (action.attempts_before or 0)


def _record(action: Action, gate: breakers.Gate, result: DeliveryResult, attempt: ActionAttempt) -> None:
    attempt.action = action
    attempt.number = action.attempt_count
    attempt.is_success, attempt.status_code = result.is_success, result.status_code
    attempt.detail = result.detail[:500]
    is_dead = not result.is_success and (result.is_permanent or _attempt_of_drive(action) >= _MOST_ATTEMPTS)
    with transaction.atomic():
        if attempt.detail and _is_cancelled(action):
            attempt.detail = ""  # it may quote what was erased meanwhile
        attempt.save(force_insert=True)
        if breakers.note(gate, result):
            transaction.on_commit(lambda: ring_bell(due_actions(target=gate.target)), robust=True)
        waiting = Action.objects.filter(pk=action.pk, state=ActionState.PENDING)
        # A success counts however late it comes; a failure only where nobody else took the action over meanwhile.
        mine = waiting if result.is_success else waiting.filter(attempt_count=action.attempt_count)
        if result.is_success or is_dead:
            state = ActionState.DELIVERED if result.is_success else ActionState.DEAD
            if mine.update(state=state, finished_at=timezone.now(), target=gate.target or None):
                _tell(action, state, attempt.detail, is_own_fault=result.is_own_fault)
        else:
            wait = backoff(_attempt_of_drive(action), first=_FIRST_WAIT, longest=_LONGEST_WAIT)
            wait = max(wait, result.retry_after or wait)
            mine.update(next_attempt_at=timezone.now() + wait, target=gate.target or None)
    log.info("action attempted", action=str(action.pk), success=result.is_success, detail=result.detail)


def _is_cancelled(action: Action) -> bool:
    """Locked, so that an erasure comes before or after what is written now."""
    locked = Action.objects.select_for_update(no_key=True).values_list("state", flat=True)
    return locked.get(pk=action.pk) == ActionState.CANCELLED


def _tell(action: Action, state: ActionState, detail: str, *, is_own_fault: bool) -> None:
    """It is over: for the audit log, and for who waited behind it."""
    details: dict[str, Any] = {"kind": action.kind, "attempts": action.attempt_count}
    if not is_own_fault:  # which may quote what it could not send; the attempt tells, until the decision is erased
        details["detail"] = detail
    record_event(f"action.{state}", actor="system:worker", subject=f"action:{action.pk}", details=details)
    if action.lane is not None:
        transaction.on_commit(lambda: _ring_for_next(action), robust=True)


def _ring_for_next(action: Action) -> None:
    """Whoever waited behind `action` need not wait for the sweeper."""
    behind = Action.objects.filter(lane=action.lane, state=ActionState.PENDING, pk__gt=action.pk)
    ring_bell(list(behind.order_by("pk").values_list("pk", flat=True)[:1]))


def _put_back(action: Action, target: str, *, until: datetime) -> None:
    """As if nobody had claimed it; but now it says what it waits for, so that nobody claims it before."""
    mine = Action.objects.filter(pk=action.pk, attempt_count=action.attempt_count)
    mine.update(attempt_count=action.attempt_count - 1, next_attempt_at=until, target=target or None)


_ringer: Ringer[uuid.UUID] = Ringer(ring_bell)
