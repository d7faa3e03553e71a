"""Decisions by month: partitions made ahead of their time."""

from django.db import connection, transaction

MONTHS_AHEAD = 3


def make_partitions() -> int:
    """Make the partitions of this month and the next ones where they are missing; says how many it made.

    It would rather give up, and be called again another day, than hold up those who decide.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '2s'")
        cursor.execute("SELECT inferhub_partition_decisions(%s)", [MONTHS_AHEAD])
        return int(cursor.fetchone()[0])
