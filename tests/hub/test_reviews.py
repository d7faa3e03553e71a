"""Reviews: the queue, who works on what, and what a verdict makes."""

import threading
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from importlib import import_module
from typing import Any

import orjson
import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db import Error, connection, transaction
from django.utils import timezone

from inferhub.accounts.models import User
from inferhub.audit.models import AuditEvent
from inferhub.decisions.actions.message import decision_message as webhook_body
from inferhub.decisions.delivery import deliver_action
from inferhub.decisions.digests import digest_of_decision
from inferhub.decisions.erasure import erase_subject
from inferhub.decisions.explaining import explain_predictions
from inferhub.decisions.models import Action, Decision, Review, ReviewComment
from inferhub.decisions.review_queue import (
    assign_review,
    claim_next_review,
    claim_review,
    comment_on_review,
    count_open,
    put_off_review,
    release_review,
)
from inferhub.decisions.reviews import answers_of, settle_review
from inferhub.decisions.services import decide, save_workflow
from inferhub.demo.receiver import WebhookReceiver
from inferhub.errors import Conflict, InvalidDefinition, InvalidInput
from tests.hub.test_predicting import keep
from tests.hub_fixtures import ACTOR, WORKFLOW
from tests.runtime import graphs

pytestmark = pytest.mark.django_db
ANN, BEN = "user:ann", "user:ben"
HELD = {"customer_id": "cid", "total": 2000, "price": 10}
REVIEW = {"kind": "review", "title": "Look at this order", "approve": "accept", "reject": "decline"}
DECLINE = [{"kind": "webhook", "endpoint": "shop"}, {"kind": "review", "title": "Once more"}]


def save(review: dict[str, Any] | None = None, **actions: Any) -> None:
    definition = deepcopy(WORKFLOW)
    definition["actions"] |= {"hold": [REVIEW | (review or {})], "decline": DECLINE} | actions
    save_workflow(name="orders", definition=definition, actor=ACTOR)


def hold(**changes: Any) -> Review:
    decision, _ = decide(workflow="orders", facts_in=HELD | changes, actor=ACTOR)
    for action in decision.actions.all():
        deliver_action(action.pk)
    return decision.reviews.get()


@pytest.fixture
def review(workflow: str) -> Review:
    save()
    return hold()


def settle(review: Review, verdict: str = "approved", *, actor: str = ANN, **words: Any) -> Decision:
    return settle_review(review=review, verdict=verdict, actor=actor, **{"reason": "I called the customer."} | words)


# The queue


def test_a_review_is_as_urgent_and_due_as_the_workflow_says(workflow: str) -> None:
    save({"priority": "high", "due_in_hours": 0.5})
    review = hold()
    assert (review.get_priority_display(), review.due_at) == ("High", review.decision.created_at + timedelta(hours=0.5))


def test_a_review_without_settings_is_of_normal_priority_and_may_wait(review: Review) -> None:
    assert (review.get_priority_display(), review.due_at, review.assigned_to) == ("Normal", None, "")


def test_the_next_case_is_an_overdue_one_then_the_most_urgent_then_the_one_due_first(review: Review) -> None:
    now = timezone.now()
    expected = []
    for priority, hours in ((1, -1), (3, 5), (3, None), (2, 2), (2, 3), (1, 1)):
        due_at = None if hours is None else now + timedelta(hours=hours)
        expected.append(hold())
        Review.objects.filter(pk=expected[-1].pk).update(priority=priority, due_at=due_at)
    Review.objects.filter(pk=review.pk).update(priority=1)
    taken = []
    while found := claim_next_review(actor=ANN):
        taken.append(found)
        settle(found)
    assert taken == [*expected, review]


def test_the_next_case_can_be_of_one_workflow_only(review: Review) -> None:
    assert claim_next_review(actor=ANN, workflow="others") is None
    assert claim_next_review(actor=ANN, workflow="orders") == review


def test_what_somebody_has_is_nobody_elses(review: Review) -> None:
    claim_review(review=review, actor=ANN)
    claim_review(review=review, actor=ANN)
    with pytest.raises(Conflict, match="user:ann is working on this review since"):
        claim_review(review=review, actor=BEN)
    with pytest.raises(Conflict, match="user:ann is working on this review since"):
        settle(review, actor=BEN)
    with pytest.raises(Conflict, match="user:ann"):
        release_review(review=review, actor=BEN)
    assert claim_next_review(actor=BEN) is None
    assert Decision.objects.filter(reviewed_decision_id=review.decision_id).count() == 0
    assert AuditEvent.objects.filter(action="review.claimed").count() == 1


