"""Celery's doors to long work."""

import uuid
from collections.abc import Callable

import structlog
from celery import shared_task

from inferhub.errors import Conflict
from inferhub.jobs import bulk, deferred

log = structlog.get_logger(__name__)


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
def sweep_jobs() -> None:
    """Go on with work whose bell was not heard or whose worker was lost."""
    for call_id in deferred.open_calls():
        _go_on(deferred.run_deferred_call, call_id)
    for job_id in bulk.open_jobs():
        _go_on(bulk.take_turn, job_id)


@shared_task
def forget_old_work() -> None:
    """Delete what nobody will ask for again."""
    deferred.forget_old_calls()
    bulk.forget_lost_generations()


def _go_on(work: Callable[[uuid.UUID], None], work_id: uuid.UUID) -> None:
    try:
        work(work_id)
    except Exception:  # the worker's boundary: what is wrong with one must not keep the sweep from the others
        log.exception("unforeseen error in a sweep", work=str(work_id))
