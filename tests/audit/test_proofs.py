"""A proof holds for whoever has only it, the script and Python; nothing in it can be changed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from inferhub.audit.copies import seal_line
from inferhub.audit.models import AuditEvent, Seal
from inferhub.audit.sealing import seal_all
from inferhub.decisions.erasure import erase_subject
from inferhub.decisions.models import Decision
from inferhub.decisions.services import save_workflow
from inferhub.errors import Conflict, InvalidInput, NotFound
from inferhub.jobs.proving import prove
from inferhub.rulesets.services import save_rule_set
from tests.audit.log import make_decision
from tests.hub_fixtures import ACTOR, RULES, WORKFLOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def decision(workflow: str) -> Decision:
    """Among others, and with more seals after its own."""
    made = [make_decision(customer_id=name) for name in ("ann", "ben", "cid")]
    seal_all()
    for name in ("dan", "eva", "fay"):
        make_decision(customer_id=name)
        seal_all()
    return made[1]


@pytest.fixture
def checker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """The script as it is printed, run without site packages and without anything of this project."""
    call_command("audit", "checker")
    script = tmp_path / "check_proof.py"
    script.write_text(capsys.readouterr().out, encoding="utf-8")

    def check(proof: dict[str, Any], *arguments: str) -> Any:
        path = tmp_path / "proof.json"
        path.write_text(json.dumps(proof), encoding="utf-8")
        command = [sys.executable, "-I", "-S", str(script), str(path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    return check


def test_the_proof_of_a_decision_holds(decision: Decision, checker: Callable[..., Any]) -> None:
    done = checker(prove("decision", str(decision.pk)))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"The proof holds: decision {decision.pk}" in done.stdout
    assert '"customer_id":"ben"' in done.stdout
    assert Seal.objects.first().digest in done.stdout  # type: ignore[union-attr]


def test_a_proof_tells_the_versions_as_people_know_them(decision: Decision, checker: Callable[..., Any]) -> None:
    save_rule_set(name="other", definition=RULES, actor=ACTOR, approval="direct")
    renamed = [RULES["rules"][0] | {"note": "very large"}, *RULES["rules"][1:]]
    save_rule_set(name="screening", definition=RULES | {"rules": renamed}, actor=ACTOR)
    save_workflow(name="orders", definition=WORKFLOW | {"retention_months": 3}, actor=ACTOR)
    made = make_decision(customer_id="gus")
    seal_all()
    names = {"workflow": "orders", "workflow_version": 2, "rule_set": "screening", "rule_set_version": 2}
    assert prove("decision", str(made.pk))["names"] == names
    assert prove("decision", str(decision.pk))["names"] == names | {"workflow_version": 1, "rule_set_version": 1}
    done = checker(prove("decision", str(made.pk)))
    assert "it says, unsealed: " + json.dumps(names) in done.stdout
    assert "names" not in prove("audit-event", str(AuditEvent.objects.order_by("id").values_list("pk", flat=True)[0]))


def test_the_proof_of_an_audit_event_holds(decision: Decision, checker: Callable[..., Any]) -> None:
    event = AuditEvent.objects.get(subject=f"decision:{decision.pk}")
    done = checker(prove("audit-event", str(event.pk)))
    assert done.returncode == 0
    assert 'action: "decision.made"' in done.stdout


def test_the_proof_of_an_erased_decision_holds_without_its_content(
    decision: Decision, checker: Callable[..., Any]
) -> None:
    erase_subject(subject="ben", reason="asked", actor=ACTOR)
    proof = prove("decision", str(decision.pk))
    assert "content" not in proof
    assert "ben" not in json.dumps(proof)
    assert checker(proof).returncode == 0


def test_a_proof_holds_without_its_content_for_whom_it_does_not_concern(
    decision: Decision, checker: Callable[..., Any]
) -> None:
    proof = prove("decision", str(decision.pk))
    del proof["content"], proof["salt"]
    assert checker(proof).returncode == 0


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "the text": lambda proof: proof.update(canonical=proof["canonical"].replace('"accept"', '"hold"')),
    "the content": lambda proof: proof.update(content=proof["content"].replace("ben", "ann")),
    "the salt": lambda proof: proof.update(salt=proof["salt"][::-1]),
    "the id": lambda proof: proof.update(id=proof["id"][:-1] + ("0" if proof["id"][-1] != "0" else "1")),
    "the record's id": lambda proof: proof.update(record_id="00" * 16),
    "the place": lambda proof: proof.update(place=proof["place"] + 1),
    "a shorter path": lambda proof: proof["path"].pop(),
    "a longer path": lambda proof: proof["path"].append("00" * 32),
    "the path": lambda proof: proof["path"].reverse(),
    "the stream": lambda proof: proof.update(stream="audit-event"),
    "the format": lambda proof: proof.update(format="inferhub-proof-2"),
    "the seal's root": lambda proof: proof["seals"][-1].update(root="00" * 32),
    "the seal's time": lambda proof: proof["seals"][-1].update(sealed_at="2020-01-01T00:00:00+00:00"),
    "the newest seal": lambda proof: proof["seals"][0].update(previous="00" * 32, skip="00" * 32),
    "a seal left out": lambda proof: proof["seals"].pop(1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_nothing_in_a_proof_can_be_changed(
    decision: Decision, checker: Callable[..., Any], change: Callable[[dict[str, Any]], object]
) -> None:
    proof = prove("decision", str(decision.pk))
    assert len(proof["seals"]) > 2
    change(proof)
    done = checker(proof)
    assert (done.returncode, done.stdout) == (1, "")
    assert "The proof does not hold." in done.stderr


@pytest.mark.parametrize("broken", ["", "[]", "{}", '{"format": "inferhub-proof-1"}', "not JSON"])
def test_what_is_no_proof_is_refused(checker: Callable[..., Any], tmp_path: Path, broken: str) -> None:
    checker({})
    path = tmp_path / "broken.json"
    path.write_text(broken, encoding="utf-8")
    command = [sys.executable, "-I", "-S", str(tmp_path / "check_proof.py"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot be read as a proof" in done.stderr


def test_a_seal_that_is_known_from_elsewhere_confirms_the_proof(
    decision: Decision, checker: Callable[..., Any], tmp_path: Path
) -> None:
    seals = tmp_path / "seals.jsonl"
    newest = Seal.objects.first()
    assert newest is not None
    seals.write_bytes(b'{"number": 1, "torn\n' + seal_line(newest) + b"\n")
    proof = prove("decision", str(decision.pk))
    assert checker(proof, "--seals", str(seals)).returncode == 0
    seals.write_bytes(seal_line(newest).replace(newest.digest.encode(), b"0" * 64) + b"\n")
    assert "as it was written elsewhere" in checker(proof, "--seals", str(seals)).stderr
    seals.write_bytes(b"")
    assert "no seal of the proof is among those" in checker(proof, "--seals", str(seals)).stderr


def test_a_file_that_knows_two_seals_of_one_number_confirms_neither(
    decision: Decision, checker: Callable[..., Any], tmp_path: Path
) -> None:
    """A chain that was made anew goes on in the same file, behind what stands there of the first one."""
    seals = tmp_path / "seals.jsonl"
    newest = Seal.objects.first()
    assert newest is not None
    line = seal_line(newest)
    seals.write_bytes(line.replace(newest.digest.encode(), b"0" * 64) + b"\n" + line + b"\n")
    done = checker(prove("decision", str(decision.pk)), "--seals", str(seals))
    assert done.returncode == 1
    assert f"seal {newest.number} as it was written elsewhere: expected {'0' * 64}" in done.stderr
    seals.write_bytes(line + b"\n" + line + b"\n")
    assert checker(prove("decision", str(decision.pk)), "--seals", str(seals)).returncode == 0


def test_a_proof_leads_up_to_the_seal_that_is_asked_for(decision: Decision, checker: Callable[..., Any]) -> None:
    number = Seal.objects.filter(stream="decision").order_by("number").values_list("number", flat=True)[1]
    proof = prove("decision", str(decision.pk), head=number)
    assert proof["seals"][0]["number"] == number
    assert checker(proof).returncode == 0
    with pytest.raises(InvalidInput, match="/head"):
        prove("decision", str(decision.pk), head=1000)


def test_what_is_not_sealed_yet_has_no_proof(decision: Decision) -> None:
    fresh = make_decision()
    with pytest.raises(Conflict, match="sealed in a moment"):
        prove("decision", str(fresh.pk))


@pytest.mark.parametrize(
    ("stream", "id_text", "error"),
    [
        ("decision", "01234567-89ab-7def-8000-000000000000", NotFound),
        ("decision", "17", InvalidInput),
        ("audit-event", "999999", NotFound),
        ("audit-event", "-1", InvalidInput),
        ("audit-event", "9" * 30, InvalidInput),
        ("basket", "1", InvalidInput),
    ],
)
def test_what_is_not_there_has_no_proof(db: None, stream: str, id_text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        prove(stream, id_text)


def test_the_command_prints_a_proof(
    decision: Decision, checker: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("audit", "proof", f"decision:{decision.pk}")
    assert checker(json.loads(capsys.readouterr().out)).returncode == 0
    with pytest.raises(CommandError, match="/stream"):
        call_command("audit", "proof", "nonsense:1")
    with pytest.raises(CommandError, match=f"expected decision:ID or audit-event:NUMBER, got '{decision.pk}'"):
        call_command("audit", "proof", str(decision.pk))
