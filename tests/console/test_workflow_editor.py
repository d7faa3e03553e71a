"""What the editor of a workflow may choose from, and saving a version for a time of its own."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from inferhub.approvals.models import ChangeRequest
from inferhub.backtests.models import Backtest
from inferhub.catalog.models import Item
from inferhub.console.workflow_choices import workflow_choices
from inferhub.decisions.actions.registry import names
from inferhub.decisions.models import Workflow
from inferhub.decisions.services import save_workflow
from inferhub.lists.models import LookupList
from inferhub.registry.aliases import move_alias
from inferhub.rulesets.services import save_rule_set
from tests.console.conftest import ACTOR, make_version, rules, workflow_definition
from tests.console.pages import add_to, list_of, page_of, post, text_of

pytestmark = pytest.mark.django_db


def save(console: Client, workflow: Workflow, **changes: Any) -> HttpResponse:
    definition = workflow_definition("order-rules") | {"retention_months": 12}
    form = {"definition": json.dumps(definition), "description": "", "note": "for autumn"}
    return post(console, page_of(workflow, "edit"), **form | changes)


def _at(name: str, days: int) -> dict[str, str]:
    moment = timezone.now() + timedelta(days=days)
    return {f"{name}_0": moment.strftime("%Y-%m-%d"), f"{name}_1": "12:00:00"}


def test_models_are_offered_with_what_their_versions_take_and_give(db: None) -> None:
    for _ in range(7):
        newest = make_version("doubler")
    move_alias(version=newest.model.versions.get(number=1), alias="champion", actor=ACTOR, reason="first")
    offered = workflow_choices()
    (model,) = offered["models"]
    assert (model["name"], model["aliases"]) == ("doubler", {"champion": 1})
    assert sorted(model["versions"]) == [1, 3, 4, 5, 6, 7]
    assert set(model["versions"].values()) == {0}
    tensor = {"datatype": "FP32", "is_optional": False, "is_single": True}
    assert offered["signatures"] == [{"inputs": [tensor | {"name": "x"}], "outputs": [tensor | {"name": "value"}]}]


def test_a_version_that_cannot_be_run_is_not_offered(db: None) -> None:
    make_version("doubler", state="rejected")
    assert workflow_choices()["models"] == []


def test_rule_sets_are_offered_with_their_outcomes_in_the_order_of_the_rows(workflow: Workflow) -> None:
    computed = rules()
    computed["inputs"].append({"field": "input.word", "type": "string"})
    computed["rules"] = [{"when": ["", ""], "then": ["input.word"]}]
    save_rule_set(name="computed", definition=computed, actor=ACTOR)
    (found,) = [one for one in workflow_choices()["rule_sets"] if one["name"] == "order-rules"]
    assert (found["about"], found["outcomes"]) == ("Which orders to hold.", ["review", "accept"])
    (other,) = [one for one in workflow_choices()["rule_sets"] if one["name"] == "computed"]
    assert other["outcomes"] is None


def test_every_kind_of_action_is_offered_with_its_settings(db: None) -> None:
    LookupList.objects.create(name="blocked")
    offered = workflow_choices()
    kinds = {kind["name"]: kind for kind in offered["kinds"]}
    assert list(kinds) == names()
    assert kinds["add-to-list"]["fields"] == ["value_from"]
    assert kinds["add-to-list"]["named"] == {"list": "lists"}
    assert "title" in kinds["review"]["schema"]["properties"]
    assert offered["lists"] == ["blocked"]


def test_the_number_of_queries_does_not_grow_with_what_is_offered(
    workflow: Workflow, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    for number in range(5):
        make_version(f"model-{number}")
        save_rule_set(name=f"rules-{number}", definition=rules(number), actor=ACTOR, approval="direct")
    with django_assert_max_num_queries(8):
        workflow_choices()


def test_names_from_data_cannot_leave_the_attribute_that_holds_the_choices(console: Client) -> None:
    LookupList.objects.create(name="it's-\"<b>")
    page = console.get(add_to(Workflow)).content.decode()
    assert "<b>" not in page


def test_a_version_is_saved_for_a_time_of_its_own(console: Client, workflow: Workflow) -> None:
    text = text_of(save(console, workflow, **_at("effective_from", 2), **_at("effective_until", 9)))
    assert "order-screening version 2 is saved and published for its time." in text
    assert workflow.current.number == 1
    planned = workflow.publications.get(version__number=2)
    assert planned.reason == "for autumn"
    assert planned.effective_until - planned.effective_from == timedelta(days=7)


def test_under_four_eyes_a_version_with_a_time_is_asked_for(console: Client, workflow: Workflow) -> None:
    definition = workflow_definition("order-rules")
    save_workflow(name="guarded", definition=definition, actor=ACTOR, approval="four-eyes")
    text = text_of(save(console, Workflow.objects.get(name="guarded"), **_at("effective_from", 2)))
    assert "Another person has to approve it now." in text
    assert ChangeRequest.objects.get().payload["effective_until"] is None


def test_a_time_that_has_passed_is_refused_before_anything_is_saved(console: Client, workflow: Workflow) -> None:
    errors = save(console, workflow, **_at("effective_until", -2)).context["form"].errors
    assert errors == {"effective_until": ["Expected a time that is still to come, after 'In force from'."]}
    errors = save(console, workflow, is_draft="on", **_at("effective_from", 2)).context["form"].errors
    assert list(errors) == ["is_draft"]
    assert workflow.versions.count() == 1


def test_limits_of_fields_are_told_in_words(console: Client, workflow: Workflow) -> None:
    definition = workflow_definition("order-rules")
    definition["input"]["properties"]["order_id"] |= {"maxLength": 9, "pattern": "^O"}
    definition["input"]["properties"]["total"] = {"type": ["integer", "null"], "minimum": 0, "maximum": 23}
    definition["input"]["properties"]["kind"] = {"type": "string", "enum": ["a", "b"]}
    post(console, page_of(workflow, "edit"), definition=json.dumps(definition), description="", note="")
    text = text_of(console.get(page_of(workflow)))  # type: ignore[arg-type]
    assert "order_id text yes characters: at most 9 pattern ^O" in text
    assert "total whole number or nothing yes from 0 to 23" in text
    assert "kind text no one of a, b" in text


def test_an_empty_list_leads_on_whom_it_may(console: Client, person: Callable[..., Client]) -> None:
    assert "Go to workflows" in text_of(console.get(list_of(Backtest)))  # type: ignore[arg-type]
    page = person("backtests.view_backtest").get(list_of(Backtest))
    assert "Go to workflows" not in text_of(page)  # type: ignore[arg-type]


def test_prices_end_where_their_digits_do(console: Client) -> None:
    Item.objects.create(item_id="A", name="Soap", price="4.9500")
    text = text_of(console.get(list_of(Item)))  # type: ignore[arg-type]
    assert "A Soap" in text
    assert "4.95 " in text
    assert "4.9500" not in text
