import pytest
from django.core.management import CommandError, call_command

from inferhub.audit.models import AuditEvent
from inferhub.decisions.digests import digest_of_decision
from inferhub.decisions.erasure import erase_subject
from inferhub.decisions.models import Decision
from inferhub.decisions.services import decide
from inferhub.errors import Conflict, InvalidInput
from inferhub.jobs.deferred import defer_call, run_deferred_call
from inferhub.jobs.erasure import erase_person
from inferhub.jobs.models import DeferredCall
from tests.hub_fixtures import ACTOR, Api

pytestmark = pytest.mark.django_db

ANN = {"customer_id": "ann", "total": 20, "price": 10}
BEN = ANN | {"customer_id": "ben"}


def test_only_the_decisions_about_the_subject_lose_their_content(workflow: str) -> None:
    for facts in (ANN, BEN, ANN):
        decide(workflow="orders", facts_in=facts, actor=ACTOR)
    assert len(erase_subject(subject="ann", reason="asked by letter", actor=ACTOR)) == 2
    erased = Decision.objects.exclude(erased_at=None)
    assert {(d.subject, str(d.input), str(d.trace), str(d.predictions), d.salt) for d in erased} == {
        ("", "{}", "{}", "{}", "")
    }
    assert {d.outcome for d in erased} == {"accept"}
    assert all(digest_of_decision(decision) == decision.digest for decision in Decision.objects.all())
    assert Decision.objects.get(erased_at=None).input == BEN


def test_the_audit_log_tells_each_erasure_and_not_the_person(workflow: str) -> None:
    decision, _ = decide(workflow="orders", facts_in=ANN, actor=ACTOR)
    erase_subject(subject="ann", reason=" asked by letter ", actor="user:officer")
    event = AuditEvent.objects.get(action="decision.erased")
    assert (event.subject, event.actor) == (f"decision:{decision.pk}", "user:officer")
    assert event.details["reason"] == "asked by letter"
    assert event.details["erased_at"] == Decision.objects.get(pk=decision.pk).erased_at.isoformat()  # type: ignore[union-attr]


def test_a_second_erasure_finds_nothing(workflow: str) -> None:
    decide(workflow="orders", facts_in=ANN, actor=ACTOR)
    assert len(erase_subject(subject="ann", reason="asked", actor=ACTOR)) == 1
    assert erase_subject(subject="ann", reason="asked", actor=ACTOR) == []


@pytest.mark.parametrize(("subject", "reason", "pointer"), [("", "asked", "/subject"), ("ann", " ", "/reason")])
def test_an_erasure_needs_a_subject_and_a_reason(workflow: str, subject: str, reason: str, pointer: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        erase_subject(subject=subject, reason=reason, actor=ACTOR)
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_an_erased_decision_is_not_made_again(workflow: str) -> None:
    decide(workflow="orders", facts_in=ANN, request_id="r", actor=ACTOR)
    erase_subject(subject="ann", reason="asked", actor=ACTOR)
    with pytest.raises(Conflict, match="was erased"):
        decide(workflow="orders", facts_in=ANN, request_id="r", actor=ACTOR)


def test_kept_answers_about_the_subject_go_too(workflow: str) -> None:
    one = {"input": ANN}
    for body in (one, {"rows": [{"input": BEN}, one]}, {"input": BEN}):
        call = defer_call(kind="decide", target="orders", body=body, actor=ACTOR)
        run_deferred_call(call.pk)
    erased = erase_person(subject="ann", reason="asked", actor=ACTOR)
    assert (erased.decisions, erased.calls) == (2, 2)
    assert DeferredCall.objects.get().body["input"] == BEN


def test_the_command_says_what_it_erased(workflow: str, capsys: pytest.CaptureFixture[str]) -> None:
    decide(workflow="orders", facts_in=ANN, actor=ACTOR)
    call_command("erase_subject", "ann", "--reason", "asked", "--workflow", "nothing")
    call_command("erase_subject", "ann", "--reason", "asked", "--workflow", "orders")
    assert capsys.readouterr().out.splitlines() == [
        "decisions erased: 0, kept answers deleted: 0",
        "decisions erased: 1, kept answers deleted: 0",
    ]
    with pytest.raises(CommandError, match="/reason"):
        call_command("erase_subject", "ann", "--reason", "")


def test_rest_erases_for_keys_that_may(api: Api, workflow: str) -> None:
    made = api.post("workflows/orders/decisions", {"input": ANN}).json()
    answer = api.post("erasures", {"subject": "ann", "reason": "asked"})
    assert (answer.status_code, answer.json()) == (200, {"decisions": 1, "calls": 0})
    left = api.get(f"decisions/{made['decision_id']}").json()
    assert (left["outcome"], left["trace"], left["subject"], left["digest"]) == ("accept", {}, "", made["digest"])
    assert api.post("erasures", {"subject": "ann"}).status_code == 422
