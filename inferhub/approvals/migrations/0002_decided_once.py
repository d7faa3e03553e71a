"""A change request is asked for, then decided once; nothing else of it ever changes."""

from django.db import migrations

from inferhub.audit.append_only import refuse_deletion

_GUARD = """
CREATE FUNCTION inferhub_guard_change_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'pending' OR NEW.applied_at IS NOT NULL THEN
            RAISE EXCEPTION 'a change request starts as pending' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (to_jsonb(NEW) - '{state,decided_by,decided_person_id,decided_at,decision_reason,applied_at}'::text[])
        <> (to_jsonb(OLD) - '{state,decided_by,decided_person_id,decided_at,decision_reason,applied_at}'::text[])
    THEN
        RAISE EXCEPTION 'what was asked for cannot be changed' USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.state = 'pending' AND NEW.applied_at IS NULL THEN
        RETURN NEW;
    END IF;
    IF OLD.state = 'approved' AND OLD.applied_at IS NULL AND NEW.applied_at IS NOT NULL
        AND (to_jsonb(NEW) - 'applied_at') = (to_jsonb(OLD) - 'applied_at')
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the change request % is decided already', OLD.id USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER decided_once BEFORE INSERT OR UPDATE ON approvals_changerequest
    FOR EACH ROW EXECUTE FUNCTION inferhub_guard_change_request();

-- Use an approval, once: for the triggers of the tables that changes are for. It allows exactly what was asked for: an
-- approved list of gates is no approval of half of them.
CREATE FUNCTION inferhub_use_approval(wanted_id bigint, wanted_kind text, wanted_subject text, wanted_payload jsonb)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE approvals_changerequest SET applied_at = clock_timestamp()
        WHERE id = wanted_id AND kind = wanted_kind AND subject = wanted_subject
            AND state = 'approved' AND applied_at IS NULL
            AND (SELECT coalesce(bool_and(payload -> wanted.key = wanted.value), false)
                FROM jsonb_each(wanted_payload) AS wanted);
    IF NOT FOUND THEN
        RAISE EXCEPTION '% of % needs a change request for exactly this that another person approved',
            wanted_kind, wanted_subject USING ERRCODE = 'restrict_violation';
    END IF;
END $$;
"""
_UNDO = """
DROP FUNCTION inferhub_use_approval(bigint, text, text, jsonb);
DROP TRIGGER decided_once ON approvals_changerequest;
DROP FUNCTION inferhub_guard_change_request();
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0001_initial"), ("audit", "0002_append_only")]
    operations = [migrations.RunSQL(_GUARD, _UNDO), refuse_deletion("approvals_changerequest")]
