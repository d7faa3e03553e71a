"""Whatever somebody with all rights over the database changes, verification names the row."""

from typing import Any

import pytest
from django.db import connection

from inferhub.audit.findings import MOST_FINDINGS, Head
from inferhub.audit.models import AuditEvent, Seal, Unsealed
from inferhub.audit.sealing import seal_all
from inferhub.decisions.erasure import erase_subject
from inferhub.decisions.models import Decision
from tests.audit.log import first_finding, make_decision, tamper, verify
from tests.hub_fixtures import ACTOR

pytestmark = pytest.mark.django_db


@pytest.fixture
def decisions(workflow: str) -> list[Decision]:
    """Five of them, under two pairs of seals; the last one under none."""
    made = [make_decision(customer_id=name) for name in ("ann", "ben")]
    seal_all()
    made += [make_decision(customer_id=name) for name in ("cid", "dan")]
    seal_all()
    return [*made, make_decision(customer_id="eva")]


@pytest.fixture(params=[1, 4], ids=["sealed", "unsealed"])
def decision(request: pytest.FixtureRequest, decisions: list[Decision]) -> Decision:
    return decisions[request.param]


@pytest.fixture
def seal(decisions: list[Decision]) -> Seal:
    """The second one: of decisions."""
    return Seal.objects.get(number=2)


def test_a_log_as_it_was_written_has_no_findings(decisions: list[Decision]) -> None:
    report = verify()
    assert report.is_clean
    assert (report.seals, report.head, report.rows["decision"], report.unsealed) == (4, 4, 5, 2)


def test_an_empty_log_has_no_findings(db: None) -> None:
    assert verify().is_clean


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("workflow_id", "workflow_id + 1"),
        ("version_id", "version_id + 1"),
        ("rule_set_version_id", "rule_set_version_id + 1"),
        ("request_id", "request_id || 'x'"),
        ("subject", "'eve'"),
        ("input", "jsonb_set(input, '{total}', '21')"),
        ("predictions", "jsonb_set(predictions, '{value,version}', '2')"),
        ("outcome", "'hold'"),
        ("outputs", "outputs || '{\"discount\": 1}'"),
        ("trace", "'{}'"),
        ("timings", "timings || '{\"rules\": 0}'"),
        ("actor", "'user:other'"),
        ("salt", "reverse(salt)"),
        ("commitment", "reverse(commitment)"),
        ("digest", "reverse(digest)"),
        ("created_at", "created_at + interval '1 microsecond'"),
        ("erased_at", "now()"),
        ("reviewed_decision_id", "id"),
        ("created_at", "'infinity'"),
        ("erased_at", "'infinity'"),
        ("trace", "'1e400'"),
    ],
)
def test_a_changed_column_of_a_decision_is_found(decision: Decision, column: str, value: str) -> None:
    tamper(f"UPDATE decisions_decision SET {column} = {value} WHERE id = %s", [decision.pk])
    found = first_finding()
    assert (found.kind, found.stream, found.id) == ("altered", "decision", str(decision.pk))
    assert decision.digest in found.expected


def test_every_column_of_a_decision_is_among_those(decision: Decision) -> None:
    tried = test_a_changed_column_of_a_decision_is_found.pytestmark[0].args[1]  # type: ignore[attr-defined]
    columns = {field.column for field in Decision._meta.concrete_fields}
    assert columns - {column for column, _ in tried} == {"id"}, "new columns belong to the digest: decisions/digests.py"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("occurred_at", "occurred_at + interval '1 microsecond'"),
        ("action", "'decision.unmade'"),
        ("actor", "'user:other'"),
        ("subject", "'decision:other'"),
        ("request_id", "'another'"),
        ("details", 'details || \'{"outcome": "hold"}\''),
        ("digest", "reverse(digest)"),
        ("occurred_at", "'-infinity'"),
        ("details", "'[1e400]'"),
    ],
)
def test_a_changed_column_of_an_event_is_found(decision: Decision, column: str, value: str) -> None:
    event = AuditEvent.objects.get(subject=f"decision:{decision.pk}")
    tamper(f"UPDATE audit_auditevent SET {column} = {value} WHERE id = %s", [event.pk])
    found = first_finding()
    assert (found.kind, found.stream, found.id) == ("altered", "audit-event", str(event.pk))
    assert event.digest in found.expected


