"""Save rule sets: each save is a new version, and the one that decisions use from then on."""

from typing import Any

from inferhub.rulesets.authored import check_name, save_definition
from inferhub.rulesets.checks import check_rules
from inferhub.rulesets.models import RuleSetVersion


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
