"""What a condition cell means: a value class for each type of column, its set operations and its text for zen-engine.

zen reads some harmless looking cells in surprising ways: `== 7 or > 1 and < 5` is never true for 7, a leading
parenthesis opens a range, an error counts as no match. So it is given only the few forms below, made from the parsed
meaning.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Protocol, Self

from inferhub.rules.lists import is_on
from inferhub.rules.spans import (
    EVERYTHING,
    HIGHEST,
    LOWEST,
    Span,
    Spans,
    complement,
    inclusive_bounds,
    intersection,
    union,
)
from inferhub.rules.tokens import CellError, number_text, quote

Matcher = Callable[[Any], bool]
"""Tests one value that has the column's type, or is None in an optional column."""

IN_LIST = "in list"
FUNCTIONS = ("startsWith", "endsWith", "contains")
PATTERNS: Mapping[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": str.__contains__,
    IN_LIST: is_on,
}
"""What can be asked of a text, with an argument: the functions, and whether it is on a look-up list."""


class Condition(Protocol):
    """A set of values of one type of column: `a | b`, `a & b` and `~a` as with sets, null only where it is named."""

    @property
    def takes_null(self) -> bool: ...
    @property
    def is_any(self) -> bool: ...
    @property
    def is_never(self) -> bool: ...
    def __or__(self, other: Self, /) -> Self: ...
    def __and__(self, other: Self, /) -> Self: ...
    def __invert__(self) -> Self: ...
    def matcher(self) -> Matcher: ...
    def to_zen(self, *, is_optional: bool, as_days: bool = False, column: str = "") -> str: ...


@dataclass(frozen=True, slots=True)
class NumberCondition:
    """A set of numbers, or of days by their number in the calendar. `takes_null`: null belongs to it too."""

    spans: Spans
    takes_null: bool = False
    is_date: bool = False

    @property
    def is_any(self) -> bool:
        return self.takes_null and self.spans == EVERYTHING

    @property
    def is_never(self) -> bool:
        return not self.takes_null and not self.spans

    def __or__(self, other: "NumberCondition") -> "NumberCondition":
        spans = union((*self.spans, *other.spans))
        return replace(self, spans=spans, takes_null=self.takes_null or other.takes_null)

    def __and__(self, other: "NumberCondition") -> "NumberCondition":
        spans = intersection(self.spans, other.spans)
        return replace(self, spans=spans, takes_null=self.takes_null and other.takes_null)

    def __invert__(self) -> "NumberCondition":
        return replace(self, spans=complement(self.spans), takes_null=False)

    def matcher(self) -> Matcher:
        bounds = [inclusive_bounds(span) for span in self.spans]
        takes_null = self.takes_null
        if len(bounds) == 1 and not takes_null:
            low, high = bounds[0]
            return lambda value: value is not None and low <= value <= high
        return lambda value: takes_null if value is None else any(low <= value <= high for low, high in bounds)

    def to_zen(self, *, is_optional: bool, as_days: bool = False, column: str = "") -> str:
        """`as_days` writes dates as `date("2024-01-31")` instead of by their number."""
        del column
        if self.spans == EVERYTHING:
            return "!= null" if is_optional and not self.takes_null else ""
        literal = _day_text if as_days and self.is_date else number_text
        nulls = ["== null"] if self.takes_null else []
        return " or ".join([*nulls, *(_span_text(span, literal) for span in self.spans)])


