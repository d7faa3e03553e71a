"""Back-tests as a Django app."""

from django.apps import AppConfig


class BacktestsConfig(AppConfig):
    """Has approvals point to the back-tests of what they are asked about."""

    name = "inferhub.backtests"

    def ready(self) -> None:
        from inferhub.approvals.services import register_witness  # noqa: PLC0415 - models load after the apps
        from inferhub.backtests.queries import speaks_for  # noqa: PLC0415

        register_witness(speaks_for)
