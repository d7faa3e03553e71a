import contextlib
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any

import pytest
from amqp.exceptions import AccessRefused
from celery.exceptions import SoftTimeLimitExceeded
from django.apps import apps
from django.db.models import F
from django.utils import timezone
from kombu.exceptions import OperationalError

from inferhub.audit.models import AuditEvent
from inferhub.celery import bell
from inferhub.decisions.actions.base import DeliveryResult
from inferhub.decisions.actions.webhook import WebhookAction
from inferhub.decisions.dead_letters import redrive_action
from inferhub.decisions.delivery import deliver_action, due_actions
from inferhub.decisions.endpoints import save_endpoint, switch_endpoint
from inferhub.decisions.models import Action, ActionState, DeliveryTarget, Review, WebhookEndpoint
from inferhub.decisions.reviews import settle_review
from inferhub.decisions.services import decide
from inferhub.decisions.tasks import sweep_actions
from inferhub.demo.receiver import WebhookReceiver
from inferhub.errors import Conflict, InvalidInput
from tests.actions.receivers import StubbornReceiver
from tests.hub_fixtures import ACTOR

pytestmark = pytest.mark.django_db

ACCEPTED = {"customer_id": "ann", "total": 20, "price": 10}
HELD = {"customer_id": "ann", "total": 2000, "price": 10}


def _action(facts: dict[str, object] = ACCEPTED) -> Action:
    decide(workflow="orders", facts_in=facts, actor=ACTOR)
    return Action.objects.get(kind="webhook")


def _let_it_be_due(action: Action) -> None:
    Action.objects.filter(pk=action.pk).update(next_attempt_at=timezone.now())


def test_a_webhook_arrives_signed_and_is_delivered_once(workflow: str, receiver: WebhookReceiver) -> None:
    action = _action()
    deliver_action(action.pk)
    deliver_action(action.pk)
    action.refresh_from_db()
    assert action.state == ActionState.DELIVERED
    assert (receiver.seen, receiver.refused) == ({str(action.pk)}, 0)
    assert [attempt.status_code for attempt in action.attempts.all()] == [204]


def test_a_wrong_signature_is_noticed(workflow: str, receiver: WebhookReceiver) -> None:
    receiver.secret = "whsec_AAAA"
    action = _action()
    deliver_action(action.pk)
    assert (receiver.seen, receiver.refused) == (set(), 1)


def test_a_failing_receiver_is_tried_again_later_and_every_attempt_is_kept(stubborn: list[StubbornReceiver]) -> None:
    stubborn.append(StubbornReceiver(500, 429, 200))
    action = _action()
    for _ in range(3):
        _let_it_be_due(action)
        deliver_action(action.pk)
    action.refresh_from_db()
    assert action.state == ActionState.DELIVERED
    assert [(a.number, a.status_code, a.is_success) for a in action.attempts.all()] == [
        (1, 500, False),
        (2, 429, False),
        (3, 200, True),
    ]


def test_between_attempts_an_action_waits(stubborn: list[StubbornReceiver]) -> None:
    stubborn.append(StubbornReceiver(500))
    action = _action()
    deliver_action(action.pk)
    deliver_action(action.pk)
    action.refresh_from_db()
    assert action.attempt_count == 1
    assert action.next_attempt_at > timezone.now() + timedelta(seconds=1)
    assert due_actions() == []


@pytest.mark.parametrize("code", [301, 307, 400, 404, 410])
def test_a_receiver_that_will_never_accept_makes_a_dead_letter_at_once(
    stubborn: list[StubbornReceiver], code: int
) -> None:
    stubborn.append(StubbornReceiver(code))
    action = _action()
    deliver_action(action.pk)
    action.refresh_from_db()
    assert (action.state, action.attempt_count) == (ActionState.DEAD, 1)


