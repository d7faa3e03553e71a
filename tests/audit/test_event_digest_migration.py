"""A hub that has audit events already gives them digests, and seals them as if they had always had them."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from django.db import Error, connections
from django.db.migrations.executor import MigrationExecutor
from pytest_django import DjangoDbBlocker

from inferhub.audit.streams import EVENTS

BEFORE = [("audit", "0002_append_only")]
AFTER = [("audit", "0007_note_unsealed_events")]
SCRATCH = "scratch"


@pytest.fixture
def old_hub(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Any]:
    """A database of its own, as it was before, with two events."""
    name = f"{connections['default'].settings_dict['NAME']}_audit"
    connections.databases[SCRATCH] = deepcopy(connections.databases["default"]) | {"NAME": name}
    with django_db_blocker.unblock():
        with connections["default"]._nodb_cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}"')
        try:
            MigrationExecutor(connections[SCRATCH]).migrate(BEFORE)
            with connections[SCRATCH].cursor() as cursor:
                cursor.execute(
                    "INSERT INTO audit_auditevent (action, actor, subject, request_id, details) "
                    "VALUES ('a.made', 'user:ann', 'a:1', '', '{}'), ('b.made', 'user:ben', 'b:1', 'r', '{\"x\": 1.0}')"
                )
            yield connections[SCRATCH]
        finally:
            connections[SCRATCH].close()
            del connections[SCRATCH], connections.databases[SCRATCH]
            with connections["default"]._nodb_cursor() as cursor:
                cursor.execute(f'DROP DATABASE "{name}"')
            connections["default"].close()


def test_present_events_get_digests_and_are_noted_and_still_cannot_be_changed(old_hub: Any) -> None:
    MigrationExecutor(old_hub).migrate(AFTER)
    old_hub.ensure_connection()
    with old_hub.cursor() as cursor:
        cursor.execute("BEGIN")
        rows = list(EVENTS.rows(old_hub.connection, bytes(16)))
        cursor.execute("SELECT records FROM audit_unsealed")
        noted = b"".join(bytes(records) for (records,) in cursor.fetchall())
        cursor.execute("COMMIT")
    assert [(row.id[-1], row.stored) for row in rows] == [(1, rows[0].digest), (2, rows[1].digest)]
    assert noted == b"".join(row.id + bytes.fromhex(row.digest) for row in rows)
    with old_hub.cursor() as cursor, pytest.raises(Error, match="append-only"):
        cursor.execute("UPDATE audit_auditevent SET actor = 'user:eve'")
