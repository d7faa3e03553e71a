"""The rule sets in force, compiled once per version."""

from dataclasses import dataclass
from datetime import datetime

from inferhub.errors import NotFound
from inferhub.lib.snapshots import Snapshots
from inferhub.rules.rule_set import RuleSet as Rules
from inferhub.rules.rule_set_engine import Engine, compile_rule_set
from inferhub.rulesets.models import RuleSetPublication, RuleSetVersion
from inferhub.rulesets.reading import read_rules
from inferhub.rulesets.schedules import Timetable


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleSetPlan:
    """One version, ready to be evaluated."""

    version_id: int
    name: str
    number: int
    engine: Engine
    rules: Rules


def find_rule_set(name: str, as_of: datetime | None = None) -> RuleSetPlan:
    """The version of `name` that is in force, now or at another moment. Raises NotFound."""
    return _plans.get(_timetable.version_id(name, as_of))


def find_rule_set_version(name: str, number: int | None = None) -> RuleSetPlan:
    """A version of `name`: the given one, else the one in force, else the newest. Raises NotFound."""
    if number is None:
        try:
            return find_rule_set(name)
        except NotFound:
            pass  # it may be a draft
    versions = RuleSetVersion.objects.filter(rule_set__name=name)
    wanted = versions if number is None else versions.filter(number=number)
    version_id = wanted.order_by("-number").values_list("pk", flat=True).first()
    if version_id is None:
        which = f"version {number}" if number is not None else "version"
        raise NotFound(f"The rule set '{name}' has no {which}.")
    return _plans.get(version_id)


def find_rule_set_by_id(version_id: int) -> RuleSetPlan:
    """One version by its id, in use or not. Raises NotFound."""
    return _plans.get(version_id)


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


_timetable = Timetable(RuleSetPublication)
_plans: Snapshots[int, RuleSetPlan] = Snapshots(_read_plan, seconds=3600.0)  # a version never changes
