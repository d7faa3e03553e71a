"""One view of the database, however long it takes to look at it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import psycopg
from django.db import connection

from inferhub.audit.streams import View


@contextmanager
def snapshot() -> Iterator[View]:
    """A connection of its own that sees what is committed now. Within a transaction it is that of the transaction."""
    if connection.in_atomic_block:
        yield cast("View", connection.connection)
        return
    ours = {"cursor_factory": psycopg.Cursor, "context": None}
    with psycopg.connect(**connection.get_connection_params() | ours) as view:
        view.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        view.read_only = True
        view.execute("SET TIME ZONE 'UTC'")
        yield view
