"""REST: actions, dead letters, targets, endpoints and flags."""

from dataclasses import replace

import pytest
from django.conf import LazySettings
from django.utils import timezone

from inferhub.accounts.models import Scope
from inferhub.accounts.services import create_api_key
from inferhub.api.exposition import exposition
from inferhub.audit.models import AuditEvent
from inferhub.decisions.breakers import FAILURES_TO_OPEN
from inferhub.decisions.flags import change_flag
from inferhub.decisions.models import Action, DeliveryTarget
from inferhub.demo.receiver import WebhookReceiver
from inferhub.errors import InvalidInput
from inferhub.lib.allowed_hosts import AllowedHosts
from tests.actions.making import act, cause, try_now
from tests.actions.receivers import StubbornReceiver
from tests.hub_fixtures import ACTOR, Api

pytestmark = pytest.mark.django_db


def test_an_action_is_read_with_its_attempts(api: Api, stubborn: list[StubbornReceiver]) -> None:
    stubborn.append(StubbornReceiver(503))
    action = try_now(act())
    answer = api.get(f"actions/{action.pk}").json()
    assert (answer["state"], answer["kind"], answer["target"], answer["attempts"]) == (
        "pending",
        "webhook",
        "webhook:shop",
        1,
    )
    assert [(entry["number"], entry["status_code"]) for entry in answer["history"]] == [(1, 503)]
    assert answer["next_attempt_at"] is not None


def test_actions_are_narrowed_by_state_target_and_subject(api: Api, stubborn: list[StubbornReceiver]) -> None:
    stubborn.append(StubbornReceiver(404, 204))
    dead, delivered = try_now(act()), try_now(act(customer_id="ben"))

    def found(query: str) -> list[str]:
        return [entry["action_id"] for entry in api.get(f"actions?{query}").json()["results"]]

    assert found("state=dead&target=webhook:shop") == [str(dead.pk)]
    assert found("subject=ben") == [str(delivered.pk)]
    assert found("kind=review") == []
    assert api.get("actions?state=lost").status_code == 422


def test_one_dead_letter_and_many_are_driven_again_and_each_is_in_the_audit_log(
    api: Api, stubborn: list[StubbornReceiver]
) -> None:
    stubborn.append(StubbornReceiver(404))
    letters = [try_now(act()) for _ in range(3)]
    one = api.post(f"actions/{letters[0].pk}/redrive", {})
    assert (one.status_code, one.json()["state"]) == (200, "pending")
    assert api.post(f"actions/{letters[0].pk}/redrive", {}).status_code == 409
    assert api.post("redrives", {"target": "webhook:crm"}).json() == {"redriven": 0, "left": 0}
    long_ago = "2020-01-01T00:00:00Z"
    assert api.post("redrives", {"until": long_ago}).json() == {"redriven": 0, "left": 0}
    body = {"target": "webhook:shop", "kind": "webhook", "workflow": "orders", "from": long_ago}
    assert api.post("redrives", body).json() == {"redriven": 2, "left": 0}
    events = AuditEvent.objects.filter(action="action.redriven").values_list("subject", flat=True)
    assert sorted(events) == sorted(f"action:{letter.pk}" for letter in letters)


@pytest.mark.parametrize("body", [{"since": "x"}, {"from": "yesterday"}, {"from": "2020-02-31T00:00:00Z"}, {"kind": 1}])
def test_a_wish_that_cannot_be_understood_drives_nothing(api: Api, body: dict[str, object]) -> None:
    assert api.post("redrives", body).status_code == 422


