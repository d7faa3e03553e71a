"""Evaluating one decision table: zen-engine finds the rows, behind an adapter in which nothing falls silently.

- What is kept is checked by our own reading of the cells. Should it find other rows than zen, nothing is decided: a
  person looks. The same reading says of each row why it does not match, at once or later (`RuleEngine.explain`).
- Every declared field is checked first (`inferhub.rules.facts`); a bad one is a named result, never an else row.
- Facts go to zen as JSON text. From a Python float it keeps 15 to 16 digits and a boundary value may change sides; a
  number in a text it reads exactly.
- One engine a table, with the static loader: everything else in zen's API builds a runtime on each call, and its batch
  and async calls hang for ever in a forked child.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple, Protocol

import orjson
import zen

from inferhub.errors import FieldError, InvalidDefinition
from inferhub.lib.describe import pointer
from inferhub.rules.aggregates import combine
from inferhub.rules.conditions import Condition, Matcher, TextCondition, list_key
from inferhub.rules.expressions import Literal
from inferhub.rules.facts import FactReader, Facts, LookingFactReader, Value
from inferhub.rules.jdm import matching_document
from inferhub.rules.lists import is_on
from inferhub.rules.look import Look
from inferhub.rules.table import DecisionTable, Rule
from inferhub.rules.tokens import CellError

Outputs = dict[str, Any]

_KEY = "table"
# zen keeps 28 decimals and ends at 7.9e28, JSON's whole numbers at 2^64. A cell has at most 12 decimals and stays below
# 1e15, so a number outside these two compares like the nearer of them.
_NEAREST = 1e-20
_FARTHEST = 1e18


@dataclass(frozen=True, kw_only=True, slots=True)
class MatchedRule:
    """A row that decided: its index in the definition's `rules`, from 0, and its note."""

    index: int
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """Why not: the first cell that kept a row from matching."""

    index: int
    field: str
    condition: str


class Trace(Protocol):
    """Why rules said what they said."""

    @property
    def values(self) -> Mapping[str, Value]: ...
    @property
    def rejections(self) -> tuple[Rejection, ...]: ...
    @property
    def overruled(self) -> tuple[int, ...]: ...
    def to_dict(self) -> dict[str, Any]: ...


class RuleTrace(NamedTuple):
    """What the rules saw, and how each row came out.

    `values` are the fields as the rules saw them, `rejections` one for each row that does not match, `overruled` the
    rows that match too and were not asked: an earlier one was first, or they are the else row. Where it is not
    `is_whole` the values are all that it tells; the rest follows from them (`RuleEngine.explain`).
    """

    values: Mapping[str, Value]
    rejections: tuple[Rejection, ...] = ()
    overruled: tuple[int, ...] = ()
    is_whole: bool = False

    def to_dict(self) -> dict[str, Any]:
        values = self.values
        if not self.is_whole:
            return {"values": dict(values)}
        return {
            "values": dict(values),
            "rejections": [
                {"index": one.index, "field": one.field, "condition": one.condition, "got": values[one.field]}
                for one in self.rejections
            ],
            "overruled": list(self.overruled),
        }


class RuleResult(NamedTuple):
    """What the rules say of one set of facts.

    Where `undecided` holds errors no row decided: facts are missing or mistyped (pointers into the facts), two rows of
    a `unique` table match, or a result cannot be computed (pointers into the definition).
    """

    decided: tuple[Mapping[str, Any], ...] = ()
    matched: tuple[MatchedRule, ...] = ()
    undecided: tuple[FieldError, ...] = ()
    trace: Trace | None = None

    @property
    def is_decided(self) -> bool:
        return not self.undecided

    @property
    def rows(self) -> tuple[Outputs, ...]:
        """Copies of the outputs of the matched rows, in the order of the table: one for `first` and `unique`."""
        return tuple([dict(row) for row in self.decided])

    @property
    def outputs(self) -> Outputs:
        """A copy of the outputs of the row that decided; empty where none did."""
        return dict(self.decided[0]) if self.decided else {}


def compile_rules(table: DecisionTable, *, zone: str = "UTC") -> "RuleEngine":
    """An engine for `table`, to be kept: building takes milliseconds, evaluating microseconds.

    `zone` is the time zone in which its fields of the time are read.
    """
    return LookingRuleEngine(table, zone=zone) if table.lists or table.uses_time else RuleEngine(table)


@dataclass(frozen=True, kw_only=True, slots=True)
class _CompiledRow:
    """`constant` and `ready` hold outputs and answer where no cell needs computing.

    `tests` has a column, its test and the refusal to report for each condition.
    """

    rule: Rule
    match: MatchedRule
    constant: Outputs | None
    ready: RuleResult | None
    tests: tuple[tuple[int, Matcher, Rejection], ...]


