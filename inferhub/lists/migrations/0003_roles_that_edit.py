"""Roles that a hub has already may see lists, and those who write rules may edit them.

Roles are filled only where they are missing (`inferhub.accounts.roles`), so present ones learn of it here.
"""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

_SEE = ("view_lookuplist", "view_listentry")
_EDIT = ("add_lookuplist", "change_lookuplist")
_GRANTS = {
    "data scientist": _SEE,
    "rule author": (*_SEE, *_EDIT),
    "approver": _SEE,
    "reviewer": _SEE,
    "operator": _SEE,
    "auditor": _SEE,
}


def grant(apps: Any, schema_editor: Any) -> None:
    groups = apps.get_model("auth", "Group").objects.filter(name__in=_GRANTS)
    if not groups:
        return  # a new hub: the roles come after the migrations, with everything
    config = apps.get_app_config("lists")
    config.models_module = True  # permissions are otherwise made after all migrations
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="lists")
    known = {permission.codename: permission for permission in permissions}
    for group in groups:
        group.permissions.add(*(known[name] for name in _GRANTS[group.name]))


class Migration(migrations.Migration):
    dependencies = [
        ("lists", "0002_append_only"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
