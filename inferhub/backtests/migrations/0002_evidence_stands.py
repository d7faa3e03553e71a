"""Approvals point to back-tests: one that is finished, and the rows of it that changed, stay as they are."""

from django.db import migrations

from inferhub.audit.append_only import append_only, refuse_deletion

_FINISHED = """
CREATE FUNCTION inferhub_refuse_change_once_finished() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.finished_at IS NOT NULL THEN
        RAISE EXCEPTION 'a finished row of % is evidence: % refused', TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER finished_stands BEFORE UPDATE ON backtests_backtest
    FOR EACH ROW EXECUTE FUNCTION inferhub_refuse_change_once_finished();
"""
_UNDO = "DROP TRIGGER finished_stands ON backtests_backtest; DROP FUNCTION inferhub_refuse_change_once_finished()"


class Migration(migrations.Migration):
    dependencies = [("backtests", "0001_initial"), ("audit", "0002_append_only")]
    operations = [
        migrations.RunSQL(_FINISHED, _UNDO),
        refuse_deletion("backtests_backtest"),
        append_only("backtests_backtestchange"),
    ]
