"""Past versions stay: the database lets an entry end, once, and changes nothing else about it."""

from django.db import migrations

from inferhub.audit.append_only import append_only, refuse_deletion

_GUARD = migrations.RunSQL(
    """
    CREATE FUNCTION inferhub_guard_list_entry() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.removed_in IS NOT NULL OR NEW.removed_in IS NULL
            OR (OLD.id, OLD.list_id, OLD.value, OLD.note, OLD.expires_at, OLD.added_in)
               IS DISTINCT FROM (NEW.id, NEW.list_id, NEW.value, NEW.note, NEW.expires_at, NEW.added_in)
        THEN
            RAISE EXCEPTION 'rows of % are append-only: an entry can only be removed, once', TG_TABLE_NAME
                USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER ended_once BEFORE UPDATE ON lists_listentry
    FOR EACH ROW EXECUTE FUNCTION inferhub_guard_list_entry()
    """,
    "DROP TRIGGER ended_once ON lists_listentry; DROP FUNCTION inferhub_guard_list_entry()",
)


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_append_only"), ("lists", "0001_initial")]
    operations = [
        append_only("lists_listversion"),
        refuse_deletion("lists_listentry"),
        refuse_deletion("lists_lookuplist"),
        _GUARD,
    ]
