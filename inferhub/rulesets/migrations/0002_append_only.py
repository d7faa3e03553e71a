from django.db import migrations

from inferhub.audit.append_only import append_only


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_append_only"), ("rulesets", "0001_initial")]
    operations = [append_only("rulesets_rulesetversion")]
