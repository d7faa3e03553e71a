"""Read the audit log."""

from django.db import connection


def list_actions() -> list[str]:
    """Every kind of action that was ever recorded, in the order of the alphabet.

    A loose index scan: as many look-ups as there are kinds, however long the log is
    (wiki.postgresql.org/wiki/Loose_indexscan).
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE kinds AS (
                SELECT min(action) AS action FROM audit_auditevent
                UNION ALL
                SELECT (SELECT min(action) FROM audit_auditevent WHERE action > kinds.action)
                FROM kinds WHERE kinds.action IS NOT NULL
            )
            SELECT action FROM kinds WHERE action IS NOT NULL ORDER BY action
            """
        )
        return [row[0] for row in cursor.fetchall()]
