"""Tables whose rows, once written, the database itself refuses to change. For migrations."""

from django.db.migrations import RunSQL

CREATE_FUNCTION = RunSQL(
    """
    CREATE FUNCTION inferhub_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'rows of % are append-only: % refused', TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'restrict_violation';
    END $$
    """,
    "DROP FUNCTION inferhub_refuse_change()",
)


def append_only(table: str) -> RunSQL:
    """Refuse UPDATE, DELETE and TRUNCATE on `table`. Needs the function, which the first migrations of `audit` make.

    Not django-pgtrigger: its triggers look at a session variable first, and whoever sets it may change everything.
    """
    return RunSQL(
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION inferhub_refuse_change(); "
        f"CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION inferhub_refuse_change()",
        f"DROP TRIGGER append_only ON {table}; DROP TRIGGER append_only_whole ON {table}",
    )


def refuse_deletion(table: str) -> RunSQL:
    """Refuse DELETE and TRUNCATE on `table`, whose rows may change in ways that a trigger of its own allows."""
    return RunSQL(
        f"CREATE TRIGGER kept BEFORE DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION inferhub_refuse_change(); "
        f"CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION inferhub_refuse_change()",
        f"DROP TRIGGER kept ON {table}; DROP TRIGGER append_only_whole ON {table}",
    )
