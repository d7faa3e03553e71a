"""Roles that a hub has already may see flags and targets, and those who do the work may change them.

Roles are filled only where they are missing (`inferhub.accounts.roles`), so present ones learn of it here.
"""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

_GRANTS = {
    "data scientist": ("view_flag",),
    "rule author": ("view_flag",),
    "approver": ("view_flag",),
    "reviewer": ("view_flag", "add_flag", "change_flag"),
    "operator": ("view_flag", "add_flag", "change_flag", "view_deliverytarget", "change_deliverytarget"),
    "auditor": ("view_flag", "view_deliverytarget"),
}


def grant(apps: Any, schema_editor: Any) -> None:
    groups = apps.get_model("auth", "Group").objects.filter(name__in=_GRANTS)
    if not groups:
        return  # a new hub: the roles come after the migrations, with everything
    config = apps.get_app_config("decisions")
    config.models_module = True  # permissions are otherwise made after all migrations
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="decisions")
    known = {permission.codename: permission for permission in permissions}
    for group in groups:
        group.permissions.add(*(known[name] for name in _GRANTS[group.name]))


class Migration(migrations.Migration):
    dependencies = [
        ("decisions", "0014_flags"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
