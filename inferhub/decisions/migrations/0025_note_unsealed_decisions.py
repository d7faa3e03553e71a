from django.db import migrations

from inferhub.audit.unsealed import note_unsealed


class Migration(migrations.Migration):
    dependencies = [("audit", "0006_seals_append_only"), ("decisions", "0024_remove_current")]
    operations = [note_unsealed("decisions_decision", stream="decision", id_bytes="uuid_send(id)")]
