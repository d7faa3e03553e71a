from django.db import migrations

from inferhub.audit.append_only import append_only

# Digests cannot be compressed: out of line as they are, a part of them can be read without the rest.
_STORE = "ALTER TABLE audit_seal ALTER COLUMN records SET STORAGE EXTERNAL"


class Migration(migrations.Migration):
    dependencies = [("audit", "0005_seals")]
    operations = [append_only("audit_seal"), migrations.RunSQL(_STORE, migrations.RunSQL.noop)]