def test_every_column_of_an_event_is_among_those(db: None) -> None:
    tried = test_a_changed_column_of_an_event_is_found.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {field.column for field in AuditEvent._meta.concrete_fields} - {column for column, _ in tried} == {"id"}


def test_a_digit_that_no_double_has_is_found(decisions: list[Decision]) -> None:
    """The number that a program reads is the same, and so is the digest."""
    tamper("UPDATE decisions_decision SET input = jsonb_set(input, '{total}', '20.50000000000000001')")
    assert "digits that no double has" in first_finding().found


def test_a_digit_of_a_long_whole_number_is_found(workflow: str) -> None:
    decision = make_decision(total=9007199254740992)
    seal_all()
    tamper("UPDATE decisions_decision SET input = jsonb_set(input, '{total}', '9007199254740993')")
    assert first_finding().id == str(decision.pk)


def test_another_id_is_one_row_removed_and_one_inserted(decision: Decision) -> None:
    tamper("UPDATE decisions_decision SET id = %s WHERE id = %s", [_next(decision), decision.pk])
    report = verify()
    assert {(found.kind, found.id) for found in report.findings} == {
        ("removed", str(decision.pk)),
        ("inserted", _next(decision)),
    }


def _next(decision: Decision) -> str:
    text = str(decision.pk)
    return text[:-1] + format((int(text[-1], 16) + 1) % 16, "x")


@pytest.mark.parametrize(("table", "stream"), [("decisions_decision", "decision"), ("audit_auditevent", "audit-event")])
@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_a_removed_row_is_found(decisions: list[Decision], table: str, stream: str, order: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id::text FROM {table} ORDER BY id {order} LIMIT 1")
        (pk,) = cursor.fetchone()
    tamper(f"DELETE FROM {table} WHERE id = %s", [pk])
    found = first_finding()
    assert (found.kind, found.stream, found.id, found.found) == ("removed", stream, pk, "none")


def test_a_row_that_was_inserted_past_the_triggers_is_found(decisions: list[Decision]) -> None:
    """With a digest that is right for it."""
    tamper(
        "INSERT INTO audit_auditevent (occurred_at, action, actor, subject, request_id, details, digest) "
        "SELECT occurred_at, action, actor, subject, request_id, details, digest FROM audit_auditevent LIMIT 1"
    )
    found = first_finding()
    assert (found.kind, found.stream, found.id) == ("inserted", "audit-event", str(AuditEvent.objects.first().pk))  # type: ignore[union-attr]


def test_an_event_with_a_number_below_all_others_is_found(decisions: list[Decision]) -> None:
    tamper(
        "INSERT INTO audit_auditevent (id, occurred_at, action, actor, subject, request_id, details, digest) SELECT "
        "-7, occurred_at, action, actor, subject, request_id, details, digest FROM audit_auditevent LIMIT 1"
    )
    assert (first_finding().kind, first_finding().found) == ("inserted", "the number -7")


def test_a_row_that_was_inserted_into_a_partition_itself_is_found(decisions: list[Decision]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass FROM decisions_decision LIMIT 1")
        (partition,) = cursor.fetchone()
        columns = ", ".join(f.column for f in Decision._meta.concrete_fields if f.column != "id")
        pk = _next(decisions[0])
        cursor.execute(
            f"INSERT INTO {partition} (id, {columns}) SELECT %s, {columns} FROM decisions_decision LIMIT 1", [pk]
        )
    assert (first_finding().kind, first_finding().id) == ("inserted", pk)


def test_a_row_that_was_inserted_by_hand_is_noted_and_sealed_like_any_other(decisions: list[Decision]) -> None:
    before = Unsealed.objects.count()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_auditevent (occurred_at, action, actor, subject, request_id, details, digest) "
            "SELECT occurred_at, action, actor, subject, request_id, details, digest FROM audit_auditevent LIMIT 1"
        )
    assert Unsealed.objects.count() == before + 1
    assert verify().is_clean


def test_events_whose_contents_were_swapped_are_found_as_reordered(decisions: list[Decision]) -> None:
    one, other = AuditEvent.objects.filter(action="decision.made").order_by("id")[:2]
    names = ("occurred_at", "action", "actor", "subject", "request_id", "details", "digest")
    columns, taken = ", ".join(names), ", ".join(f"source.{name}" for name in names)
    tamper(
        f"UPDATE audit_auditevent AS target SET ({columns}) = ROW({taken}) FROM audit_auditevent AS source "
        "WHERE (target.id, source.id) IN ((%s, %s), (%s, %s))",
        [one.pk, other.pk, other.pk, one.pk],
    )
    found = first_finding()
    assert (found.kind, found.id, found.expected) == ("reordered", str(one.pk), f"the digest {one.digest}")
    assert other.digest in found.found


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("stream", "'audit-event'"),
        ("stream", "'another'"),
        ("count", "count + 1"),
        ("first_id", "last_id"),
        ("last_id", "first_id"),
        ("records", "set_byte(records, 20, get_byte(records, 20) # 1)"),
        ("records", "substr(records, 49)"),
        ("root", "reverse(root)"),
        ("previous", "reverse(previous)"),
        ("skip", "reverse(skip)"),
        ("sealed_at", "sealed_at + interval '1 second'"),
        ("sealed_at", "'infinity'"),
        ("digest", "reverse(digest)"),
    ],
)
def test_a_changed_column_of_a_seal_is_found(seal: Seal, column: str, value: str) -> None:
    tamper(f"UPDATE audit_seal SET {column} = {value} WHERE number = 2")
    found = first_finding()
    assert (found.kind, found.stream, found.id) == ("altered", "seal", "2")


