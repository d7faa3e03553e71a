"""Save rule sets: each save is a new version, and the one that decisions use from then on."""

from typing import Any

from inferhub.errors import FieldError, InvalidDefinition
from inferhub.lib.describe import describe, pointer
from inferhub.lists.queries import missing_lists
from inferhub.rules.analysis import analyse_table
from inferhub.rules.table import DecisionTable, asked_lists, parse_decision_table
from inferhub.rulesets.authored import check_name, save_definition
from inferhub.rulesets.models import RuleSetVersion


def save_rule_set(
    *, name: str, definition: dict[str, Any], actor: str, description: str | None = None, note: str = ""
) -> RuleSetVersion:
    """Make `definition` the next version of the rule set `name` and put it in use.

    The same definition again changes nothing. Raises InvalidDefinition (pointers into the definition) and InvalidInput.
    """
    check_name(name)
    table = parse_decision_table(definition)
    _check_lists(table)
    _refuse_contradictions(table)
    return save_definition(
        RuleSetVersion, name=name, definition=definition, actor=actor, description=description, note=note
    )


def _check_lists(table: DecisionTable) -> None:
    """The lists that rules ask must be there."""
    missing = missing_lists(set(table.lists))
    if missing:
        raise InvalidDefinition(
            errors=[
                FieldError(pointer=where, expected="the name of a look-up list", got=describe(name))
                for where, name in asked_lists(table)
                if name in missing
            ]
        )


def _refuse_contradictions(table: DecisionTable) -> None:
    """A table that cannot do what it says is not put in use; what is merely odd (dead rows, gaps) the console shows."""
    errors = [finding for finding in analyse_table(table) if finding.severity == "error"]
    if errors:
        raise InvalidDefinition(
            errors=[
                FieldError(pointer=pointer("rules", finding.rows[0]), expected="no contradiction", got=finding.message)
                for finding in errors
            ]
        )
