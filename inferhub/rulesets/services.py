"""Save rule sets: each save is a new version, and the one that decisions use from then on."""

from typing import Any

from inferhub.errors import FieldError, InvalidDefinition
from inferhub.lib.describe import describe, pointer
from inferhub.lists.queries import missing_lists
from inferhub.rules.analysis import analyse_rule_set
from inferhub.rules.rule_set import RuleSet, lists_asked
from inferhub.rulesets.authored import check_name, save_definition
from inferhub.rulesets.models import RuleSetVersion
from inferhub.rulesets.queries import read_rules


def save_rule_set(
    *, name: str, definition: dict[str, Any], actor: str, description: str | None = None, note: str = ""
) -> RuleSetVersion:
    """Make `definition` the next version of the rule set `name` and put it in use.

    The same definition again changes nothing. Raises InvalidDefinition (pointers into the definition) and InvalidInput.
    """
    check_name(name)
    check_rules(name, definition)
    return save_definition(
        RuleSetVersion, name=name, definition=definition, actor=actor, description=description, note=note
    )


def check_rules(name: str, definition: object) -> RuleSet:
    """What must hold of the definition of the rule set `name` before it is kept. Raises InvalidDefinition."""
    rules = read_rules(definition)
    errors = [*_own_versions(name, rules), *_missing_lists(rules), *_contradictions(rules)]
    if errors:
        raise InvalidDefinition(errors=errors)
    return rules


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
    """A table that cannot do what it says is not put in use; what is merely odd (dead rows, gaps) the console shows."""
    return [
        FieldError(pointer=place + pointer("rules", finding.rows[0]), expected="no contradiction", got=finding.message)
        for place, _, finding in analyse_rule_set(rules)
        if finding.severity == "error"
    ]
