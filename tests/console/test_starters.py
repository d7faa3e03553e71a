"""The gallery of starters, and the pages of what was installed."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from inferhub.decisions.services import save_workflow
from inferhub.jobs.models import State
from inferhub.rulesets.services import save_rule_set
from inferhub.starters.catalogue import STARTERS
from inferhub.starters.models import Installation
from tests.console.conftest import ACTOR, make_scenario, rules, workflow_definition
from tests.console.pages import add_to, list_of, page_of, post, text_of

pytestmark = pytest.mark.django_db


def installed(**changes: Any) -> Installation:
    values = {"starter": "order-fraud", "name": "eu-orders", "state": State.SUCCEEDED, "done": 4}
    return Installation.objects.create(**values | changes, requested_by=ACTOR)


def test_the_gallery_shows_every_starter_with_its_picture_and_a_button(console: Client) -> None:
    response = console.get(list_of(Installation))
    shown = text_of(response)
    for name, starter in STARTERS.items():
        assert starter.title in shown
        assert starter.parts.rules in shown
        assert f"{add_to(Installation)}?starter={name}&amp;name={name}" in response.content.decode()
    assert shown.count("read the caution first") == 2


def test_a_person_who_may_only_look_is_offered_no_installation(person: Callable[..., Client]) -> None:
    response = person("starters.view_installation").get(list_of(Installation))
    assert STARTERS["spam-filter"].title in text_of(response)
    assert add_to(Installation) not in response.content.decode()


def test_the_form_says_what_will_happen_and_starts_the_installation(console: Client) -> None:
    page = console.get(add_to(Installation), {"starter": "patient-risk", "name": "patient-risk"})
    assert "not a medical device" in text_of(page)
    assert "Train the model, prove its ONNX form equal, and register it" in text_of(page)
    assert "without a second person's approval" in text_of(page)
    done = post(console, add_to(Installation), starter="patient-risk", name="ward-2")
    found = Installation.objects.get()
    assert (found.starter, found.name, found.state, found.requested_by) == (
        "patient-risk",
        "ward-2",
        State.QUEUED,
        "user:alice",
    )
    assert 'hx-trigger="every 1s"' in done.content.decode()


def test_a_name_that_is_taken_is_told_in_the_form(console: Client) -> None:
    installed()
    response = post(console, add_to(Installation), starter="order-fraud", name="eu-orders")
    assert "is installed as 'eu-orders' already, and works" in text_of(response)


def test_one_that_failed_says_why_and_goes_on(console: Client) -> None:
    failed = installed(state=State.FAILED, done=1, problem="no space left")
    shown = text_of(console.get(page_of(failed)))
    assert "no space left" in shown
    post(console, page_of(failed, "try_again"))
    failed.refresh_from_db()
    assert (failed.state, failed.done, failed.problem) == (State.QUEUED, 1, "")


def test_one_that_works_offers_no_second_try(console: Client) -> None:
    assert "try_again" not in console.get(page_of(installed())).content.decode()


def test_the_page_links_to_what_was_made_and_fills_the_form_with_a_sample(console: Client) -> None:
    save_rule_set(name="eu-orders", definition=rules(), actor=ACTOR, approval="direct")
    definition = workflow_definition("eu-orders")
    workflow = save_workflow(name="eu-orders", definition=definition, actor=ACTOR, approval="direct").workflow
    page = console.get(page_of(installed())).content.decode()
    assert page_of(workflow) in page
    links = [part.split('"')[0].replace("&amp;", "&") for part in page.split('href="') if "/try_it/?" in part[:80]]
    assert len(links) == len(STARTERS["order-fraud"].samples)
    form = console.get(links[1])
    given = parse_qs(urlsplit(links[1]).query)["input"][0]
    assert form.context["form"].initial["input"]["order_id"] == "O-20872"
    assert '"order_id": "O-20872"' in given


def test_an_input_in_a_link_that_is_no_object_is_left_out(console: Client) -> None:
    save_rule_set(name="eu-orders", definition=rules(), actor=ACTOR, approval="direct")
    definition = workflow_definition("eu-orders")
    workflow = save_workflow(name="eu-orders", definition=definition, actor=ACTOR, approval="direct").workflow
    for odd in ("[1]", "{", ""):
        form = console.get(page_of(workflow, "try_it"), {"input": odd}).context["form"]
        assert "order_id" in form.initial["input"]


def test_a_scenarios_samples_lead_to_its_look_up(console: Client) -> None:
    scenario = make_scenario("shop-front")
    page = console.get(page_of(installed(starter="recommendations", name="shop-front", done=5))).content.decode()
    assert f"{page_of(scenario, 'recommend_now')}?user_id=&amp;items=CT-012%2C+CS-007" in page