def test_an_open_breaker_is_seen_and_closed_by_a_message_that_arrives(
    api: Api, stubborn: list[StubbornReceiver]
) -> None:
    stubborn.append(StubbornReceiver(*[503] * FAILURES_TO_OPEN, 204))
    action = act()
    for _ in range(FAILURES_TO_OPEN):
        try_now(action)
    shown = api.get("targets/webhook:shop").json()
    assert (shown["breaker"], shown["failures"], shown["waiting"]) == ("open", FAILURES_TO_OPEN, 1)
    assert api.get("targets").json()["results"] == [shown]
    page = exposition([]).decode()
    assert 'inferhub_target_breaker{target="webhook:shop"} 2.0' in page
    assert 'inferhub_target_waiting{target="webhook:shop"} 1.0' in page
    tried = api.post("targets/webhook:shop/try", {})
    assert tried.json() == {"is_success": True, "status_code": 204, "detail": ""}
    assert stubborn[0].bodies[-1]["type"] == "target.test"
    assert api.get("targets/webhook:shop").json()["breaker"] == "closed"
    assert set(AuditEvent.objects.filter(subject="target:webhook:shop").values_list("action", flat=True)) == {
        "delivery_target.opened",
        "delivery_target.tried",
        "delivery_target.closed",
    }


def test_dead_letters_are_counted_for_prometheus(workflow: str) -> None:
    act()
    Action.objects.update(state="dead")
    assert 'inferhub_dead_letters{kind="webhook"} 1.0' in exposition([]).decode()


def test_a_test_message_that_is_refused_says_so(api: Api, stubborn: list[StubbornReceiver]) -> None:
    stubborn.append(StubbornReceiver(401))
    tried = api.post("targets/webhook:shop/try", {}).json()
    assert tried == {"is_success": False, "status_code": 401, "detail": "the receiver answered 401"}
    assert api.post("targets/webhook:nowhere/try", {}).status_code == 404


def test_an_address_that_is_not_allowed_is_told_when_it_is_tried(
    api: Api, workflow: str, receiver: WebhookReceiver, settings: LazySettings
) -> None:
    settings.CONFIG = replace(settings.CONFIG, webhook_hosts=AllowedHosts.parse("*"))
    answer = api.post("targets/webhook:shop/try", {})
    assert answer.status_code == 403
    assert "127.0.0.1, which INFERHUB_WEBHOOK_HOSTS does not allow" in answer.json()["detail"]
    assert receiver.seen == set()


def test_an_endpoint_is_made_changed_and_switched(api: Api) -> None:
    made = api.put("webhook-endpoints/crm", {"url": "https://crm.example.org/hook"})
    assert made.status_code == 200
    assert made["Cache-Control"] == "no-store"
    assert made.json()["secret"].startswith("whsec_")
    again = api.put("webhook-endpoints/crm", {"url": "https://crm.example.org/new"}).json()
    assert again["secret"] != made.json()["secret"]
    read = api.get("webhook-endpoints/crm").json()
    assert (read["url"], read["target"]) == ("https://crm.example.org/new", "webhook:crm")
    assert "secret" not in read
    assert api.patch("webhook-endpoints/crm", {"is_active": False}).json()["is_active"] is False
    assert api.patch("webhook-endpoints/crm", {"is_active": False}).status_code == 409
    assert [entry["name"] for entry in api.get("webhook-endpoints").json()["results"]] == ["crm"]
    assert DeliveryTarget.objects.filter(name="webhook:crm").exists()


@pytest.mark.parametrize("url", ["http://crm.example.org/", "https://10.0.0.1/", "ftp://x"])
def test_an_endpoint_that_may_not_be_reached_is_not_made(api: Api, url: str, settings: LazySettings) -> None:
    settings.CONFIG = replace(settings.CONFIG, webhook_hosts=AllowedHosts.parse("*"))
    answer = api.put("webhook-endpoints/crm", {"url": url})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/url"


def test_a_warehouse_asks_whether_a_subject_is_held(api: Api, workflow: str) -> None:
    assert api.get("subjects/ann/flags").json() == {"subject": "ann", "is_held": False, "flags": []}
    cause({"kind": "hold", "flag": "shipping"})
    action = try_now(act())
    held = api.get("subjects/ann/flags").json()
    assert held["is_held"] is True
    assert [flag["name"] for flag in held["flags"]] == ["shipping"]
    released = api.put("subjects/ann/flags/shipping", {"is_held": False, "reason": "called the customer"}).json()
    assert released["is_held"] is False
    assert [(entry["is_held"], entry["decision_id"]) for entry in released["history"]] == [
        (False, None),
        (True, str(action.decision_id)),
    ]
    assert api.get("subjects/ann/flags").json()["is_held"] is False


