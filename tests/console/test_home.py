"""The home page and the sidebar."""

from collections.abc import Callable

import pytest
from django.test import Client

from inferhub.decisions.models import Workflow
from tests.console.conftest import make_action, make_decision, make_review, make_scenario
from tests.console.pages import text_of

pytestmark = pytest.mark.django_db


def test_the_home_page_shows_what_waits(console: Client, workflow: Workflow) -> None:
    review = make_review(workflow, subject="order-77")
    make_action(review.decision, state="dead", endpoint="shop")
    text = text_of(console.get("/"))
    assert "Open reviews 1 See the list Overdue reviews 0 All in time." in text
    assert "Dead letters 1 See the list Running jobs 0 No job runs now." in text
    assert "order-77" in text


def test_a_new_hub_shows_the_first_steps_and_drops_them_when_all_are_done(console: Client, workflow: Workflow) -> None:
    text = text_of(console.get("/"))
    assert "1 Install a starter, and see it decide" in text
    assert "2 Register a model" in text
    assert "done Write a rule set" in text
    assert "done Join them in a workflow" in text


def test_a_person_without_a_role_is_told_so(person: Callable[..., Client]) -> None:
    assert "Your account has no role yet." in text_of(person().get("/"))


def test_a_person_sees_only_what_the_permissions_allow(person: Callable[..., Client], workflow: Workflow) -> None:
    make_decision(workflow, subject="order-77")
    make_scenario()
    text = text_of(person("jobs.view_job").get("/"))
    assert "Latest jobs" in text
    assert "order-77" not in text
    assert "Open reviews" not in text
    assert "API keys" not in text


def test_the_home_page_asks_few_queries(
    console: Client, workflow: Workflow, django_assert_max_num_queries: Callable[..., object]
) -> None:
    for number in range(5):
        make_review(workflow, subject=f"order-{number}")
    console.get("/")
    with django_assert_max_num_queries(25):  # type: ignore[attr-defined]
        console.get("/")
