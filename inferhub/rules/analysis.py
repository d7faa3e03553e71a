"""What is odd about a decision table: rows that cannot decide, rows that overlap, and what only the else row decides.

Rows are boxes of atoms (`inferhub.rules.atoms`), so the answers are exact and come with facts that show them. Two
limits: of more than eight different text patterns in a column only pairs are combined, and a table whose rows overlap
in too many ways is told to be undetermined rather than waited for.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import islice
from operator import and_
from typing import Any

import numpy as np

from inferhub.rules.atoms import Atoms
from inferhub.rules.conditions import Condition
from inferhub.rules.lists import ListedText
from inferhub.rules.reach import Box, explore
from inferhub.rules.rule_set import RuleSet, known_facts, tables_of
from inferhub.rules.table import DecisionTable, Rule

_MOST_FINDINGS = 100  # of one kind
_BRACKETS = re.compile(r"\[[^\]]*\]")
_COMMA = re.compile(r"[\d.]*\d,\d[\d.]*", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One oddity.

    `kind` is comma, dead_row, overlap, gap or undetermined. `severity` is error where the table cannot do what it says,
    warning where a row is useless or may be read otherwise, and info. `rows` are indices into the rules, the row
    concerned first; `example` holds facts by input field that show it.
    """

    kind: str
    severity: str
    rows: tuple[int, ...]
    message: str
    example: dict[str, Any] | None = None


def analyse_table(table: DecisionTable, domains: Mapping[str, Condition] | None = None) -> tuple[Finding, ...]:
    """All findings about `table`, by kind and row; at most 100 of a kind.

    - comma: 12,50 is 12 or 50, where many people read one number; with a blank behind the comma nobody does.
    - dead_row: for `first`, earlier rows take all that the row could; for `collect`, an earlier row is the same.
    - overlap: for `unique`, facts that two rows match, which decide nothing (where they ask a computed input, only
      perhaps); for `first`, facts that an earlier row takes from a later one with other results (often meant so).
    - gap: facts that only the else row decides, or none does.

    `domains` holds by field all values that it can have, where that is known.
    """
    analysis = _Analysis(table, domains or {})
    return (*islice(_commas(table), _MOST_FINDINGS), *analysis.dead_rows(), *analysis.overlaps(), *analysis.gaps())


def analyse_rule_set(rule_set: RuleSet) -> tuple[tuple[str, str, Finding], ...]:
    """The findings about each table that the definition holds: its place in it, its name, and the finding.

    What earlier tables can say is known to the later ones.
    """
    found = []
    for place, step, table in tables_of(rule_set):
        known = known_facts(rule_set, rule_set.steps.index(step))
        domains = {field: fact.domain for field, fact in known.items() if fact.domain is not None}
        found += [(place, step.name, finding) for finding in analyse_table(table, domains)]
    return tuple(found)


