"""A month that was detached is missed only as far as the audit log says so."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from inferhub.audit.sealing import seal_all
from inferhub.audit.services import record_event
from inferhub.decisions import drafts
from inferhub.decisions.delivery import deliver_action
from inferhub.decisions.models import Action, Decision
from inferhub.decisions.partitions import detach_partition, list_partitions
from inferhub.lib.ids import uuid7
from tests.audit.log import first_finding, make_decision, tamper, verify
from tests.hub_fixtures import ACTOR

pytestmark = pytest.mark.django_db

LONG_AGO = datetime(2001, 2, 3, tzinfo=UTC)


@pytest.fixture
def old(workflow: str, monkeypatch: pytest.MonkeyPatch) -> list[Decision]:
    """Three decisions of a month that is long over, one of them not sealed yet, and one of today."""

    def id_of_then() -> uuid.UUID:
        return uuid.UUID(int=int(LONG_AGO.timestamp() * 1000) << 80 | uuid7().int & (1 << 80) - 1)

    with monkeypatch.context() as patch:
        patch.setattr(drafts, "uuid7", id_of_then)
        made = [make_decision(), make_decision()]
        seal_all()
        made.append(make_decision())
    make_decision()
    for action in Action.objects.all():
        deliver_action(action.pk)
    return made


def detach() -> None:
    detach_partition(list_partitions()[0], actor=ACTOR)


def test_a_detached_month_is_excused(old: list[Decision]) -> None:
    detach()
    report = verify()
    assert report.is_clean
    assert (report.excused, report.rows["decision"]) == (3, 1)
    seal_all()
    assert verify().is_clean


def test_a_month_that_went_without_an_audit_event_is_found(old: list[Decision]) -> None:
    detach()
    tamper("DELETE FROM audit_auditevent WHERE action = 'decisions.detached'")
    kinds = [(found.kind, found.stream) for found in verify().findings]
    assert kinds == [("removed", "audit-event"), *[("removed", "decision")] * 3]


def test_a_row_that_was_removed_before_its_month_was_detached_is_found(old: list[Decision]) -> None:
    tamper("DELETE FROM decisions_decision WHERE id = %s", [old[1].pk])
    detach()
    found = first_finding()
    assert (found.kind, found.stream, found.found) == ("removed", "decision", "3 missing")
    assert found.expected.startswith("at most 2 rows missing")


@pytest.mark.parametrize(
    "details", ["[]", "{}", '{"ends_at": "x", "decisions": 3}', '{"ends_at": "2002-01-01"}', "1e400"]
)
def test_an_event_that_cannot_be_understood_excuses_nothing(old: list[Decision], details: str) -> None:
    detach()
    tamper("UPDATE audit_auditevent SET details = %s WHERE action = 'decisions.detached'", [details])
    kinds = [(found.kind, found.stream) for found in verify().findings]
    assert kinds == [("altered", "audit-event"), *[("removed", "decision")] * 3]


def test_a_row_of_another_month_is_not_excused(old: list[Decision]) -> None:
    detach()
    seal_all()
    pk = Decision.objects.get().pk
    tamper("DELETE FROM decisions_decision WHERE id = %s", [pk])
    assert (first_finding().kind, first_finding().id) == ("removed", str(pk))


def tell_detached(starts_at: datetime | None, ends_at: datetime, decisions: int) -> None:
    """As whoever may write to the audit log can tell it."""
    details = {
        "table": "decisions_decision_before",
        "decisions": decisions,
        "starts_at": starts_at.isoformat() if starts_at else None,
        "ends_at": ends_at.isoformat(),
    }
    with transaction.atomic():
        record_event("decisions.detached", actor=ACTOR, subject="table:decisions_decision_before", details=details)


def test_a_row_cannot_vanish_behind_a_detachment_of_its_millisecond(old: list[Decision]) -> None:
    tamper("DELETE FROM decisions_decision WHERE id = %s", [old[0].pk])
    tell_detached(LONG_AGO, LONG_AGO + timedelta(milliseconds=1), 3)
    assert {(found.kind, found.id) for found in verify().findings} == {("removed", str(old[0].pk))}


@pytest.mark.parametrize("starts_at", [None, datetime(2001, 2, 1, tzinfo=UTC)])
def test_a_row_cannot_vanish_behind_a_detachment_of_a_month_that_is_still_there(
    old: list[Decision], starts_at: datetime | None
) -> None:
    tamper("DELETE FROM decisions_decision WHERE id = %s", [old[0].pk])
    tell_detached(starts_at, datetime(2001, 3, 1, tzinfo=UTC), 1)
    (found,) = verify().findings
    assert (found.kind, found.id, found.found) == ("removed", str(old[0].pk), "1 missing, and others left")


def test_a_month_that_was_attached_again_as_it_was_has_no_findings(old: list[Decision]) -> None:
    bounds = "FOR VALUES FROM (MINVALUE) TO ('{}')"
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, inferhub_first_id(ends_at) FROM inferhub_decision_partitions ORDER BY ends_at")
        name, end_id = cursor.fetchone()
        detach()
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE decisions_decision ATTACH PARTITION {name} {bounds.format(end_id)}")
    report = verify()
    assert (report.findings, report.excused) == ([], 0)
