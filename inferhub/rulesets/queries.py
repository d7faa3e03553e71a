"""The rule sets in use, compiled once per version."""

from dataclasses import dataclass

from inferhub.errors import NotFound
from inferhub.lib.snapshots import Snapshots
from inferhub.rules.rule_set import RuleSet as Rules
from inferhub.rules.rule_set_engine import Engine, compile_rule_set
from inferhub.rulesets.models import RuleSet, RuleSetVersion
from inferhub.rulesets.reading import read_rules


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


def _read_current_id(name: str) -> int:
    current_id = RuleSet.objects.filter(name=name).values_list("current_id", flat=True).first()
    if current_id is None:
        raise NotFound(f"There is no rule set '{name}'.")
    return current_id


def _read_plan(version_id: int) -> RuleSetPlan:
    version = RuleSetVersion.objects.select_related("rule_set").get(pk=version_id)
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
