"""Decisions by month: partitions made ahead of their time, and detached once they are old.

A detached month is a table of its own, outside of the hub's sight: it can be dumped, moved and dropped at leisure. What
belongs to its decisions (actions, attempts, reviews) goes with it into tables named alike. The keys of its requests
stay, so that none of them is decided again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, models, transaction

from inferhub.audit.services import record_event
from inferhub.decisions.models import Action, ActionState, Decision, Review
from inferhub.errors import Conflict

MONTHS_AHEAD = 3
DETACHMENT = "decisions.detached"
"""The audit event without which no decision may be missing."""
_LOCK_PATIENCE = "2s"


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """Decisions from `starts_at` (None: from ever) to before `ends_at`, in the table `name`."""

    name: str
    starts_at: datetime | None
    ends_at: datetime


def make_partitions() -> int:
    """Make the partitions of this month and the next ones where they are missing; says how many it made.

    It would rather give up, and be called again another day, than hold up those who decide.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_PATIENCE}'")
        cursor.execute("SELECT inferhub_partition_decisions(%s)", [MONTHS_AHEAD])
        return int(cursor.fetchone()[0])


def list_partitions() -> list[Partition]:
    """The months that are there, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, starts_at, ends_at FROM inferhub_decision_partitions ORDER BY ends_at")
        return [Partition(name=name, starts_at=starts_at, ends_at=ends_at) for name, starts_at, ends_at in cursor]


def old_partitions(months_kept: int, *, now: datetime) -> list[Partition]:
    """Those that ended at least so many months before that of `now`; none where 0 says that all are kept for ever."""
    if not months_kept:
        return []
    number = now.year * 12 + now.month - 1 - months_kept
    first = now.replace(year=number // 12, month=number % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0)
    return [partition for partition in list_partitions() if partition.ends_at <= first]


def detach_partition(partition: Partition, *, actor: str) -> int:
    """Take a month out of the hub's tables; gives the number of its decisions.

    Raises Conflict while an action of it waits for its delivery, or a review for a person.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_PATIENCE}'")
        _check_finished(partition)
        for table, rows in _dependents(Decision, f'SELECT id FROM "{partition.name}"'):  # noqa: S608 - names of our own tables
            _move(table, rows, f"{table}_{partition.name.removeprefix(_PREFIX)}")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f'ALTER TABLE "{_TABLE}" DETACH PARTITION "{partition.name}"')
        cursor.execute(f'SELECT count(*) FROM "{partition.name}"')  # noqa: S608 - the same
        count = int(cursor.fetchone()[0])
        details = {
            "table": partition.name,
            "decisions": count,
            "starts_at": partition.starts_at.isoformat() if partition.starts_at else None,
            "ends_at": partition.ends_at.isoformat(),
        }
        record_event(DETACHMENT, actor=actor, subject=f"table:{partition.name}", details=details)
    return count


def count_in_detached(subjects: Sequence[str]) -> dict[str, int]:
    """How many decisions about any of `subjects` are in months that were detached and are still in this database."""
    counts = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname ~ %s AND relkind = 'r' AND NOT relispartition "
            "AND pg_table_is_visible(oid) ORDER BY relname",
            [f"^{_PREFIX}[a-z0-9_]+$"],
        )
        for (table,) in cursor.fetchall():
            cursor.execute(
                f'SELECT count(*) FROM "{table}" WHERE subject = ANY(%s)',  # noqa: S608 - a name of plain letters
                [list(subjects)],
            )
            counts[table] = int(cursor.fetchone()[0])
    return {table: count for table, count in counts.items() if count}


_TABLE = Decision._meta.db_table
_PREFIX = f"{_TABLE}_"


def _check_finished(partition: Partition) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT (SELECT count(*) FROM "{partition.name}" AS decision '  # noqa: S608 - names of our own tables
            f'JOIN "{Action._meta.db_table}" AS action ON decision_id = decision.id WHERE state = %s), '
            f'(SELECT count(*) FROM "{partition.name}" AS decision '
            f"JOIN \"{Review._meta.db_table}\" AS review ON decision_id = decision.id WHERE verdict = '')",
            [ActionState.PENDING],
        )
        actions, reviews = cursor.fetchone()
    if actions or reviews:
        raise Conflict(f"{partition.name} cannot be detached yet: {actions} actions and {reviews} reviews are open.")


def _dependents(model: type[models.Model], ids: str) -> Iterator[tuple[str, str]]:
    """Tables that refer to the rows of `ids`, those first that others refer to least, each with its own condition."""
    for relation in model._meta.related_objects:
        related = relation.related_model
        if not isinstance(related, type) or not issubclass(related, models.Model) or related is model:
            continue
        table = related._meta.db_table
        rows = f'"{relation.field.column}" IN ({ids})'
        yield from _dependents(related, f'SELECT id FROM "{table}" WHERE {rows}')  # noqa: S608 - the same
        yield table, rows


def _move(table: str, rows: str, to: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE TABLE IF NOT EXISTS "{to}" (LIKE "{table}")')
        cursor.execute(
            f'WITH gone AS (DELETE FROM "{table}" WHERE {rows} RETURNING *) '  # noqa: S608 - the same
            f'INSERT INTO "{to}" SELECT * FROM gone'
        )
