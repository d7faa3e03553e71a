"""What must hold of rules before they are kept, or put in use."""

from typing import Any

from inferhub.errors import FieldError, InvalidDefinition
from inferhub.lib.describe import describe, pointer
from inferhub.lists.queries import missing_lists
from inferhub.rules.analysis import analyse_rule_set
from inferhub.rules.rule_set import RuleSet, lists_asked
from inferhub.rulesets.reading import read_rules


def check_rules(name: str, definition: object) -> RuleSet:
    """The rules of the rule set `name`. Raises InvalidDefinition with pointers into the definition."""
    rules = read_rules(definition)
    errors = [*_own_versions(name, rules), *_missing_lists(rules), *_contradictions(rules)]
    if errors:
        raise InvalidDefinition(errors=errors)
    return rules


def describe_findings(definition: object) -> list[dict[str, Any]]:
    """What the analysis of a definition finds, as JSON: faults, and what is merely odd."""
    return [
        {
            "pointer": place + (pointer("rules", finding.rows[0]) if finding.rows else ""),
            "kind": finding.kind,
            "severity": finding.severity,
            "rows": list(finding.rows),
            "message": finding.message,
            "example": finding.example,
        }
        for place, _, finding in analyse_rule_set(read_rules(definition))
    ]


def _own_versions(name: str, rules: RuleSet) -> list[FieldError]:
    """A rule set that asks an earlier version of itself could be taken for a cycle."""
    return [
        FieldError(pointer=pointer("tables", at, "rule_set"), expected="another rule set", got="this one")
        for at, step in enumerate(rules.steps)
        if step.rule_set == name
    ]


def _missing_lists(rules: RuleSet) -> list[FieldError]:
    """The lists that rules ask must be there."""
    missing = missing_lists(set(rules.lists)) if rules.lists else []
    return [
        FieldError(pointer=where, expected="the name of a look-up list", got=describe(asked))
        for where, asked in lists_asked(rules)
        if asked in missing
    ]


def _contradictions(rules: RuleSet) -> list[FieldError]:
    """A table that cannot do what it says is not put in use; what is merely odd (dead rows, gaps) is told."""
    return [
        FieldError(pointer=place + pointer("rules", finding.rows[0]), expected="no contradiction", got=finding.message)
        for place, _, finding in analyse_rule_set(rules)
        if finding.severity == "error"
    ]
