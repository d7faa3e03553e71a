"""Rule sets: save a version, publish it for a time, go back."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from inferhub.approvals.models import ChangeRequest
from inferhub.rulesets import publishing
from inferhub.rulesets.authored import check_name
from inferhub.rulesets.cases import CaseResult
from inferhub.rulesets.checks import check_rules
from inferhub.rulesets.models import RuleSet, RuleSetPublication, RuleSetVersion
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


def publish_rule_set(
    *,
    version: RuleSetVersion,
    actor: str,
    reason: str,
    effective_from: datetime | None = None,
    effective_until: datetime | None = None,
) -> RuleSetPublication | ChangeRequest:
    """Publish or ask (`publishing.publish_version`); the test cases of workflows that use the rules run as well."""
    made: RuleSetPublication | ChangeRequest = publishing.publish_version(
        KIND,
        version=version,
        actor=actor,
        reason=reason,
        effective_from=effective_from,
        effective_until=effective_until,
    )
    return made


def roll_back_rule_set(
    *, rule_set: RuleSet, actor: str, reason: str, from_version: int | None = None
) -> RuleSetPublication:
    """See `inferhub.rulesets.publishing.roll_back`."""
    made: RuleSetPublication = publishing.roll_back(
        KIND, owner=rule_set, actor=actor, reason=reason, from_version=from_version
    )
    return made
