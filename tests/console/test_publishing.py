"""Publish, compare, test and roll back, as a person does it."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from inferhub.accounts.models import User
from inferhub.approvals.models import ChangeRequest
from inferhub.decisions.models import Workflow, WorkflowTest
from inferhub.decisions.services import KIND
from inferhub.decisions.testing import save_workflow_test
from inferhub.rulesets.models import RuleSet, RuleSetVersion
from inferhub.rulesets.publishing import publish_version, set_approval
from inferhub.rulesets.services import KIND as RULE_SETS
from inferhub.rulesets.services import save_rule_set
from inferhub.rulesets.testing import save_rule_set_test
from tests.console.conftest import ACTOR, make_decision, rules, workflow_definition
from tests.console.pages import add_to, page_of, post, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft(workflow: Workflow) -> RuleSetVersion:
    """Version 2 of the rules, not in force; a test case that it fails."""
    facts = {"name": "150 is reviewed", "facts": {"input": {"total": 150}}, "expect": {"outcome": "review"}}
    save_rule_set_test(rule_set="order-rules", case=facts, actor=ACTOR)
    return save_rule_set(name="order-rules", definition=rules(200), actor=ACTOR, is_draft=True)


def _case(outcome: str = "review") -> dict[str, Any]:
    return {"name": "large", "input": {"order_id": "1", "total": 500}, "expect": {"outcome": outcome}}


def test_a_new_rule_set_is_a_draft_until_another_person_approves(console: Client) -> None:
    values = {"name": "fresh", "definition": json.dumps(rules()), "approval": "four-eyes"}
    text = text_of(post(console, add_to(RuleSet), **values))
    assert "fresh version 1 is saved (draft). Publish it from its page." in text
    assert "no version: publish one" in text
    version = RuleSet.objects.get().versions.get()
    text = text_of(post(console, page_of(version, "publish"), reason="first"))
    assert "Another person has to approve it now." in text
    assert "fresh version 1 in force" in text


def test_the_page_of_a_publication_shows_what_is_different(console: Client, draft: RuleSetVersion) -> None:
    for deed in ("publish", "compare"):
        text = text_of(console.get(page_of(draft, deed)))  # type: ignore[arg-type]
        assert "1 1 changed input.total > 100 input.total > 200" in text


def test_a_link_fills_in_the_reason_and_nothing_else(console: Client, draft: RuleSetVersion) -> None:
    form = console.get(page_of(draft, "publish") + "?reason=better&effective_from=soon").context["form"]
    assert form.initial == {"reason": "better"}


def test_a_link_to_a_new_workflow_may_say_what_is_no_time(console: Client) -> None:
    response = console.get(add_to(Workflow) + "?name=orders&effective_from=soon&effective_until=2026-12-01")
    assert response.context["form"]["name"].value() == "orders"


def test_a_failing_test_case_is_told_where_somebody_publishes(console: Client, draft: RuleSetVersion) -> None:
    text = text_of(post(console, page_of(draft, "publish"), reason="now"))
    assert "'150 is reviewed' fails: /outcome: expected the string 'review', got the string 'accept'" in text
    assert RuleSet.objects.get().current.number == 1


def test_a_run_colours_the_test_cases_red_and_green(console: Client, draft: RuleSetVersion) -> None:
    rule_set = RuleSet.objects.get()
    text = text_of(post(console, page_of(rule_set, "run_cases"), version=2))
    assert "Version 2: 0 of 1 test cases passed." in text
    assert "failed /outcome the string 'accept'" in text
    text = text_of(post(console, page_of(rule_set, "run_cases"), version=1))
    assert "150 is reviewed outcome review passed" in text


def test_a_test_case_is_added_and_removed(console: Client, workflow: Workflow) -> None:
    text = text_of(post(console, page_of(workflow, "change_case"), case=json.dumps(_case())))
    assert "The test case 'large' is saved." in text
    assert '"total": 500' in console.get(f"{page_of(workflow, 'remove_case')}?case=large").content.decode().replace(
        "&quot;", '"'
    )
    assert "is removed" in text_of(post(console, f"{page_of(workflow, 'remove_case')}?case=large"))
    assert not WorkflowTest.objects.exists()


def test_a_bad_test_case_is_explained_at_its_field(console: Client, workflow: Workflow) -> None:
    response = post(console, page_of(workflow, "change_case"), case='{"name": "x", "input": {}, "expect": {}}')
    assert response.context["form"].errors["case"] == ["/expect: expected at least 1 field, got an object"]


def test_a_decision_becomes_a_test_case(console: Client, workflow: Workflow) -> None:
    decision = make_decision(workflow)
    page = console.get(page_of(decision, "make_case"))
    case = page.context["form"].initial["case"]
    assert (case["input"]["total"], case["expect"]["outcome"], case["expect"]["rule"]) == (500, "review", 0)
    post(console, page_of(decision, "make_case"), case=json.dumps(case))
    assert WorkflowTest.objects.get().decision_id == decision.pk


def test_a_planned_publication_is_shown_and_cancelled(console: Client, workflow: Workflow) -> None:
    version = save_rule_set(name="order-rules", definition=rules(200), actor=ACTOR, is_draft=True)
    tomorrow = timezone.now() + timedelta(days=1)
    values = {"effective_from_0": f"{tomorrow:%Y-%m-%d}", "effective_from_1": "12:00:00", "reason": "sale"}
    text = text_of(post(console, page_of(version, "publish"), **values))
    assert f"version 2 planned {tomorrow:%Y-%m-%d} 12:00:00 a later one begins sale" in text
    rule_set = RuleSet.objects.get()
    planned = rule_set.publications.get(version=version)
    text = text_of(post(console, f"{page_of(rule_set, 'cancel')}?publication={planned.pk}", reason="no sale"))
    assert "version 2 cancelled" in text


def test_a_rollback_shows_the_difference_and_leads_back(console: Client, workflow: Workflow) -> None:
    version = save_rule_set(name="order-rules", definition=rules(200), actor=ACTOR)
    rule_set = RuleSet.objects.get()
    page = console.get(page_of(rule_set, "roll_back"))
    assert "Roll order-rules back to version 1" in text_of(page)  # type: ignore[arg-type]
    text = text_of(post(console, page_of(rule_set, "roll_back"), from_version=2, reason="worse"))
    assert "order-rules version 1 is in force again." in text
    assert "rollback: worse" in text
    form = console.get(page_of(rule_set, "edit"))
    assert "It starts from version 1." in text_of(form)  # type: ignore[arg-type]
    assert form.context["form"].initial["definition"] == rules()  # type: ignore[attr-defined]
    publish_version(RULE_SETS, version=version, actor=ACTOR, reason="again")
    assert "version 2 is in force now" not in text


def test_an_approver_sees_test_cases_and_differences(
    console: Client, workflow: Workflow, person: Callable[..., Client]
) -> None:
    save_workflow_test(workflow=workflow.name, case=_case(), actor=ACTOR)
    set_approval(KIND, owner=workflow, approval="four-eyes", actor=ACTOR, reason="live")
    author = person("decisions.change_workflow", "decisions.view_workflow", "decisions.view_workflowversion")
    definition = workflow_definition("order-rules") | {"missing_facts": "accept"}
    post(author, page_of(workflow, "edit"), definition=json.dumps(definition), description="", note="bolder")
    post(author, page_of(workflow.versions.get(number=2), "publish"), reason="fewer reviews")
    change = ChangeRequest.objects.get()
    text = text_of(console.get(page_of(change)))  # type: ignore[arg-type]
    assert "order-screening version 2 in force" in text
    assert "test: large passed passed" in text
    assert '/missing_facts added – "accept"' in text
    post(console, page_of(change, "approve"), reason="")
    assert workflow.current.number == 2
    assert change.requested_person_id == User.objects.exclude(username="alice").get().pk


def test_a_policy_of_four_eyes_is_left_only_by_four_eyes(console: Client, workflow: Workflow) -> None:
    post(console, page_of(workflow, "set_policy"), approval="four-eyes", reason="live")
    text = text_of(post(console, page_of(workflow, "set_policy"), approval="direct", reason="demo"))
    assert "how order-screening is published" in text
    assert Workflow.objects.get().approval == "four-eyes"
