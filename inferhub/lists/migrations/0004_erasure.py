"""An entry that is removed may lose its value and note, once: what was a person's is erased from past versions too."""

from django.db import migrations

_GUARD = """
CREATE OR REPLACE FUNCTION inferhub_guard_list_entry() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_same boolean := (OLD.id, OLD.list_id, OLD.expires_at, OLD.added_in)
        IS NOT DISTINCT FROM (NEW.id, NEW.list_id, NEW.expires_at, NEW.added_in);
BEGIN
    IF is_same AND OLD.removed_in IS NULL AND NEW.removed_in IS NOT NULL
        AND (OLD.value, OLD.note) = (NEW.value, NEW.note)
    THEN
        RETURN NEW;
    END IF;
    IF is_same AND OLD.removed_in IS NOT NULL AND OLD.removed_in = NEW.removed_in
        AND (NEW.value, NEW.note) = ('', '')
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'rows of % are append-only: an entry can only be removed, once, and then erased', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$
"""
_UNDO = """
CREATE OR REPLACE FUNCTION inferhub_guard_list_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.removed_in IS NOT NULL OR NEW.removed_in IS NULL
        OR (OLD.id, OLD.list_id, OLD.value, OLD.note, OLD.expires_at, OLD.added_in)
           IS DISTINCT FROM (NEW.id, NEW.list_id, NEW.value, NEW.note, NEW.expires_at, NEW.added_in)
    THEN
        RAISE EXCEPTION 'rows of % are append-only: an entry can only be removed, once', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("lists", "0003_roles_that_edit")]
    operations = [migrations.RunSQL(_GUARD, _UNDO)]
