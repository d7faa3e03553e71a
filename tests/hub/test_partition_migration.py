"""A hub that has decisions already becomes partitioned, and keeps all of them."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from django.db import Error, connections
from django.db.migrations.executor import MigrationExecutor
from pytest_django import DjangoDbBlocker

from inferhub.lib.ids import uuid7

BEFORE = [("auth", "0012_alter_user_first_name_max_length"), ("decisions", "0004_erasure_guard")]
AFTER = [("decisions", "0008_partitions")]
SCRATCH = "scratch"


@pytest.fixture
def old_hub(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Any]:
    """A database of its own, as it was before, with one finished decision of one request."""
    name = f"{connections['default'].settings_dict['NAME']}_old"
    connections.databases[SCRATCH] = deepcopy(connections.databases["default"]) | {"NAME": name}
    with django_db_blocker.unblock():
        with connections["default"]._nodb_cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}"')
        try:
            MigrationExecutor(connections[SCRATCH]).migrate(BEFORE)
            _fill(connections[SCRATCH])
            yield connections[SCRATCH]
        finally:
            connections[SCRATCH].close()
            del connections[SCRATCH], connections.databases[SCRATCH]
            with connections["default"]._nodb_cursor() as cursor:
                cursor.execute(f'DROP DATABASE "{name}"')
            connections["default"].close()


def _fill(connection: Any) -> None:
    decision_id = uuid7()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO decisions_workflow (id, name, description) VALUES (1, 'w', '');
            INSERT INTO decisions_workflowversion (id, workflow_id, number, definition, digest, note, created_by)
                VALUES (1, 1, 1, '{}', '', '', '');
            INSERT INTO rulesets_ruleset (id, name, description) VALUES (1, 'r', '');
            INSERT INTO rulesets_rulesetversion (id, rule_set_id, number, definition, digest, note, created_by)
                VALUES (1, 1, 1, '{}', '', '', '')
            """
        )
        cursor.execute(
            """
            INSERT INTO decisions_decision (id, workflow_id, version_id, rule_set_version_id, request_id, subject,
                input, predictions, outcome, outputs, trace, timings, actor, digest, created_at, salt, commitment)
            VALUES (%s, 1, 1, 1, 'r1', 's', '{}', '{}', 'o', '{}', '{}', '{}', 'a', 'd', now(), '', '')
            """,
            [decision_id],
        )
        cursor.execute(
            """
            INSERT INTO decisions_action (id, decision_id, kind, settings, state, attempt_count, next_attempt_at,
                created_at) VALUES (%s, %s, 'review', '{}', 'pending', 0, now(), now())
            """,
            [uuid7(), decision_id],
        )


def test_a_hub_with_decisions_becomes_partitioned_and_loses_nothing(old_hub: Any) -> None:
    executor = MigrationExecutor(old_hub)
    executor.migrate(AFTER)
    with old_hub.cursor() as cursor:

        def rows(statement: str) -> list[Any]:
            cursor.execute(statement)
            return list(cursor.fetchall())

        assert rows("SELECT tableoid::regclass::text, request_id FROM decisions_decision") == [
            ("decisions_decision_before", "r1")
        ]
        assert rows(
            "SELECT decision.request_id, key.request_id FROM decisions_decision AS decision "
            "JOIN decisions_decisionkey AS key ON decision_id = id"
        ) == [("r1", "r1")]
        assert rows("SELECT count(*) FROM decisions_action JOIN decisions_decision d ON d.id = decision_id") == [(1,)]
        assert len(rows("SELECT name FROM inferhub_decision_partitions")) == 4
        for statement in ("UPDATE decisions_decision SET outcome = 'x'", "DELETE FROM decisions_decision_before"):
            with pytest.raises(Error, match="append-only"):
                cursor.execute(statement)
