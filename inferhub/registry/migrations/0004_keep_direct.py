"""Models of a hub that knew no approvals yet go on as they did: their aliases move at once."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("registry", "0003_lifecycle")]
    operations = [migrations.RunSQL("UPDATE registry_registeredmodel SET approval = 'direct'", migrations.RunSQL.noop)]
