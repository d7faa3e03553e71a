"""Test cases of rule sets: keep them, and run them against any version."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from inferhub.errors import NotFound
from inferhub.lib.schema import Schema
from inferhub.rules.engine import RuleResult
from inferhub.rules.rule_set_engine import Engine
from inferhub.rulesets.cases import (
    RULE_SET_CASE,
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
from inferhub.rulesets.models import RuleSet, RuleSetTest, RuleSetTestRun
from inferhub.rulesets.queries import find_rule_set_version
from inferhub.rulesets.reading import look_around

CASE = Schema(RULE_SET_CASE)


def save_rule_set_test(*, rule_set: str, case: Mapping[str, Any], actor: str) -> RuleSetTest:
    """Keep a test case, in the place of the one with the same name. Raises NotFound and InvalidInput."""
    return save_case(RuleSetTest, _find(rule_set), case, schema=CASE, actor=actor)


def replace_rule_set_tests(*, rule_set: str, cases: Sequence[Mapping[str, Any]], actor: str) -> list[RuleSetTest]:
    """Make `cases` all that there are. Raises NotFound, and InvalidInput with pointers into the list."""
    return replace_cases(RuleSetTest, _find(rule_set), cases, schema=CASE, actor=actor)


def remove_rule_set_test(*, rule_set: str, name: str, actor: str) -> None:
    """Raises NotFound."""
    remove_case(find_case(RuleSetTest, _find(rule_set), name), actor=actor)


def list_rule_set_tests(rule_set: str) -> list[RuleSetTest]:
    """In the order in which they were added. Raises NotFound."""
    return list(_find(rule_set).tests.select_related("rule_set"))


def run_rule_set_tests(
    *,
    rule_set: str,
    version: int | None = None,
    cases: Sequence[Mapping[str, Any]] | None = None,
    actor: str = "",
) -> CaseReport:
    """Run the test cases of a rule set, or `cases` instead, against a version: by default the one in force.

    Where the rule set's own cases run for an `actor`, it is noted that the version was tested. Raises NotFound, and
    InvalidInput with pointers into `cases`.
    """
    if cases is not None:
        check_cases(cases, CASE)
    run = [test.document for test in list_rule_set_tests(rule_set)] if cases is None else cases
    plan = find_rule_set_version(rule_set, version)
    report = CaseReport(name=rule_set, version=plan.number, results=tuple(_run(plan.engine, case) for case in run))
    if cases is None and actor:
        record_run(RuleSetTestRun, plan.version_id, run, report, actor)
    return report


def _run(engine: Engine, case: Mapping[str, Any]) -> CaseResult:
    look = look_around(engine)
    return judge_case(case, _got(engine.evaluate(case["facts"], trace=True, look=look(0) if look else None)))


def _got(result: RuleResult) -> Got:
    outcome = result.outputs.get("outcome")
    return Got(
        outcome=outcome if isinstance(outcome, str) else None,
        outputs=result.outputs,
        matched=[asdict(row) for row in result.matched],
        undecided=[asdict(error) for error in result.undecided],
    )


def _find(name: str) -> RuleSet:
    found: RuleSet | None = RuleSet.objects.filter(name=name).first()
    if found is None:
        raise NotFound(f"There is no rule set '{name}'.")
    return found
