"""The rule sets as a Django app."""

from django.apps import AppConfig


class RuleSetsConfig(AppConfig):
    name = "inferhub.rulesets"

    def ready(self) -> None:
        # Here, since services need the models, which are there only now.
        from inferhub.rulesets import publishing, services  # noqa: PLC0415

        publishing.register_changes(services.KIND)