def test_records_of_a_seal_in_another_order_are_found(seal: Seal) -> None:
    tamper("UPDATE audit_seal SET records = substr(records, 49) || substr(records, 1, 48) WHERE number = 2")
    found = first_finding()
    assert (found.kind, found.stream, found.id) == ("reordered", "seal", "2")


@pytest.mark.parametrize(("number", "found_number"), [(1, 1), (2, 2), (3, 3)])
def test_a_removed_seal_is_found(seal: Seal, number: int, found_number: int) -> None:
    tamper("DELETE FROM audit_seal WHERE number = %s", [number])
    found = first_finding()
    assert (found.kind, found.stream, found.id) == ("removed", "seal", str(found_number))


def test_the_newest_seal_is_missed_by_its_rows(seal: Seal) -> None:
    tamper("DELETE FROM audit_seal WHERE number = 4")
    assert {(found.kind, found.stream) for found in verify().findings} == {("inserted", "decision")}


@pytest.mark.parametrize("number", [0, 9, 2**40])
def test_another_number_of_a_seal_is_found(seal: Seal, number: int) -> None:
    tamper("UPDATE audit_seal SET number = %s WHERE number = 2", [number])
    found = first_finding()
    assert (found.stream, found.id) == ("seal", "0" if number == 0 else "2")


def test_two_seals_that_changed_places_are_found(seal: Seal) -> None:
    for old, new in ((2, 99), (3, 2), (99, 3)):
        tamper("UPDATE audit_seal SET number = %s WHERE number = %s", [new, old])
    found = first_finding()
    assert (found.kind, found.stream, found.id) == ("altered", "seal", "2")


def test_a_removed_note_is_found(decisions: list[Decision]) -> None:
    tamper("DELETE FROM audit_unsealed WHERE stream = 'decision'")
    assert (first_finding().kind, first_finding().id) == ("inserted", str(decisions[4].pk))


def test_a_changed_note_is_found(decisions: list[Decision]) -> None:
    tamper(
        "UPDATE audit_unsealed SET records = set_byte(records, 40, get_byte(records, 40) # 1) WHERE stream = 'decision'"
    )
    assert (first_finding().kind, first_finding().id) == ("altered", str(decisions[4].pk))


def test_a_row_that_is_noted_once_more_is_found(decisions: list[Decision]) -> None:
    record = "SELECT 'decision', substr(records, 1, 48) FROM audit_seal WHERE number = 2"
    tamper(f"INSERT INTO audit_unsealed (stream, records) {record}")
    assert first_finding().kind == "inserted"
    seal_all()
    assert not verify().is_clean


