"""The rule sets in use, compiled once per version."""

from dataclasses import dataclass

from inferhub.errors import NotFound
from inferhub.lib.snapshots import Snapshots
from inferhub.rules.engine import RuleEngine, compile_rules
from inferhub.rules.table import parse_decision_table
from inferhub.rulesets.models import RuleSet, RuleSetVersion


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleSetPlan:
    """One version, ready to be evaluated."""

    version_id: int
    name: str
    number: int
    engine: RuleEngine


def find_rule_set(name: str) -> RuleSetPlan:
    """The version of `name` that is in use. Raises NotFound."""
    return _plans.get(_current_ids.get(name))


def find_rule_set_by_id(version_id: int) -> RuleSetPlan:
    """One version by its id, in use or not. Raises NotFound."""
    return _plans.get(version_id)


def _read_current_id(name: str) -> int:
    current_id = RuleSet.objects.filter(name=name).values_list("current_id", flat=True).first()
    if current_id is None:
        raise NotFound(f"There is no rule set '{name}'.")
    return current_id


def _read_plan(version_id: int) -> RuleSetPlan:
    version = RuleSetVersion.objects.select_related("rule_set").filter(pk=version_id).first()
    if version is None:
        raise NotFound(f"There is no rule set version with the id {version_id}.")
    return RuleSetPlan(
        version_id=version.pk,
        name=version.rule_set.name,
        number=version.number,
        engine=compile_rules(parse_decision_table(version.definition)),
    )


_current_ids: Snapshots[str, int] = Snapshots(_read_current_id, seconds=1.0)
_plans: Snapshots[int, RuleSetPlan] = Snapshots(_read_plan, seconds=3600.0)  # a version never changes
