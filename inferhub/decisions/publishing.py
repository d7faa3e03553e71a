"""Workflows in force: publish a version for a time, go back; and what a change of rules must not break."""

from datetime import datetime

from inferhub.approvals.models import ChangeRequest
from inferhub.decisions.models import Workflow, WorkflowPublication, WorkflowVersion
from inferhub.decisions.services import KIND
from inferhub.decisions.testing import run_workflow_tests
from inferhub.rulesets import publishing
from inferhub.rulesets.cases import CaseResult
from inferhub.rulesets.models import RuleSetVersion


def publish_workflow(
    *,
    version: WorkflowVersion,
    actor: str,
    reason: str,
    effective_from: datetime | None = None,
    effective_until: datetime | None = None,
) -> WorkflowPublication | ChangeRequest:
    """See `inferhub.rulesets.publishing.publish_version`."""
    made: WorkflowPublication | ChangeRequest = publishing.publish_version(
        KIND,
        version=version,
        actor=actor,
        reason=reason,
        effective_from=effective_from,
        effective_until=effective_until,
    )
    return made


def roll_back_workflow(
    *, workflow: Workflow, actor: str, reason: str, from_version: int | None = None
) -> WorkflowPublication:
    """See `inferhub.rulesets.publishing.roll_back`."""
    made: WorkflowPublication = publishing.roll_back(
        KIND, owner=workflow, actor=actor, reason=reason, from_version=from_version
    )
    return made


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
