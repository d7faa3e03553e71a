import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import Error, connection, transaction

from inferhub.audit import sealing
from inferhub.audit.chain import NOTHING, digest_of_seal
from inferhub.audit.merkle import root_of
from inferhub.audit.models import AuditEvent, Seal, Unsealed
from inferhub.audit.sealing import count_unsealed, records_in, seal_all
from inferhub.audit.services import record_event
from tests.audit.log import make_decision, verify

pytestmark = pytest.mark.django_db
in_real_transactions = pytest.mark.django_db(transaction=True)


def record(subject: str) -> None:
    with transaction.atomic():
        record_event("key.made", actor="user:ann", subject=subject)


def test_every_event_is_noted_by_the_database_itself() -> None:
    record("a")
    event = AuditEvent.objects.get()
    assert bytes(Unsealed.objects.get().records) == event.pk.to_bytes(16) + bytes.fromhex(event.digest)


def test_every_decision_is_noted_with_its_audit_event(workflow: str) -> None:
    seal_all()
    decision = make_decision()
    notes = {note.stream: bytes(note.records) for note in Unsealed.objects.all()}
    assert notes["decision"] == decision.pk.bytes + bytes.fromhex(decision.digest)
    assert len(notes["audit-event"]) == 48


def test_a_row_whose_digest_is_none_cannot_be_written() -> None:
    with pytest.raises(Error, match="hexadecimal"), transaction.atomic():
        AuditEvent.objects.create(action="a", actor="b", subject="c", digest="00", occurred_at="2026-01-01T00:00Z")


@pytest.mark.parametrize("records", [b"", b"x" * 47])
def test_a_note_that_is_no_record_cannot_be_written(records: bytes) -> None:
    with pytest.raises(Error, match="notes_are_records"), transaction.atomic():
        Unsealed.objects.create(stream="audit-event", records=records)


def test_a_seal_covers_what_was_noted_in_order_of_the_ids() -> None:
    for subject in "abc":
        record(subject)
    (seal,) = seal_all()
    records = records_in(bytes(seal.records))
    assert records == sorted(records)
    assert [int.from_bytes(one[:16]) for one in records] == sorted(AuditEvent.objects.values_list("pk", flat=True))
    assert (seal.count, seal.root, seal.previous, seal.skip) == (3, root_of(records).hex(), NOTHING, NOTHING)
    assert seal.digest == digest_of_seal(Seal.objects.get().header)
    assert count_unsealed() == 0


def test_where_nothing_was_written_nothing_is_sealed() -> None:
    assert seal_all() == []


def test_what_is_written_meanwhile_waits_for_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy hub would otherwise get one small seal after the other, and never come to the end."""
    make_tree = sealing.root_of

    def write_meanwhile(records: list[bytes]) -> bytes:
        assert Seal.objects.count() < 3
        record("b")
        return make_tree(records)

    monkeypatch.setattr(sealing, "root_of", write_meanwhile)
    record("a")
    assert [seal.count for seal in seal_all()] == [1]
    assert [seal.count for seal in seal_all()] == [1]


def test_each_seal_names_the_one_before_it() -> None:
    for subject in "abcd":
        record(subject)
        seal_all()
    seals = list(Seal.objects.order_by("number"))
    assert [seal.previous for seal in seals] == [NOTHING, *(seal.digest for seal in seals[:-1])]
    assert [seal.skip for seal in seals] == [NOTHING, seals[0].digest, NOTHING, seals[2].digest]


def test_what_has_piled_up_is_sealed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "MOST_RECORDS", 2)
    for subject in "abcde":
        record(subject)
    assert [seal.count for seal in seal_all()] == [2, 2, 1]
    assert verify().is_clean


@pytest.mark.parametrize("statement", ["UPDATE audit_seal SET count = 7", "DELETE FROM audit_seal"])
def test_the_database_itself_refuses_to_change_a_seal(statement: str) -> None:
    record("a")
    seal_all()
    with pytest.raises(Error, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@in_real_transactions
def test_a_transaction_that_commits_late_is_sealed_later() -> None:
    """It writes before a seal is made, and commits after it."""
    written, may_commit = threading.Event(), threading.Event()

    def write_late() -> None:
        with transaction.atomic():
            record_event("key.made", actor="user:late", subject="late")
            written.set()
            may_commit.wait(10)
        connection.close()

    with ThreadPoolExecutor() as pool:
        late = pool.submit(write_late)
        assert written.wait(10)
        record("early")
        (first,) = seal_all()
        may_commit.set()
        late.result()
    (second,) = seal_all()
    subjects = {event.pk: event.subject for event in AuditEvent.objects.all()}
    sealed = [[subjects[seal.first_id.int] for seal in (one,)] for one in (first, second)]
    assert sealed == [["early"], ["late"]]
    assert second.first_id < first.first_id  # the number was taken first
    assert verify().is_clean


@in_real_transactions
def test_concurrent_sealers_make_one_chain_and_seal_nothing_twice() -> None:
    def work(number: int) -> int:
        for place in range(5):
            record(f"{number}-{place}")
            seal_all()
        connection.close()
        return number

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(work, range(4))) == [0, 1, 2, 3]
    assert sum(Seal.objects.values_list("count", flat=True)) == 20
    assert verify().is_clean


@in_real_transactions
def test_a_sealer_that_dies_halfway_leaves_the_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    record("a")
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "root_of", lambda records: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            seal_all()
    assert (count_unsealed(), Seal.objects.count()) == (1, 0)
    assert len(seal_all()) == 1
    assert verify().is_clean
