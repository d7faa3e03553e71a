"""Celery's doors to back-tests."""

from celery import shared_task

from inferhub.backtests import challengers, services


@shared_task
def run_backtest(backtest_id: str) -> None:
    services.work_on_backtest(backtest_id)


@shared_task
def sweep_backtests() -> None:
    """Ring again for those whose bell was not heard or whose worker was lost."""
    for backtest_id in services.open_backtests():
        services.ring(backtest_id)


@shared_task(time_limit=50)
def run_challengers() -> None:
    challengers.run_challengers(seconds=5)
