from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from inferhub.audit.copies import Target, copy_newest_seal, file_target, read_copies
from inferhub.audit.models import Seal, SealCopy, Verification
from inferhub.audit.sealing import seal_all
from inferhub.decisions.endpoints import save_endpoint, switch_endpoint
from inferhub.demo.receiver import WebhookReceiver
from inferhub.errors import InvalidInput, Unavailable
from inferhub.jobs.proving import record_verification, request_verification, seal_and_copy
from tests.audit.log import tamper
from tests.audit.test_sealing import record
from tests.hub_fixtures import ACTOR

pytestmark = pytest.mark.django_db


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """INFERHUB_SEAL_FILE."""
    path = tmp_path / "seals.jsonl"
    monkeypatch.setattr(settings, "CONFIG", replace(settings.CONFIG, seal_file=path))
    return path


def newest() -> Seal:
    found = Seal.objects.first()
    assert found is not None
    return found


def test_each_newest_seal_is_a_line_of_the_file(outside: Path) -> None:
    for subject in "ab":
        record(subject)
        seal_and_copy()
    seal_and_copy()  # nothing new
    lines = [orjson.loads(line) for line in outside.read_bytes().splitlines()]
    assert [(line["number"], line["digest"]) for line in lines] == [
        (seal.number, seal.digest) for seal in Seal.objects.order_by("number")
    ]
    assert [(copy.number, copy.digest) for copy in read_copies(outside)] == [(n["number"], n["digest"]) for n in lines]


def test_a_line_that_was_torn_by_a_crash_stays_alone(outside: Path) -> None:
    outside.write_bytes(b'{"number": 1, "dig')
    record("a")
    seal_and_copy()
    assert [copy.number for copy in read_copies(outside)] == [1]


