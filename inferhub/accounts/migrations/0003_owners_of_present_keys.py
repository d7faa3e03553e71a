"""A key that a person made belongs to that person."""

from django.db import migrations

_FILL = """
UPDATE accounts_apikey SET owner_id = accounts_user.id FROM accounts_user
    WHERE accounts_apikey.created_by = 'user:' || accounts_user.username
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_api_key_owner")]
    operations = [migrations.RunSQL(_FILL, migrations.RunSQL.noop)]
