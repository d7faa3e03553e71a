"""Celery's doors to the delivery of actions. The time limits end an attempt whose receiver drips for ever."""

import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from inferhub.decisions import delivery, partitions, retention
from inferhub.errors import Conflict

log = structlog.get_logger(__name__)


@shared_task(time_limit=40)
def deliver_actions(action_ids: list[str]) -> None:
    delivery.deliver_actions(action_ids, seconds=5)


@shared_task(time_limit=50)
def sweep_actions() -> None:
    delivery.sweep(seconds=5)


@shared_task
def keep_partitions() -> None:
    """Months ahead of their time, and none that is older than is wanted (INFERHUB_KEEP_DECISIONS_MONTHS)."""
    partitions.make_partitions()
    for partition in partitions.old_partitions(settings.CONFIG.keep_decisions_months, now=timezone.now()):
        try:
            partitions.detach_partition(partition, actor="system:retention")
        except Conflict as exc:
            log.warning("a month stays", table=partition.name, why=str(exc))


@shared_task
def expire_content() -> None:
    """The content of decisions that are older than their workflow keeps them (`retention_months`)."""
    retention.expire_content(now=timezone.now())
