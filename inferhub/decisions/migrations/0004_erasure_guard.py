"""Decisions stay as they are, but for one change: the erasure of what may tell of a person, once, as a whole."""

from django.db import migrations

_GUARD = """
CREATE FUNCTION inferhub_guard_decision() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    content text[] := '{input,outputs,predictions,subject,trace,salt,erased_at}';
BEGIN
    IF OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL
        AND NEW.input = '{}' AND NEW.outputs = '{}' AND NEW.predictions = '{}' AND NEW.trace = '{}'
        AND NEW.subject = '' AND NEW.salt = ''
        AND to_jsonb(NEW) - content = to_jsonb(OLD) - content
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'rows of % are append-only: UPDATE refused', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
DROP TRIGGER append_only ON decisions_decision;
CREATE TRIGGER guard BEFORE UPDATE ON decisions_decision
    FOR EACH ROW EXECUTE FUNCTION inferhub_guard_decision();
CREATE TRIGGER kept BEFORE DELETE ON decisions_decision
    FOR EACH ROW EXECUTE FUNCTION inferhub_refuse_change();
"""
_UNDO = """
DROP TRIGGER guard ON decisions_decision;
DROP TRIGGER kept ON decisions_decision;
DROP FUNCTION inferhub_guard_decision();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON decisions_decision
    FOR EACH ROW EXECUTE FUNCTION inferhub_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("decisions", "0003_content_commitment")]
    operations = [migrations.RunSQL(_GUARD, _UNDO)]