def test_a_case_given_back_goes_to_others_first(review: Review) -> None:
    other = hold()
    claim_review(review=review, actor=ANN)
    release_review(review=review, actor=ANN)
    assert claim_next_review(actor=ANN) == other
    assert claim_next_review(actor=BEN) == review


def test_a_case_given_back_comes_again_where_nobody_else_took_it(review: Review) -> None:
    claim_review(review=review, actor=ANN)
    release_review(review=review, actor=ANN)
    assert claim_next_review(actor=ANN) == review


def test_a_case_put_off_stays_with_its_reviewer_and_comes_after_the_others(review: Review) -> None:
    other = hold()
    assert claim_next_review(actor=ANN) == review
    put_off_review(review=review, actor=ANN)
    assert claim_next_review(actor=BEN) == other
    release_review(review=other, actor=BEN)
    assert claim_next_review(actor=ANN) == other
    settle(other)
    assert claim_next_review(actor=ANN) == review


def test_only_what_is_ones_own_can_be_put_off_or_given_back(review: Review) -> None:
    for step in (put_off_review, release_review):
        with pytest.raises(Conflict, match="take it first"):
            step(review=review, actor=ANN)


def _reviewer(name: str) -> User:
    user = User.objects.create_user(name)
    user.user_permissions.add(Permission.objects.get(codename="settle_review"))
    return user


def test_a_lead_gives_a_case_to_another_and_back_to_all(review: Review) -> None:
    _reviewer("ben")
    claim_review(review=review, actor=ANN)
    assign_review(review=review, to="ben", actor="user:lead")
    with pytest.raises(Conflict, match="user:ben is working on this"):
        settle(review, actor=ANN)
    assign_review(review=review, to="", actor="user:lead")
    claim_review(review=review, actor=ANN)
    details = AuditEvent.objects.filter(action="review.assigned").order_by("id").values_list("details", flat=True)
    assert [entry["to"] for entry in details] == ["user:ben", ""]


@pytest.mark.parametrize("name", ["nobody", "idle", "watcher", "ben' OR 1=1"])
def test_only_people_who_may_settle_are_given_cases(review: Review, name: str) -> None:
    User.objects.create_user("watcher")
    idle = _reviewer("idle")
    idle.is_active = False
    idle.save()
    with pytest.raises(InvalidInput, match="/to: expected the user name of a person who may settle reviews"):
        assign_review(review=review, to=name, actor="user:lead")


def test_a_settled_case_is_given_to_nobody(review: Review) -> None:
    settle(review)
    with pytest.raises(Conflict, match="settled before: approved by user:ann"):
        assign_review(review=review, to="", actor="user:lead")


def test_open_cases_are_counted(review: Review) -> None:
    claim_review(review=review, actor=ANN)
    Review.objects.filter(pk=hold().pk).update(due_at=timezone.now() - timedelta(minutes=1))
    settle(hold())
    assert count_open() == {"unassigned": 1, "assigned": 1, "overdue": 1}


# Comments


def test_a_comment_stays_as_it_was_written(review: Review) -> None:
    comment = comment_on_review(review=review, text=" She moved last week. ", actor=ANN)
    assert comment.text == "She moved last week."
    for changes in ({"text": "No."}, {"actor": BEN}, {"text": "", "actor": BEN}):
        with pytest.raises(Error, match="append-only"), transaction.atomic():
            ReviewComment.objects.filter(pk=comment.pk).update(**changes)
    event = AuditEvent.objects.get(action="review.commented")
    assert event.details == {"review": review.pk, "comment": comment.pk}


@pytest.mark.parametrize("text", ["", "  ", "x" * 5001])
def test_a_comment_says_something_and_is_no_book(review: Review, text: str) -> None:
    with pytest.raises(InvalidInput, match="/text: expected a text of 1 to 5000 characters"):
        comment_on_review(review=review, text=text, actor=ANN)


# Verdicts


@pytest.mark.parametrize(
    ("verdict", "words", "outcome"),
    [
        ("approved", {}, "accept"),
        ("rejected", {}, "decline"),
        ("changed", {"outcome": "fast"}, "fast"),
        ("changed", {"outcome": "hold"}, "hold"),
    ],
)
def test_a_verdict_makes_another_decision_and_the_first_stays(
    review: Review, verdict: str, words: dict[str, str], outcome: str
) -> None:
    before = Decision.objects.filter(pk=review.decision_id).values().get()
    made = settle(review, verdict, **words)
    review.refresh_from_db()
    assert (review.verdict, review.outcome, review.settled_by) == (verdict, outcome, ANN)
    assert review.new_decision_id == made.pk
    stored = Decision.objects.get(pk=made.pk)
    assert (stored.outcome, stored.reviewed_decision_id, stored.actor) == (outcome, review.decision_id, ANN)
    assert (stored.input, stored.predictions, stored.version_id) == (
        before["input"],
        before["predictions"],
        before["version_id"],
    )
    assert stored.trace["review"]["reason"] == "I called the customer."
    assert Decision.objects.filter(pk=review.decision_id).values().get() == before


