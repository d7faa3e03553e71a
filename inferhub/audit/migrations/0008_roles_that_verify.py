"""Roles that a hub has already may see seals and verifications, and auditors and operators may verify.

Roles are filled only where they are missing (`inferhub.accounts.roles`), so present ones learn of it here.
"""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

_GRANTS = ("view_seal", "view_verification", "run_verification")
_ROLES = ("operator", "auditor")


def grant(apps: Any, schema_editor: Any) -> None:
    groups = apps.get_model("auth", "Group").objects.filter(name__in=_ROLES)
    if not groups:
        return  # a new hub: the roles come after the migrations, with everything
    config = apps.get_app_config("audit")
    config.models_module = True  # permissions are otherwise made after all migrations
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    permissions = apps.get_model("auth", "Permission").objects
    known = list(permissions.filter(content_type__app_label="audit", codename__in=_GRANTS))
    for group in groups:
        group.permissions.add(*known)


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0007_note_unsealed_events"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
