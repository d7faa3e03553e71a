import json

import pytest
from django.test import Client

from inferhub.audit.models import AuditEvent, Seal, Verification
from inferhub.audit.sealing import seal_all
from inferhub.jobs.proving import run_verification
from tests.audit.log import make_decision
from tests.console.pages import add_to, list_of, page_of, post, text_of
from tests.hub_fixtures import workflow  # noqa: F401 - that of the hub, which decides

pytestmark = pytest.mark.django_db


@pytest.fixture
def sealed(workflow: str) -> None:  # noqa: F811
    make_decision()
    seal_all()


def test_the_page_says_how_the_chain_stands(console: Client, sealed: None) -> None:
    make_decision()
    text = text_of(console.get(list_of(Verification)))
    newest = Seal.objects.first()
    assert newest is not None
    assert f"Newest seal seal {newest.number} Digest of it {newest.digest}" in text
    assert "Rows that wait for a seal 2" in text
    assert "nobody has verified the log yet" in text
    assert "set INFERHUB_SEAL_FILE" in text


def test_a_person_has_the_log_verified_and_sees_what_was_found(console: Client, sealed: None) -> None:
    answer = post(console, add_to(Verification), since_seal=0)
    assert "A worker verifies the log." in text_of(answer)
    asked = Verification.objects.get()
    run_verification(asked.pk)
    text = text_of(console.get(page_of(asked)))
    assert "State passed" in text
    assert "None: everything is as it was written." in text
    assert "What it found passed" in text_of(console.get(list_of(Verification)))


def test_findings_are_told_row_by_row(console: Client, sealed: None) -> None:
    finding = {"kind": "altered", "stream": "decision", "id": "7", "seal": 2, "expected": "this", "found": "that"}
    report = {"seals": 2, "head": 2, "head_digest": "d", "rows": {"decision": 1}, "unsealed": 0, "excused": 0}
    report |= {"copies": 0, "findings": [finding], "counts": {"altered": 3}}
    found = Verification.objects.create(
        state="failed", report=report, requested_by="user:a", finished_at="2026-01-01T00:00Z"
    )
    text = text_of(console.get(page_of(found)))
    assert "altered decision 7 2 this that" in text
    assert "The first 1 of 3." in text
    assert "failed: findings" in text_of(console.get(list_of(Verification)))
    assert ">!<" in console.get("/").content.decode().replace(" ", "").replace("\n", "")


def test_the_proof_of_a_decision_can_be_downloaded(console: Client, sealed: None) -> None:
    decision = make_decision()
    answer = console.get(page_of(decision, "proof"), follow=True)
    assert "sealed in a moment" in text_of(answer)  # type: ignore[arg-type]
    seal_all()
    answer = console.get(page_of(decision, "proof"))
    assert answer["Content-Disposition"] == f'attachment; filename="decision-{decision.pk}.proof.json"'
    assert json.loads(answer.content)["id"] == str(decision.pk)


def test_the_proof_of_an_audit_event_can_be_downloaded(console: Client, sealed: None) -> None:
    event = AuditEvent.objects.order_by("pk").first()
    assert event is not None
    assert json.loads(console.get(page_of(event, "proof")).content)["id"] == str(event.pk)


def test_the_script_that_checks_proofs_can_be_downloaded(console: Client) -> None:
    answer = console.get(list_of(Verification) + "checker/", follow=True)
    assert b"def root_by_path(" in answer.content


def test_a_seal_shows_what_it_covers(console: Client, sealed: None) -> None:
    seal = Seal.objects.get(number=2)
    text = text_of(console.get(page_of(seal)))
    assert f"Root of their Merkle tree {seal.root}" in text
    assert "Rows of decision Rows 1" in text
