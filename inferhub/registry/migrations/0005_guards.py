"""What must hold of versions and aliases whoever writes: also raw SQL by the application's own role."""

from django.db import migrations

from inferhub.audit.append_only import append_only, refuse_deletion

_VERSION = """
DROP TRIGGER append_only ON registry_modelversion;
DROP TRIGGER append_only_whole ON registry_modelversion;
CREATE FUNCTION inferhub_guard_model_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'validating' AND NEW.state IN ('validating', 'ready', 'rejected')
        AND NEW.model_id = OLD.model_id AND NEW.number = OLD.number AND NEW.source_digest = OLD.source_digest
    THEN
        RETURN NEW;
    END IF;
    IF (OLD.state, NEW.state) IN (('ready', 'archived'), ('archived', 'ready'))
        AND (to_jsonb(NEW) - '{state,state_reason,state_changed_at}'::text[])
            = (to_jsonb(OLD) - '{state,state_reason,state_changed_at}'::text[])
    THEN
        IF NEW.state = 'archived' AND EXISTS (
            SELECT FROM registry_alias WHERE NEW.id IN (version_id, canary_version_id, shadow_version_id)
        ) THEN
            RAISE EXCEPTION 'a version that an alias points at cannot be archived'
                USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'rows of registry_modelversion are append-only: UPDATE refused'
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON registry_modelversion
    FOR EACH ROW EXECUTE FUNCTION inferhub_guard_model_version();
"""
_VERSION_UNDO = """
DROP TRIGGER guard ON registry_modelversion;
DROP FUNCTION inferhub_guard_model_version();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON registry_modelversion
    FOR EACH ROW EXECUTE FUNCTION inferhub_refuse_change();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON registry_modelversion
    FOR EACH STATEMENT EXECUTE FUNCTION inferhub_refuse_change();
"""
_ALIAS = """
CREATE FUNCTION inferhub_guard_alias() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    owner registry_registeredmodel;
    subject text;
    is_move boolean := TG_OP = 'INSERT';
    is_new_canary boolean := NEW.canary_version_id IS NOT NULL;
BEGIN
    -- The versions' rows are locked, so that none of them is archived meanwhile.
    PERFORM FROM registry_modelversion
        WHERE id IN (NEW.version_id, NEW.canary_version_id, NEW.shadow_version_id) ORDER BY id FOR SHARE;
    PERFORM FROM registry_modelversion
        WHERE id IN (NEW.version_id, NEW.canary_version_id, NEW.shadow_version_id)
            AND (model_id <> NEW.model_id OR state <> 'ready');
    IF FOUND THEN
        RAISE EXCEPTION 'an alias points only at ready versions of its own model'
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF NEW.model_id <> OLD.model_id OR NEW.name <> OLD.name THEN
            RAISE EXCEPTION 'an alias keeps its model and its name' USING ERRCODE = 'restrict_violation';
        END IF;
        is_move := NEW.version_id <> OLD.version_id;
        is_new_canary := NEW.canary_version_id IS NOT NULL AND (
            NEW.canary_version_id IS DISTINCT FROM OLD.canary_version_id OR NEW.canary_percent > OLD.canary_percent);
    END IF;
    SELECT * INTO owner FROM registry_registeredmodel WHERE id = NEW.model_id FOR SHARE;
    subject := format('model:%s@%s', owner.name, NEW.name);
    -- A rollback leads to where the alias pointed just before, which was approved then.
    IF is_move AND owner.approval <> 'direct'
        AND (TG_OP = 'INSERT' OR NEW.version_id IS DISTINCT FROM OLD.previous_version_id)
    THEN
        PERFORM inferhub_use_approval(
            NEW.change_id, 'alias.move', subject, jsonb_build_object('version_id', NEW.version_id));
    END IF;
    IF is_new_canary AND owner.approval <> 'direct' THEN
        PERFORM inferhub_use_approval(NEW.change_id, 'alias.canary', subject, jsonb_build_object(
            'version_id', NEW.canary_version_id, 'percent', NEW.canary_percent));
    END IF;
    IF TG_OP = 'UPDATE' AND is_move AND NEW.previous_version_id IS DISTINCT FROM OLD.version_id THEN
        RAISE EXCEPTION 'a move remembers where the alias pointed' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NOT is_move AND TG_OP = 'UPDATE' AND NEW.previous_version_id IS DISTINCT FROM OLD.previous_version_id THEN
        RAISE EXCEPTION 'only a move changes where a rollback leads' USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'INSERT' AND NEW.previous_version_id IS NOT NULL THEN
        RAISE EXCEPTION 'a new alias has no previous version' USING ERRCODE = 'restrict_violation';
    END IF;
    PERFORM pg_notify('inferhub_alias', subject);
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON registry_alias
    FOR EACH ROW EXECUTE FUNCTION inferhub_guard_alias();
"""
_ALIAS_UNDO = "DROP TRIGGER guard ON registry_alias; DROP FUNCTION inferhub_guard_alias();"
_MODEL = """
CREATE FUNCTION inferhub_guard_model() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.name <> OLD.name OR NEW.task <> OLD.task THEN
        RAISE EXCEPTION 'a registered model keeps its name and its task' USING ERRCODE = 'restrict_violation';
    END IF;
    -- Fewer gates are a weaker policy as well.
    IF OLD.approval <> 'direct' AND (NEW.approval, NEW.gates) IS DISTINCT FROM (OLD.approval, OLD.gates) THEN
        PERFORM inferhub_use_approval(
            NEW.approval_change_id, 'model.policy', format('model:%s', NEW.name),
            jsonb_build_object('approval', NEW.approval, 'gates', NEW.gates));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON registry_registeredmodel
    FOR EACH ROW EXECUTE FUNCTION inferhub_guard_model();
"""
_MODEL_UNDO = "DROP TRIGGER guard ON registry_registeredmodel; DROP FUNCTION inferhub_guard_model();"


class Migration(migrations.Migration):
    dependencies = [("registry", "0004_keep_direct"), ("approvals", "0002_decided_once")]
    operations = [
        migrations.RunSQL(_VERSION, _VERSION_UNDO),
        refuse_deletion("registry_modelversion"),
        migrations.RunSQL(_ALIAS, _ALIAS_UNDO),
        refuse_deletion("registry_alias"),
        migrations.RunSQL(_MODEL, _MODEL_UNDO),
        refuse_deletion("registry_registeredmodel"),
        append_only("registry_tuning"),
    ]
