"""What a change of rules must not break: the test cases of the workflows that use them."""

from inferhub.decisions.models import Workflow
from inferhub.decisions.testing import run_workflow_tests
from inferhub.rulesets.cases import CaseResult
from inferhub.rulesets.models import RuleSetVersion


def run_cases_of_users(version: RuleSetVersion) -> list[CaseResult]:
    """The test cases of the workflows in force that use a rule set, run with a version of it, named by workflow."""
    workflows = Workflow.objects.with_current()
    using = [one for one in workflows if one.current and one.current.definition["rule_set"] == version.rule_set.name]
    return [
        CaseResult(
            name=f"{workflow.name}: {result.name}",
            expected=result.expected,
            got=result.got,
            differences=result.differences,
        )
        for workflow in using
        for result in run_workflow_tests(workflow=workflow.name, rule_set_version=version.number).results
    ]