def test_a_chain_that_was_made_anew_differs_from_the_copy_outside(decisions: list[Decision]) -> None:
    copies = [Head(number=seal.number, digest=seal.digest) for seal in Seal.objects.all()]
    assert verify(copies=copies).is_clean
    tamper("DELETE FROM decisions_decision WHERE id = %s", [decisions[3].pk])
    tamper("DELETE FROM audit_seal")
    tamper(
        "INSERT INTO audit_unsealed (stream, records) SELECT 'decision', uuid_send(id) || decode(digest, 'hex') "
        "FROM decisions_decision WHERE id <> %s",
        [decisions[4].pk],
    )
    tamper(
        "INSERT INTO audit_unsealed (stream, records) SELECT 'audit-event', int8send(0) || int8send(id) || "
        "decode(digest, 'hex') FROM audit_auditevent WHERE id < (SELECT max(id) FROM audit_auditevent)"
    )
    seal_all()
    assert verify().is_clean
    found = first_finding(copies=copies)
    assert (found.kind, found.stream, found.id) == ("altered", "seal", "1")


def test_a_seal_that_only_the_copy_has_is_found(decisions: list[Decision]) -> None:
    found = first_finding(copies=[Head(number=9, digest="0" * 64)])
    assert (found.kind, found.stream, found.id) == ("removed", "seal", "9")


def test_rows_of_seals_before_the_given_one_are_left_alone(decisions: list[Decision]) -> None:
    tamper("UPDATE decisions_decision SET outcome = 'hold' WHERE id = %s", [decisions[0].pk])
    report = verify(since_seal=2)
    assert report.is_clean
    assert report.rows == {"audit-event": 3, "decision": 3}
    assert verify(since_seal=4).rows == {"audit-event": 1, "decision": 1}


def test_rows_of_later_seals_are_checked(decisions: list[Decision]) -> None:
    tamper("UPDATE decisions_decision SET outcome = 'hold' WHERE id = %s", [decisions[3].pk])
    assert first_finding(since_seal=2).id == str(decisions[3].pk)


def test_the_chain_is_checked_from_its_beginning_in_any_case(seal: Seal) -> None:
    tamper("UPDATE audit_seal SET root = reverse(root) WHERE number = 1")
    assert first_finding(since_seal=4).id == "1"


def test_findings_are_counted_even_where_they_are_too_many_to_tell(decisions: list[Decision], monkeypatch: Any) -> None:
    monkeypatch.setattr("inferhub.audit.findings.MOST_FINDINGS", 2)
    tamper("UPDATE decisions_decision SET outcome = 'x'")
    report = verify()
    assert (len(report.findings), report.counts["altered"]) == (2, 5)
    assert MOST_FINDINGS > 2


def test_an_erased_decision_is_as_it_must_be(decisions: list[Decision]) -> None:
    erase_subject(subject="ann", reason="asked", actor=ACTOR)
    erase_subject(subject="eva", reason="asked", actor=ACTOR)
    assert verify().is_clean


def test_content_that_went_without_an_audit_event_is_found(decisions: list[Decision]) -> None:
    blank = "input = '{}', outputs = '{}', predictions = '{}', trace = '{}', subject = '', salt = '', erased_at = now()"
    tamper(f"UPDATE decisions_decision SET {blank} WHERE id = %s", [decisions[0].pk])
    assert "no audit event that it was erased" in first_finding().found


def test_content_that_came_back_is_found(decisions: list[Decision]) -> None:
    kept = Decision.objects.values("input", "outputs", "predictions", "trace", "subject", "salt").get(
        pk=decisions[0].pk
    )
    erase_subject(subject="ann", reason="asked", actor=ACTOR)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        Decision.objects.filter(pk=decisions[0].pk).update(erased_at=None, **kept)
        cursor.execute("SET LOCAL session_replication_role = origin")
    assert "the audit log says was erased" in first_finding().found


def test_another_time_of_an_erasure_is_found(decisions: list[Decision]) -> None:
    erase_subject(subject="ann", reason="asked", actor=ACTOR)
    tamper("UPDATE decisions_decision SET erased_at = erased_at + interval '1 day' WHERE id = %s", [decisions[0].pk])
    assert first_finding().id == str(decisions[0].pk)
