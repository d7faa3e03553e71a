"""Actions that change the hub itself: lists, flags, jobs. Done twice, they do it once."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import F

from inferhub.audit.models import AuditEvent
from inferhub.celery import bell
from inferhub.decisions.actions.registry import find_kind
from inferhub.decisions.erasure import erase_subject
from inferhub.decisions.flags import change_flag, flags_of
from inferhub.decisions.models import Action, Flag, FlagChange
from inferhub.decisions.tasks import sweep_actions
from inferhub.errors import InvalidDefinition, InvalidInput
from inferhub.jobs.models import Job, State
from inferhub.lib.ids import uuid7
from inferhub.lists.models import ListEntry
from inferhub.lists.services import save_list
from tests.actions.making import act, cause, try_now
from tests.hub_fixtures import ACTOR

pytestmark = pytest.mark.django_db
ADD = {"kind": "add-to-list", "list": "blocked", "value_from": "customer_id"}
HOLD = {"kind": "hold", "flag": "shipping"}


def members() -> list[str]:
    return list(ListEntry.objects.filter(list__name="blocked", removed_in=None).values_list("value", flat=True))


@pytest.fixture
def blocked(db: None) -> None:
    save_list(name="blocked", description="Who may not buy.", actor=ACTOR)


@pytest.mark.usefixtures("blocked")
def test_an_outcome_puts_a_value_on_a_list_and_takes_it_off(workflow: str) -> None:
    cause(ADD)
    assert try_now(act()).state == "delivered"
    assert members() == ["ann"]
    event = AuditEvent.objects.get(action="list.changed")
    assert event.actor == "workflow:orders"
    assert event.details["caused_by"] == str(Action.objects.get().pk)
    cause(ADD | {"kind": "remove-from-list"})
    assert try_now(act()).state == "delivered"
    assert members() == []


@pytest.mark.usefixtures("blocked")
def test_the_list_and_the_field_must_exist(workflow: str) -> None:
    with pytest.raises(InvalidDefinition, match="/actions/accept/0/list: expected the name of a look-up list"):
        cause(ADD | {"list": "other"})
    with pytest.raises(InvalidDefinition, match="/actions/accept/0/value_from: expected a field of the input"):
        cause(ADD | {"value_from": "card"})


def test_an_outcome_holds_its_subject_and_another_releases_it(workflow: str) -> None:
    cause(HOLD)
    held = act()
    try_now(held)
    flag = flags_of("ann").get()
    assert (flag.name, flag.is_held) == ("shipping", True)
    cause(HOLD | {"kind": "release"})
    try_now(act())
    assert not flags_of("ann").get().is_held
    first = FlagChange.objects.order_by("id").first()
    assert first is not None
    assert (first.pk, first.decision_id, first.actor, first.reason) == (
        held.pk,
        held.decision_id,
        "workflow:orders",
        "accept",
    )


def test_a_late_hold_does_not_undo_a_later_release(workflow: str) -> None:
    cause(HOLD)
    late = act()
    cause(HOLD | {"kind": "release"})
    try_now(act())
    assert try_now(late).attempts.get().detail == "a later change stands"
    assert not flags_of("ann").get().is_held
    assert [change.is_applied for change in FlagChange.objects.order_by("id")] == [False, True]


def test_a_hold_needs_a_subject(workflow: str) -> None:
    with pytest.raises(InvalidDefinition, match="/actions/accept/0/kind: expected a workflow that names its subject"):
        cause(HOLD, subject="")


def test_the_same_change_is_one_change(db: None) -> None:
    change_id = uuid7()
    words: dict[str, Any] = {"subject": "ann", "name": "payout", "actor": ACTOR, "reason": "x"}
    first = change_flag(is_held=True, change_id=change_id, **words)
    change_flag(is_held=False, **words)
    again = change_flag(is_held=True, change_id=change_id, **words)
    assert (again.pk, again.made_at) == (first.pk, first.made_at)
    assert not Flag.objects.get().is_held
    assert list(AuditEvent.objects.order_by("id").values_list("action", flat=True)) == ["flag.held", "flag.released"]


@pytest.mark.parametrize(
    ("words", "pointer"),
    [({"subject": " "}, "/subject"), ({"name": "Not a name"}, "/name"), ({"reason": ""}, "/reason")],
)
def test_a_flag_needs_a_subject_a_name_and_a_reason(db: None, words: dict[str, str], pointer: str) -> None:
    with pytest.raises(InvalidInput, match=pointer):
        change_flag(**({"subject": "ann", "name": "payout", "reason": "x", "actor": ACTOR, "is_held": True} | words))


def test_the_flags_of_a_person_are_erased_with_the_rest_and_the_audit_log_never_named_the_person(workflow: str) -> None:
    cause(HOLD)
    try_now(act())
    erase_subject(subject="ann", reason="asked", actor=ACTOR)
    assert not Flag.objects.exists()
    assert not FlagChange.objects.exists()
    held = AuditEvent.objects.get(action="flag.held")
    assert "ann" not in f"{held.subject} {held.details}"


def test_an_outcome_starts_one_job(workflow: str, scenario: str) -> None:
    cause({"kind": "start-job", "scenario": scenario})
    action = try_now(act())
    job = Job.objects.get()
    assert (job.action_id, job.requested_by) == (action.pk, "workflow:orders")
    assert action.attempts.get().detail == f"job {job.pk}"


def test_while_a_job_runs_another_one_waits_for_it(workflow: str, scenario: str) -> None:
    cause({"kind": "start-job", "scenario": scenario})
    try_now(act())
    second = try_now(act())
    assert (second.state, second.attempts.get().detail) == (
        "pending",
        "A job for the scenario 'home-page' is running already.",
    )
    Job.objects.update(state=State.SUCCEEDED)
    assert try_now(second).state == "delivered"
    assert Job.objects.count() == 2


def test_the_scenario_must_exist(workflow: str) -> None:
    with pytest.raises(InvalidDefinition, match="/actions/accept/0/scenario: expected the name of a scenario"):
        cause({"kind": "start-job", "scenario": "nowhere"})


def _lists() -> int:
    return ListEntry.objects.count()


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        (ADD, _lists),
        (HOLD, FlagChange.objects.count),
        ({"kind": "start-job", "scenario": "home-page"}, Job.objects.count),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
@pytest.mark.usefixtures("blocked")
def test_a_worker_that_died_after_the_deed_and_before_its_record_does_no_harm(
    workflow: str, scenario: str, settings: dict[str, Any], count: Callable[[], int]
) -> None:
    cause(settings)
    action = act()
    kind = find_kind(action.kind)
    assert kind is not None
    kind.deliver(action)
    Action.objects.filter(pk=action.pk).update(attempt_count=F("attempt_count") + 1)  # its lease has run out
    sweep_actions()
    action.refresh_from_db()
    assert (action.state, action.attempt_count, count()) == ("delivered", 2, 1)


@pytest.mark.parametrize(
    "settings",
    [ADD, HOLD, HOLD | {"ordered": True}, {"kind": "start-job", "scenario": "home-page"}],
    ids=lambda value: value["kind"],
)
@pytest.mark.usefixtures("blocked")
def test_a_broker_that_was_flushed_delays_every_kind_and_loses_none(
    workflow: str,
    scenario: str,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    flushed: list[str] = []
    monkeypatch.setattr(bell, "_send", lambda task, _: flushed.append(task))
    cause(settings)
    with django_capture_on_commit_callbacks(execute=True):
        action = act()
    assert flushed
    sweep_actions()
    action.refresh_from_db()
    assert action.state == "delivered"