@dataclass(frozen=True, slots=True)
class TextCondition:
    """Texts among `values` or fitting one of `patterns` (function and argument); where negated, all others."""

    values: frozenset[str] = frozenset()
    patterns: frozenset[tuple[str, str]] = frozenset()
    is_negated: bool = False
    takes_null: bool = False

    @property
    def is_any(self) -> bool:
        return self.takes_null and self.is_negated and not self.values and not self.patterns

    @property
    def is_never(self) -> bool:
        return not (self.takes_null or self.is_negated or self.values or self.patterns)

    def __or__(self, other: "TextCondition") -> "TextCondition":
        """By De Morgan's law from `&`."""
        return replace(~(~self & ~other), takes_null=self.takes_null or other.takes_null)

    def __and__(self, other: "TextCondition") -> "TextCondition":
        takes_null = self.takes_null and other.takes_null
        if self.is_negated and other.is_negated:
            values, patterns = self.values | other.values, self.patterns | other.patterns
            return TextCondition(values, patterns, is_negated=True, takes_null=takes_null)
        if self.patterns or other.patterns:
            raise CellError(
                "functions joined by commas (for 'and', add a second column of the same field)", "a mixture"
            )
        positive, rest = (other, self) if self.is_negated else (self, other)
        values = positive.values - rest.values if rest.is_negated else positive.values & rest.values
        return TextCondition(values, takes_null=takes_null)

    def __invert__(self) -> "TextCondition":
        return replace(self, is_negated=not self.is_negated, takes_null=False)

    def matcher(self) -> Matcher:
        values, takes_null, is_negated = self.values, self.takes_null, self.is_negated
        tests = [(PATTERNS[name], argument) for name, argument in self.patterns]
        if not tests and not is_negated and not takes_null:
            return values.__contains__

        def matches(value: str | None) -> bool:
            if value is None:
                return takes_null
            return (value in values or any(test(value, argument) for test, argument in tests)) != is_negated

        return matches

    @property
    def lists(self) -> frozenset[str]:
        """The look-up lists that it asks."""
        return frozenset(argument for name, argument in self.patterns if name == IN_LIST)

    def to_zen(self, *, is_optional: bool, as_days: bool = False, column: str = "") -> str:
        """To zen null is a text that equals nothing, so a negated cell of an optional column has to keep it out.

        With a `column` the context holds whether its text is on a list (`list_key`); else it holds the lists.
        """
        del as_days
        subject = "$ " if self.patterns else ""
        parts = [self._values_text(subject), *self._pattern_texts(column)]
        joined = (" and " if self.is_negated else " or ").join(part for part in parts if part)
        if self.takes_null and not self.is_any:
            return " or ".join(part for part in (f"{subject}== null", joined) if part)
        if self.is_negated and is_optional and not self.takes_null:
            return " and ".join(part for part in (f"{subject}!= null", joined) if part)
        return joined

    def _values_text(self, subject: str) -> str:
        literals = [quote(value) for value in sorted(self.values)]
        if len(literals) == 1 and not subject:
            return f"!= {literals[0]}" if self.is_negated else f"== {literals[0]}"
        operator = "not in" if self.is_negated else "in"
        return f"{subject}{operator} [{', '.join(literals)}]" if literals else ""

    def _pattern_texts(self, column: str) -> list[str]:
        negation = "not " if self.is_negated else ""
        functions = [
            f"{negation}{name}($, {quote(argument)})" for name, argument in sorted(self.patterns) if name != IN_LIST
        ]
        return functions + [self._list_text(name, column) for name in sorted(self.lists)]

    def _list_text(self, name: str, column: str) -> str:
        if column:
            return f"{list_key(column, name)} == {'false' if self.is_negated else 'true'}"
        return f"$ {'not in' if self.is_negated else 'in'} lists[{quote(name)}]"


@dataclass(frozen=True, slots=True)
class BooleanCondition:
    """Any of true and false. `takes_null`: null belongs to it too."""

    values: frozenset[bool]
    takes_null: bool = False

    @property
    def is_any(self) -> bool:
        return self.takes_null and len(self.values) == 2

    @property
    def is_never(self) -> bool:
        return not self.takes_null and not self.values

    def __or__(self, other: "BooleanCondition") -> "BooleanCondition":
        return BooleanCondition(self.values | other.values, self.takes_null or other.takes_null)

    def __and__(self, other: "BooleanCondition") -> "BooleanCondition":
        return BooleanCondition(self.values & other.values, self.takes_null and other.takes_null)

    def __invert__(self) -> "BooleanCondition":
        return BooleanCondition(BOTH - self.values)

    def matcher(self) -> Matcher:
        accepted: frozenset[bool | None] = self.values | {None} if self.takes_null else self.values
        return accepted.__contains__

    def to_zen(self, *, is_optional: bool, as_days: bool = False, column: str = "") -> str:
        del as_days, column
        if len(self.values) == 2:
            return "!= null" if is_optional and not self.takes_null else ""
        nulls = ["== null"] if self.takes_null else []
        return " or ".join([*nulls, *(f"== {str(value).lower()}" for value in self.values)])


BOTH = frozenset({True, False})


def list_key(column: str, name: str) -> str:
    """What the engine's context calls the answer of a list about the text of a column."""
    return f"{column}_{name.replace('-', '_')}"


def _span_text(span: Span, literal: Callable[[float], str]) -> str:
    (low, is_after), (high, is_through) = span
    if low == high:
        return f"== {literal(low)}"
    if span[0] == LOWEST:
        return f"{'<=' if is_through else '<'} {literal(high)}"
    if span[1] == HIGHEST:
        return f"{'>' if is_after else '>='} {literal(low)}"
    return f"{'(' if is_after else '['}{literal(low)}..{literal(high)}{']' if is_through else ')'}"


def _day_text(day: float) -> str:
    return f'date("{date.fromordinal(int(day)).isoformat()}")'
