"""Rule authors of a hub that has roles already may withdraw the publications that they ask for."""

from typing import Any

from django.db import migrations


def grant(apps: Any, schema_editor: Any) -> None:
    permission = apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="approvals", codename="add_changerequest"
    )
    for group in apps.get_model("auth", "Group").objects.filter(name="rule author"):
        group.permissions.add(*permission)  # a hub that has the role has the permission as well


class Migration(migrations.Migration):
    dependencies = [("approvals", "0003_roles_that_approve")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
