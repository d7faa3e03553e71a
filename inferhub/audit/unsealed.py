"""Tables whose rows are to be sealed: the database itself notes each of them, whoever writes it. For migrations."""

from django.db.migrations import RunSQL

_ROWS_NOTED_TOGETHER = 4096


def note_unsealed(table: str, *, stream: str, id_bytes: str) -> RunSQL:
    """Note every row of `table`, present ones and those to come, as unsealed, in the transaction that writes it.

    A row that is committed late is therefore never missed: its note appears with it. `id_bytes` is an expression of 16
    bytes for the id; the column `digest` holds 64 hexadecimal digits. One trigger for a whole statement costs the
    writer least. (A statement that names a partition and not its table notes nothing; what it writes is found by
    verification as inserted.)
    """
    # A digest that is too short must not shift the records after it: what fills it up is no hexadecimal digit.
    record = f"{id_bytes} || decode(lpad(digest, 64, 'x'), 'hex')"
    noted = f"INSERT INTO audit_unsealed (stream, records) SELECT '{stream}', string_agg({record}, ''::bytea)"
    parts = f"SELECT *, row_number() OVER (ORDER BY id) / {_ROWS_NOTED_TOGETHER} AS part FROM {table}"  # noqa: S608 - ours
    return RunSQL(
        f"""
        CREATE FUNCTION inferhub_note_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            {noted} FROM written HAVING count(*) > 0;
            RETURN NULL;
        END $$;
        CREATE TRIGGER note_unsealed AFTER INSERT ON {table} REFERENCING NEW TABLE AS written
            FOR EACH STATEMENT EXECUTE FUNCTION inferhub_note_{table}();
        {noted} FROM ({parts}) AS present GROUP BY part ORDER BY part
        """,
        f"DROP TRIGGER note_unsealed ON {table}; DROP FUNCTION inferhub_note_{table}(); "  # noqa: S608 - the same
        f"DELETE FROM audit_unsealed WHERE stream = '{stream}'",
    )