def test_a_dead_letter_can_be_driven_again_and_only_a_dead_one(stubborn: list[StubbornReceiver]) -> None:
    stubborn.append(StubbornReceiver(404, 200))
    action = _action()
    with pytest.raises(Conflict):
        redrive_action(action=action, actor=ACTOR)
    deliver_action(action.pk)
    redrive_action(action=action, actor=ACTOR)
    deliver_action(action.pk)
    action.refresh_from_db()
    assert (action.state, action.attempt_count) == (ActionState.DELIVERED, 2)


def test_an_action_that_a_worker_holds_is_left_alone_until_the_lease_ends(
    workflow: str, receiver: WebhookReceiver
) -> None:
    action = _action()
    Action.objects.filter(pk=action.pk).update(next_attempt_at=timezone.now() + timedelta(seconds=60), attempt_count=1)
    sweep_actions()
    assert receiver.seen == set()
    _let_it_be_due(action)  # the worker died and its lease ran out
    sweep_actions()
    assert receiver.seen == {str(action.pk)}


def test_a_broker_that_is_away_delays_and_loses_nothing(
    workflow: str, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks
) -> None:
    def away(task: str, argument: str) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(bell, "_send", away)
    with django_capture_on_commit_callbacks(execute=True):
        action = _action()
    sweep_actions()
    assert receiver.seen == {str(action.pk)}
    monkeypatch.setattr(bell, "_silent_until", 0.0)


def test_a_switched_off_endpoint_keeps_its_actions_waiting_without_using_up_attempts(
    workflow: str, receiver: WebhookReceiver
) -> None:
    switch_endpoint(name="shop", is_active=False, actor=ACTOR)
    action = _action()
    deliver_action(action.pk)
    action.refresh_from_db()
    assert (action.state, action.attempt_count, action.attempts.count()) == ("pending", 0, 0)
    switch_endpoint(name="shop", is_active=True, actor=ACTOR)
    sweep_actions()
    assert receiver.seen == {str(action.pk)}


