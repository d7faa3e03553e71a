"""Roles that a hub has already get what a new hub's have, and no migration gave them so far.

Roles are filled only where they are missing (`inferhub.accounts.roles`), so present ones learn of it here; it stands in
the last app, behind all whose permissions it names. An administrator who took one of these away has to do so again.
"""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

_SEE = ("starters.view_installation",)
_INSTALL = (*_SEE, "starters.add_installation")
_GRANTS = {
    "data scientist": (
        *_INSTALL,
        "registry.change_alias",
        "registry.change_modelversion",
        "registry.change_registeredmodel",
    ),
    "rule author": _INSTALL,
    "approver": _SEE,
    "review lead": (
        "decisions.view_flag",
        "decisions.add_flag",
        "decisions.change_flag",
        "lists.view_lookuplist",
        "lists.view_listentry",
    ),
    "operator": (*_SEE, "decisions.erase_decision"),
    "auditor": _SEE,
}
_APPS = ("decisions", "lists", "registry", "starters")


def grant(apps: Any, schema_editor: Any) -> None:
    groups = apps.get_model("auth", "Group").objects.filter(name__in=_GRANTS)
    if not groups:
        return  # a new hub: the roles come after the migrations, with everything
    for app in _APPS:
        config = apps.get_app_config(app)
        config.models_module = True  # permissions are otherwise made after all migrations
        create_permissions(config, apps=apps, verbosity=0)
        config.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label__in=_APPS)
    known = {(one.content_type.app_label, one.codename): one for one in permissions.select_related("content_type")}
    for group in groups:
        group.permissions.add(*(known[tuple(name.split("."))] for name in _GRANTS[group.name]))


class Migration(migrations.Migration):
    dependencies = [
        ("starters", "0001_initial"),
        ("decisions", "0026_cancelled_actions"),
        ("lists", "0004_erasure"),
        ("registry", "0006_shadow_comparisons"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
