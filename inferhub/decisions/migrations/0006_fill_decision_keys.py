from django.db import migrations

from inferhub.audit.append_only import append_only

_FILL = """
INSERT INTO decisions_decisionkey (workflow_id, request_id, decision_id)
SELECT workflow_id, request_id, id FROM decisions_decision ORDER BY workflow_id, request_id
"""


class Migration(migrations.Migration):
    dependencies = [("decisions", "0005_decision_key")]
    operations = [
        migrations.RunSQL(_FILL, migrations.RunSQL.noop),
        append_only("decisions_decisionkey"),
    ]
