"""Rule sets: decision tables in sequence, each of which sees what the earlier ones say.

    {"time_zone": "Europe/Berlin",
     "tables": [{"name": "risk", "hit_policy": "collect", "inputs": [...], "outputs": [...], "rules": [...]},
                {"name": "credit", "rule_set": "credit-check", "version": 3},
                {"name": "outcome", "hit_policy": "first", "inputs": [{"field": "risk.points", ...}], ...}]}

The outputs of a table are facts for later ones, under its name; the last table answers. An entry may be a version of
another rule set instead, which sees the facts of the request alone; since it names a version that is there already,
there are no cycles. `time_zone` is where `time.hour` and its like are read, UTC where nothing is said. A definition
that is one decision table (`inferhub.rules.table`) is a rule set too.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from inferhub.errors import FieldError, InvalidDefinition, NotFound
from inferhub.lib.describe import describe, listed, pointer
from inferhub.lib.slug import is_slug
from inferhub.rules.aggregates import aggregated_kind, may_be_null
from inferhub.rules.conditions import BooleanCondition, Condition, NumberCondition, TextCondition
from inferhub.rules.expressions import Literal, field_kind
from inferhub.rules.look import is_zone
from inferhub.rules.spans import union
from inferhub.rules.table import DecisionTable, InputColumn, asked_lists, parse_decision_table
from inferhub.rules.tokens import RESERVED

MOST_TABLES = 30
LONGEST_NAME = 30  # a sheet of a spreadsheet is named after its table

Find = Callable[[str, int], object]
"""The definition of a version of another rule set. Raises NotFound."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TAKEN = RESERVED | {"input", "prediction", "time", "inputs", "outputs", "rules", "tables"}
_DEEPEST = 4
_REFERENCE = {"name": str, "rule_set": str, "version": int}


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One table, or another rule set by its name and version."""

    name: str
    rules: "DecisionTable | RuleSet"
    rule_set: str = ""
    version: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleSet:
    """Steps in their order. `is_single`: the definition is one table, which has no name."""

    steps: tuple[Step, ...]
    zone: str = "UTC"
    is_single: bool = False

    @property
    def last(self) -> DecisionTable:
        """The table that answers."""
        rules = self.steps[-1].rules
        return rules.last if isinstance(rules, RuleSet) else rules

    @property
    def lists(self) -> frozenset[str]:
        """The look-up lists that its rules ask."""
        return frozenset[str]().union(*(step.rules.lists for step in self.steps))

    def to_dict(self) -> dict[str, Any]:
        """The definition; `parse_rule_set` reads it back."""
        if self.is_single:
            return self.last.to_dict()
        zone = {} if self.zone == "UTC" else {"time_zone": self.zone}
        return zone | {"tables": [_entry(step) for step in self.steps]}


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """What is known of an output that later tables see. `domain` holds all values that it can have, where known."""

    kind: str
    is_optional: bool
    domain: Condition | None


def parse_rule_set(definition: object, find: Find | None = None) -> RuleSet:
    """A rule set from its definition. Raises InvalidDefinition with pointers into it.

    `find` gives the definitions of other rule sets; without it none can be named.
    """
    return _parse(definition, find or _nothing, _DEEPEST)


def is_sequence(definition: object) -> bool:
    """Whether a definition has the form with several tables."""
    return isinstance(definition, dict) and "tables" in definition


def tables_of(rule_set: RuleSet) -> Iterator[tuple[str, Step, DecisionTable]]:
    """The tables that the definition itself holds, each with its place in it (a JSON pointer)."""
    for at, step in enumerate(rule_set.steps):
        if isinstance(step.rules, DecisionTable):
            yield "" if rule_set.is_single else pointer("tables", at), step, step.rules


def lists_asked(rule_set: RuleSet) -> Iterator[tuple[str, str]]:
    """The look-up lists that the definition itself names, each with the pointer of what asks it."""
    for place, _, table in tables_of(rule_set):
        for where, name in asked_lists(table):
            yield place + where, name


def known_facts(rule_set: RuleSet, before: int) -> dict[str, Fact]:
    """What the steps before this one say, by field (`risk.points`)."""
    return {
        f"{step.name}.{field}": fact
        for step in rule_set.steps[:before]
        for field, fact in _facts_of(step.rules).items()
    }


def _parse(definition: object, find: Find, depth: int) -> RuleSet:
    if not isinstance(definition, dict) or not is_sequence(definition):
        return RuleSet(steps=(Step(name="", rules=parse_decision_table(definition)),), is_single=True)
    entries, zone = _head(definition)
    errors: list[FieldError] = []
    steps: list[Step] = []
    for at, entry in enumerate(entries):
        step, wrong = _step(entry, [step.name for step in steps], find, depth)
        errors += [_placed(error, pointer("tables", at)) for error in wrong]
        steps += [step] if step else []
    if errors:
        raise InvalidDefinition(errors=errors[:100])
    rule_set = RuleSet(steps=tuple(steps), zone=zone)
    errors = [error for at in range(len(steps)) for error in _check_fields(rule_set, at)]
    if errors:
        raise InvalidDefinition(errors=errors[:100])
    return rule_set


def _head(definition: Mapping[str, Any]) -> tuple[list[Any], str]:
    errors = [
        FieldError(pointer=pointer(str(key)), expected="one of the keys tables and time_zone", got="an unknown key")
        for key in definition
        if key not in ("tables", "time_zone")
    ]
    entries, zone = definition["tables"], definition.get("time_zone", "UTC")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_TABLES:
        expected = f"a list of 1 to {MOST_TABLES} tables"
        errors.append(FieldError(pointer="/tables", expected=expected, got=describe(entries)))
    if not isinstance(zone, str) or not is_zone(zone):
        expected = "a time zone such as Europe/Berlin"
        errors.append(FieldError(pointer="/time_zone", expected=expected, got=describe(zone)))
    if errors:
        raise InvalidDefinition(errors=errors)
    return entries, zone


def _step(entry: object, names: Sequence[str], find: Find, depth: int) -> tuple[Step | None, list[FieldError]]:
    """A step, or what is wrong with it (pointers into its entry)."""
    if not isinstance(entry, dict):
        return None, [FieldError(pointer="", expected="a table, or a version of a rule set", got=describe(entry))]
    errors = _name_errors(entry.get("name"), names)
    name = str(entry.get("name"))
    try:
        if "rule_set" in entry:
            rules: DecisionTable | RuleSet = _referred(entry, find, depth)
            step = Step(name=name, rules=rules, rule_set=entry["rule_set"], version=entry["version"])
        else:
            rules = parse_decision_table({key: value for key, value in entry.items() if key != "name"})
            step = Step(name=name, rules=rules)
    except InvalidDefinition as exc:
        return None, errors + list(exc.errors)
    return step, errors


def _name_errors(name: object, names: Sequence[str]) -> list[FieldError]:
    is_name = isinstance(name, str) and len(name) <= LONGEST_NAME and _NAME.fullmatch(name) is not None
    if not is_name or name in _TAKEN or name in names:
        expected = (
            f"a name of its own: a-z, 0-9 and _, at most {LONGEST_NAME} characters, none of {listed(sorted(_TAKEN))}"
        )
        return [FieldError(pointer="/name", expected=expected, got=describe(name))]
    return []


def _referred(entry: Mapping[str, Any], find: Find, depth: int) -> RuleSet:
    errors = [
        FieldError(
            pointer=pointer(str(key)), expected=f"the keys {listed(_REFERENCE)} alone", got=describe(entry.get(key))
        )
        for key in {**_REFERENCE, **entry}
        if key not in _REFERENCE or type(entry.get(key)) is not _REFERENCE[key]
    ]
    if errors:
        raise InvalidDefinition(errors=errors)
    where = "/rule_set" if not is_slug(entry["rule_set"]) else "/version"
    if depth == 0:
        raise _error("/rule_set", f"rule sets within rule sets to the depth of {_DEEPEST}", "a deeper one")
    try:
        rule_set = _parse(find(entry["rule_set"], entry["version"]), find, depth - 1)
    except NotFound as exc:
        raise _error(where, "a version of a rule set that is there", str(exc)) from exc
    if _answers_many(rule_set.last):
        raise _error("/rule_set", "a rule set that gives one answer", "one whose last table collects")
    return rule_set


def _check_fields(rule_set: RuleSet, at: int) -> Iterator[FieldError]:
    """What a table reads of other tables must be said by an earlier one, and have its type."""
    step, known = rule_set.steps[at], known_facts(rule_set, at)
    if at < len(rule_set.steps) - 1 and isinstance(step.rules, DecisionTable) and _answers_many(step.rules):
        expected = "an aggregate for each output, as later tables need one value"
        yield FieldError(pointer=pointer("tables", at, "outputs"), expected=expected, got="none")
    if isinstance(step.rules, RuleSet):
        return
    names = {step.name for step in rule_set.steps}
    for place, column in enumerate(step.rules.inputs):
        where = pointer("tables", at, "inputs", place)
        for field, kind in _reads(column).items():
            if field.partition(".")[0] in names:
                yield from _field_errors(where, column, field, kind, known)


def _field_errors(
    where: str, column: InputColumn, field: str, kind: str, known: Mapping[str, Fact]
) -> Iterator[FieldError]:
    key = "/expression" if column.formula else "/field"
    fact = known.get(field)
    if fact is None:
        expected = f"an output of an earlier table: {listed(known) or 'there is none'}"
        yield FieldError(pointer=where + key, expected=expected, got=describe(field))
    elif fact.kind != kind:
        place = where + (key if column.formula else "/type")
        yield FieldError(pointer=place, expected=f"{fact.kind}, which {field} is", got=describe(kind))
    elif fact.is_optional and not column.is_optional:
        yield FieldError(pointer=where, expected=f"is_optional, as {field} can be null", got="a column that is not")


def _reads(column: InputColumn) -> dict[str, str]:
    if column.formula is None:
        return {column.field: column.kind}
    return dict.fromkeys(column.formula.fields, field_kind(column.formula))


def _answers_many(table: DecisionTable) -> bool:
    return table.hit_policy == "collect" and not table.has_aggregates


def _facts_of(rules: DecisionTable | RuleSet) -> dict[str, Fact]:
    table = rules.last if isinstance(rules, RuleSet) else rules
    return {column.field: _fact(table, place) for place, column in enumerate(table.outputs)}


def _fact(table: DecisionTable, place: int) -> Fact:
    column = table.outputs[place]
    if column.aggregate:
        kind = aggregated_kind(column.aggregate, column.kind)
        return Fact(kind=kind, is_optional=may_be_null(column.aggregate), domain=None)
    literals = [rule.results[place].value for rule in table.rules if isinstance(rule.results[place], Literal)]  # type: ignore[union-attr]
    return Fact(
        kind=column.kind,
        is_optional=None in literals,
        domain=_domain(column.kind, literals) if len(literals) == len(table.rules) else None,
    )


def _domain(kind: str, values: Sequence[Any]) -> Condition:
    """The set of exactly these values."""
    takes_null, known = None in values, {value for value in values if value is not None}
    if kind == "string":
        return TextCondition(frozenset(known), takes_null=takes_null)
    if kind == "boolean":
        return BooleanCondition(frozenset(known), takes_null=takes_null)
    return NumberCondition(union(((float(value), 0), (float(value), 1)) for value in known), takes_null=takes_null)


def _entry(step: Step) -> dict[str, Any]:
    if isinstance(step.rules, RuleSet):
        return {"name": step.name, "rule_set": step.rule_set, "version": step.version}
    return {"name": step.name} | step.rules.to_dict()


def _placed(error: FieldError, place: str) -> FieldError:
    return replace(error, pointer=place + error.pointer)


def _nothing(name: str, version: int) -> object:
    raise NotFound(f"There is no version {version} of a rule set '{name}' here.")


def _error(where: str, expected: str, got: str) -> InvalidDefinition:
    return InvalidDefinition(errors=[FieldError(pointer=where, expected=expected, got=got)])
