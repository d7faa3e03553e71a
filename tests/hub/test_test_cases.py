"""Test cases of workflows and rule sets."""

import io
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from inferhub.audit.models import AuditEvent
from inferhub.decisions.erasure import erase_subject
from inferhub.decisions.models import Action, Decision, WorkflowTest
from inferhub.decisions.services import decide
from inferhub.decisions.testing import (
    case_of,
    list_workflow_tests,
    remove_workflow_test,
    replace_workflow_tests,
    run_workflow_tests,
    save_workflow_test,
)
from inferhub.errors import InvalidInput, NotFound
from inferhub.rulesets.services import save_rule_set
from inferhub.rulesets.testing import run_rule_set_tests, save_rule_set_test
from tests.hub_fixtures import ACTOR, RULES, Api

pytestmark = pytest.mark.django_db

ORDER = {"customer_id": "ann", "total": 20, "price": 10}
FACTS = {"input": {"total": 20}, "prediction": {"value": {"value": 21}}}


def _case(name: str = "a case", *, given: dict[str, Any] | None = None, **expect: Any) -> dict[str, Any]:
    return {"name": name, "input": ORDER | (given or {}), "expect": expect}


def _run(*cases: dict[str, Any]) -> list[tuple[bool, list[str]]]:
    report = run_workflow_tests(workflow="orders", cases=cases)
    return [(result.passed, [one.sentence for one in result.differences]) for result in report.results]


def test_a_case_passes_where_everything_that_it_names_comes_out(workflow: str) -> None:
    outputs = {"outcome": "hold"}
    case = _case(given={"total": 1001}, outcome="hold", outputs=outputs, actions=["review", "webhook"], rule=0)
    assert _run(case) == [(True, [])]


@pytest.mark.parametrize(
    ("expect", "sentence"),
    [
        ({"outcome": "hold"}, "/outcome: expected the string 'hold', got the string 'accept'"),
        ({"outputs": {"lane": "x"}}, "/outputs/lane: expected the string 'x', got nothing"),
        ({"actions": []}, "/actions: expected no action, got webhook"),
        ({"rule": 0}, "/rule: expected the row with index 0, got the row with index 2 (all others)"),
        ({"rule": "large"}, "/rule: expected the row noted 'large', got the row with index 2 (all others)"),
        ({"undecided": True}, "/undecided: expected no row that decides, got one"),
    ],
)
def test_a_case_that_fails_says_what_was_expected_and_what_came(
    workflow: str, expect: dict[str, Any], sentence: str
) -> None:
    assert _run(_case(**expect)) == [(False, [sentence])]


def test_a_row_may_be_named_by_its_note(workflow: str) -> None:
    assert _run(_case(rule="all others")) == [(True, [])]


def test_a_missing_fact_is_told_where_an_outcome_was_expected(workflow: str) -> None:
    [(passed, [difference])] = _run(_case(given={"total": None}, outcome="accept"))
    assert not passed
    assert difference == (
        "/outcome: expected the string 'accept', got the string 'review' "
        "(undecided: /input/total: expected a finite number, got null)"
    )
    assert _run(_case(given={"total": None}, undecided=True, outcome="review")) == [(True, [])]


def test_given_predictions_stand_in_for_the_model(workflow: str) -> None:
    given = {"predictions": {"value": {"value": 500}}}
    assert _run(_case(outcome="fast") | given, _case("b", outcome="accept")) == [(True, []), (True, [])]


def test_a_case_can_say_that_a_prediction_fails(workflow: str) -> None:
    case = _case(outcome="review", undecided=True) | {"predictions": {"value": None}}
    assert _run(case, _case("b", outcome="accept")) == [(True, []), (True, [])]


def test_a_prediction_that_the_workflow_does_not_ask_for_fails_the_case(workflow: str) -> None:
    [(passed, [difference])] = _run(_case(outcome="accept") | {"predictions": {"valve": {"value": 1}}})
    assert (passed, "valve; it has value" in difference) == (False, True)


def test_an_input_that_is_refused_fails_the_case(workflow: str) -> None:
    [(passed, [difference])] = _run(_case(given={"totl": 1}, outcome="accept"))
    assert (passed, "/input/totl" in difference) == (False, True)


def test_a_workflow_without_cases_passes(workflow: str) -> None:
    assert run_workflow_tests(workflow="orders").passed


def test_a_run_stores_nothing_and_causes_nothing(workflow: str) -> None:
    _run(_case(outcome="accept"))
    assert (Decision.objects.count(), Action.objects.count()) == (0, 0)


def test_a_case_of_the_same_name_takes_the_place_of_the_earlier(workflow: str) -> None:
    save_workflow_test(workflow="orders", case=_case(outcome="hold"), actor=ACTOR)
    save_workflow_test(workflow="orders", case=_case(outcome="accept"), actor=ACTOR)
    [test] = list_workflow_tests("orders")
    assert test.document == _case(outcome="accept")
    assert run_workflow_tests(workflow="orders").passed
    actions = list(AuditEvent.objects.filter(subject="workflow:orders").order_by("id").values_list("action", flat=True))
    assert actions[-2:] == ["workflow.test_added", "workflow.test_changed"]


