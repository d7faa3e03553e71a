"""Delivery targets, many dead letters at once, and holds: what an operator and a reviewer do."""

from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from django.utils import timezone

from inferhub.audit.models import AuditEvent
from inferhub.console import badges
from inferhub.decisions.endpoints import save_endpoint
from inferhub.decisions.flags import change_flag, flags_of
from inferhub.decisions.models import Action, DeliveryTarget, Flag, WebhookEndpoint, Workflow
from inferhub.demo.receiver import WebhookReceiver
from tests.console.conftest import ACTOR, make_action, make_decision
from tests.console.pages import add_to, list_of, page_of, post, text_of

pytestmark = pytest.mark.django_db
SHOP = "webhook:shop"


@pytest.fixture
def shop() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        receiver.secret = save_endpoint(name="shop", url=receiver.url, actor=ACTOR)[1]
        yield receiver


def open_breaker() -> DeliveryTarget:
    now = timezone.now()
    values = {"failure_count": 7, "problem": "the receiver answered 503", "opened_at": now, "failed_at": now}
    DeliveryTarget.objects.filter(name=SHOP).update(**values, open_until=now.replace(year=now.year + 1))
    return DeliveryTarget.objects.get(name=SHOP)


def dead_letter(workflow: Workflow) -> Action:
    action = make_action(make_decision(workflow), state="dead", endpoint="shop")
    Action.objects.filter(pk=action.pk).update(target=SHOP)
    return action


def test_an_open_breaker_is_seen_in_the_list_on_its_page_and_at_the_endpoint(
    console: Client, shop: WebhookReceiver
) -> None:
    target = open_breaker()
    assert "webhook:shop open 7" in text_of(console.get(list_of(DeliveryTarget)))
    page = text_of(console.get(page_of(target)))
    assert "Failures in a row 7" in page
    assert "the receiver answered 503" in page
    endpoint = WebhookEndpoint.objects.get()
    assert "Delivery target webhook:shop open" in text_of(console.get(page_of(endpoint)))
    assert badges.open_breakers(None) == "1"  # type: ignore[arg-type]


def test_a_test_message_that_arrives_closes_the_breaker(console: Client, shop: WebhookReceiver) -> None:
    target = open_breaker()
    assert "took the test message (HTTP status 204)" in text_of(post(console, page_of(target, "try_it")))
    assert len(shop.seen) == 1
    assert DeliveryTarget.objects.get(name=SHOP).open_until is None
    assert AuditEvent.objects.get(action="delivery_target.tried").actor == "user:alice"


def test_a_test_message_that_is_refused_says_why(console: Client, shop: WebhookReceiver) -> None:
    shop.secret = "whsec_AAAA"
    response = post(console, page_of(DeliveryTarget.objects.get(name=SHOP), "try_it"))
    assert "The test message was not taken: the receiver answered 401." in text_of(response)


def test_the_dead_letters_of_a_target_are_driven_again_together(
    console: Client, shop: WebhookReceiver, workflow: Workflow
) -> None:
    target = DeliveryTarget.objects.get(name=SHOP)
    assert page_of(target, "drive_again") not in console.get(page_of(target)).content.decode()
    letters = [dead_letter(workflow) for _ in range(3)]
    assert page_of(target, "drive_again") in console.get(page_of(target)).content.decode()
    assert "3 actions are sent again" in text_of(console.get(page_of(target, "drive_again")))
    assert "3 dead letters are pending again." in text_of(post(console, page_of(target, "drive_again")))
    assert AuditEvent.objects.filter(action="action.redriven", actor="user:alice").count() == len(letters)


def test_dead_letters_are_driven_again_by_kind_and_workflow(console: Client, workflow: Workflow) -> None:
    make_action(make_decision(workflow), kind="hold", state="dead", flag="shipping")
    webhook = dead_letter(workflow)
    url = list_of(Action) + "redrive_many/"
    assert "Drive dead letters again" in text_of(console.get(list_of(Action)))
    assert "0 dead letters" in text_of(post(console, url, kind="hold", workflow="elsewhere"))
    assert "1 dead letters are pending again; 0 of these are left." in text_of(post(console, url, kind="hold"))
    webhook.refresh_from_db()
    assert webhook.state == "dead"


def test_who_may_only_look_drives_and_tries_nothing(
    person: Callable[..., Client], shop: WebhookReceiver, workflow: Workflow
) -> None:
    letter = dead_letter(workflow)
    client = person("decisions.view_action", "decisions.view_deliverytarget")
    target = DeliveryTarget.objects.get(name=SHOP)
    assert client.post(list_of(Action) + "redrive_many/").status_code == 403
    assert client.post(page_of(target, "try_it")).status_code == 403
    assert client.post(page_of(target, "drive_again")).status_code == 403
    letter.refresh_from_db()
    assert (letter.state, shop.seen) == ("dead", set())


def test_an_ordered_action_says_whom_it_waits_for(console: Client, workflow: Workflow) -> None:
    first, second = (make_action(make_decision(workflow), endpoint="shop", ordered=True) for _ in range(2))
    Action.objects.update(lane=7)
    assert "an earlier action about the same subject" in text_of(console.get(page_of(second)))
    assert page_of(first) in console.get(page_of(second)).content.decode()
    assert "an earlier action" not in text_of(console.get(page_of(first)))


def test_a_person_holds_a_subject_and_another_releases_it(console: Client) -> None:
    response = post(console, add_to(Flag), subject="order-7", name="shipping", reason="The address is odd.")
    assert "order-7 is held now (shipping)." in text_of(response)
    flag = Flag.objects.get()
    assert "The address is odd." in text_of(console.get(page_of(flag)))
    assert "reason" in post(console, page_of(flag, "change_it"), reason=" ").context["form"].errors
    assert "order-7 is released now" in text_of(post(console, page_of(flag, "change_it"), reason="I called."))
    assert not flags_of("order-7").get().is_held


def test_holds_are_found_by_state_and_subject(console: Client) -> None:
    for subject, is_held in (("ann", True), ("ben", False)):
        change_flag(subject=subject, name="payout", is_held=is_held, actor=ACTOR, reason="x")
    for query in ({"is_held__exact": "1"}, {"q": "ann"}):
        found = console.get(list_of(Flag), query).context["cl"].result_list
        assert [flag.subject for flag in found] == ["ann"]


def test_an_author_sees_which_kinds_of_action_there_are(console: Client, workflow: Workflow) -> None:
    page = text_of(console.get(page_of(workflow, "edit")))
    assert "add-to-list Puts the value of an input field on a look-up list" in page