def test_a_subject_that_another_system_spells_decomposed_is_held_and_released_as_well(api: Api) -> None:
    composed, decomposed = "subjects/Jos%C3%A9/flags", "subjects/Jose%CC%81/flags"
    api.put(f"{composed}/payout", {"is_held": True, "reason": "chargeback"})
    assert api.get(decomposed).json()["is_held"] is True
    assert api.put(f"{decomposed}/payout", {"is_held": False, "reason": "settled"}).json()["is_held"] is False
    assert api.get(composed).json()["is_held"] is False
    assert len(api.get(f"{composed}/payout").json()["history"]) == 2


def test_a_name_with_u0000_stands_for_no_other(api: Api) -> None:
    for path in ("subjects/an%00n/flags", "subjects/an%00n/flags/payout", "targets/webhook:sh%00op"):
        assert api.get(path).status_code == 404
    assert api.post("targets/webhook:sh%00op/try", {}).status_code == 404
    assert api.put("subjects/an%00n/flags/payout", {"is_held": True, "reason": "chargeback"}).status_code == 404
    assert api.get("subjects/ann/flags").json()["flags"] == []
    with pytest.raises(InvalidInput, match="/subject"):
        change_flag(subject="an\0n", name="payout", is_held=True, reason="chargeback", actor=ACTOR)


def test_a_subject_may_have_slashes_and_a_flag_needs_a_reason(api: Api) -> None:
    path = "subjects/2026/order/7/flags/payout"
    assert api.put(path, {"is_held": True}).status_code == 422
    assert api.get(path).status_code == 404
    assert api.put(path, {"is_held": True, "reason": "chargeback"}).status_code == 200
    assert api.get("subjects/2026/order/7/flags").json()["is_held"] is True


def test_a_key_that_may_only_read_changes_nothing(workflow: str) -> None:
    reader = Api(create_api_key(name="reader", scopes=[Scope.READ], actor=ACTOR)[1])
    action = act()
    Action.objects.update(state="dead", finished_at=timezone.now())
    assert reader.post(f"actions/{action.pk}/redrive", {}).status_code == 403
    assert reader.post("redrives", {}).status_code == 403
    assert reader.post("targets/webhook:shop/try", {}).status_code == 403
    assert reader.put("webhook-endpoints/shop", {"url": "https://example.org"}).status_code == 403
    assert reader.patch("webhook-endpoints/shop", {"is_active": False}).status_code == 403
    assert reader.put("subjects/ann/flags/shipping", {"is_held": True, "reason": "x"}).status_code == 403
    assert Action.objects.get().state == "dead"


def test_the_kinds_of_action_are_told_with_their_settings(api: Api) -> None:
    kinds = {entry["kind"]: entry for entry in api.get("action-kinds").json()["kinds"]}
    assert set(kinds) >= {
        "add-to-list",
        "email",
        "hold",
        "queue",
        "release",
        "remove-from-list",
        "review",
        "start-job",
        "webhook",
    }
    assert kinds["hold"]["settings"]["required"] == ["flag"]
    assert kinds["hold"]["needs_subject"] is True
    assert all(entry["description"] for entry in kinds.values())


def test_a_new_address_forgets_the_failures_of_the_old_one(api: Api, stubborn: list[StubbornReceiver]) -> None:
    stubborn.append(StubbornReceiver(503))
    action = act()
    for _ in range(FAILURES_TO_OPEN):
        try_now(action)
    stubborn.append(StubbornReceiver(204))
    assert api.get("targets/webhook:shop").json()["breaker"] == "closed"
    assert try_now(action).state == "delivered"
