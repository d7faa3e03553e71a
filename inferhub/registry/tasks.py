"""Celery's door to the upkeep of versions."""

from celery import shared_task

from inferhub.registry import lifecycle


@shared_task
def sweep_validations() -> None:
    lifecycle.sweep_validations()
