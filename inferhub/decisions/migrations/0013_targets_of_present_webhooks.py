from django.db import migrations

FILL = """
INSERT INTO decisions_deliverytarget (name, failure_count, problem)
SELECT 'webhook:' || name, 0, '' FROM decisions_webhookendpoint;
UPDATE decisions_action SET target = 'webhook:' || (settings ->> 'endpoint')
WHERE state = 'dead' AND kind = 'webhook' AND settings ? 'endpoint'
"""


class Migration(migrations.Migration):

    dependencies = [
        ('decisions', '0012_delivery_target'),
    ]

    operations = [
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
