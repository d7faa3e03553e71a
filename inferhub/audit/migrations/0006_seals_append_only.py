from django.db import migrations

from inferhub.audit.append_only import append_only

# Digests cannot be compressed: out of line as they are, a part of them can be read without the rest.
_STORE = "ALTER TABLE audit_seal ALTER COLUMN records SET STORAGE EXTERNAL"
# Anything else would be no records: nobody could seal it.
_CHECK = """
ALTER TABLE audit_unsealed ADD CONSTRAINT notes_are_records
CHECK (octet_length(records) > 0 AND octet_length(records) % 48 = 0)
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0005_seals")]
    operations = [
        append_only("audit_seal"),
        migrations.RunSQL(_STORE, migrations.RunSQL.noop),
        migrations.RunSQL(_CHECK, "ALTER TABLE audit_unsealed DROP CONSTRAINT notes_are_records"),
    ]