def test_replacing_removes_what_is_not_named(workflow: str) -> None:
    save_workflow_test(workflow="orders", case=_case("old", outcome="hold"), actor=ACTOR)
    replace_workflow_tests(workflow="orders", cases=[_case("new", outcome="accept")], actor=ACTOR)
    assert [test.name for test in list_workflow_tests("orders")] == ["new"]


def test_a_bad_list_of_cases_is_refused_as_a_whole(workflow: str) -> None:
    good = _case("new", outcome="accept")
    with pytest.raises(InvalidInput, match="/1/name: expected a name of its own"):
        replace_workflow_tests(workflow="orders", cases=[good, good], actor=ACTOR)
    with pytest.raises(InvalidInput, match="/1/expect"):
        replace_workflow_tests(workflow="orders", cases=[good, _case("b")], actor=ACTOR)
    assert list_workflow_tests("orders") == []


def test_a_case_can_be_removed_once(workflow: str) -> None:
    save_workflow_test(workflow="orders", case=_case(outcome="hold"), actor=ACTOR)
    remove_workflow_test(workflow="orders", name="a case", actor=ACTOR)
    with pytest.raises(NotFound, match="no test case 'a case'"):
        remove_workflow_test(workflow="orders", name="a case", actor=ACTOR)


@pytest.mark.parametrize("changes", [{}, {"total": 2000}, {"total": None}, {"price": 60}])
def test_a_case_made_of_a_decision_passes(workflow: str, changes: dict[str, Any]) -> None:
    decision = decide(workflow="orders", facts_in=ORDER | changes, actor=ACTOR)[0]
    assert _run(case_of(decision)) == [(True, [])]


def test_a_case_made_of_a_decision_goes_when_that_is_erased(workflow: str) -> None:
    decision = decide(workflow="orders", facts_in=ORDER, actor=ACTOR)[0]
    save_workflow_test(workflow="orders", case=case_of(decision), actor=ACTOR, decision_id=decision.pk)
    others = _case(outcome="accept") | {"input": ORDER | {"customer_id": "ben"}}
    save_workflow_test(workflow="orders", case=others, actor=ACTOR)
    erase_subject(subject="ann", reason="asked", actor=ACTOR)
    assert [test.name for test in WorkflowTest.objects.all()] == ["a case"]


def test_any_version_can_be_tested(workflow: str) -> None:
    rules = deepcopy(RULES)
    rules["rules"][0]["when"][0] = "> 10"
    save_rule_set(name="screening", definition=rules, actor=ACTOR)
    case = _case(outcome="accept")
    assert not run_workflow_tests(workflow="orders", cases=[case]).passed
    assert run_workflow_tests(workflow="orders", cases=[case], rule_set_version=1).passed
    facts = {"name": "small", "facts": FACTS, "expect": {"outcome": "accept"}}
    assert not run_rule_set_tests(rule_set="screening", cases=[facts]).passed
    assert run_rule_set_tests(rule_set="screening", cases=[facts], version=1).passed


def test_the_rest_api_keeps_and_runs_the_cases_of_both(workflow: str, api: Api) -> None:
    facts = {"name": "small/order", "facts": FACTS, "expect": {"outcome": "accept", "rule": 2}}
    for place, case in (("workflows/orders", _case("small/order", outcome="accept")), ("rule-sets/screening", facts)):
        assert api.post(f"{place}/tests", case).status_code == 200
        assert api.put(f"{place}/tests", {"tests": [case]}).json()["tests"][0]["case"] == case
        run = api.post(f"{place}/test-runs", {})
        assert (run.status_code, run.json()["passed"], run.json()["count"]) == (200, True, 1)
        wrong = api.post(f"{place}/test-runs", {"tests": [case | {"expect": {"outcome": "hold"}}], "version": 1}).json()
        assert wrong["results"][0]["differences"] == [
            {"pointer": "/outcome", "expected": "the string 'hold'", "got": "the string 'accept'"}
        ]
        assert api.post(f"{place}/test-runs", {"version": 9}).status_code == 404
        assert api.post(f"{place}/tests", case | {"expect": {}}).json()["errors"][0]["pointer"] == "/expect"
        assert api.delete(f"{place}/tests/small/order").status_code == 204
        assert api.get(f"{place}/tests").json() == {"tests": []}
        assert api.delete(f"{place}/tests/small/order").status_code == 404


def test_the_command_line_shows_each_case_and_fails_where_one_fails(workflow: str, tmp_path: Path) -> None:
    save_rule_set_test(
        rule_set="screening", case={"name": "small", "facts": FACTS, "expect": {"outcome": "accept"}}, actor=ACTOR
    )
    out = io.StringIO()
    call_command("rule_set", "test", "screening", stdout=out)
    assert out.getvalue() == "ok    small\nscreening version 1: 1 test cases, 0 failed\n"
    file = tmp_path / "tests.json"
    file.write_text(json.dumps([_case(outcome="hold")]))
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 of 1 test cases failed"):
        call_command("workflow", "test", "orders", "--file", str(file), stdout=out)
    assert "FAIL  a case\n        /outcome: expected the string 'hold', got the string 'accept'" in out.getvalue()


@pytest.mark.parametrize(("text", "complaint"), [("{", "is not JSON"), ("{}", "expected a JSON list")])
def test_the_command_line_explains_a_bad_file(workflow: str, tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "tests.json"
    file.write_text(text)
    with pytest.raises(CommandError, match=complaint):
        call_command("workflow", "test", "orders", "--file", str(file))
