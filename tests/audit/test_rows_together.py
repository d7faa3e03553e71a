"""Rows that one seal has are verified together, and what is found is what a look at each of them finds."""

from typing import Any

import pytest
from django.db import connection

from inferhub.audit.models import AuditEvent
from inferhub.audit.sealing import seal_all
from inferhub.decisions import proof
from inferhub.decisions.models import Decision
from tests.audit.log import make_decision, tamper, verify

pytestmark = pytest.mark.django_db

SWAP = """
UPDATE decisions_decision AS target SET outcome = source.outcome, digest = source.digest, input = source.input,
    subject = source.subject, predictions = source.predictions, trace = source.trace, salt = source.salt,
    commitment = source.commitment, created_at = source.created_at, timings = source.timings, outputs = source.outputs
FROM decisions_decision AS source WHERE (target.id, source.id) IN ((%(second)s, %(fourth)s), (%(fourth)s, %(second)s))
"""
PLACES = ("first", "second", "third", "fourth", "fifth", "sixth")
DELETE = "DELETE FROM decisions_decision WHERE id = %({})s"
ALTER = "UPDATE decisions_decision SET outcome = 'hold' WHERE id = %({})s"
CHANGES = {
    "altered": [ALTER.format("third")],
    "two altered": [ALTER.format("second"), ALTER.format("fifth")],
    "removed and altered": [DELETE.format("third"), ALTER.format("fifth")],
    "first removed": [DELETE.format("first")],
    "last removed": [DELETE.format("sixth")],
    "swapped": [SWAP],
    "erased unnoted": ["UPDATE decisions_decision SET input = '{}', erased_at = now() WHERE id = %(second)s"],
}


@pytest.fixture
def decisions(workflow: str) -> list[Decision]:
    """Four under one seal, and two under another one."""
    made = [make_decision(customer_id=name) for name in ("ann", "ben", "cid", "dan")]
    seal_all()
    made += [make_decision(customer_id=name) for name in ("eva", "fay")]
    seal_all()
    return made


@pytest.mark.parametrize("name", CHANGES)
def test_the_report_is_the_same_however_many_rows_are_looked_at_together(
    decisions: list[Decision], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = dict(
        zip(("first", "second", "third", "fourth", "fifth", "sixth"), (one.pk for one in decisions), strict=True)
    )
    for statement in CHANGES[name]:
        tamper(statement, ids)
    reports = []
    for at_once in (1, 2, 3, 500):
        monkeypatch.setattr("inferhub.audit.verification._ROWS_AT_ONCE", at_once)
        reports.append(verify())
    assert not reports[0].is_clean
    assert all(report == reports[0] for report in reports)


def test_progress_is_told_of_every_row(decisions: list[Decision], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inferhub.audit.verification._PROGRESS_EVERY", 2)
    monkeypatch.setattr("inferhub.audit.verification._ROWS_AT_ONCE", 3)
    told: list[tuple[int, int]] = []
    report = verify(progress=lambda done, total: told.append((done, total)))
    rows = sum(report.rows.values())
    assert told[-1] == (rows, rows)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) > 3


def test_a_row_that_is_there_twice_is_found(decisions: list[Decision]) -> None:
    """The same row under the same number, by somebody who has taken the primary key away."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE audit_auditevent DROP CONSTRAINT audit_auditevent_pkey")
    tamper(
        "INSERT INTO audit_auditevent SELECT * FROM audit_auditevent WHERE action = 'decision.made' ORDER BY id LIMIT 1"
    )
    (found,) = verify().findings
    assert (found.kind, found.stream) == ("inserted", "audit-event")
    assert found.id == str(AuditEvent.objects.filter(action="decision.made").earliest("id").pk)


@pytest.mark.parametrize("total", [20.0, 20.50, 1e300, -0.0, 2**53, 860584541.2417504, 1e16, 5e-7])
def test_numbers_that_have_several_spellings_are_as_they_were_written(workflow: str, total: Any) -> None:
    make_decision(total=total)
    assert verify().is_clean
    seal_all()
    assert verify().is_clean


def test_a_whole_number_that_became_another_one_is_found(workflow: str) -> None:
    decision = make_decision(total=20.0)
    seal_all()
    tamper("UPDATE decisions_decision SET input = jsonb_set(input, '{total}', '21.0')")
    assert [(found.kind, found.id) for found in verify().findings] == [("altered", str(decision.pk))]


def test_decisions_are_read_in_the_order_of_their_index(decisions: list[Decision]) -> None:
    """Sorting them would write the whole table to the disk before the first row is looked at."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN {proof._ROWS}", [decisions[0].pk])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Scan" in plan
    assert "Sort" not in plan
