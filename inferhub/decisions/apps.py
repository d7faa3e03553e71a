"""Workflows and decisions as a Django app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class DecisionsConfig(AppConfig):
    """Makes the targets that the configuration names, so that they can be seen and tried before they are used.

    Tells the approvals what publications of workflows are, and rule sets whose test cases they must not break.
    """

    name = "inferhub.decisions"

    def ready(self) -> None:
        from inferhub.decisions import publishing, services  # noqa: PLC0415 - models load after the apps
        from inferhub.decisions.targets import remember_configured  # noqa: PLC0415 - the same
        from inferhub.rulesets.publishing import register_changes  # noqa: PLC0415 - the same
        from inferhub.rulesets.services import also_test  # noqa: PLC0415 - the same

        post_migrate.connect(remember_configured, sender=self, dispatch_uid="inferhub.decisions.remember_configured")
        register_changes(services.KIND)
        also_test(publishing.run_cases_of_users)
