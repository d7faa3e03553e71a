from django.db import migrations

from inferhub.audit.append_only import CREATE_FUNCTION, append_only


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [CREATE_FUNCTION, append_only("audit_auditevent")]
