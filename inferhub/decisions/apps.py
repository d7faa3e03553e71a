"""Decisions as a Django app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class DecisionsConfig(AppConfig):
    """Makes the targets that the configuration names, so that they can be seen and tried before they are used."""

    name = "inferhub.decisions"

    def ready(self) -> None:
        from inferhub.decisions.targets import remember_configured  # noqa: PLC0415 - models load after the apps

        post_migrate.connect(remember_configured, sender=self, dispatch_uid="inferhub.decisions.remember_configured")
