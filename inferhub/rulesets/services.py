"""Save rule sets; `KIND` is how they are published."""

from collections.abc import Callable, Sequence
from typing import Any

from inferhub.rulesets import publishing
from inferhub.rulesets.authored import check_name
from inferhub.rulesets.cases import CaseResult
from inferhub.rulesets.checks import check_rules
from inferhub.rulesets.models import RuleSetPublication, RuleSetVersion
from inferhub.rulesets.publishing import AuthoredKind
from inferhub.rulesets.testing import run_rule_set_tests

_users: list[Callable[[RuleSetVersion], Sequence[CaseResult]]] = []


def also_test(run: Callable[[RuleSetVersion], Sequence[CaseResult]]) -> None:
    """Say once per process what else must pass before a version is in force: the test cases of those who use it."""
    if run not in _users:
        _users.append(run)


def _run_cases(version: RuleSetVersion) -> list[CaseResult]:
    own = run_rule_set_tests(rule_set=version.rule_set.name, version=version.number).results
    return [*own, *(result for run in _users for result in run(version))]


def _check(version: RuleSetVersion) -> None:
    check_rules(version.rule_set.name, version.definition)


KIND = AuthoredKind(
    versions=RuleSetVersion,
    publications=RuleSetPublication,
    check=_check,
    run_cases=_run_cases,
)


def save_rule_set(
    *,
    name: str,
    definition: dict[str, Any],
    actor: str,
    description: str | None = None,
    note: str = "",
    approval: str = "",
    is_draft: bool = False,
) -> RuleSetVersion:
    """Keep `definition` as the next version of the rule set `name`; where its policy is direct, publish it.

    The same definition again changes nothing. `approval` is for a new rule set, four-eyes where nothing is said.
    Raises InvalidDefinition (pointers into the definition), InvalidInput, TestsFailed and Conflict.
    """
    check_name(name)
    check_rules(name, definition)
    version: RuleSetVersion = publishing.save_version(
        KIND,
        name=name,
        definition=definition,
        actor=actor,
        description=description,
        note=note,
        approval=approval,
        is_draft=is_draft,
    )
    return version
