"""Celery's doors to the installation of starters."""

from celery import shared_task

from inferhub.starters.installing import open_installations, run_installation


@shared_task
def install(installation_id: str) -> None:
    run_installation(installation_id)


@shared_task
def sweep_installations() -> None:
    """Go on with what no worker heard of, or whose worker was lost."""
    for installation_id in open_installations():
        run_installation(installation_id)
