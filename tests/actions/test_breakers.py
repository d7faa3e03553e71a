"""A target that fails is left alone, probed, and comes back."""

from datetime import timedelta

import pytest
from django.utils import timezone

from inferhub.audit.models import AuditEvent
from inferhub.decisions import breakers
from inferhub.decisions.breakers import FAILURES_TO_OPEN, ask, close, rest_after
from inferhub.decisions.delivery import due_actions
from inferhub.decisions.models import Action, DeliveryTarget
from inferhub.decisions.tasks import sweep_actions
from tests.actions.making import act, end_rest, try_now
from tests.actions.receivers import StubbornReceiver

pytestmark = pytest.mark.django_db
SHOP = "webhook:shop"


def open_breaker(receivers: list[StubbornReceiver], *codes: int) -> Action:
    """An action that failed until the breaker opened."""
    receivers.append(StubbornReceiver(*codes))
    action = act()
    for _ in range(FAILURES_TO_OPEN):
        try_now(action)
    return action


def test_after_some_failures_in_a_row_nothing_is_sent_any_more(stubborn: list[StubbornReceiver]) -> None:
    action = open_breaker(stubborn, 503)
    target = DeliveryTarget.objects.get(name=SHOP)
    assert (target.failure_count, target.problem) == (FAILURES_TO_OPEN, "the receiver answered 503")
    assert target.open_until is not None
    assert target.open_until > timezone.now()
    assert AuditEvent.objects.filter(action="delivery_target.opened", subject=f"target:{SHOP}").count() == 1
    assert try_now(action).attempts.count() == FAILURES_TO_OPEN


@pytest.mark.parametrize(("says", "least", "most"), [("100", 99, 101), ("999999", 3599, 3601)])
def test_a_target_that_asks_to_be_left_alone_is_at_once(
    stubborn: list[StubbornReceiver], says: str, least: int, most: int
) -> None:
    stubborn.append(StubbornReceiver(429))
    stubborn[0].headers["Retry-After"] = says
    action, waiting = try_now(act()), try_now(act())
    for moment in (action.next_attempt_at, DeliveryTarget.objects.get(name=SHOP).open_until):
        assert moment is not None
        assert least <= (moment - timezone.now()).total_seconds() <= most
    assert (action.attempts.count(), waiting.attempts.count()) == (1, 0)
    stubborn[0].codes = [204]
    end_rest(SHOP)
    assert try_now(action).state == "delivered"
    assert try_now(waiting).state == "delivered"


@pytest.mark.parametrize(("code", "says"), [(410, "100"), (503, "soon"), (503, "0")])
def test_other_failures_are_no_wish_to_be_left_alone(stubborn: list[StubbornReceiver], code: int, says: str) -> None:
    stubborn.append(StubbornReceiver(code))
    stubborn[0].headers["Retry-After"] = says
    try_now(act())
    assert DeliveryTarget.objects.get(name=SHOP).open_until is None


def test_actions_that_wait_for_an_open_breaker_use_up_no_attempts_and_are_not_looked_at(
    stubborn: list[StubbornReceiver],
) -> None:
    open_breaker(stubborn, 503)
    waiting = try_now(act())
    assert (waiting.state, waiting.attempt_count, waiting.target) == ("pending", 0, SHOP)
    assert due_actions() == []


def test_one_success_in_between_starts_the_count_anew(stubborn: list[StubbornReceiver]) -> None:
    stubborn.append(StubbornReceiver(503, 503, 503, 503, 204, 503))
    for _ in range(FAILURES_TO_OPEN + 1):
        try_now(act())
    assert DeliveryTarget.objects.get(name=SHOP).failure_count == 1


def test_when_the_rest_is_over_one_probe_goes_and_its_success_lets_all_follow(
    stubborn: list[StubbornReceiver],
) -> None:
    open_breaker(stubborn, *[503] * FAILURES_TO_OPEN, 204)
    waiting = [try_now(act()) for _ in range(3)]
    end_rest(SHOP)
    Action.objects.update(next_attempt_at=timezone.now())
    sweep_actions()
    assert DeliveryTarget.objects.get(name=SHOP).open_until is None
    assert {action.state for action in Action.objects.all()} == {"delivered"}
    assert len(stubborn[0].bodies) == len(waiting) + 1
    assert AuditEvent.objects.filter(action="delivery_target.closed").count() == 1


def test_a_probe_that_fails_makes_the_next_rest_longer(stubborn: list[StubbornReceiver]) -> None:
    open_breaker(stubborn, 503)
    end_rest(SHOP)
    others = [act() for _ in range(3)]
    for action in others:
        try_now(action)
    assert sum(action.attempts.count() for action in others) == 1
    target = DeliveryTarget.objects.get(name=SHOP)
    assert target.failure_count == FAILURES_TO_OPEN + 1
    assert target.open_until is not None
    assert target.open_until > timezone.now() + timedelta(seconds=12)


def test_of_two_workers_one_gets_the_probe_and_a_lost_probe_is_replaced(db: None) -> None:
    now = timezone.now()
    DeliveryTarget.objects.create(name=SHOP, failure_count=9, opened_at=now, open_until=now)
    assert ask(SHOP, now=now) is not None
    assert ask(SHOP, now=now) is None
    assert ask(SHOP, now=now + timedelta(seconds=61)) is not None


def test_rests_grow_to_minutes_and_no_further() -> None:
    assert rest_after(FAILURES_TO_OPEN - 1) is None
    rests = [rest_after(FAILURES_TO_OPEN + number) for number in range(12)]
    assert all(rest is not None and timedelta(seconds=8) <= rest <= timedelta(minutes=6) for rest in rests)
    assert len(set(rests)) == len(rests)  # jitter: no two targets wake up together


def test_permanent_failures_open_it_too_and_spare_those_who_wait(stubborn: list[StubbornReceiver]) -> None:
    stubborn.append(StubbornReceiver(401))
    actions = [try_now(act()) for _ in range(FAILURES_TO_OPEN + 3)]
    assert [action.state for action in actions] == ["dead"] * FAILURES_TO_OPEN + ["pending"] * 3


def test_the_state_in_words() -> None:
    now = timezone.now()
    assert breakers.state_of(DeliveryTarget(name="x"), now=now) == "closed"
    assert breakers.state_of(DeliveryTarget(name="x", open_until=now + timedelta(seconds=1)), now=now) == "open"
    assert breakers.state_of(DeliveryTarget(name="x", open_until=now), now=now) == "half-open"


def test_closing_what_is_closed_says_so_and_leaves_no_trace(db: None) -> None:
    DeliveryTarget.objects.create(name=SHOP, failure_count=2)
    assert close(SHOP, actor="user:ann") is False
    assert DeliveryTarget.objects.get().failure_count == 0
    assert not AuditEvent.objects.exists()
