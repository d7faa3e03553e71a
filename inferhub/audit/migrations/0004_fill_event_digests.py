"""Events from before there were digests get theirs. The guard of the table is off for nobody else meanwhile: switching
it locks the table until the migration is committed.
"""

from datetime import UTC
from typing import Any

from django.db import migrations

from inferhub.audit.digests import digest_of_event

_AT_ONCE = 5000
_NAMES = ("occurred_at", "action", "actor", "subject", "request_id", "details")
_WRITE = """
UPDATE audit_auditevent SET digest = given.digest FROM unnest(%s::bigint[], %s::text[]) AS given (id, digest)
WHERE audit_auditevent.id = given.id
"""


def fill(apps: Any, schema_editor: Any) -> None:
    events = apps.get_model("audit", "AuditEvent").objects.using(schema_editor.connection.alias).order_by("pk")
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER append_only")
        last = 0
        while rows := list(events.filter(pk__gt=last).values("pk", *_NAMES)[:_AT_ONCE]):
            pks = [row.pop("pk") for row in rows]
            cursor.execute(_WRITE, [pks, [_digest(**row) for row in rows]])
            last = pks[-1]
        cursor.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER append_only")


def _digest(occurred_at: Any, **others: Any) -> str:
    return digest_of_event(occurred_at=occurred_at.astimezone(UTC), **others)


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_event_digest")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
