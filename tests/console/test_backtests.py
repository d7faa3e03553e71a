"""Ask for a back-test on a workflow's page, and read its report."""

import html
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from inferhub.approvals.models import ChangeRequest
from inferhub.audit.models import AuditEvent
from inferhub.backtests import challengers
from inferhub.backtests.models import Backtest, Challenger
from inferhub.backtests.queries import evidence_of
from inferhub.backtests.services import work_on_backtest
from inferhub.decisions.models import Workflow
from inferhub.decisions.services import decide, save_workflow
from inferhub.decisions.testing import save_workflow_test
from inferhub.lists.services import save_list
from inferhub.registry.aliases import move_alias
from inferhub.registry.models import ModelVersion
from inferhub.rulesets.models import RuleSet
from inferhub.rulesets.publishing import TestsFailed, publish_version, set_approval
from inferhub.rulesets.services import KIND as RULE_SETS
from inferhub.rulesets.services import save_rule_set
from inferhub.rulesets.testing import run_rule_set_tests, save_rule_set_test
from tests.console.conftest import (
    ACTOR,
    make_backtest,
    make_challenger,
    make_change,
    make_version,
    rules,
    workflow_definition,
)
from tests.console.pages import list_of, page_of, text_of

pytestmark = pytest.mark.django_db


def decided(workflow: Workflow) -> None:
    for total in (50, 90, 500):
        decide(workflow=workflow.name, facts_in={"order_id": f"order {total}", "total": total}, actor=ACTOR)


def start(console: Client, workflow: Workflow, **changes: object) -> Backtest:
    page = console.get(page_of(workflow, "back_test"))
    form = {name: "" if value is None else value for name, value in page.context["form"].initial.items()}
    form |= {"workflow_version": "1", "rule_set_version": "2", "amount": "total", "segment": ""} | changes
    response = console.post(page_of(workflow, "back_test"), form)
    assert response.status_code == 302, response.context["form"].errors
    backtest = Backtest.objects.get()
    assert response["Location"] == page_of(backtest)
    return backtest


def test_a_back_test_is_asked_for_and_its_report_read(console: Client, workflow: Workflow) -> None:
    decided(workflow)
    save_rule_set(name="order-rules", definition=rules(limit=80), actor=ACTOR)
    backtest = start(console, workflow)
    waiting = console.get(page_of(backtest))
    assert "queued" in text_of(waiting)
    assert "every 1s" in waiting.content.decode()
    asked_again = {"HX-Request": "true"}
    assert "HX-Refresh" not in console.get(page_of(backtest), headers=asked_again)
    work_on_backtest(backtest.pk)
    assert console.get(page_of(backtest), headers=asked_again)["HX-Refresh"] == "true"
    text = text_of(console.get(page_of(backtest)))
    assert "1 of 3 rows (33.33%)" in text
    assert "accept 2 1 -33.33%" in text
    assert "review 1 2" in text
    assert "total before" in text
    assert "2 decision accept review 90.00" in text
    assert "1 of 3" in text_of(console.get(list_of(Backtest))) or "3 of 3" in text_of(console.get(list_of(Backtest)))


def test_rows_that_change_come_as_csv(console: Client, workflow: Workflow) -> None:
    backtest = make_backtest(workflow)
    response = console.get(page_of(backtest, "download"))
    assert response["Content-Type"].startswith("text/csv")
    assert response.content.decode().splitlines()[1] == "1,,accept,accept,5.0"


def test_a_file_is_taken_instead_of_decisions(console: Client, workflow: Workflow) -> None:
    save_rule_set(name="order-rules", definition=rules(limit=80), actor=ACTOR)
    file = SimpleUploadedFile("orders.csv", b"order_id,total\nA1,5\nA2,90\n")
    backtest = start(console, workflow, file=file, rule_set_version="1")
    work_on_backtest(backtest.pk)
    text = text_of(console.get(page_of(backtest)))
    assert "Rows come from a file" in text
    assert "1 of 2 rows" in text


def test_what_is_wrong_with_a_question_is_said_on_its_page(console: Client, workflow: Workflow) -> None:
    form = {"workflow_version": "1", "rule_set_version": "1", "since": timezone.now().date() - timedelta(days=1)}
    response = console.post(page_of(workflow, "back_test"), form)
    assert "There is nothing to decide again" in response.content.decode()


