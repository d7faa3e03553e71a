"""Roles that a hub has already may see back-tests, and those who change things may start them.

Roles are filled only where they are missing (`inferhub.accounts.roles`), so present ones learn of it here.
"""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

_SEE = ("view_backtest", "view_challenger")
_GRANTS = {
    "data scientist": (*_SEE, "run_backtest"),
    "rule author": (*_SEE, "run_backtest"),
    "approver": (*_SEE, "run_backtest"),
    "operator": _SEE,
    "auditor": _SEE,
}


def grant(apps: Any, schema_editor: Any) -> None:
    groups = apps.get_model("auth", "Group").objects.filter(name__in=_GRANTS)
    if not groups:
        return  # a new hub: the roles come after the migrations, with everything
    config = apps.get_app_config("backtests")
    config.models_module = True  # permissions are otherwise made after all migrations
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    known = {p.codename: p for p in apps.get_model("auth", "Permission").objects.filter(content_type__app_label="backtests")}
    for group in groups:
        group.permissions.add(*(known[name] for name in _GRANTS[group.name]))


class Migration(migrations.Migration):
    dependencies = [
        ("backtests", "0003_challengers"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
