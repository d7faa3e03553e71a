"""Boosts: rules that move recommended items, written by those who run campaigns, and read by a scenario.

A boost is a rule set that sees one item of the catalogue (`item.category`, `item.price`, ...) and gives a number,
`factor`: 2 ranks an item as if it stood at half its place (the sixth counts as the third), 0.5 as if it stood at twice
its place, 0 takes it off the list, 1 leaves it alone. Places, not scores, since the scores of different models have
nothing in common. An item that the rules cannot judge, for want of a price or for a factor below 0, keeps its place,
and the answer says why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inferhub.catalog.queries import describe_items
from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.describe import describe, listed, pointer
from inferhub.rules.look import TIME_FIELDS
from inferhub.rules.rule_set import RuleSet, known_facts
from inferhub.rulesets.models import RuleSet as StoredRuleSet
from inferhub.rulesets.queries import RuleSetPlan, find_rule_set
from inferhub.rulesets.reading import look_around, read_rules

FACTOR = "factor"
FIELDS = ("item.item_id", "item.name", "item.category", "item.price")
_DEPTH = 5
_FEWEST = 50

Lists = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Boost:
    """What the rules say of one item: `rule` is the note of the row, `problem` why no row could say anything."""

    factor: float
    rule: str = ""
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        known: dict[str, Any] = {"factor": self.factor, "rule": self.rule}
        return known | {"problem": self.problem} if self.problem else known


def candidates(k: int, *, most: int) -> int:
    """How many items the model is asked for, so that one from behind can move up into the first `k`."""
    return min(max(_DEPTH * k, _FEWEST), most)


def find_boosts(name: str) -> StoredRuleSet:
    """The rule set `name`, which can serve as boosts. Raises InvalidInput at `/boosts`."""
    found: StoredRuleSet | None = StoredRuleSet.objects.filter(name=name).first()
    current = found.current if found else None
    if found is None or current is None:
        raise _wrong("the name of a rule set that is in force", describe(name))
    _check_rules(read_rules(current.definition))
    return found


def apply_boosts(rule_set: str, lists: Lists, *, k: int) -> Lists:
    """The lists in their new order, at most `k` items each; each item gets `boost`, where a rule moves it or fails to.

    Raises NotFound where the rule set is gone.
    """
    rules = find_rule_set(rule_set)
    ids = sorted({entry["item_id"] for entries in lists.values() for entry in entries})
    known = describe_items(ids)
    boosts = {item_id: _judge(rules, {"item_id": item_id} | known.get(item_id, {})) for item_id in ids}
    return {user_id: _reorder(entries, boosts)[:k] for user_id, entries in lists.items()}


def _reorder(entries: Sequence[dict[str, Any]], boosts: Mapping[str, Boost]) -> list[dict[str, Any]]:
    ranked = [
        (place / boosts[entry["item_id"]].factor, place, entry)
        for place, entry in enumerate(entries, start=1)
        if boosts[entry["item_id"]].factor > 0
    ]
    ranked.sort(key=lambda one: one[:2])
    return [_with_boost(entry, boosts[entry["item_id"]]) for _, _, entry in ranked]


def _with_boost(entry: dict[str, Any], boost: Boost) -> dict[str, Any]:
    return entry if boost.factor == 1 and not boost.problem else entry | {"boost": boost.to_dict()}


def _judge(rules: RuleSetPlan, item: Mapping[str, Any]) -> Boost:
    look = look_around(rules.engine)
    result = rules.engine.evaluate({"item": item}, look=look(0) if look else None)
    if result.undecided:
        return Boost(factor=1, problem=result.undecided[0].sentence)
    factor = result.outputs.get(FACTOR)
    if isinstance(factor, bool) or not isinstance(factor, int | float) or factor < 0:
        return Boost(factor=1, problem=f"Expected a factor of 0 or more from the rules, got {describe(factor)}.")
    return Boost(factor=factor, rule=result.matched[0].note if result.matched else "")


def _check_rules(rules: RuleSet) -> None:
    table = rules.last
    if table.hit_policy == "collect":
        raise _wrong("a rule set of the hit policy first or unique", "one of the hit policy collect")
    if not any(column.field == FACTOR and column.kind == "number" for column in table.outputs):
        raise _wrong(f"a rule set with a number named {FACTOR} among its outputs", "one without")
    unknown = sorted(_asked(rules) - {*FIELDS, *TIME_FIELDS})
    if unknown:
        raise _wrong(f"a rule set that looks at {listed(FIELDS)} only", f"one that looks at {listed(unknown)}")


def _asked(rules: RuleSet) -> set[str]:
    """The fields that its tables, and those of other rule sets in it, look at and that no earlier table says."""
    asked = set[str]()
    for at, step in enumerate(rules.steps):
        if isinstance(step.rules, RuleSet):
            asked |= _asked(step.rules)
            continue
        columns = step.rules.inputs
        used = {name for column in columns for name in (column.formula.fields if column.formula else (column.field,))}
        asked |= used - set(known_facts(rules, at))
    return asked


def _wrong(expected: str, got: str) -> InvalidInput:
    return InvalidInput(errors=[FieldError(pointer=pointer("boosts"), expected=expected, got=got)])
