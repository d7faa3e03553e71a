"""A column's values cut into atoms: sets of values between which no cell of the column tells a difference.

Every condition is then a set of atoms, kept as the bits of a whole number, and every atom has a witness: one value that
stands for all of it, and that a person can try.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import combinations, count, pairwise
from typing import Any

from inferhub.rules.conditions import FUNCTIONS, IN_LIST, PATTERNS, Condition, NumberCondition, TextCondition
from inferhub.rules.lists import ListedText
from inferhub.rules.spans import HIGHEST, LOWEST, Span, inclusive_bounds
from inferhub.rules.table import InputColumn

_MOST_COMBINED = 8  # of so many text patterns all combinations are tried, of more only pairs


class Atoms:
    """The atoms of one column, as far as `conditions` tell its values apart.

    `domain` holds all values that it can have, where that is known: the others are in no atom of a condition.
    """

    def __init__(self, column: InputColumn, conditions: Iterable[Condition], domain: Condition | None = None) -> None:
        self._is_date = column.kind == "date"
        different = dict.fromkeys([*conditions, *([domain] if domain else [])])
        self._values = _witnesses(column.kind, different)
        self._places: dict[Any, int] = {}  # the bits of a value: a text on a list and off it are two atoms
        for at, value in enumerate(self._values):
            self._places[value] = self._places.get(value, 0) | 1 << at
        self._null_bit = 1 << len(self._values) if column.is_optional else 0
        self.everything = (1 << len(self._values)) - 1 | self._null_bit
        self._bits = {condition: self._read(condition) for condition in different}
        if domain is not None:
            self.everything &= self._bits[domain]
            self._bits = {condition: bits & self.everything for condition, bits in self._bits.items()}

    def bits(self, condition: Condition) -> int:
        """The atoms that `condition`, one of those given, accepts."""
        return self._bits[condition]

    def example(self, bits: int) -> Any:
        """A value out of the lowest of these atoms; days as texts."""
        at = (bits & -bits).bit_length() - 1
        if at == len(self._values):
            return None
        value = self._values[at]
        return date.fromordinal(int(value)).isoformat() if self._is_date else value

    def _read(self, condition: Condition) -> int:
        null = self._null_bit if condition.takes_null else 0
        match condition:
            case NumberCondition():
                return null | sum(self._span_bits(span) for span in condition.spans)
            case TextCondition() if not condition.patterns:
                named = sum(self._places[value] for value in condition.values)
                return null | (self.everything & ~self._null_bit & ~named if condition.is_negated else named)
            case _:
                matches = condition.matcher()
                return null | sum(1 << at for at, value in enumerate(self._values) if matches(value))

    def _span_bits(self, span: Span) -> int:
        low, high = inclusive_bounds(span)
        first, end = bisect_left(self._values, low), bisect_right(self._values, high)
        return (1 << end) - (1 << first)


def _witnesses(kind: str, conditions: Iterable[Condition]) -> list[Any]:
    """A value of each atom but null, numbers in ascending order."""
    if kind == "boolean":
        return [False, True]
    if kind == "string":
        return _texts([condition for condition in conditions if isinstance(condition, TextCondition)])
    choose = _day_in if kind == "date" else _number_in
    spans = [span for condition in conditions if isinstance(condition, NumberCondition) for span in condition.spans]
    cuts = sorted({LOWEST, HIGHEST, *(cut for span in spans for cut in span)})
    return [value for span in pairwise(cuts) if (value := choose(span)) is not None]


def _number_in(span: Span) -> float | None:
    """A short number of the span; None where no float lies between its ends."""
    low, high = inclusive_bounds(span)
    if math.isinf(low):
        return 0.0 if math.isinf(high) else math.ceil(high) - 1.0
    whole = math.floor(low) + 1.0 if low != math.floor(low) or math.isinf(high) else low
    if whole <= high:
        return whole
    middle = low + (high - low) / 2
    return next((short for digits in range(1, 18) if low <= (short := float(f"{middle:.{digits}g}")) <= high), None)


def _day_in(span: Span) -> float | None:
    low, high = inclusive_bounds(span)
    day = math.ceil(max(low, date.min.toordinal()))
    return float(day) if day <= min(high, date.max.toordinal()) else None


def _texts(conditions: Sequence[TextCondition]) -> list[str]:
    """Every text that a cell names, and one text for each way in which others can fit the patterns."""
    named = {value for condition in conditions for value in condition.values}
    lists = sorted({name for condition in conditions for name in condition.lists})
    patterns = sorted({pattern for condition in conditions for pattern in condition.patterns})
    most = len(patterns) if len(patterns) <= _MOST_COMBINED else 2
    parts = "".join(part for _, part in patterns)
    filler = next(character for character in map(chr, count(ord("?"))) if character not in parts)
    others: dict[tuple[bool, ...], str] = {}
    for size in range(most + 1):
        for chosen in combinations(patterns, size):
            text = _fitting(chosen, named, filler)
            others.setdefault(tuple(PATTERNS[name](text, part) for name, part in patterns), text)
    ways = [on for size in range(min(most, len(lists)) + 1) for on in combinations(lists, size)]
    return [*(ListedText.of(value, on) if on else value for value in sorted(named) for on in ways), *others.values()]


def _fitting(patterns: Sequence[tuple[str, str]], named: set[str], filler: str) -> str:
    """A text that fits all of `patterns`, where one can, and that no cell names.

    `filler`, which stands in no pattern of the column, is around their parts: the text fits no others by that.
    """
    parts = {name: [part for of_name, part in patterns if of_name == name] for name in FUNCTIONS}
    start, end = max(parts["startsWith"], key=len, default=""), max(parts["endsWith"], key=len, default="")
    between = filler
    while (text := start + between + between.join(["", *parts["contains"], ""])[1:] + end) in named:
        between += filler
    return ListedText.of(text, lists) if (lists := [part for name, part in patterns if name == IN_LIST]) else text
