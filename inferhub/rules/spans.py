"""Sets of numbers as sorted, disjoint spans, with the three operations that conditions and their analysis need.

A span runs from one cut to another. A cut is a place between numbers: `(5.0, 0)` is just before 5, `(5.0, 1)` just
after it, so that `[5..9)` is `((5.0, 0), (9.0, 0))` and open and closed ends need no cases of their own.
"""

import math
from collections.abc import Iterable

Cut = tuple[float, int]
Span = tuple[Cut, Cut]
Spans = tuple[Span, ...]

LOWEST: Cut = (-math.inf, 0)
HIGHEST: Cut = (math.inf, 1)
EVERYTHING: Spans = ((LOWEST, HIGHEST),)


def union(spans: Iterable[Span]) -> Spans:
    """Any spans, sorted and merged where they touch.

    >>> union([((3.0, 0), (5.0, 1)), ((1.0, 0), (3.0, 0))])
    (((1.0, 0), (5.0, 1)),)
    """
    merged: list[Span] = []
    for low, high in sorted(span for span in spans if span[0] < span[1]):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(spans: Spans) -> Spans:
    """Every number that is in none of the sorted, disjoint `spans`.

    >>> complement((((1.0, 0), (2.0, 1)),))
    (((-inf, 0), (1.0, 0)), ((2.0, 1), (inf, 1)))
    """
    edges = [LOWEST, *(cut for span in spans for cut in span), HIGHEST]
    return union(zip(edges[::2], edges[1::2], strict=True))


def intersection(left: Spans, right: Spans) -> Spans:
    """Every number that is in both.

    >>> intersection((((1.0, 0), (5.0, 1)),), (((5.0, 0), (9.0, 1)),))
    (((5.0, 0), (5.0, 1)),)
    """
    return union((max(a, c), min(b, d)) for a, b in left for c, d in right)


def inclusive_bounds(span: Span) -> tuple[float, float]:
    """The smallest and the largest float64 in the span, so that `low <= number <= high` is the whole test.

    >>> inclusive_bounds(((0.0, 0), (1.0, 0)))
    (0.0, 0.9999999999999999)
    """
    (low, is_after), (high, is_closed) = span
    return math.nextafter(low, math.inf) if is_after else low, high if is_closed else math.nextafter(high, -math.inf)
