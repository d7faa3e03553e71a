"""Celery's doors to long work."""

import uuid
from collections.abc import Callable

import structlog
from celery import shared_task
from celery.signals import worker_process_init

from inferhub.errors import Conflict
from inferhub.inference import serving
from inferhub.jobs import bulk, deferred, proving
from inferhub.registry.serving import forget_old_comparisons

log = structlog.get_logger(__name__)


@worker_process_init.connect
def begin_serving(**_: object) -> None:
    """A worker's process predicts and decides as well as a web process does."""
    serving.begin()


@shared_task
def run_job(job_id: str) -> None:
    bulk.take_turn(job_id)


@shared_task
def run_deferred_call(call_id: str) -> None:
    deferred.run_deferred_call(call_id)


@shared_task
def start_bulk_recommendations(scenario: str) -> None:
    """What a schedule names. A run that finds the last one still busy leaves it alone."""
    try:
        bulk.start_bulk_job(scenario=scenario, actor="system:schedule")
    except Conflict as exc:
        log.warning("scheduled run left out", scenario=scenario, why=str(exc))


@shared_task
def seal_log() -> None:
    proving.seal_and_copy()


@shared_task
def run_verification(verification_id: str) -> None:
    proving.run_verification(verification_id)


@shared_task
def sweep_jobs() -> None:
    """Go on with work whose bell was not heard or whose worker was lost."""
    for call_id in deferred.open_calls():
        _go_on(deferred.run_deferred_call, call_id)
    for job_id in bulk.open_jobs():
        _go_on(bulk.take_turn, job_id)
    proving.ring_for_open_verifications()


@shared_task
def forget_old_work() -> None:
    """Delete what nobody will ask for again."""
    deferred.forget_old_calls()
    forget_old_comparisons()
    bulk.forget_lost_generations()


def _go_on(work: Callable[[uuid.UUID], None], work_id: uuid.UUID) -> None:
    try:
        work(work_id)
    except Exception:  # the worker's boundary: what is wrong with one must not keep the sweep from the others
        log.exception("unforeseen error in a sweep", work=str(work_id))
