"""A version that an alias is being pointed at is not archived at the same moment.

The guard of 0005 locks only rows that it refuses. This trigger comes before it, by its name, and locks the good ones.
"""

from django.db import migrations

_LOCK = """
CREATE FUNCTION inferhub_lock_alias_versions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM registry_modelversion
        WHERE id IN (NEW.version_id, NEW.canary_version_id, NEW.shadow_version_id) ORDER BY id FOR SHARE;
    RETURN NEW;
END $$;
CREATE TRIGGER before_guard BEFORE INSERT OR UPDATE ON registry_alias
    FOR EACH ROW EXECUTE FUNCTION inferhub_lock_alias_versions();
"""
_UNDO = "DROP TRIGGER before_guard ON registry_alias; DROP FUNCTION inferhub_lock_alias_versions();"


class Migration(migrations.Migration):
    dependencies = [("registry", "0005_guards")]
    operations = [migrations.RunSQL(_LOCK, _UNDO)]