class _Analysis:
    def __init__(self, table: DecisionTable, domains: Mapping[str, Condition]) -> None:
        self._table = table
        self._places = _places(table)
        self._atoms = [
            Atoms(
                table.inputs[places[0]],
                [rule.conditions[at] for rule in table.rules for at in places],
                domains.get(field),
            )
            for field, places in self._places.items()
        ]
        self._boxes: list[Box] = [self._box(rule) for rule in table.rules]
        self._has_else = table.hit_policy != "collect"
        self._reach = explore(
            self._boxes,
            [atoms.everything for atoms in self._atoms],
            has_else=self._has_else,
            wants_rows=table.hit_policy == "first",
        )
        self._hulls = np.array([[_hull(bits) for bits in box] for box in self._boxes])
        self._dead: set[int] = set()

    def _box(self, rule: Rule) -> Box:
        """A side for each field, however many columns ask it."""
        return tuple(
            reduce(and_, [atoms.bits(rule.conditions[at]) for at in places])
            for places, atoms in zip(self._places.values(), self._atoms, strict=True)
        )

    def dead_rows(self) -> Iterator[Finding]:
        """Rows that earlier ones leave nothing to; in a `unique` table that is an overlap."""
        for index, field in self._impossible_rows():
            if len(self._dead) < _MOST_FINDINGS:
                self._dead.add(index)
                message = f"Row {index + 1} can never decide: {field} never has such a value."
                yield Finding(kind="dead_row", severity="warning", rows=(index,), message=message)
        for index, rows in self._dead_by_row():
            if len(self._dead) < _MOST_FINDINGS and index not in self._dead:
                self._dead.add(index)
                verb = "can never decide: all facts that it matches are taken by" if self._has_else else "repeats"
                message = f"Row {index + 1} {verb} {_names(rows)}."
                severity = "info" if self._table.rules[index].is_else else "warning"
                yield Finding(kind="dead_row", severity=severity, rows=(index, *rows), message=message)

    def _impossible_rows(self) -> Iterator[tuple[int, str]]:
        """Rows with a condition that nothing that an earlier table says can meet, or two that exclude each other."""
        for index, box in enumerate(self._boxes):
            for field, bits in zip(self._places, box, strict=True):
                if not bits:
                    yield index, field
                    break

    def _dead_by_row(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Dead rows, each with the rows that make it so."""
        if self._table.hit_policy == "collect":
            yield from self._repeated_rows()
        elif self._table.hit_policy == "first" and self._reach is not None:
            for index in range(len(self._boxes)):
                if not self._reach.rows >> index & 1:
                    yield index, self._neighbours(index)

    def _repeated_rows(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        seen: dict[object, int] = {}
        for index, (box, rule) in enumerate(zip(self._boxes, self._table.rules, strict=True)):
            first = seen.setdefault((box, rule.results), index)
            if first != index:
                yield index, (first,)

    def overlaps(self) -> Iterator[Finding]:
        """Pairs of rows that share facts, where that matters; the else row shares all and is left out."""
        if self._table.hit_policy != "collect":
            yield from islice(self._overlaps(is_unique=self._table.hit_policy == "unique"), _MOST_FINDINGS)

    def _overlaps(self, *, is_unique: bool) -> Iterator[Finding]:
        rules = self._table.rules
        for index in range(len(rules) - 1):
            if index not in self._dead and all(self._boxes[index]):
                for other in self._neighbours(index):
                    if is_unique or rules[index].results != rules[other].results:
                        yield self._overlap(index, other, is_unique=is_unique)

    def gaps(self) -> Iterator[Finding]:
        if self._reach is None:
            message = "The rows overlap in too many ways to find out which can decide, and which facts none matches."
            yield Finding(kind="undetermined", severity="info", rows=(), message=message)
            return
        last = len(self._boxes) - 1
        who = f"only the else row {last + 1} decides" if self._has_else else "no row matches"
        for box in sorted(self._reach.gaps, key=_size, reverse=True):
            example = self._example(box)
            message = f"There are facts that {who}, such as {_sentence(example)}."
            rows = (last,) if self._has_else else ()
            yield Finding(kind="gap", severity="info", rows=rows, message=message, example=example)

    def _neighbours(self, index: int) -> tuple[int, ...]:
        """Earlier rows with which this one shares facts."""
        low, high = self._hulls[index, :, 0], self._hulls[index, :, 1]
        earlier = self._hulls[:index]
        close = np.flatnonzero(((earlier[:, :, 0] <= high) & (earlier[:, :, 1] >= low)).all(axis=1))
        return tuple(int(other) for other in close if _meet(self._boxes[other], self._boxes[index]) is not None)

    def _overlap(self, index: int, other: int, *, is_unique: bool) -> Finding:
        shared = _meet(self._boxes[other], self._boxes[index])
        example = self._example(shared) if shared else {}
        fate = "which then decides nothing" if is_unique else f"where row {other + 1} comes first"
        message = f"Rows {other + 1} and {index + 1} both match facts such as {_sentence(example)}, {fate}."
        severity = "error" if is_unique else "info"
        computed = self._computed_of(index, other) if is_unique else ()
        if computed:
            severity = "warning"
            message = (
                f"Rows {other + 1} and {index + 1} both match, and decide nothing, where facts such as "
                f"{_sentence(example)} can be: {', '.join(computed)} is computed of others, which is not looked into."
            )
        return Finding(kind="overlap", severity=severity, rows=(index, other), message=message, example=example)

    def _computed_of(self, *rows: int) -> tuple[str, ...]:
        """Computed inputs that these rows ask: which values of theirs go with which other facts is not known."""
        return tuple(
            field
            for at, (field, places) in enumerate(self._places.items())
            if self._table.inputs[places[0]].formula
            and any(self._boxes[row][at] != self._atoms[at].everything for row in rows)
        )

    def _example(self, box: Box) -> dict[str, Any]:
        return {field: atoms.example(bits) for field, atoms, bits in zip(self._places, self._atoms, box, strict=True)}


def _commas(table: DecisionTable) -> Iterator[Finding]:
    for index, rule in enumerate(table.rules):
        for column, cell in zip(table.inputs, rule.when, strict=True):
            read = _COMMA.search(_BRACKETS.sub("", cell)) if column.kind == "number" else None
            if read:
                left, right = read[0].split(",")
                message = (
                    f"Row {index + 1} takes '{read[0]}' of {column.field} for {left} or {right}: decimals have a point."
                )
                yield Finding(kind="comma", severity="warning", rows=(index,), message=message)


def _places(table: DecisionTable) -> dict[str, list[int]]:
    """The columns of each field."""
    places: dict[str, list[int]] = {}
    for at, column in enumerate(table.inputs):
        places.setdefault(column.field, []).append(at)
    return places


def _hull(bits: int) -> tuple[int, int]:
    """The lowest and the highest atom."""
    return (bits & -bits).bit_length(), bits.bit_length()


def _meet(left: Box, right: Box) -> Box | None:
    shared = tuple(a & b for a, b in zip(left, right, strict=True))
    return shared if all(shared) else None


def _size(box: Box) -> float:
    return float(np.prod([bits.bit_count() for bits in box], dtype=float))


def _names(rows: Sequence[int]) -> str:
    shown = ", ".join(str(row + 1) for row in rows[:5])  # people count from one
    return f"row{'s' if len(rows) > 1 else ''} {shown}" + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")


def _sentence(example: dict[str, Any]) -> str:
    return ", ".join(f"{field} = {_written(value)}{_lists(value)}" for field, value in example.items())


def _written(value: Any) -> str:
    if value is None:
        return "null"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else repr(value)


def _lists(value: Any) -> str:
    return f" (in list {', '.join(sorted(value.lists))})" if isinstance(value, ListedText) else ""
