"""Ordered actions reach a place in the order of the decisions about their subject."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from inferhub.decisions.dead_letters import redrive_action
from inferhub.decisions.delivery import deliver_action, due_actions
from inferhub.decisions.lanes import lane_number
from inferhub.decisions.models import Action
from inferhub.decisions.tasks import sweep_actions
from tests.actions.making import act, cause, try_now
from tests.actions.receivers import StubbornReceiver

ORDERED = {"kind": "webhook", "endpoint": "shop", "ordered": True}


@pytest.mark.django_db
def test_a_later_action_waits_for_an_earlier_one_of_the_same_subject(stubborn: list[StubbornReceiver]) -> None:
    stubborn.append(StubbornReceiver(500, 204))
    cause(ORDERED)
    first, second, other = act(), act(), act(customer_id="ben")
    try_now(first)
    assert try_now(second).attempt_count == 0
    assert try_now(other).state == "delivered"
    assert second.pk not in due_actions()
    assert try_now(first).state == "delivered"
    assert try_now(second).state == "delivered"


@pytest.mark.django_db
def test_without_the_word_nobody_waits(stubborn: list[StubbornReceiver]) -> None:
    stubborn.append(StubbornReceiver(500, 204))
    first, second = act(), act()
    try_now(first)
    assert try_now(second).state == "delivered"
    assert second.lane is None


@pytest.mark.django_db
def test_a_dead_letter_holds_up_nobody_and_is_the_first_again_when_it_is_driven_again(
    stubborn: list[StubbornReceiver],
) -> None:
    stubborn.append(StubbornReceiver(404, 204))
    cause(ORDERED)
    first, second, third = act(), act(), act()
    assert try_now(first).state == "dead"
    assert try_now(second).state == "delivered"
    redrive_action(action=first, actor="user:ann")
    assert try_now(third).state == "pending"
    assert try_now(first).state == "delivered"
    assert try_now(third).state == "delivered"


@pytest.mark.django_db
def test_whoever_is_next_is_rung_for_at_once(
    stubborn: list[StubbornReceiver],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., object],
) -> None:
    rung: list[object] = []
    monkeypatch.setattr("inferhub.decisions.delivery.ring_bell", rung.append)
    stubborn.append(StubbornReceiver(204))
    cause(ORDERED)
    first, second = act(), act()
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        try_now(first)
    assert rung == [[second.pk]]


def test_lanes_are_of_one_place_and_one_subject_and_name_nobody() -> None:
    lane = lane_number("webhook:shop", "ann")
    assert lane == lane_number("webhook:shop", "ann")
    assert len({lane, lane_number("webhook:shop", "ben"), lane_number("webhook:crm", "ann")}) == 3
    assert lane_number("webhook:shop", "") is lane_number("", "ann") is None


@pytest.mark.django_db(transaction=True)
def test_two_workers_and_a_failing_endpoint_keep_the_order_and_deliver_each_once(
    stubborn: list[StubbornReceiver],
) -> None:
    """Every second answer is a failure, and both workers try whatever is pending, however often it was tried."""
    stubborn.append(StubbornReceiver(*[500, 204] * 40))
    cause(ORDERED)
    actions = [act(customer_id=customer) for _ in range(6) for customer in ("ann", "ben")]
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(200):
                pending = Action.objects.filter(state="pending")
                if not pending.exists():
                    return
                # The breaker's rest and the wait after a failure are over at once; a lease is not.
                _end_waits()
                for action_id in list(pending.order_by("?").values_list("pk", flat=True)):
                    deliver_action(action_id)
        except BaseException as exc:
            failures.append(exc)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    assert not Action.objects.exclude(state="delivered").exists()
    arrived = [body["data"] for body in stubborn[0].bodies]
    for customer in ("ann", "ben"):
        expected = [str(action.pk) for action in actions if action.decision.subject == customer]
        assert [data["action_id"] for data in arrived if data["subject"] == customer] == expected  # type: ignore[index]


def _end_waits() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE decisions_action SET next_attempt_at = now() WHERE state = 'pending' "
            "AND attempt_count = (SELECT count(*) FROM decisions_actionattempt WHERE action_id = decisions_action.id)"
        )
        cursor.execute("UPDATE decisions_deliverytarget SET open_until = now() WHERE open_until IS NOT NULL")


@pytest.mark.django_db
def test_a_worker_that_dies_holding_the_first_delays_its_lane_until_the_lease_ends(
    stubborn: list[StubbornReceiver],
) -> None:
    stubborn.append(StubbornReceiver(204))
    cause(ORDERED)
    first, second = act(), act()
    lease = timezone.now() + timedelta(seconds=60)
    Action.objects.filter(pk=first.pk).update(attempt_count=1, next_attempt_at=lease)
    sweep_actions()
    assert stubborn[0].bodies == []
    Action.objects.filter(pk=first.pk).update(next_attempt_at=timezone.now())
    sweep_actions()
    sweep_actions()
    assert [body["data"]["action_id"] for body in stubborn[0].bodies] == [str(first.pk), str(second.pk)]  # type: ignore[index]
