"""Accounts as a Django app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    """Makes the roles once the permissions that they name are there."""

    name = "inferhub.accounts"

    def ready(self) -> None:
        from inferhub.accounts.roles import make_roles  # noqa: PLC0415 - models load after the apps

        post_migrate.connect(make_roles, dispatch_uid="inferhub.accounts.make_roles")