def test_a_worker_whose_lease_was_lost_changes_nothing_by_failing_and_everything_by_succeeding(
    workflow: str, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = _action()

    def lose_the_lease(result: DeliveryResult) -> None:
        def deliver(*_: object) -> DeliveryResult:
            Action.objects.filter(pk=action.pk).update(attempt_count=F("attempt_count") + 1)
            return result

        monkeypatch.setattr(WebhookAction, "deliver", deliver)
        _let_it_be_due(action)
        deliver_action(action.pk)
        action.refresh_from_db()

    lose_the_lease(DeliveryResult(is_success=False, is_permanent=True, detail="gone"))
    assert action.state == "pending"
    assert not AuditEvent.objects.filter(action="action.dead").exists()
    lose_the_lease(DeliveryResult(is_success=True))
    assert action.state == "delivered"


def test_a_redriven_letter_waits_as_at_the_first_time(stubborn: list[StubbornReceiver]) -> None:
    stubborn.append(StubbornReceiver(500))
    action = _dead_after(15)
    redrive_action(action=action, actor=ACTOR)
    deliver_action(action.pk)
    action.refresh_from_db()
    assert action.next_attempt_at < timezone.now() + timedelta(seconds=10)


def test_a_letter_that_died_early_is_tried_as_often_as_any_once_it_is_driven_again(
    stubborn: list[StubbornReceiver],
) -> None:
    stubborn.append(StubbornReceiver(*[500] * 15))
    action = _dead_after(14)
    redrive_action(action=action, actor=ACTOR)
    states = []
    for _ in range(15):
        DeliveryTarget.objects.all().delete()  # its breaker would rest
        _let_it_be_due(action)
        deliver_action(action.pk)
        action.refresh_from_db()
        states.append(action.state)
    assert states == ["pending"] * 14 + ["dead"]


def test_a_letter_that_an_older_hub_drove_again_is_not_given_up_by_the_upgrade(
    stubborn: list[StubbornReceiver],
) -> None:
    stubborn.append(StubbornReceiver(500))
    action = _action()
    Action.objects.filter(pk=action.pk).update(attempt_count=20, next_attempt_at=timezone.now())
    import_module("inferhub.decisions.migrations.0031_attempts_before_of_redriven_letters").note(apps, None)
    deliver_action(action.pk)
    action.refresh_from_db()
    assert (action.state, action.attempts_before, action.attempt_count) == ("pending", 15, 21)


def _dead_after(attempts: int) -> Action:
    action = _action()
    Action.objects.filter(pk=action.pk).update(state="dead", attempt_count=attempts, finished_at=timezone.now())
    return action


def test_an_action_that_takes_its_worker_down_each_time_is_given_up(workflow: str, receiver: WebhookReceiver) -> None:
    action = _action()
    Action.objects.filter(pk=action.pk).update(attempt_count=15)  # claimed so often, and nothing came of it
    deliver_action(action.pk)
    action.refresh_from_db()
    assert (action.state, receiver.seen) == ("dead", set())
    assert action.attempts.get().detail == "no worker came back from 15 attempts"
    assert not DeliveryTarget.objects.filter(name="webhook:shop", failure_count__gt=0).exists()


def test_a_receiver_that_never_ends_its_answer_is_not_read(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b"x" * 65536)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        save_endpoint(name="shop", url=f"http://127.0.0.1:{server.server_port}/", actor=ACTOR)
        action = _action()
        deliver_action(action.pk)
        server.shutdown()
        thread.join()
    action.refresh_from_db()
    assert action.state == "delivered"


def test_a_broker_that_refuses_this_account_delays_and_loses_nothing(
    workflow: str, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def refuse(task: str, argument: str) -> None:
        raise AccessRefused("wrong password")

    monkeypatch.setattr(bell, "_send", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        action = _action()
    monkeypatch.setattr(bell, "_silent_until", 0.0)
    sweep_actions()
    assert receiver.seen == {str(action.pk)}


def test_the_secret_of_an_endpoint_is_not_stored_in_the_clear(workflow: str, receiver: WebhookReceiver) -> None:
    assert receiver.secret.removeprefix("whsec_") not in WebhookEndpoint.objects.get().encrypted_secret


def test_a_review_is_opened_once_and_settled_once(workflow: str) -> None:
    decide(workflow="orders", facts_in=HELD, actor=ACTOR)
    sweep_actions()
    sweep_actions()
    review = Review.objects.get()
    settle_review(review=review, verdict="approved", reason="known customer", actor="user:ann")
    with pytest.raises(Conflict, match="approved by user:ann"):
        settle_review(review=review, verdict="rejected", reason="too late", actor="user:ben")


@pytest.mark.parametrize(("verdict", "reason"), [("maybe", "x"), ("approved", "  ")])
def test_a_review_needs_a_verdict_and_a_reason(workflow: str, verdict: str, reason: str) -> None:
    decide(workflow="orders", facts_in=HELD, actor=ACTOR)
    sweep_actions()
    with pytest.raises(InvalidInput):
        settle_review(review=Review.objects.get(), verdict=verdict, reason=reason, actor=ACTOR)


def test_a_fault_of_our_own_is_an_attempt_that_is_kept_and_tried_again(
    workflow: str, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("surprise")

    action = _action()
    with monkeypatch.context() as patch:
        patch.setattr(WebhookAction, "deliver", fail)
        deliver_action(action.pk)
    assert action.attempts.get().detail == "unforeseen KeyError; see the worker's log"
    _let_it_be_due(action)
    deliver_action(action.pk)
    assert receiver.seen == {str(action.pk)}


def test_an_attempt_without_an_end_is_ended_recorded_and_held_against_its_target(
    workflow: str, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise SoftTimeLimitExceeded

    action = _action()
    monkeypatch.setattr(WebhookAction, "deliver", fail)
    deliver_action(action.pk)
    assert action.attempts.get().detail == "there was no end to it"
    assert DeliveryTarget.objects.get(name="webhook:shop").failure_count == 1