class RuleEngine:
    """Evaluates one decision table. Threads may share it; a forked child may use its parent's."""

    needs_look = False
    lists: frozenset[str] = frozenset()

    def __init__(self, table: DecisionTable) -> None:
        self.table = table
        self._reader = FactReader(table.inputs)
        self._names = [column.field for column in table.inputs]
        self._keys = [f"c{at}" for at in range(len(table.inputs))]
        numeric = [column.kind == "number" for column in table.inputs]
        self._number_keys = [key for key, is_number in zip(self._keys, numeric, strict=True) if is_number]
        self._day_names = [column.field for column in table.inputs if column.kind == "date"]
        self._text_places = [at for at, column in enumerate(table.inputs) if column.kind == "string"]
        self._rows = [_compile_row(table, index) for index in range(len(table.rules))]
        self._tests = [row.tests for row in self._rows]
        self._is_first = table.hit_policy == "first"
        self._has_aggregates = table.has_aggregates
        self._zen = _engine(table)

    def evaluate(
        self, facts: Facts, *, trace: bool = False, check: bool = False, look: Look | None = None
    ) -> RuleResult:
        """Decide one set of facts (nested mappings). What they hold raises nothing: see `RuleResult.undecided`.

        `check` has our own reading find the same rows, and traces what the rules saw; `trace` does so, and tells of
        each row why it does not match. Rules that ask for the time or for lists (`needs_look`) need a look, which
        remembers what they saw.
        """
        values, errors = self._reader.read(facts, look)
        if errors:
            return RuleResult(undecided=errors)
        try:
            context = orjson.dumps(self._context(values))
        except orjson.JSONEncodeError:
            return RuleResult(undecided=self._text_errors(values))
        found = self._zen.evaluate(_KEY, context)["result"]
        matching = [int(found["row"])] if self._is_first else [int(row["row"]) for row in found]
        hits = matching if self._is_first else self._hits(matching)
        if not trace and not check:
            return self._result(hits, values, None)
        if not trace and self._read(values) == matching:
            return self._result(hits, values, RuleTrace(self._named(values)))
        rejections, read = self._explain(values)
        overruled = tuple([index for index in read if index not in hits]) if len(hits) < len(read) else ()
        explanation = RuleTrace(self._named(values), rejections, overruled, is_whole=True)
        if (read[:1] if self._is_first else read) != matching:
            return RuleResult(undecided=(_disagreement(matching, read),), trace=explanation)
        return self._result(hits, values, explanation)

    def explain(self, told: Mapping[str, Any], look: Look | None = None) -> dict[str, Any]:
        """What is left out of a trace that `check` made: how each row came out, from the values that it tells.

        `told` is its dict; `look` tells what lists said. Nothing where it has no values, or nothing was left out.
        """
        if "values" not in told or "rejections" in told:
            return {}
        rejections, read = self._explain(self._reader.reread(told["values"], look))
        hits = self._hits(read)
        overruled = tuple([index for index in read if index not in hits])
        return RuleTrace(told["values"], rejections, overruled, is_whole=True).to_dict()

    def _read(self, values: list[Value]) -> list[int]:
        """The rows that match by our own reading; where the first of them decides, that one."""
        matching = []
        for index, tests in enumerate(self._tests):
            for at, matches, _ in tests:
                if not matches(values[at]):
                    break
            else:
                matching.append(index)
                if self._is_first:
                    break
        return matching

    def _explain(self, values: list[Value]) -> tuple[tuple[Rejection, ...], list[int]]:
        """Why rows do not match, and which do, by our own reading."""
        rejections, matching = [], []
        for index, tests in enumerate(self._tests):
            for at, matches, rejection in tests:
                if not matches(values[at]):
                    rejections.append(rejection)
                    break
            else:
                matching.append(index)
        return tuple(rejections), matching

    def _named(self, values: list[Value]) -> dict[str, Value]:
        """The values by their fields, days as people write them."""
        named = dict(zip(self._names, values, strict=True))
        for name in self._day_names:
            day = named[name]
            named[name] = None if day is None else date.fromordinal(int(day)).isoformat()
        return named

    def _context(self, values: list[Value]) -> dict[str, Any]:
        context: dict[str, Any] = dict(zip(self._keys, values))  # noqa: B905 - as many; to ask costs half as much again
        for key in self._number_keys:
            value = context[key]
            if value and not _NEAREST <= value <= _FARTHEST:
                context[key] = _comparable(value)
        return context

    def _hits(self, matching: list[int]) -> list[int]:
        """Which of the rows that match are asked."""
        if self._is_first:
            return matching[:1]
        is_else_besides = self.table.hit_policy == "unique" and len(matching) > 1
        return matching[:-1] if is_else_besides else matching

    def _result(self, hits: list[int], values: list[Value], explanation: RuleTrace | None) -> RuleResult:
        if len(hits) == 1 and (ready := self._rows[hits[0]].ready):
            return ready if explanation is None else RuleResult(ready.decided, ready.matched, (), explanation)
        if len(hits) > 1 and self.table.hit_policy == "unique":
            return RuleResult(undecided=(_several(hits),), trace=explanation)
        matched = [self._rows[index] for index in hits]
        errors: list[FieldError] = []
        outputs = tuple([row.constant or self._compute(row, values, errors) for row in matched])
        if self._has_aggregates and not errors:
            outputs = (self._combine(outputs, errors),)
        if errors:
            return RuleResult(undecided=tuple(errors), trace=explanation)
        return RuleResult(decided=outputs, matched=tuple([row.match for row in matched]), trace=explanation)

    def _compute(self, row: _CompiledRow, values: list[Value], errors: list[FieldError]) -> Outputs:
        by_name = dict(zip(self._names, values, strict=True))
        outputs: Outputs = {}
        for at, (column, result) in enumerate(zip(self.table.outputs, row.rule.results, strict=True)):
            try:
                outputs[column.field] = result.evaluate(by_name)
            except CellError as exc:
                where = pointer("rules", row.match.index, "then", at)
                errors.append(FieldError(pointer=where, expected=exc.expected, got=exc.got))
        return outputs

    def _combine(self, rows: Sequence[Outputs], errors: list[FieldError]) -> Outputs:
        combined, failed = combine_rows(self.table, rows)
        errors += failed
        return combined

    def _text_errors(self, values: list[Value]) -> tuple[FieldError, ...]:
        """Half of a surrogate pair is the one thing that a checked value can hold and JSON cannot."""
        return tuple(
            [
                FieldError(
                    pointer=pointer(*self.table.inputs[at].path),
                    expected="a text of Unicode characters",
                    got="a lone surrogate",
                )
                for at in self._text_places
                if isinstance(text := values[at], str) and not text.isascii() and not _is_unicode(text)
            ]
        )