def test_the_actions_of_the_chosen_outcome_are_done_once_and_say_what_was_reviewed(
    review: Review, receiver: WebhookReceiver
) -> None:
    action = settle(review, "rejected").actions.get()
    for _ in range(2):
        deliver_action(action.pk)
    assert receiver.seen == {str(action.pk)}
    told = orjson.loads(webhook_body(Action.objects.select_related("decision__workflow").get(pk=action.pk)))["data"]
    assert (told["decision_id"], told["outcome"]) == (str(action.decision_id), "decline")
    assert told["review"]["decision_id"] == str(review.decision_id)
    assert told["review"]["request_id"] == review.decision.request_id
    assert told["review"]["verdict"] == "rejected"


def test_a_verdict_never_asks_for_another_review(review: Review) -> None:
    made = settle(review, "rejected")
    assert [action.kind for action in made.actions.all()] == ["webhook"]
    assert settle(hold(), "changed", outcome="hold").actions.count() == 0


def test_where_the_workflow_says_nothing_the_outcomes_are_approved_and_rejected(workflow: str) -> None:
    undecided = hold(total=None)
    assert undecided.decision.outcome == "review"
    answers = answers_of(undecided)
    assert (answers.approve, answers.reject) == ("approved", "rejected")
    assert answers.outcomes == ("accept", "approved", "fast", "hold", "rejected")
    assert settle(undecided, "rejected").outcome == "rejected"