@pytest.mark.parametrize("line", ["no JSON", "{}", '{"number": "x", "digest": "y"}', "[]"])
def test_a_line_that_is_no_seal_is_told_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "copies"
    path.write_text(f'{{"number": 1, "digest": "d"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(InvalidInput, match="copies:2: expected a JSON object with number and digest of a seal"):
        read_copies(path)


def test_a_place_that_cannot_be_written_is_tried_again_until_it_is(tmp_path: Path) -> None:
    target = file_target(tmp_path / "missing" / "seals.jsonl")
    record("a")
    seal_all()
    copy_newest_seal([target])
    copy = SealCopy.objects.get()
    assert (copy.number, copy.attempt_count) == (0, 1)
    assert "No such file" in copy.problem
    (tmp_path / "missing").mkdir()
    copy_newest_seal([target])
    assert not (tmp_path / "missing" / "seals.jsonl").exists()  # it is not due yet
    SealCopy.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    copy_newest_seal([target])
    copy.refresh_from_db()
    assert (copy.number, copy.attempt_count, copy.problem) == (1, 0, "")


def test_a_file_that_is_gone_is_an_alarm_until_somebody_puts_one_there(outside: Path) -> None:
    record("a")
    seal_and_copy()
    written = newest().number
    outside.unlink()
    record("b")
    seal_and_copy()
    assert not outside.exists()  # a new one would hide that the old one is gone
    copy = SealCopy.objects.get()
    assert (copy.number, copy.attempt_count) == (written, 1)
    assert f"what was written there up to seal {written} is gone" in copy.problem
    done = record_verification(actor=ACTOR)
    assert done.state == "failed"
    assert done.report["findings"][0]["sentence"] == (
        f"removed: copy file:{outside}: expected the seals up to {written} that the hub wrote there, found none"
    )
    outside.touch()
    SealCopy.objects.update(next_attempt_at=timezone.now())
    seal_and_copy()
    assert [known.number for known in read_copies(outside)] == [newest().number]
    assert record_verification(actor=ACTOR).state == "passed"


def test_a_file_that_was_cut_short_is_an_alarm(outside: Path) -> None:
    for subject in "abc":
        record(subject)
        seal_and_copy()
    lines = outside.read_bytes().splitlines(keepends=True)
    outside.write_bytes(b"".join(lines[:2]) + lines[2][:50])
    done = record_verification(actor=ACTOR)
    assert done.state == "failed"
    assert [one["sentence"] for one in done.report["findings"]] == [
        f"removed: copy file:{outside}: expected the seals up to 3 that the hub wrote there, found those up to 2"
    ]


def test_a_file_that_is_gone_is_no_alarm_where_another_one_is_compared(outside: Path, tmp_path: Path) -> None:
    record("a")
    seal_and_copy()
    kept = outside.rename(tmp_path / "kept.jsonl")
    assert record_verification(copies=read_copies(kept), actor=ACTOR).state == "passed"


def test_a_place_that_another_worker_writes_to_is_left_to_it() -> None:
    sent: list[int] = []

    def send(seal: Seal) -> None:
        sent.append(seal.number)
        copy_newest_seal([target])  # while this one is at it

    target = Target(name="file:slow", send=send)
    record("a")
    seal_all()
    copy_newest_seal([target])
    assert sent == [1]


def test_a_webhook_gets_the_newest_seal_signed(monkeypatch: pytest.MonkeyPatch, receiver: WebhookReceiver) -> None:
    receiver.secret = save_endpoint(name="notary", url=receiver.url, actor=ACTOR)[1]
    monkeypatch.setattr(settings, "CONFIG", replace(settings.CONFIG, seal_webhook="notary"))
    seal_and_copy()
    assert (len(receiver.seen), receiver.refused) == (1, 0)
    assert SealCopy.objects.get().number == newest().number
    switch_endpoint(name="notary", is_active=False, actor=ACTOR)
    seal_and_copy()
    assert "switched off" in SealCopy.objects.get().problem


def test_a_webhook_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CONFIG", replace(settings.CONFIG, seal_webhook="nobody"))
    record("a")
    seal_and_copy()
    assert "there is no webhook endpoint 'nobody'" in SealCopy.objects.get().problem


def test_a_failure_of_one_place_does_not_keep_the_others(tmp_path: Path) -> None:
    def fail(seal: Seal) -> None:
        raise Unavailable("away")

    record("a")
    seal_all()
    copy_newest_seal([Target(name="webhook:away", send=fail), file_target(tmp_path / "seals")])
    assert [copy.number for copy in read_copies(tmp_path / "seals")] == [1]


def test_the_command_compares_with_the_file(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record("a")
    call_command("audit", "seal")
    assert capsys.readouterr().out == "rows sealed: 1, new seals: 1\n"
    call_command("audit", "verify", "--against", str(outside))
    said = capsys.readouterr().out
    assert "1 seals and 1 rows (1 of audit-event, 0 of decision) verified" in said
    assert newest().digest in said
    assert "compared with 1 seals that were written outside" in said
    outside.write_bytes(outside.read_bytes().replace(newest().digest[:8].encode(), b"00000000"))
    with pytest.raises(CommandError, match="The log is not as it was written: 1 altered"):
        call_command("audit", "verify", "--against", str(outside))


def test_the_command_fails_where_a_row_was_changed(capsys: pytest.CaptureFixture[str]) -> None:
    record("a")
    call_command("audit", "seal")
    tamper("UPDATE audit_auditevent SET actor = 'user:ben'")
    with pytest.raises(CommandError, match="1 altered"):
        call_command("audit", "verify")
    said = capsys.readouterr().out
    assert "altered: audit-event" in said
    assert "compared with no seal from outside" in said


@pytest.mark.parametrize("number", [-1, 2, 10**20])
def test_a_seal_that_is_not_there_is_nothing_to_begin_at(number: int) -> None:
    """Nothing would be checked, and nothing found."""
    record("a")
    call_command("audit", "seal")
    with pytest.raises(CommandError, match="/since_seal: expected the number of a seal, up to 1, the newest, or 0"):
        call_command("audit", "verify", f"--since-seal={number}")
    with pytest.raises(InvalidInput, match="/since_seal"):
        request_verification(since_seal=number, actor=ACTOR)
    assert not Verification.objects.exists()


def test_the_command_can_tell_all_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    record("a")
    call_command("audit", "verify", "--json")
    report: dict[str, Any] = orjson.loads(capsys.readouterr().out)
    assert (report["is_clean"], report["rows"]["audit-event"]) == (True, 1)