def test_a_back_test_is_cancelled_by_those_who_may_start_one(
    console: Client, workflow: Workflow, person: Callable[..., Client]
) -> None:
    decided(workflow)
    save_rule_set(name="order-rules", definition=rules(limit=80), actor=ACTOR)
    backtest = start(console, workflow)
    reader = person("backtests.view_backtest")
    assert reader.post(page_of(backtest, "cancel")).status_code == 403
    console.post(page_of(backtest, "cancel"))
    backtest.refresh_from_db()
    assert backtest.state == "cancelled"


def test_an_approver_finds_the_back_tests_beside_the_gates(console: Client, workflow: Workflow) -> None:
    backtest = make_backtest(workflow)
    change = make_change()
    asked = change.evidence | {"backtests": [evidence_of(backtest)]}
    copy = ChangeRequest.objects.create(
        kind="alias.canary",
        subject="x",
        payload=change.payload | {"percent": 5},
        reason="r",
        requested_by="a",
        evidence=asked,
    )
    response = console.get(page_of(copy))
    assert "1 of 1 rows" in text_of(response)
    assert page_of(backtest) in response.content.decode()


def test_a_challenger_is_started_on_the_workflow_s_page_and_its_report_read(
    console: Client, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(challengers, "_BEHIND", timedelta(0))
    save_rule_set(name="order-rules", definition=rules(limit=80), actor=ACTOR)
    form = {"workflow_version": "1", "rule_set_version": "1"}
    response = console.post(page_of(workflow, "challenge"), form)
    challenger = Challenger.objects.get()
    assert response["Location"] == page_of(challenger)
    assert "None so far." in text_of(console.get(page_of(challenger)))
    decided(workflow)
    challengers.run_challengers(seconds=10)
    text = text_of(console.get(page_of(challenger)))
    assert "Decisions seen 3" in text
    assert "order 90 review accept" in text
    console.post(page_of(challenger, "end"))
    assert "ended" in text_of(console.get(page_of(challenger)))


def linked(response: HttpResponse, deed: str) -> str:
    """The page to which the report sends for a promotion."""
    found = re.search(rf'href="([^"]+/{deed}/\?[^"]+)"', response.content.decode())
    assert found is not None
    return html.unescape(found[1])


def test_rules_are_promoted_from_the_report_of_their_challenger(console: Client, workflow: Workflow) -> None:
    save_rule_set(name="order-rules", definition=rules(limit=80), actor=ACTOR, is_draft=True)
    console.post(page_of(workflow, "challenge"), {"workflow_version": "1", "rule_set_version": "2"})
    challenger = Challenger.objects.get()
    report = console.get(page_of(challenger))
    assert "Rule set order-rules version 2 order-rules version 1 draft publish" in text_of(report)
    assert "Workflow order-screening version 1 order-screening version 1 published" in text_of(report)
    page = linked(report, "publish")
    form = console.get(page).context["form"]
    assert form["reason"].value() == f"Challenger {challenger.pk}: 0 of 0 decisions come out otherwise."
    console.post(page, {"reason": form["reason"].value()})
    assert RuleSet.objects.get().current.number == 2
    assert "order-rules version 2 order-rules version 2 published" in text_of(console.get(page_of(challenger)))


def with_model(workflow: Workflow, **step: object) -> tuple[Workflow, ModelVersion]:
    """The workflow asks a model whose alias `champion` points at version 1; and version 2."""
    first, second = make_version("doubler"), make_version("doubler")
    move_alias(version=first, alias="champion", actor=ACTOR, reason="first")
    asked = {"name": "twice", "model": "doubler", "inputs": {"x": "total"}} | step
    definition = workflow_definition("order-rules") | {"predictions": [asked]}
    save_workflow(name=workflow.name, definition=definition, actor=ACTOR)
    return Workflow.objects.get(), second


def candidate_with(version: ModelVersion, workflow: Workflow) -> Backtest:
    model = {"model": version.model.name, "version": version.number, "version_id": version.pk}
    return make_backtest(workflow, models={"twice": model})


def test_a_model_is_promoted_from_the_report_of_a_back_test(console: Client, workflow: Workflow) -> None:
    workflow, second = with_model(workflow)
    backtest = candidate_with(second, workflow)
    report = console.get(page_of(backtest))
    assert "Model of 'twice' doubler version 2 doubler version 1 ready move the alias" in text_of(report)
    page = linked(report, "move")
    form = console.get(page).context["form"]
    assert form["version"].value() == str(second.pk)
    console.post(page, {"version": second.pk, "reason": form["reason"].value()})
    assert "doubler version 2 doubler version 2 published" in text_of(console.get(page_of(backtest)))
    moved = AuditEvent.objects.filter(action="alias.moved").latest("id")
    assert f"Back-test {backtest.pk}: 1 of 1 rows come out otherwise." in str(moved.details)


def test_a_model_that_the_workflow_names_by_number_is_promoted_by_a_new_version_of_the_workflow(
    console: Client, workflow: Workflow
) -> None:
    workflow, second = with_model(workflow, version=1)
    text = text_of(console.get(page_of(candidate_with(second, workflow))))
    assert "doubler version 2 version 1, as the workflow says edit the workflow" in text


def test_those_who_may_only_look_find_no_way_to_promote(workflow: Workflow, person: Callable[..., Client]) -> None:
    save_rule_set(name="order-rules", definition=rules(limit=80), actor=ACTOR, is_draft=True)
    challenger = make_challenger(workflow)
    challenger.candidate["rule_set_version_id"] = RuleSet.objects.get().versions.get(number=2).pk
    challenger.save()
    text = text_of(person("backtests.view_challenger").get(page_of(challenger)))
    assert "Rule set order-rules version 2 order-rules version 1 draft" in text
    assert "draft publish" not in text


def test_it_is_told_that_look_up_lists_are_asked_as_they_are_now(console: Client, workflow: Workflow) -> None:
    save_list(name="blocked", description="", actor=ACTOR)
    definition = rules()
    definition["inputs"].append({"field": "input.order_id", "type": "string"})
    for rule, cell in zip(definition["rules"], ('in list "blocked"', ""), strict=True):
        rule["when"].append(cell)
    save_rule_set(name="order-rules", definition=definition, actor=ACTOR)
    assert "look-up lists as they are when it decides: blocked" in text_of(
        console.get(page_of(make_backtest(workflow)))
    )


def chosen(console: Client, workflow: Workflow, deed: str) -> tuple[str, str]:
    fields = console.get(page_of(workflow, deed)).context["form"].fields
    return fields["workflow_version"].initial, fields["rule_set_version"].initial


@pytest.mark.parametrize("deed", ["back_test", "challenge"])
def test_a_draft_whose_test_cases_fail_is_not_the_candidate_to_start_with(
    console: Client, workflow: Workflow, deed: str
) -> None:
    case = {"name": "large", "facts": {"input": {"total": 500}}, "expect": {"outcome": "review"}}
    save_rule_set_test(rule_set="order-rules", case=case, actor=ACTOR)
    save_rule_set(name="order-rules", definition=rules(limit=80), actor=ACTOR, is_draft=True)
    assert chosen(console, workflow, deed) == ("1", "2")
    save_rule_set(name="order-rules", definition=rules(limit=8000), actor=ACTOR, is_draft=True)
    run_rule_set_tests(rule_set="order-rules", version=3, actor=ACTOR)
    assert chosen(console, workflow, deed) == ("1", "2")
    assert "version 3 (failing)" in text_of(console.get(page_of(workflow, deed)))


def test_a_version_that_the_test_cases_of_a_workflow_refused_is_known_to_fail(
    console: Client, workflow: Workflow
) -> None:
    case = {"name": "large", "input": {"order_id": "1", "total": 500}, "expect": {"outcome": "review"}}
    save_workflow_test(workflow=workflow.name, case=case, actor=ACTOR)
    with pytest.raises(TestsFailed):
        save_rule_set(name="order-rules", definition=rules(limit=8000), actor=ACTOR)
    assert "version 2 failing" in text_of(console.get(page_of(RuleSet.objects.get())))
    assert chosen(console, workflow, "back_test") == ("1", "1")


def test_what_waits_for_approval_is_the_candidate_to_start_with(console: Client, workflow: Workflow) -> None:
    set_approval(RULE_SETS, owner=RuleSet.objects.get(), approval="four-eyes", reason="two look", actor=ACTOR)
    asked = save_rule_set(name="order-rules", definition=rules(limit=80), actor=ACTOR)
    publish_version(RULE_SETS, version=asked, reason="fewer", actor=ACTOR)
    save_rule_set(name="order-rules", definition=rules(limit=70), actor=ACTOR)
    assert chosen(console, workflow, "back_test") == ("1", "2")
