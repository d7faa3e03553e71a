from django.db import migrations

from inferhub.audit.append_only import append_only


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_append_only"), ("decisions", "0001_initial")]
    operations = [append_only("decisions_workflowversion"), append_only("decisions_decision")]
