"""The registry as a Django app."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """Tells the approvals which changes of models take two people."""

    name = "inferhub.registry"

    def ready(self) -> None:
        from inferhub.registry import aliases, policies  # noqa: PLC0415 - models load after the apps

        aliases.register_kinds()
        policies.register_kinds()
