"""Evaluating a rule set: its tables one after another, each seeing what the earlier ones said."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from inferhub.errors import FieldError
from inferhub.lib.describe import pointer
from inferhub.rules.engine import Rejection, RuleResult, compile_rules
from inferhub.rules.facts import Facts, Value
from inferhub.rules.look import Look
from inferhub.rules.rule_set import RuleSet, Step
from inferhub.rules.table import DecisionTable

IN_DEFINITION = ("/rules", "/inputs/", "/outputs/", "/tables/")
"""How pointers into a definition begin, where others point into the facts."""

_LARGEST_EXACT = 2**53


class Engine(Protocol):
    """What evaluates a table or a rule set. `table` is the one that answers."""

    needs_look: bool
    lists: frozenset[str]
    table: DecisionTable

    def evaluate(
        self, facts: Facts, *, trace: bool = False, check: bool = False, look: Look | None = None
    ) -> RuleResult: ...
    def explain(self, told: Mapping[str, Any], look: Look | None = None) -> dict[str, Any]: ...


def compile_rule_set(rule_set: RuleSet) -> Engine:
    """An engine for `rule_set`, to be kept. One that is a single table costs nothing beside the table."""
    if rule_set.is_single:
        return compile_rules(rule_set.last)
    return RuleSetEngine(rule_set)


@dataclass(frozen=True, kw_only=True, slots=True)
class TableTrace:
    """How one table of a sequence came out."""

    step: Step
    result: RuleResult

    def to_dict(self) -> dict[str, Any]:
        reference = {"rule_set": self.step.rule_set, "version": self.step.version} if self.step.rule_set else {}
        return {
            "name": self.step.name,
            **reference,
            "matched": [{"index": rule.index, "note": rule.note} for rule in self.result.matched],
            "outputs": list(self.result.rows) if len(self.result.decided) > 1 else self.result.outputs,
            **(self.result.trace.to_dict() if self.result.trace else {}),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceTrace:
    """How each table came out, as far as it came; `values`, `rejections` and `overruled` are those of the last one."""

    tables: tuple[TableTrace, ...]

    @property
    def values(self) -> Mapping[str, Value]:
        trace = self.tables[-1].result.trace
        return trace.values if trace else {}

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        trace = self.tables[-1].result.trace
        return trace.rejections if trace else ()

    @property
    def overruled(self) -> tuple[int, ...]:
        trace = self.tables[-1].result.trace
        return trace.overruled if trace else ()

    def to_dict(self) -> dict[str, Any]:
        return {"tables": [table.to_dict() for table in self.tables]}


class RuleSetEngine:
    """Evaluates tables in sequence. Threads may share it; a forked child may use its parent's."""

    def __init__(self, rule_set: RuleSet) -> None:
        self._steps = [(step, _compile(step, rule_set.zone)) for step in rule_set.steps]
        self.table = rule_set.last
        self.lists = rule_set.lists
        self.needs_look = any(engine.needs_look for _, engine in self._steps)

    def evaluate(
        self, facts: Facts, *, trace: bool = False, check: bool = False, look: Look | None = None
    ) -> RuleResult:
        """As `RuleEngine.evaluate`: the answer of the last table, or where one is undecided, why (`/tables/0/...`)."""
        seen = dict(facts)
        traced: list[TableTrace] = []
        for at, (step, engine) in enumerate(self._steps):
            result = engine.evaluate(facts if step.rule_set else seen, trace=trace, check=check, look=look)
            if trace or check:
                traced.append(TableTrace(step=step, result=result))
            if result.undecided:
                undecided = tuple([_placed(error, at) for error in result.undecided])
                result = result._replace(undecided=undecided)
                break
            seen[step.name] = {field: _passed(value) for field, value in result.outputs.items()}
        return result._replace(trace=SequenceTrace(tables=tuple(traced)) if traced else None)

    def explain(self, told: Mapping[str, Any], look: Look | None = None) -> dict[str, Any]:
        """As `RuleEngine.explain`, of each table that was asked."""
        tables = zip(told.get("tables", ()), self._steps, strict=False)
        explained = [table | engine.explain(table, look) for table, (_, engine) in tables]
        return {"tables": explained} if explained else {}


def explain_trace(engine: Engine, trace: Mapping[str, Any]) -> dict[str, Any]:
    """A trace that is kept of a decision by `engine`, with how each row of its tables came out.

    Nothing is asked again: it follows from the values and the answers of lists that the trace holds.
    """
    look = Look.recorded(trace["surroundings"]) if "surroundings" in trace else None
    return {**trace, **engine.explain(trace, look)}


def is_explained(trace: Mapping[str, Any]) -> bool:
    """Whether a trace says itself how each row came out, as all did that were kept once."""
    if "tables" in trace:
        return all(map(is_explained, trace["tables"]))
    return "rejections" in trace or "values" not in trace


def _compile(step: Step, zone: str) -> Engine:
    if isinstance(step.rules, RuleSet):
        return compile_rule_set(step.rules)
    return compile_rules(step.rules, zone=zone)


def _passed(value: Any) -> Any:
    """A result as a fact for the next table: whole numbers that no float64 holds become one that it does."""
    return float(value) if type(value) is int and abs(value) > _LARGEST_EXACT else value


def _placed(error: FieldError, at: int) -> FieldError:
    is_in_definition = error.pointer.startswith(IN_DEFINITION)
    return replace(error, pointer=pointer("tables", at) + error.pointer) if is_in_definition else error
