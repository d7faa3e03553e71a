"""Celery's doors to the delivery of actions. The time limits end an attempt whose receiver drips for ever."""

from celery import shared_task

from inferhub.decisions import delivery, partitions


@shared_task(time_limit=40)
def deliver_actions(action_ids: list[str]) -> None:
    delivery.deliver_actions(action_ids, seconds=5)


@shared_task(time_limit=50)
def sweep_actions() -> None:
    delivery.sweep(seconds=5)


@shared_task
def make_partitions() -> None:
    partitions.make_partitions()
