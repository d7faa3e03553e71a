"""A row that changed keeps all but its amount, which goes when its decision is erased."""

from django.db import migrations

_GUARD = """
CREATE FUNCTION inferhub_guard_backtest_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.amount IS NULL AND to_jsonb(NEW) - 'amount' = to_jsonb(OLD) - 'amount' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'rows of % are append-only: UPDATE refused', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
DROP TRIGGER append_only ON backtests_backtestchange;
CREATE TRIGGER guard BEFORE UPDATE ON backtests_backtestchange
    FOR EACH ROW EXECUTE FUNCTION inferhub_guard_backtest_change();
CREATE TRIGGER kept BEFORE DELETE ON backtests_backtestchange
    FOR EACH ROW EXECUTE FUNCTION inferhub_refuse_change();
"""
_UNDO = """
DROP TRIGGER guard ON backtests_backtestchange;
DROP TRIGGER kept ON backtests_backtestchange;
DROP FUNCTION inferhub_guard_backtest_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON backtests_backtestchange
    FOR EACH ROW EXECUTE FUNCTION inferhub_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("backtests", "0004_roles_that_backtest")]
    operations = [migrations.RunSQL(_GUARD, _UNDO)]
