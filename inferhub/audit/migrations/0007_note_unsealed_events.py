from django.db import migrations

from inferhub.audit.unsealed import note_unsealed


class Migration(migrations.Migration):
    dependencies = [("audit", "0006_seals_append_only")]
    operations = [
        note_unsealed("audit_auditevent", stream="audit-event", id_bytes="int8send(0) || int8send(id)"),
    ]