def test_the_digest_of_a_verdicts_decision_covers_what_was_reviewed(review: Review) -> None:
    stored = Decision.objects.get(pk=settle(review).pk)
    assert digest_of_decision(stored) == stored.digest
    stored.reviewed_decision_id = stored.pk
    assert digest_of_decision(stored) != stored.digest
    with pytest.raises(Error, match="append-only"), transaction.atomic():
        Decision.objects.filter(pk=stored.pk).update(reviewed_decision_id=None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"verdict": "maybe"}, "/verdict: expected one of approved, rejected, changed"),
        ({"verdict": ""}, "/verdict: expected one of"),
        ({"verdict": "approved", "reason": "  "}, "/reason: expected a reason of 1 to 5000 characters"),
        ({"verdict": "approved", "reason": "x" * 5001}, "/reason"),
        ({"verdict": "approved", "outcome": "fast"}, "/outcome: expected nothing, unless the verdict is 'changed'"),
        ({"verdict": "changed"}, "/outcome: expected one of accept, decline, fast, hold"),
        ({"verdict": "changed", "outcome": "review"}, "/outcome: expected one of"),
        ({"verdict": "changed", "outcome": "<script>"}, "/outcome: expected one of"),
    ],
)
def test_a_verdict_that_is_none_changes_nothing(review: Review, words: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        settle(review, **words)  # type: ignore[arg-type]
    review.refresh_from_db()
    assert (review.verdict, Decision.objects.count()) == ("", 1)


def test_the_second_verdict_is_told_of_the_first_and_leaves_nothing(review: Review) -> None:
    settle(review)
    with pytest.raises(Conflict, match="This review was settled before: approved by user:ann"):
        settle(review, "rejected", actor=BEN)
    assert Decision.objects.filter(reviewed_decision_id=review.decision_id).count() == 1


@pytest.mark.parametrize(
    ("settings", "pointer"),
    [
        ({"approve": "acept"}, "/actions/hold/0/approve"),
        ({"reject": "review"}, "/actions/hold/0/reject"),
        ({"approve": ""}, "/actions/hold/0/approve"),
        ({"priority": "urgent"}, "/actions/hold/0/priority"),
        ({"due_in_hours": 0}, "/actions/hold/0/due_in_hours"),
        ({"due_in_hours": 10_000}, "/actions/hold/0/due_in_hours"),
        ({"deu_in_hours": 1}, "/actions/hold/0/deu_in_hours"),
    ],
)
def test_a_review_that_leads_nowhere_is_refused_when_the_workflow_is_saved(
    workflow: str, settings: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        save(settings)
    assert pointer in [error.pointer for error in caught.value.errors]


def test_actions_of_what_a_verdict_leads_to_are_allowed_and_of_other_outcomes_not(workflow: str) -> None:
    save(approved=[], rejected=[])
    with pytest.raises(InvalidDefinition, match="/actions/declined"):
        save(declined=[])


# Why a model said what it said


def test_what_a_model_of_trees_said_is_explained_by_the_version_that_said_it(review: Review) -> None:
    keep("trees", graphs.tree(nodes_hitrates=[4.0, 3.0, 1.0]))
    definition = deepcopy(WORKFLOW)
    definition["input"]["properties"]["x"] = {"type": "array"}
    definition["predictions"].append({"name": "trees", "model": "trees", "version": 1, "inputs": {"x": "x"}})
    save_workflow(name="orders", definition=definition, actor=ACTOR)
    decision, _ = decide(workflow="orders", facts_in=HELD | {"x": [1, 0]}, actor=ACTOR)
    stored = Decision.objects.get(pk=decision.pk)
    found = explain_predictions(stored)
    assert list(found) == ["trees"]  # the other model has nothing to tell
    assert found["trees"]["contributions"]["x[0]"] == 0.75
    stored.predictions["trees"]["version"] = 7
    assert explain_predictions(stored) == {}


# Erasure


def test_what_people_wrote_about_a_person_is_erased_with_the_persons_data(review: Review) -> None:
    comment_on_review(review=review, text="Cid lives in Ghent.", actor=ANN)
    made = settle(review, reason="Cid is known.")
    assert set(erase_subject(subject="cid", reason="asked", actor=ACTOR).decision_ids) == {review.decision_id, made.pk}
    review.refresh_from_db()
    assert (review.reason, review.comments.get().text) == ("", "")
    stored = Decision.objects.get(pk=made.pk)
    assert (stored.trace, stored.input, digest_of_decision(stored)) == ({}, {}, stored.digest)
    assert "Cid" not in str(list(AuditEvent.objects.values_list("details", flat=True)))


def test_a_case_whose_person_was_erased_can_still_be_closed_and_tells_nobody(review: Review) -> None:
    erase_subject(subject="cid", reason="asked", actor=ACTOR)
    made = settle(review)
    assert (made.input, made.subject) == ({}, "")
    assert not made.actions.exists()


def test_data_scientists_of_an_older_hub_learn_to_export() -> None:
    group = Group.objects.get(name="data scientist")
    group.permissions.clear()
    import_module("inferhub.decisions.migrations.0019_data_scientists_export_reviews").grant(apps, None)
    assert [entry.codename for entry in group.permissions.all()] == ["export_review"]


# Many at once


def _at_once(*steps: Callable[[], Any]) -> list[Any]:
    """Run each in a thread of its own, all released together; gives what each returned or raised."""
    gate, found = threading.Barrier(len(steps)), [None] * len(steps)

    def run(place: int, step: Callable[[], Any]) -> None:
        gate.wait()
        try:
            found[place] = step()
        except (Conflict, InvalidInput) as exc:
            found[place] = exc  # type: ignore[call-overload]
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(steps)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.django_db(transaction=True)
def test_of_eight_who_settle_at_once_one_does(review: Review) -> None:
    found = _at_once(*(lambda name=name: settle(review, actor=f"user:{name}") for name in range(8)))
    winners = [made for made in found if isinstance(made, Decision)]
    assert len(winners) == 1
    assert all("This review was settled before" in str(made) for made in found if not isinstance(made, Decision))
    assert Decision.objects.filter(reviewed_decision_id=review.decision_id).count() == 1
    assert Action.objects.filter(decision_id=winners[0].pk).count() == 1


@pytest.mark.django_db(transaction=True)
def test_eight_who_take_the_next_case_at_once_get_eight(review: Review) -> None:
    for _ in range(8):
        hold()
    found = _at_once(*(lambda name=name: claim_next_review(actor=f"user:{name}") for name in range(8)))
    assert len({case.pk for case in found}) == 8
    held = Review.objects.exclude(assigned_to="").values_list("pk", "assigned_to")
    assert {case.pk: f"user:{name}" for name, case in enumerate(found)} == dict(held)


@pytest.mark.django_db(transaction=True)
def test_an_erasure_takes_the_decision_of_a_verdict_that_is_being_written(review: Review) -> None:
    is_settled = threading.Event()

    def settle_slowly() -> None:
        with transaction.atomic():
            settle(review)
            is_settled.set()
            while not _waits_for_a_lock():
                pass

    def erase() -> None:
        is_settled.wait()
        erase_subject(subject="cid", reason="as asked", actor=ACTOR)

    _at_once(settle_slowly, erase)
    assert [decision.erased_at is None for decision in Decision.objects.all()] == [False, False]


def _waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])
