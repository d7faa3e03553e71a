"""What a page shows: titled pieces, each rendered by its own template. Values are text, or HTML made by `html`.

`beside` holds links to deeds that concern this piece; they stand beside its title.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.utils.safestring import SafeString

_COLOURS = 8
_NEAR_EDGE = 500
_BAR_STEP, _BAR_FLOOR, _TALLEST_BAR = 64, 125, 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Names and values, one under the other."""

    template: ClassVar[str] = "console/sections/facts.html"
    title: str
    pairs: Sequence[tuple[str, Any]]
    beside: Sequence[SafeString] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows under column headings; `empty` is the sentence where there is none.

    With a `summary` the rows are folded under this line.
    """

    template: ClassVar[str] = "console/sections/table.html"
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    empty: str = "Nothing yet."
    note: str = ""
    summary: str = ""
    beside: Sequence[SafeString] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """Text that a person wrote, or code, as it is."""

    template: ClassVar[str] = "console/sections/text.html"
    title: str
    text: str
    is_code: bool = False
    is_folded: bool = False
    is_warning: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Prose:
    """Formatted text; `html` comes from `inferhub.console.markdown`."""

    template: ClassVar[str] = "console/sections/prose.html"
    title: str
    html: SafeString


@dataclass(frozen=True, kw_only=True, slots=True)
class Bars:
    """A small bar chart: labels with their counts, from left to right; `what` says what is counted."""

    template: ClassVar[str] = "console/sections/bars.html"
    title: str
    what: str
    bars: Sequence[tuple[str, int]]

    @property
    def width(self) -> int:
        return len(self.bars) * _BAR_STEP + 8

    @property
    def spoken(self) -> str:
        return ", ".join(f"{label}: {count}" for label, count in self.bars)

    @property
    def drawn(self) -> list[dict[str, Any]]:
        """Where each bar stands. A count that is not zero is at least a line."""
        most = max((count for _, count in self.bars), default=0) or 1
        heights = [max(count * _TALLEST_BAR // most, 1) if count else 0 for _, count in self.bars]
        return [
            {
                "x": 8 + place * _BAR_STEP,
                "middle": 32 + place * _BAR_STEP,
                "y": _BAR_FLOOR - height,
                "above": _BAR_FLOOR - height - 5,
                "height": height,
                "label": label,
                "count": f"{count:,}",
            }
            for place, ((label, count), height) in enumerate(zip(self.bars, heights, strict=True))
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """A picture of a road: boxes from left to right, each a heading and a few words."""

    template: ClassVar[str] = "console/sections/flow.html"
    title: str
    boxes: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Requests:
    """Requests to try: a title, the body, a line for the shell, and a page that is filled in with it (or none)."""

    template: ClassVar[str] = "console/sections/requests.html"
    title: str
    note: str
    requests: Sequence[tuple[str, str, str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stacks:
    """Horizontal bars of equal length, cut into shares: `rows` has a label and a count for each name of `names`."""

    template: ClassVar[str] = "console/sections/stacks.html"
    title: str
    what: str
    names: Sequence[str]
    rows: Sequence[tuple[str, Sequence[int]]]

    @property
    def drawn(self) -> list[dict[str, Any]]:
        return [{"label": label, "parts": list(self._parts(counts))} for label, counts in self.rows]

    @property
    def legend(self) -> list[dict[str, Any]]:
        return [{"name": name, "colour": place % _COLOURS} for place, name in enumerate(self.names)]

    def _parts(self, counts: Sequence[int]) -> Iterator[dict[str, Any]]:
        total, left = sum(counts) or 1, 0.0
        for place, (name, count) in enumerate(zip(self.names, counts, strict=True)):
            width = count * 100 / total
            if count:
                words = f"{name}: {count:,} ({count / total:.1%})"
                yield {"x": f"{left:.3f}", "width": f"{width:.3f}", "colour": place % _COLOURS, "words": words}
            left += width


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Stacked columns over time: `counts` has for each name a number for each of `labels`, from left to right."""

    template: ClassVar[str] = "console/sections/columns.html"
    title: str
    what: str
    labels: Sequence[str]
    counts: Mapping[str, Sequence[int]]

    @property
    def most(self) -> int:
        return max((sum(column) for column in zip(*self.counts.values(), strict=True)), default=0)

    @property
    def ticks(self) -> list[str]:
        """The first label, the middle one and the last one, as far as they are different."""
        places = sorted({0, len(self.labels) // 2, len(self.labels) - 1}) if len(self.labels) > 2 else range(2)
        return [self.labels[place] for place in places if place < len(self.labels)]

    @property
    def legend(self) -> list[dict[str, Any]]:
        return [
            {"name": name, "colour": place % _COLOURS, "total": f"{sum(numbers):,}"}
            for place, (name, numbers) in enumerate(self.counts.items())
        ]

    @property
    def drawn(self) -> list[dict[str, Any]]:
        """In a square of 100 by 100, with a tenth of each column's width free beside it."""
        width, most = 100 / max(len(self.labels), 1), self.most or 1
        parts = []
        for at, label in enumerate(self.labels):
            height = 0.0
            for place, (name, numbers) in enumerate(self.counts.items()):
                share = numbers[at] * 100 / most
                height += share
                if share:
                    parts.append(
                        {
                            "x": f"{(at + 0.05) * width:.3f}",
                            "y": f"{100 - height:.3f}",
                            "width": f"{width * 0.9:.3f}",
                            "height": f"{share:.3f}",
                            "colour": place % _COLOURS,
                            "words": f"{label}, {name}: {numbers[at]:,}",
                        }
                    )
        return parts


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One point of a `Scatter`."""

    name: str
    x: float
    y: float
    is_marked: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Scatter:
    """Points between two axes that do not begin at zero; `x` and `y` say what they measure."""

    template: ClassVar[str] = "console/sections/scatter.html"
    title: str
    what: str
    x: str
    y: str
    points: Sequence[Point]

    @property
    def drawn(self) -> list[dict[str, Any]]:
        """In a picture of 640 by 240 with a margin; names at the left of points that are near its right edge."""
        left, right = _ends([point.x for point in self.points])
        low, high = _ends([point.y for point in self.points])
        drawn = []
        for point in self.points:
            x = 70 + (point.x - left) / (right - left) * 540
            y = 195 - (point.y - low) / (high - low) * 175
            is_near_edge = x > _NEAR_EDGE
            drawn.append(
                {
                    "x": f"{x:.1f}",
                    "y": f"{y:.1f}",
                    "name": point.name,
                    "name_x": f"{x - 9 if is_near_edge else x + 9:.1f}",
                    "anchor": "end" if is_near_edge else "start",
                    "marked": point.is_marked,
                    "words": f"{point.name}: {self.x} {point.x:,.4g}, {self.y} {point.y:,.4g}",
                }
            )
        return drawn

    @property
    def axes(self) -> dict[str, str]:
        left, right = _ends([point.x for point in self.points])
        low, high = _ends([point.y for point in self.points])
        return {"left": f"{left:,.3g}", "right": f"{right:,.3g}", "low": f"{low:,.3g}", "high": f"{high:,.3g}"}


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """The least and the largest, with a tenth of the way between them to spare; never the same."""
    low, high = min(values), max(values)
    spare = (high - low) * 0.1 or abs(high) * 0.1 or 1.0
    return low - spare, high + spare


@dataclass(frozen=True, kw_only=True, slots=True)
class Swings:
    """Horizontal bars to the right for what adds and to the left for what takes away; `form` writes the numbers."""

    template: ClassVar[str] = "console/sections/swings.html"
    title: str
    what: str
    rows: Sequence[tuple[str, float]]
    form: str = "{:+.4g}"

    @property
    def drawn(self) -> list[dict[str, Any]]:
        values = [value for _, value in self.rows]
        least, most = min(values, default=0), max(values, default=0)
        scale = 100 / (max(most, 0) - min(least, 0) or 1)
        zero = -min(least, 0) * scale
        return [
            {
                "label": label,
                "number": self.form.format(value),
                "x": f"{min(zero, zero + value * scale):.3f}",
                "width": f"{abs(value) * scale:.3f}",
                "zero": f"{zero:.3f}",
                "adds": value >= 0,
            }
            for label, value in self.rows
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class HeatMap:
    """A square table of counts, the darker the more: from a name at the left to one at the top."""

    template: ClassVar[str] = "console/sections/heatmap.html"
    title: str
    what: str
    names: Sequence[str]
    counts: Sequence[Sequence[int]]

    @property
    def drawn(self) -> list[dict[str, Any]]:
        """Shades within a row, so that a rare outcome shows where its rows go; what stays as it was is grey."""
        rows = []
        for at, (name, counts) in enumerate(zip(self.names, self.counts, strict=True)):
            total = sum(counts) or 1
            cells = [
                {
                    "count": f"{count:,}" if count else "",
                    "shade": f"{0.08 + 0.72 * count / total:.2f}" if count else "0",
                    "stays": at == to,
                    "words": f"{name} to {self.names[to]}: {count:,} ({count / total:.1%})",
                }
                for to, count in enumerate(counts)
            ]
            rows.append({"name": name, "cells": cells, "total": f"{sum(counts):,}"})
        return rows


Section = Facts | Table | Text | Prose | Bars | Columns | Flow | Requests | Scatter | Stacks | Swings | HeatMap
