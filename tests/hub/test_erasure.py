import uuid
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import Error, transaction

from inferhub.accounts.models import RepeatableWrite
from inferhub.audit.models import AuditEvent
from inferhub.decisions import delivery
from inferhub.decisions.actions.registry import find_kind
from inferhub.decisions.actions.webhook import WebhookAction
from inferhub.decisions.dead_letters import redrive_action
from inferhub.decisions.delivery import deliver_action, due_actions
from inferhub.decisions.digests import digest_of_decision
from inferhub.decisions.erasure import erase_subject
from inferhub.decisions.flags import change_flag
from inferhub.decisions.models import Action, Decision, Flag, Review, Workflow
from inferhub.decisions.services import decide
from inferhub.demo.receiver import WebhookReceiver
from inferhub.erasure.services import KINDS, erase_person
from inferhub.errors import Conflict, InvalidInput
from inferhub.jobs.deferred import defer_call, run_deferred_call
from inferhub.jobs.models import DeferredCall
from inferhub.lib.snapshots import Snapshots
from inferhub.lists.models import ListEntry
from inferhub.lists.queries import find_list, find_list_version
from inferhub.lists.services import Entry, add_entries, remove_entries, save_list
from tests.actions.making import act, cause
from tests.hub_fixtures import ACTOR, Api

pytestmark = pytest.mark.django_db

NOTHING = ("decisions", "actions", "comments", "test_cases", "flags", "list_entries")
ANN = {"customer_id": "ann", "total": 20, "price": 10}
BEN = ANN | {"customer_id": "ben"}


def test_only_the_decisions_about_the_subject_lose_their_content(workflow: str) -> None:
    for facts in (ANN, BEN, ANN):
        decide(workflow="orders", facts_in=facts, actor=ACTOR)
    assert erase_subject(subject="ann", reason="asked by letter", actor=ACTOR).decisions == 2
    erased = Decision.objects.exclude(erased_at=None)
    assert {(d.subject, str(d.input), str(d.trace), str(d.predictions), d.salt) for d in erased} == {
        ("", "{}", "{}", "{}", "")
    }
    assert {d.outcome for d in erased} == {"accept"}
    assert all(digest_of_decision(decision) == decision.digest for decision in Decision.objects.all())
    assert Decision.objects.get(erased_at=None).input == BEN


def test_the_audit_log_tells_each_erasure_and_not_the_person(workflow: str) -> None:
    decision, _ = decide(workflow="orders", facts_in=ANN, actor=ACTOR)
    erase_person(subject="ann", reason=" asked by letter ", actor="user:officer")
    event = AuditEvent.objects.get(action="decision.erased")
    assert (event.subject, event.actor) == (f"decision:{decision.pk}", "user:officer")
    assert event.details["reason"] == "asked by letter"
    assert event.details["erased_at"] == Decision.objects.get(pk=decision.pk).erased_at.isoformat()  # type: ignore[union-attr]


def test_a_second_erasure_finds_nothing(workflow: str) -> None:
    decide(workflow="orders", facts_in=ANN, actor=ACTOR)
    assert erase_subject(subject="ann", reason="asked", actor=ACTOR).decisions == 1
    assert erase_subject(subject="ann", reason="asked", actor=ACTOR).counts() == dict.fromkeys(NOTHING, 0)


