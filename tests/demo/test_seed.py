import pytest

from inferhub.accounts.models import User
from inferhub.decisions.models import Workflow, WorkflowTest, WorkflowTestRun
from inferhub.decisions.services import KIND as WORKFLOWS
from inferhub.demo.seed import _seed_workflow, claim_hub
from inferhub.errors import Conflict
from inferhub.rulesets.lifecycle import describe_versions
from inferhub.rulesets.models import RuleSet
from inferhub.rulesets.publishing import TestsFailed
from inferhub.rulesets.services import save_rule_set
from tests.console.conftest import rules, workflow_definition

pytestmark = pytest.mark.django_db


def test_the_demo_takes_an_empty_hub_and_knows_it_again() -> None:
    claim_hub()
    User.objects.create_user("visitor")
    claim_hub()


def test_the_demo_leaves_a_hub_alone_that_holds_data_of_its_own() -> None:
    User.objects.create_user("operator")
    with pytest.raises(Conflict, match="INFERHUB_HOME to an empty folder"):
        claim_hub()


TESTS = [{"name": "large", "input": {"order_id": "1", "total": 500}, "expect": {"outcome": "review"}}]


def seeded(limit: int) -> Workflow:
    """What the demo seeds, with rules of this limit and the test case that fits them."""
    _seed_workflow(
        "orders",
        rules=rules(limit),
        workflow=workflow_definition("orders"),
        tests=[TESTS[0] | {"input": {"order_id": "1", "total": limit + 1}}],
        description="Which orders to hold.",
    )
    return Workflow.objects.get()


def test_a_seeded_workflow_has_test_cases_that_passed_and_hold_back_what_breaks_them() -> None:
    assert describe_versions(WORKFLOWS, seeded(100))[Workflow.objects.get().current_id].name == "published"
    assert [run.failed for run in WorkflowTestRun.objects.all()] == [0]
    with pytest.raises(TestsFailed, match="large"):
        save_rule_set(name="orders", definition=rules(1000), actor="user:ann")


def test_a_second_start_leaves_what_people_changed() -> None:
    seeded(100)
    save_rule_set(name="orders", definition=rules(50), actor="user:ann")
    seeded(100)
    assert RuleSet.objects.get().current.number == 2


def test_other_data_bring_their_own_limits_and_test_cases() -> None:
    seeded(100)
    seeded(1000)
    assert RuleSet.objects.get().current.number == 2
    assert [test.case["input"]["total"] for test in WorkflowTest.objects.all()] == [1001]
