"""Test cases of workflows: keep them, and run them against any version. A run stores nothing and causes nothing."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from inferhub.decisions.definition import PredictionPlan
from inferhub.decisions.engine import Answered, Facts, Verdict, run_rows
from inferhub.decisions.models import Decision, Workflow, WorkflowTest, WorkflowTestRun
from inferhub.decisions.queries import PublishedWorkflow, find_workflow_version
from inferhub.errors import InferhubError, InvalidInput, ModelFailed, NotFound
from inferhub.inference.services import predict_with
from inferhub.lib.describe import listed
from inferhub.lib.schema import Schema
from inferhub.registry.queries import find_version
from inferhub.rules.engine import RuleEngine
from inferhub.rulesets.cases import (
    WORKFLOW_CASE,
    CaseReport,
    CaseResult,
    Got,
    check_cases,
    find_case,
    judge_case,
    record_run,
    remove_case,
    replace_cases,
    save_case,
)
from inferhub.rulesets.queries import find_rule_set_version

CASE = Schema(WORKFLOW_CASE)


def save_workflow_test(
    *, workflow: str, case: Mapping[str, Any], actor: str, decision_id: uuid.UUID | None = None
) -> WorkflowTest:
    """Keep a test case, in the place of the one with the same name. Raises NotFound and InvalidInput.

    `decision_id` is the decision that it was made of: where that is erased, the test case goes with it.
    """
    test = save_case(WorkflowTest, _find(workflow), case, schema=CASE, actor=actor)
    if test.decision_id != decision_id:
        WorkflowTest.objects.filter(pk=test.pk).update(decision_id=decision_id)
        test.decision_id = decision_id
    return test


def replace_workflow_tests(*, workflow: str, cases: Sequence[Mapping[str, Any]], actor: str) -> list[WorkflowTest]:
    """Make `cases` all that there are. Raises NotFound, and InvalidInput with pointers into the list."""
    return replace_cases(WorkflowTest, _find(workflow), cases, schema=CASE, actor=actor)


def remove_workflow_test(*, workflow: str, name: str, actor: str) -> None:
    """Raises NotFound."""
    remove_case(find_case(WorkflowTest, _find(workflow), name), actor=actor)


def list_workflow_tests(workflow: str) -> list[WorkflowTest]:
    """In the order in which they were added. Raises NotFound."""
    return list(_find(workflow).tests.select_related("workflow"))


def case_of(decision: Decision) -> dict[str, Any]:
    """A test case that says: this input with these predictions comes out as it did."""
    predictions = {
        name: None if "error" in entry else entry.get("output") for name, entry in decision.predictions.items()
    }
    matched = decision.trace.get("matched", ())
    expect: dict[str, Any] = {
        "outcome": decision.outcome,
        "actions": [action.kind for action in decision.actions.order_by("id")],
    }
    if decision.outputs:
        expect["outputs"] = decision.outputs
    if len(matched) == 1:
        expect["rule"] = matched[0]["index"]
    given = {"predictions": predictions} if predictions else {}
    return {"name": f"as decided for {decision.request_id}"[:200], "input": decision.input, **given, "expect": expect}


def run_workflow_tests(
    *,
    workflow: str,
    version: int | None = None,
    rule_set_version: int | None = None,
    cases: Sequence[Mapping[str, Any]] | None = None,
    actor: str = "",
) -> CaseReport:
    """Run the test cases of a workflow, or `cases` instead, against a version: by default the one in force.

    The rules are those in force, or `rule_set_version`. Where the workflow's own cases run for an `actor`, it is noted
    that the version was tested. Raises NotFound, and InvalidInput with pointers into `cases`.
    """
    if cases is not None:
        check_cases(cases, CASE)
    run = [test.document for test in list_workflow_tests(workflow)] if cases is None else cases
    found = find_workflow_version(workflow, version)
    rules = find_rule_set_version(found.plan.rule_set, rule_set_version)
    report = CaseReport(name=workflow, version=found.number, results=_run(found, rules.engine, run))
    if cases is None and actor and rule_set_version is None:
        record_run(WorkflowTestRun, found.version_id, run, report, actor)
    return report


def _run(found: PublishedWorkflow, rules: RuleEngine, cases: Sequence[Mapping[str, Any]]) -> tuple[CaseResult, ...]:
    """All at once, so that each model is asked once for all cases that do not say what it answers."""
    if not cases:
        return ()
    given = [case.get("predictions", {}) for case in cases]
    verdicts = run_rows(found.plan, rules, [case["input"] for case in cases], _Given(given))
    known = [step.name for step in found.plan.predictions]
    return tuple(
        judge_case(case, _got(verdict, [name for name in case.get("predictions", {}) if name not in known], known))
        for case, verdict in zip(cases, verdicts, strict=True)
    )


def _got(verdict: Verdict | InferhubError, unknown: Sequence[str], known: Sequence[str]) -> Got:
    if unknown:
        expected = listed(known) or "none"
        return Got(
            outputs={}, problem=f"a prediction that the workflow does not ask for ({unknown[0]}; it has {expected})"
        )
    if isinstance(verdict, InferhubError):
        kind = "an input that is refused" if isinstance(verdict, InvalidInput) else "an error"
        return Got(outputs={}, problem=f"{kind}: {verdict}")
    return Got(
        outcome=verdict.outcome,
        outputs=verdict.outputs,
        actions=[action["kind"] for action in verdict.actions],
        matched=verdict.trace.get("matched", ()),
        undecided=verdict.trace.get("undecided", ()),
    )


class _Given:
    """Answers with what the cases give; asks the models for the rest, beside their canaries and shadows."""

    def __init__(self, given: Sequence[Mapping[str, Any]]) -> None:
        self._given = given

    def __call__(self, step: PredictionPlan, rows: Sequence[Facts], places: Sequence[int]) -> list[Answered]:
        answers: dict[int, Answered] = {}
        for position, place in enumerate(places):
            if step.name in self._given[place]:
                answers[position] = _answer(step, self._given[place][step.name])
        missing = [position for position in range(len(rows)) if position not in answers]
        if missing:
            plan = find_version(step.model, alias=step.alias, number=step.version)
            said = predict_with(plan, rows=[rows[position] for position in missing], timeout_ms=step.timeout_ms)
            used = {"model": said.model, "version": said.version, "digest": said.digest}
            answers |= {position: Answered(used, row) for position, row in zip(missing, said.rows, strict=True)}
        return [answers[position] for position in range(len(rows))]


def _answer(step: PredictionPlan, output: Mapping[str, Any] | None) -> Answered:
    if output is None:
        raise ModelFailed(f"The test case says that {step.name} fails.")
    return Answered({"model": step.model, "given": True}, output)


def _find(name: str) -> Workflow:
    found: Workflow | None = Workflow.objects.filter(name=name).first()
    if found is None:
        raise NotFound(f"There is no workflow '{name}'.")
    return found
