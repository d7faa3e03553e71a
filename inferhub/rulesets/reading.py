"""Reading rules out of what is kept: definitions with the rule sets that they name, and the lists that they ask."""

from collections.abc import Callable
from datetime import datetime

from django.utils import timezone

from inferhub.errors import NotFound
from inferhub.lists.queries import find_list, find_list_as_of
from inferhub.rules.look import Look
from inferhub.rules.rule_set import RuleSet, parse_rule_set
from inferhub.rules.rule_set_engine import Engine
from inferhub.rulesets.models import RuleSetVersion


def read_rules(definition: object) -> RuleSet:
    """The rules of a definition, with those versions of other rule sets that it names. Raises InvalidDefinition."""
    return parse_rule_set(definition, find_definition)


def find_definition(name: str, number: int) -> object:
    """The definition of a version. Raises NotFound."""
    return find_version(name, number).definition


def find_version(name: str, number: int) -> RuleSetVersion:
    """Raises NotFound."""
    found = RuleSetVersion.objects.select_related("rule_set").filter(rule_set__name=name, number=number).first()
    if found is None:
        raise NotFound(f"There is no version {number} of a rule set '{name}'.")
    return found


def look_around(engine: Engine, as_of: datetime | None = None) -> Callable[[int], Look] | None:
    """Makes for each decision a look at the time and the lists that the rules ask; None where they ask for neither.

    `as_of` another moment they are what they were then.
    """
    if not engine.needs_look:
        return None
    at = as_of or timezone.now()
    lists = {name: find_list(name) if as_of is None else find_list_as_of(name, as_of) for name in engine.lists}
    return lambda _place: Look(at=at, lists=lists)