def combine_rows(table: DecisionTable, rows: Sequence[Mapping[str, Any]]) -> tuple[Outputs, list[FieldError]]:
    """One answer out of the outputs of all rows that match, and what cannot be combined."""
    combined: Outputs = {}
    errors = []
    for at, column in enumerate(table.outputs):
        try:
            combined[column.field] = combine(column.aggregate, [row[column.field] for row in rows])
        except CellError as exc:
            where = pointer("outputs", at, "aggregate")
            errors.append(FieldError(pointer=where, expected=exc.expected, got=exc.got))
    return combined, errors


class LookingRuleEngine(RuleEngine):
    """Evaluates a table that asks for the time or for look-up lists."""

    needs_look = True

    def __init__(self, table: DecisionTable, *, zone: str) -> None:
        super().__init__(table)
        self.lists = table.lists
        self._reader = LookingFactReader(table, zone=zone)
        self._list_keys = [
            (at, name, list_key(f"c{at}", name))
            for at, column in enumerate(table.inputs)
            for name in sorted({name for rule in table.rules for name in _lists(rule.conditions[at])})
        ]

    def _context(self, values: list[Value]) -> dict[str, Any]:
        context = super()._context(values)
        for at, name, key in self._list_keys:
            context[key] = is_on(values[at], name)
        return context


def _lists(condition: Condition) -> frozenset[str]:
    return condition.lists if isinstance(condition, TextCondition) else frozenset()


def _engine(table: DecisionTable) -> zen.ZenEngine:
    content = {_KEY: matching_document(table)}
    try:
        return zen.ZenEngine({"loader": {"type": "static", "content": content}})
    except (RuntimeError, ValueError) as exc:
        first_line = str(exc).split("\n")[0]  # the rest is a native stack trace
        raise InvalidDefinition(f"The rule engine refuses the table: {first_line}") from None


def _compile_row(table: DecisionTable, index: int) -> _CompiledRow:
    rule = table.rules[index]
    fields = [column.field for column in table.outputs]
    literals = [result.value for result in rule.results if isinstance(result, Literal)]
    constant = dict(zip(fields, literals, strict=True)) if len(literals) == len(fields) else None
    tests = tuple(
        (at, condition.matcher(), Rejection(index=index, field=table.inputs[at].field, condition=rule.when[at]))
        for at, condition in enumerate(rule.conditions)
        if not condition.is_any
    )
    match = MatchedRule(index=index, note=rule.note)
    ready = RuleResult(decided=(constant,), matched=(match,)) if constant and not table.has_aggregates else None
    return _CompiledRow(rule=rule, match=match, constant=constant, ready=ready, tests=tests)


def _comparable(number: float) -> float:
    """Within zen's range, and still on the same side of every number that a cell can hold."""
    size = min(max(abs(number), _NEAREST), _FARTHEST)
    return size if number > 0 else -size


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _disagreement(found: list[int], read: list[int]) -> FieldError:
    """Two ways to read a table that come to different rows: neither is to be believed."""
    expected = f"the rows {found}, which zen finds"
    return FieldError(pointer="/rules", expected=expected, got=f"the rows {read}, which our own reading finds")


def _several(hits: list[int]) -> FieldError:
    rows = " and ".join(str(index) for index in hits)
    return FieldError(pointer="/rules", expected="at most one matching row (hit policy unique)", got=f"the rows {rows}")
