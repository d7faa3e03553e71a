"""The rule sets in use, compiled once per version."""

from collections.abc import Callable
from dataclasses import dataclass

from django.utils import timezone

from inferhub.errors import NotFound
from inferhub.lib.snapshots import Snapshots
from inferhub.lists.queries import find_list
from inferhub.rules.look import Look
from inferhub.rules.rule_set import RuleSet as Rules
from inferhub.rules.rule_set import parse_rule_set
from inferhub.rules.rule_set_engine import Engine, compile_rule_set
from inferhub.rulesets.models import RuleSet, RuleSetVersion


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleSetPlan:
    """One version, ready to be evaluated."""

    version_id: int
    name: str
    number: int
    engine: Engine
    rules: Rules


def find_rule_set(name: str) -> RuleSetPlan:
    """The version of `name` that is in use. Raises NotFound."""
    return _plans.get(_current_ids.get(name))


def find_rule_set_by_id(version_id: int) -> RuleSetPlan:
    """One version by its id, in use or not. Raises NotFound."""
    return _plans.get(version_id)


def read_rules(definition: object) -> Rules:
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


def look_around(engine: Engine) -> Callable[[int], Look] | None:
    """Makes for each decision a look at the time and the lists that the rules ask; None where they ask for neither."""
    if not engine.needs_look:
        return None
    now, lists = timezone.now(), {name: find_list(name) for name in engine.lists}
    return lambda _place: Look(at=now, lists=lists)


def _read_current_id(name: str) -> int:
    current_id = RuleSet.objects.filter(name=name).values_list("current_id", flat=True).first()
    if current_id is None:
        raise NotFound(f"There is no rule set '{name}'.")
    return current_id


def _read_plan(version_id: int) -> RuleSetPlan:
    version = RuleSetVersion.objects.select_related("rule_set").filter(pk=version_id).first()
    if version is None:
        raise NotFound(f"There is no rule set version with the id {version_id}.")
    rules = read_rules(version.definition)
    return RuleSetPlan(
        version_id=version.pk,
        name=version.rule_set.name,
        number=version.number,
        engine=compile_rule_set(rules),
        rules=rules,
    )


_current_ids: Snapshots[str, int] = Snapshots(_read_current_id, seconds=1.0)
_plans: Snapshots[int, RuleSetPlan] = Snapshots(_read_plan, seconds=3600.0)  # a version never changes
