"""Celery's doors to the delivery of actions. The time limits end an attempt whose receiver drips for ever."""

from celery import shared_task

from inferhub.decisions import delivery


@shared_task(time_limit=40)
def deliver_action(action_id: str) -> None:
    delivery.deliver_action(action_id)


@shared_task(time_limit=50)
def sweep_actions() -> None:
    delivery.sweep(seconds=5)
