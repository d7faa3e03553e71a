"""Drive dead letters again, switch endpoints: what a person does about actions."""

import pytest
from django.conf import settings
from django.test import Client

from inferhub.audit.models import AuditEvent
from inferhub.decisions.endpoints import save_endpoint
from inferhub.decisions.models import Action, WebhookEndpoint, Workflow
from inferhub.lib.secretbox import decrypt
from tests.console.conftest import ACTOR, make_action, make_decision
from tests.console.pages import add_to, list_of, page_of, post, text_of

pytestmark = pytest.mark.django_db


def test_a_dead_letter_is_driven_again(console: Client, workflow: Workflow) -> None:
    action = make_action(make_decision(workflow), state="dead", endpoint="shop")
    assert "pending again" in text_of(post(console, page_of(action, "redrive")))
    action.refresh_from_db()
    assert action.state == "pending"
    event = AuditEvent.objects.get(action="action.redriven")
    assert event.actor == "user:alice"


def test_only_a_dead_letter_is_offered_to_be_driven_again(console: Client, workflow: Workflow) -> None:
    action = make_action(make_decision(workflow), state="delivered", endpoint="shop")
    assert page_of(action, "redrive") not in console.get(page_of(action)).content.decode()
    assert "Only a dead letter can be driven again" in text_of(post(console, page_of(action, "redrive")))


def test_opening_a_deeds_page_does_nothing_yet(console: Client, workflow: Workflow) -> None:
    action = make_action(make_decision(workflow), state="dead", endpoint="shop")
    console.get(page_of(action, "redrive"))
    action.refresh_from_db()
    assert action.state == "dead"


def test_a_form_from_another_site_is_refused(admin: object, workflow: Workflow) -> None:
    action = make_action(make_decision(workflow), state="dead", endpoint="shop")
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)  # type: ignore[arg-type]
    assert client.post(page_of(action, "redrive")).status_code == 403


def test_actions_are_found_by_state_and_by_their_decision(console: Client, workflow: Workflow) -> None:
    dead = make_action(make_decision(workflow), state="dead")
    make_action(make_decision(workflow), state="delivered")
    for query in ({"state__exact": "dead"}, {"q": str(dead.pk)}, {"q": str(dead.decision_id)}):
        assert list(console.get(list_of(Action), query).context["cl"].queryset) == [dead]
    assert list(console.get(list_of(Action), {"q": "nonsense"}).context["cl"].queryset) == []


def test_the_signing_secret_of_an_endpoint_is_shown_once(console: Client) -> None:
    response = post(console, add_to(WebhookEndpoint), name="shop", url="https://shop.example.org/hook")
    endpoint = WebhookEndpoint.objects.get()
    secret = decrypt(endpoint.encrypted_secret, key=settings.SECRET_KEY)
    assert secret in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    assert secret not in console.get(page_of(endpoint)).content.decode()


@pytest.mark.parametrize(
    "url", ["ftp://shop.example.org", "shop.example.org", "http://", "http://[", "javascript:alert(1)"]
)
def test_an_address_that_is_not_http_is_refused_at_the_field(console: Client, url: str) -> None:
    response = post(console, add_to(WebhookEndpoint), name="shop", url=url)
    assert list(response.context["form"].errors) == ["url"]


def test_a_name_that_is_taken_is_not_overwritten(console: Client) -> None:
    save_endpoint(name="shop", url="https://a.example.org", actor=ACTOR)
    response = post(console, add_to(WebhookEndpoint), name="shop", url="https://b.example.org")
    assert "already" in str(response.context["form"].errors["name"])
    assert WebhookEndpoint.objects.get().url == "https://a.example.org"


def test_an_endpoint_is_switched_off_and_on(console: Client) -> None:
    endpoint, _ = save_endpoint(name="shop", url="https://a.example.org", actor=ACTOR)
    assert "shop is off now." in text_of(post(console, page_of(endpoint, "switch")))
    assert "shop is on now." in text_of(post(console, page_of(endpoint, "switch")))
    actions = AuditEvent.objects.filter(subject="webhook:shop").order_by("id").values_list("action", flat=True)
    assert list(actions)[1:] == ["webhook_endpoint.switched_off", "webhook_endpoint.switched_on"]
