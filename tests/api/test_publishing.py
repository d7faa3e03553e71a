"""The life of workflows and rule sets over REST."""

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from inferhub.accounts.models import Scope
from inferhub.accounts.services import create_api_key
from inferhub.decisions.models import Decision
from inferhub.lib.snapshots import Snapshots
from tests.hub_fixtures import ACTOR, RULES, WORKFLOW, Api

pytestmark = pytest.mark.django_db

ORDER = {"customer_id": "ann", "total": 20, "price": 10}


def _rules(limit: int) -> dict[str, Any]:
    rules = deepcopy(RULES)
    rules["rules"][0]["when"][0] = f"> {limit}"
    return rules


def test_a_rule_set_is_drafted_compared_tested_published_and_rolled_back(workflow: str, api: Api) -> None:
    saved = api.post("rule-sets/screening/versions", {"definition": _rules(10), "note": "strict", "is_draft": True})
    assert (saved.status_code, saved.json()["version"], saved.json()["state"]) == (201, 2, "draft")
    compared = api.get("rule-sets/screening/versions/1/comparison/2").json()
    assert compared["rows"] == [
        {
            "table": "",
            "change": "changed",
            "left": 0,
            "right": 0,
            "cells": [{"column": "input.total", "left": "> 1000", "right": "> 10"}],
        }
    ]
    made = api.post("rule-sets/screening/publications", {"version": 2, "reason": "too much fraud"})
    assert (made.status_code, made.json()["is_in_force"]) == (201, True)
    assert api.post("workflows/orders/decisions", {"input": ORDER}).json()["outcome"] == "hold"
    back = api.post("rule-sets/screening/rollback", {"reason": "too strict", "from_version": 2})
    assert (back.status_code, back.json()["version"], back.json()["is_rollback"]) == (201, 1, True)
    assert api.get("rule-sets/screening").json()["version"] == 1
    history = api.get("rule-sets/screening/publications").json()["publications"]
    assert [(one["version"], one["is_in_force"]) for one in history] == [(1, True), (2, False), (1, False)]
    states = api.get("rule-sets/screening/versions").json()["versions"]
    assert [(one["version"], one["state"]) for one in states] == [(2, "retired"), (1, "published")]


def test_a_saved_rule_set_tells_what_its_check_found(workflow: str, api: Api) -> None:
    rules = deepcopy(RULES)
    rules["rules"].insert(1, {**rules["rules"][0], "when": ["> 2000,50", *rules["rules"][0]["when"][1:]]})
    saved = api.post("rule-sets/screening/versions", {"definition": rules, "is_draft": True}).json()
    comma, dead, *_ = saved["findings"]
    assert (comma["kind"], comma["severity"], comma["pointer"], comma["rows"]) == ("comma", "warning", "/rules/1", [1])
    assert "'2000,50' of input.total for 2000 or 50" in comma["message"]
    assert dead["kind"] in ("dead_row", "overlap", "gap")
    assert "findings" not in api.get(f"rule-sets/screening/versions/{saved['version']}").json()


def test_a_new_workflow_waits_for_another_person_unless_its_policy_is_direct(workflow: str, api: Api) -> None:
    saved = api.post("workflows/fresh/versions", {"definition": WORKFLOW})
    assert (saved.status_code, saved.json()["state"]) == (201, "draft")
    asked = api.post("workflows/fresh/publications", {"version": 1, "reason": "first"})
    assert (asked.status_code, asked.json()["kind"]) == (202, "workflow.publish")
    assert api.get("workflows/fresh").json()["version"] == 0
    assert api.post("workflows/fresh/decisions", {"input": ORDER}).status_code == 404
    assert api.put("workflows/fresh/policy", {"approval": "direct", "reason": "demo"}).status_code == 202
    saved = api.post("workflows/alone/versions", {"definition": WORKFLOW, "approval": "direct"})
    assert saved.json()["state"] == "published"
    assert api.put("workflows/alone/policy", {"approval": "four-eyes", "reason": "live"}).status_code == 200


def test_a_failing_test_case_is_named_with_expected_and_got(workflow: str, api: Api) -> None:
    case = {"name": "large", "input": ORDER | {"total": 5000}, "expect": {"outcome": "fast"}}
    api.post("workflows/orders/tests", case)
    changed = WORKFLOW | {"actions": {}}
    refused = api.post("workflows/orders/versions", {"definition": changed})
    assert refused.status_code == 409
    assert "'large' fails: /outcome: expected the string 'fast', got the string 'hold'" in refused.json()["detail"]
    assert api.get("workflows/orders/versions/2").json()["state"] == "failing"


def test_a_planned_publication_can_be_cancelled(workflow: str, api: Api) -> None:
    api.post("rule-sets/screening/versions", {"definition": _rules(10), "is_draft": True})
    tomorrow = (timezone.now() + timedelta(days=1)).isoformat()
    body = {"version": 2, "reason": "sale", "effective_from": tomorrow}
    planned = api.post("rule-sets/screening/publications", body).json()
    assert planned["effective_from"] == tomorrow
    address = f"rule-sets/screening/publications/{planned['id']}/cancel"
    assert api.post(address, {"reason": "no sale"}).json()["cancel_reason"] == "no sale"
    assert api.post(address, {"reason": "no sale"}).status_code == 409


def test_a_decision_can_be_made_as_of_another_time_and_says_so(workflow: str, api: Api) -> None:
    api.post("rule-sets/screening/versions", {"definition": _rules(10), "is_draft": True})
    begins = timezone.now() + timedelta(days=1)
    body = {"version": 2, "reason": "sale", "effective_from": begins.isoformat()}
    api.post("rule-sets/screening/publications", body)
    request = {"input": ORDER, "request_id": "a", "as_of": (begins + timedelta(hours=1)).isoformat()}
    later = api.post("workflows/orders/decisions", request)
    assert (later.status_code, later.json()["outcome"], later.json()["rule_set_version"]) == (201, "hold", 2)
    assert Decision.objects.get().trace["as_of"] == (begins + timedelta(hours=1)).isoformat()
    assert api.post("workflows/orders/decisions", request).json()["is_repeat"]
    assert api.post("workflows/orders/decisions", {"input": ORDER, "request_id": "a"}).status_code == 409
    now = api.post("workflows/orders/decisions", {"input": ORDER}).json()
    assert (now["outcome"], "as_of" in now["trace"]) == ("accept", False)


@pytest.mark.parametrize("as_of", ["yesterday", "2026-01-01T00:00:00", "2026-06-30T23:59:60Z", "0001-01-01"])
def test_a_time_that_is_none_is_refused(workflow: str, api: Api, as_of: str) -> None:
    answer = api.post("workflows/orders/decisions", {"input": ORDER, "as_of": as_of})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/as_of")


def test_before_anything_was_in_force_there_is_nothing_to_decide_by(workflow: str, api: Api) -> None:
    answer = api.post("workflows/orders/decisions", {"input": ORDER, "as_of": "2020-01-01"})
    assert (answer.status_code, "no version in force at 2020-01-01" in answer.json()["detail"]) == (404, True)


def test_writing_needs_a_scope_of_its_own(workflow: str) -> None:
    reader = Api(create_api_key(name="reader", scopes=[Scope.READ, Scope.REGISTER], actor=ACTOR)[1])
    assert reader.get("workflows/orders/versions").status_code == 200
    for address in ("versions", "publications", "rollback", "tests", "test-runs"):
        assert reader.post(f"workflows/orders/{address}", {}).status_code == 403
    Snapshots.forget_all()
