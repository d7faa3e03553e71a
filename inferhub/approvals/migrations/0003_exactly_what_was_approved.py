"""An approval allows exactly what was asked for: an approved list of gates is no approval of half of them."""

from django.db import migrations

_USE = """
CREATE OR REPLACE FUNCTION inferhub_use_approval(
    wanted_id bigint, wanted_kind text, wanted_subject text, wanted_payload jsonb)
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
CREATE OR REPLACE FUNCTION inferhub_use_approval(
    wanted_id bigint, wanted_kind text, wanted_subject text, wanted_payload jsonb)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE approvals_changerequest SET applied_at = clock_timestamp()
        WHERE id = wanted_id AND kind = wanted_kind AND subject = wanted_subject AND payload @> wanted_payload
            AND state = 'approved' AND applied_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% of % needs a change request for exactly this that another person approved',
            wanted_kind, wanted_subject USING ERRCODE = 'restrict_violation';
    END IF;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0002_decided_once")]
    operations = [migrations.RunSQL(_USE, _UNDO)]
