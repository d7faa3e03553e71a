"""Calls that a worker runs: kept, claimed, answered once."""

import uuid
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from inferhub.celery import bell
from inferhub.errors import InferhubError, Unavailable, error_to_dict
from inferhub.jobs.calls import run_call, with_request_ids
from inferhub.jobs.models import DeferredCall, State
from inferhub.lib.retry import backoff

log = structlog.get_logger(__name__)

_LEASE = timedelta(seconds=60)
_FIRST_WAIT = timedelta(seconds=2)
_MOST_ATTEMPTS = 3


def defer_call(*, kind: str, target: str, body: dict[str, Any], actor: str) -> DeferredCall:
    """Keep a call for a worker. A decision gets its request id now, so that a second try cannot decide twice."""
    if kind == "decide":
        body = with_request_ids(body)
    with transaction.atomic():
        call = DeferredCall.objects.create(kind=kind, target=target, body=body, actor=actor)
        transaction.on_commit(lambda: bell.ring("inferhub.jobs.tasks.run_deferred_call", str(call.pk)))
    return call


def run_deferred_call(call_id: uuid.UUID | str) -> None:
    """Run a kept call; does nothing where another worker has it or it is answered."""
    if not _claim(call_id):
        return
    call = DeferredCall.objects.get(pk=call_id)
    mine = DeferredCall.objects.filter(pk=call.pk, state=State.RUNNING, attempt_count=call.attempt_count)
    changes: dict[str, Any]
    try:
        changes = {"state": State.SUCCEEDED, "answer": _answer(call)}
    except InferhubError as exc:
        if not exc.is_permanent and call.attempt_count < _MOST_ATTEMPTS:
            wait = backoff(call.attempt_count, first=_FIRST_WAIT, longest=_LEASE)
            mine.update(leased_until=timezone.now() + wait)
            return  # the sweeper comes back
        changes = {"state": State.FAILED, "problem": error_to_dict(exc)}
    except Exception as exc:  # the worker's boundary: a fault of ours is told, not tried for ever
        log.exception("unforeseen error in a deferred call", call=str(call_id))
        fault = Unavailable(f"The worker met an unforeseen {type(exc).__name__}; its log has the details.")
        changes = {"state": State.FAILED, "problem": error_to_dict(fault)}
    mine.update(finished_at=timezone.now(), leased_until=None, **changes)


def _answer(call: DeferredCall) -> dict[str, Any]:
    if call.attempt_count > _MOST_ATTEMPTS:  # it took a worker down each time
        raise Unavailable(f"No worker finished the call in {_MOST_ATTEMPTS} attempts.")
    return run_call(call.kind, call.target, call.body, call.actor)


def open_calls(limit: int = 500) -> list[uuid.UUID]:
    """Calls that wait for a worker, or whose worker was lost."""
    return list(DeferredCall.objects.filter(_free()).order_by("id").values_list("pk", flat=True)[:limit])


def forget_old_calls() -> None:
    """Delete the calls that were answered long ago, with their answers (INFERHUB_KEEP_CALLS_DAYS)."""
    made_before = timezone.now() - timedelta(days=settings.CONFIG.keep_calls_days)
    DeferredCall.objects.filter(finished_at__lt=made_before).delete()


def _free() -> Q:
    lost = Q(state=State.RUNNING, leased_until__lt=timezone.now())
    return Q(state=State.QUEUED) | lost


def _claim(call_id: uuid.UUID | str) -> bool:
    return bool(
        DeferredCall.objects.filter(_free(), pk=call_id).update(
            state=State.RUNNING, leased_until=timezone.now() + _LEASE, attempt_count=F("attempt_count") + 1
        )
    )