@pytest.mark.parametrize(("subject", "reason", "pointer"), [("", "asked", "/subject"), ("ann", " ", "/reason")])
def test_an_erasure_needs_a_subject_and_a_reason(workflow: str, subject: str, reason: str, pointer: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        erase_person(subject=subject, reason=reason, actor=ACTOR)
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
    assert (erased.counts["decisions"], erased.counts["calls"]) == (2, 2)
    assert DeferredCall.objects.get().body["input"] == BEN


def test_an_action_that_waits_is_cancelled_and_never_delivered(workflow: str, receiver: WebhookReceiver) -> None:
    waiting, others = act(), act(customer_id="ben")
    assert erase_subject(subject="ann", reason="asked", actor="user:officer").actions == 1
    waiting.refresh_from_db()
    assert (waiting.state, waiting.finished_at is not None) == ("cancelled", True)
    event = AuditEvent.objects.get(action="action.cancelled")
    assert (event.subject, event.actor) == (f"action:{waiting.pk}", "user:officer")
    assert event.details == {"kind": "webhook", "decision": str(waiting.decision_id), "reason": "asked"}
    deliver_action(waiting.pk)
    assert (due_actions(), waiting.attempts.count()) == ([others.pk], 0)


def test_an_action_that_is_cancelled_once_a_worker_has_it_is_not_tried(
    workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = act()
    claim = delivery._claim

    def claim_and_erase(action_id: uuid.UUID | str) -> bool:
        is_mine = claim(action_id)
        erase_subject(subject="ann", reason="asked", actor=ACTOR)
        return is_mine

    monkeypatch.setattr(delivery, "_claim", claim_and_erase)
    deliver_action(waiting.pk)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.attempts.count()) == ("cancelled", 0)


def test_an_attempt_that_is_under_way_counts_and_the_action_stays_cancelled(
    workflow: str, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = act()
    deliver = WebhookAction.deliver

    def erase_and_deliver(self: WebhookAction, action: Action) -> Any:
        erase_subject(subject="ann", reason="asked", actor=ACTOR)
        return deliver(self, action)

    monkeypatch.setattr(WebhookAction, "deliver", erase_and_deliver)
    deliver_action(waiting.pk)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.attempts.count()) == ("cancelled", 1)
    assert not AuditEvent.objects.filter(action__in=["action.delivered", "action.dead"]).exists()


def test_a_dead_letter_about_the_subject_cannot_be_driven_again(workflow: str) -> None:
    dead = act()
    Action.objects.filter(pk=dead.pk).update(state="dead")
    assert erase_subject(subject="ann", reason="asked", actor=ACTOR).actions == 1
    dead.refresh_from_db()
    with pytest.raises(Conflict, match="is cancelled"):
        redrive_action(action=dead, actor=ACTOR)


def test_an_attempt_that_had_read_the_facts_before_the_erasure_brings_nothing_back(workflow: str) -> None:
    save_list(name="blocked", description="", actor=ACTOR)
    for settings in (
        {"kind": "add-to-list", "list": "blocked", "value_from": "customer_id"},
        {"kind": "hold", "flag": "shipping"},
    ):
        cause(settings)
        action = Action.objects.select_related("decision__workflow").get(pk=act().pk)
        erase_subject(subject="ann", reason="asked", actor=ACTOR)
        kind = find_kind(action.kind)
        assert kind is not None
        with pytest.raises(Conflict, match="was erased"):
            kind.deliver(action)
    assert not ListEntry.objects.exists()
    assert not Flag.objects.exists()


@pytest.fixture
def lists(db: None) -> None:
    """`blocked` has ann; `vips` had her, twice."""
    for name in ("blocked", "vips"):
        save_list(name=name, description="", actor=ACTOR)
        add_entries(name=name, entries=[Entry(value="ann", note="a note"), Entry(value="ben")], actor=ACTOR)
    remove_entries(name="vips", values=["ann"], actor=ACTOR)
    add_entries(name="vips", entries=[Entry(value="ann")], actor=ACTOR)
    remove_entries(name="vips", values=["ann"], actor=ACTOR)


@pytest.mark.usefixtures("lists")
def test_entries_of_lists_that_name_the_subject_go_from_every_version() -> None:
    assert "ann" in find_list("blocked").expiries
    erased = erase_person(subject="ann", reason="asked", actor="user:officer")
    assert (erased.counts["list_entries"], erased.lists) == (3, {"blocked": 1, "vips": 2})
    assert not ListEntry.objects.filter(value="ann").exists()
    assert not ListEntry.objects.filter(note="a note").exists()
    Snapshots.forget_all()
    assert dict(find_list("blocked").expiries) == {"ben": None}
    for name, number in (("blocked", 1), ("vips", 1), ("vips", 3)):
        assert dict(find_list_version(name, number).expiries) == {"ben": None}
    events = AuditEvent.objects.filter(actor="user:officer", subject__startswith="list:").order_by("id")
    assert [(event.action, event.subject, event.details.get("entries")) for event in events] == [
        ("list.changed", "list:blocked", None),
        ("list.entries_erased", "list:blocked", 1),
        ("list.entries_erased", "list:vips", 2),
    ]
    assert not AuditEvent.objects.filter(details__icontains="ann").exists()


@pytest.mark.usefixtures("lists")
def test_a_list_shows_nothing_of_an_erased_entry(api: Api) -> None:
    erase_person(subject="ann", reason="asked", actor=ACTOR)
    for version in ("", "?version=1"):
        entries = api.get(f"lists/vips/entries{version}").json()["results"]
        assert [entry["value"] for entry in entries] == ["ben"]


@pytest.mark.usefixtures("lists")
def test_only_an_erasure_may_change_an_entry() -> None:
    present = ListEntry.objects.get(list__name="blocked", value="ann")
    past = ListEntry.objects.filter(list__name="vips", value="ann").first()
    assert past is not None
    for entry, changes in (
        (present, {"value": "", "note": ""}),
        (present, {"value": "", "note": "", "removed_in": 1}),
        (past, {"value": "eve"}),
        (past, {"value": ""} | {"added_in": 9}),
    ):
        with pytest.raises(Error, match=r"append-only|added_first"), transaction.atomic():
            ListEntry.objects.filter(pk=entry.pk).update(**changes)


@pytest.mark.usefixtures("lists")
def test_an_erasure_within_one_workflow_leaves_lists_and_flags(workflow: str) -> None:
    change_flag(subject="ann", name="payout", is_held=True, actor=ACTOR, reason="x")
    erased = erase_person(subject="ann", reason="asked", actor=ACTOR, workflow="orders")
    assert (erased.counts["flags"], erased.lists) == (0, {})
    assert (Flag.objects.count(), ListEntry.objects.filter(value="ann").count()) == (1, 3)


def test_answers_kept_for_repeats_that_speak_of_the_subject_go(api: Api, workflow: str) -> None:
    for facts in (ANN, BEN):
        deliver_action(act(**facts | {"total": None}).pk)
    for review in Review.objects.order_by("id"):
        api.post(f"reviews/{review.pk}/claim", {}, Idempotency_Key=review.decision.subject)
    assert RepeatableWrite.objects.count() == 2
    assert erase_person(subject="ann", reason="asked", actor=ACTOR).counts["answers"] == 1
    assert RepeatableWrite.objects.get().name == "ben"


@pytest.mark.parametrize(
    ("kind", "target", "body"),
    [
        ("decide", "orders", {"input": ANN}),
        ("decide", "orders", {"rows": [{"input": BEN}, {"input": ANN}]}),
        ("recommend", "home-page", {"user_id": "ann"}),
        ("predict", "price-model", {"rows": [{"price": 10}], "key": "ann"}),
    ],
)
def test_a_deferred_call_that_waits_is_emptied_and_says_why(
    workflow: str, kind: str, target: str, body: dict[str, Any]
) -> None:
    call = defer_call(kind=kind, target=target, body=body, actor=ACTOR)
    others = defer_call(kind="decide", target="orders", body={"input": BEN | {"price": 1}}, actor=ACTOR)
    assert erase_person(subject="ann", reason="asked", actor=ACTOR).counts["calls"] == 1
    call.refresh_from_db()
    assert (call.body, call.state, call.problem["family"]) == ({}, "failed", "Conflict")  # type: ignore[index]
    run_deferred_call(call.pk)
    assert not Decision.objects.exists()
    others.refresh_from_db()
    assert others.state == "queued"


def test_a_deferred_call_that_failed_loses_what_it_asked(workflow: str) -> None:
    call = defer_call(kind="decide", target="orders", body={"input": ANN | {"surplus": 1}}, actor=ACTOR)
    run_deferred_call(call.pk)
    Workflow.objects.create(name="other")
    assert erase_person(subject="ann", reason="asked", actor=ACTOR, workflow="other").counts["calls"] == 0
    assert erase_person(subject="ann", reason="asked", actor=ACTOR, workflow="orders").counts["calls"] == 1
    assert not DeferredCall.objects.exists()


def test_the_command_says_what_it_erased(workflow: str, capsys: pytest.CaptureFixture[str]) -> None:
    decide(workflow="orders", facts_in=ANN, actor=ACTOR)
    save_list(name="blocked", description="", actor=ACTOR)
    add_entries(name="blocked", entries=[Entry(value="ann")], actor=ACTOR)
    call_command("erase_subject", "eve", "--reason", "asked", "--workflow", "orders")
    call_command("erase_subject", "ann", "--reason", "asked")
    call_command("erase_subject", "ann", "--reason", "asked", "--dry-run")
    ids = AuditEvent.objects.filter(action="subject.erased").order_by("id").values_list("subject", flat=True)
    assert capsys.readouterr().out.splitlines() == [
        "nothing is kept about this subject",
        f"the audit log has it as {ids[0]}",
        "decisions erased: 1",
        "actions cancelled: 1",
        "list entries removed: 1 (blocked: 1)",
        f"the audit log has it as {ids[1]}",
        "a dry run: nothing is erased, this would be",
        "nothing is kept about this subject",
    ]
    with pytest.raises(CommandError, match="/reason"):
        call_command("erase_subject", "ann", "--reason", "")


def test_a_misspelt_workflow_is_not_taken_for_one_without_the_subject(api: Api, workflow: str) -> None:
    decide(workflow="orders", facts_in=ANN, actor=ACTOR)
    answer = api.post("erasures", {"subject": "ann", "reason": "asked", "workflow": "order"})
    assert (answer.status_code, answer.json()["detail"]) == (404, "There is no workflow 'order'.")
    assert not AuditEvent.objects.filter(action="subject.erased").exists()
    with pytest.raises(CommandError, match="There is no workflow 'order'"):
        call_command("erase_subject", "ann", "--reason", "asked", "--workflow", "order", "--dry-run")


def test_rest_erases_for_keys_that_may(api: Api, workflow: str) -> None:
    made = api.post("workflows/orders/decisions", {"input": ANN}).json()
    answer = api.post("erasures", {"subject": "ann", "reason": "asked"})
    counts = dict.fromkeys(KINDS, 0) | {"decisions": 1, "actions": 1}
    event = AuditEvent.objects.get(action="subject.erased")
    told = {"erasure_id": event.subject.removeprefix("erasure:"), "dry_run": False, "lists": {}}
    left = {"tables": {}, "lists": [], "audit_events": []}
    assert (answer.status_code, answer.json()) == (200, counts | told | {"left": left})
    left = api.get(f"decisions/{made['decision_id']}").json()
    assert (left["outcome"], left["trace"], left["subject"], left["digest"]) == ("accept", {}, "", made["digest"])
    assert [action["state"] for action in left["actions"]] == ["cancelled"]
    assert api.post("erasures", {"subject": "ann"}).status_code == 422
