"""Triggers that somebody with all rights over the database switched off, took away or replaced."""

from collections.abc import Sequence

import pytest
from django.db import connection

from inferhub.audit.findings import Report
from inferhub.audit.guards import EVENT_GUARDS, Guards, check_guards
from inferhub.audit.streams import snapshot
from inferhub.decisions.proof import DECISION_GUARDS
from inferhub.jobs.proving import record_verification
from tests.hub_fixtures import ACTOR

pytestmark = pytest.mark.django_db


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture(autouse=True)
def _as_migrations_leave_it(db: None) -> None:
    """For the tests' own sake this one is off."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'append_only_whole'")
        run(*[f"ALTER TABLE {table} ENABLE TRIGGER append_only_whole" for (table,) in cursor.fetchall()])


def sentences(guards: Sequence[Guards] = (*EVENT_GUARDS, *DECISION_GUARDS)) -> list[str]:
    report = Report()
    with snapshot() as view:
        for one in guards:
            check_guards(view, report, one)
    return [finding.sentence for finding in report.findings]


def test_all_are_in_force_that_the_migrations_make() -> None:
    assert sentences() == []


def test_every_trigger_of_these_tables_is_looked_for() -> None:
    guards = (*EVENT_GUARDS, *DECISION_GUARDS)
    with connection.cursor() as cursor:
        for one in guards:
            cursor.execute(
                "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND NOT tgisinternal", [one.table]
            )
            assert {name for (name,) in cursor.fetchall()} == set(one.triggers)


NO_GUARD = """
CREATE OR REPLACE FUNCTION inferhub_guard_decision() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'
"""
NEVER = """
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_auditevent
FOR EACH ROW WHEN (false) EXECUTE FUNCTION inferhub_refuse_change()
"""
OF_ONE_COLUMN = """
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OF number OR DELETE ON audit_seal
FOR EACH ROW EXECUTE FUNCTION inferhub_refuse_change()
"""


@pytest.mark.parametrize(
    ("statement", "trigger", "found"),
    [
        ("ALTER TABLE audit_auditevent DISABLE TRIGGER append_only", "audit_auditevent.append_only", "switched off"),
        ("ALTER TABLE decisions_decision_before DISABLE TRIGGER guard", "decisions_decision_before.guard", "switched"),
        ("ALTER TABLE audit_seal ENABLE REPLICA TRIGGER append_only", "audit_seal.append_only", "switched off"),
        ("DROP TRIGGER append_only ON decisions_decisionkey", "decisions_decisionkey.append_only", "none"),
        (NO_GUARD, "decisions_decision.guard", "one that does something else"),
        (NEVER, "audit_auditevent.append_only", "one that does something else"),
        (OF_ONE_COLUMN, "audit_seal.append_only", "one that does something else"),
    ],
)
def test_one_that_is_not_is_told(statement: str, trigger: str, found: str) -> None:
    run(statement)
    said = [sentence for sentence in sentences() if f"guard {trigger}:" in sentence]
    assert len(said) == 1
    assert found in said[0]


def test_a_verification_fails_over_it() -> None:
    assert record_verification(actor=ACTOR).state == "passed"
    run("ALTER TABLE audit_auditevent DISABLE TRIGGER note_unsealed")
    done = record_verification(actor=ACTOR)
    assert done.state == "failed"
    assert done.report["findings"][0]["id"] == "audit_auditevent.note_unsealed"
