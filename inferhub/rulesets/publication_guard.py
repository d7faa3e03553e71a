"""What must hold of publications whoever writes: also raw SQL by the application's own role. For migrations."""

from django.db.migrations import RunSQL

_PUBLICATION = """
CREATE FUNCTION inferhub_guard_{owner}_publication() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found {owner_table};
    present {table};
    former bigint;
    asked jsonb;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.cancelled_at IS NULL AND NEW.cancelled_at IS NOT NULL AND OLD.effective_from > clock_timestamp()
            AND (to_jsonb(NEW) - '{{cancelled_at,cancelled_by,cancel_reason}}'::text[])
                = (to_jsonb(OLD) - '{{cancelled_at,cancelled_by,cancel_reason}}'::text[])
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'a publication is history: one that has not begun can be cancelled, and nothing else'
            USING ERRCODE = 'restrict_violation';
    END IF;
    -- Who publishes the same takes turns, so that each sees what the other did. Decisions, which refer to it, go on.
    SELECT * INTO found FROM {owner_table} WHERE id = NEW.{owner}_id FOR NO KEY UPDATE;
    IF NOT EXISTS (SELECT FROM {version_table} WHERE id = NEW.version_id AND {owner}_id = NEW.{owner}_id) THEN
        RAISE EXCEPTION 'a publication is one of an own version' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.cancelled_at IS NOT NULL THEN
        RAISE EXCEPTION 'a publication is cancelled later' USING ERRCODE = 'restrict_violation';
    END IF;
    NEW.published_at := clock_timestamp();
    IF NEW.is_rollback THEN
        -- To what was in force just before what is in force now; that was approved then.
        SELECT * INTO present FROM {table}
            WHERE {owner}_id = NEW.{owner}_id AND cancelled_at IS NULL AND effective_from <= NEW.published_at
                AND (effective_until IS NULL OR effective_until > NEW.published_at)
            ORDER BY effective_from DESC, id DESC LIMIT 1;
        SELECT version_id INTO former FROM {table}
            WHERE {owner}_id = NEW.{owner}_id AND cancelled_at IS NULL AND version_id <> present.version_id
                AND (effective_from, id) < (present.effective_from, present.id)
            ORDER BY effective_from DESC, id DESC LIMIT 1;
        IF former IS DISTINCT FROM NEW.version_id OR NEW.effective_until IS NOT NULL THEN
            RAISE EXCEPTION 'a rollback leads to the version that was in force before, for good'
                USING ERRCODE = 'restrict_violation';
        END IF;
        NEW.effective_from := NEW.published_at;
        RETURN NEW;
    END IF;
    IF found.approval <> 'direct' THEN
        SELECT payload INTO asked FROM approvals_changerequest WHERE id = NEW.change_id;
        IF (asked ->> 'effective_until')::timestamptz IS DISTINCT FROM NEW.effective_until THEN
            RAISE EXCEPTION 'the approval is for another time' USING ERRCODE = 'restrict_violation';
        END IF;
        NEW.effective_from := coalesce((asked ->> 'effective_from')::timestamptz, NEW.published_at);
        PERFORM inferhub_use_approval(NEW.change_id, '{owner}.publish', format('{subject}:%s', found.name),
            jsonb_build_object('version_id', NEW.version_id));
    END IF;
    NEW.effective_from := greatest(NEW.effective_from, NEW.published_at);
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON {table}
    FOR EACH ROW EXECUTE FUNCTION inferhub_guard_{owner}_publication();
"""
_OWNER = """
CREATE FUNCTION inferhub_guard_{owner}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.name <> OLD.name THEN
        RAISE EXCEPTION 'a {owner} keeps its name' USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.approval <> 'direct' AND NEW.approval <> OLD.approval THEN
        PERFORM inferhub_use_approval(NEW.approval_change_id, '{owner}.policy', format('{subject}:%s', NEW.name),
            jsonb_build_object('approval', NEW.approval));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON {owner_table}
    FOR EACH ROW EXECUTE FUNCTION inferhub_guard_{owner}();
"""


def guard_publications(*, owner: str, subject: str, app: str) -> list[RunSQL]:
    """The triggers of one kind of authored thing. `owner` is its key's name, `subject` what the audit log calls it."""
    name = owner.replace("_", "")
    words = {
        "owner": owner,
        "subject": subject,
        "owner_table": f"{app}_{name}",
        "version_table": f"{app}_{name}version",
        "table": f"{app}_{name}publication",
    }
    return [
        RunSQL(
            _PUBLICATION.format(**words),
            "DROP TRIGGER guard ON {table}; DROP FUNCTION inferhub_guard_{owner}_publication()".format(**words),
        ),
        RunSQL(
            _OWNER.format(**words),
            "DROP TRIGGER guard ON {owner_table}; DROP FUNCTION inferhub_guard_{owner}()".format(**words),
        ),
    ]


def publish_what_was_in_use(*, owner: str, app: str) -> RunSQL:
    """Before there were publications each version was in use from when it was saved, and nobody had to approve it."""
    name = owner.replace("_", "")
    return RunSQL(
        f"INSERT INTO {app}_{name}publication ({owner}_id, version_id, effective_from, reason, is_rollback, "  # noqa: S608 - names of our own tables
        f"published_at, published_by, cancelled_by, cancel_reason) "
        f"SELECT {owner}_id, id, created_at, note, false, created_at, created_by, '', '' "
        f"FROM {app}_{name}version ORDER BY id; "
        f"UPDATE {app}_{name} SET approval = 'direct'",
        RunSQL.noop,
    )
