"""Data scientists of a hub that has roles already may export settled reviews.

Roles are filled only where they are missing (`inferhub.accounts.roles`), so a present one learns of it here.
"""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations


def grant(apps: Any, schema_editor: Any) -> None:
    group = apps.get_model("auth", "Group").objects.filter(name="data scientist").first()
    if group is None:
        return  # a new hub: the roles come after the migrations, with everything
    config = apps.get_app_config("decisions")
    config.models_module = True  # permissions are otherwise made after all migrations
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    permission = apps.get_model("auth", "Permission").objects.get(
        content_type__app_label="decisions", codename="export_review"
    )
    group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [
        ("decisions", "0018_review_comments"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
