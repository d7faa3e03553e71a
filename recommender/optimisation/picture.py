"""The variants as an SVG: quality against time per row, the size of the file as the area of the dot."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from recommender.optimisation.measure import Variant

_WIDTH, _HEIGHT = 900, 540
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 850, 70, 460  # the edges of the plot
_FRONT, _REST, _GRID, _INK = "#0b6e4f", "#7c8790", "#e4e8eb", "#222b31"
_FRONT_FILL, _REST_FILL = "#8ec9b4", "#d5dade"
_FONT = f'font-family="sans-serif" font-size="12" fill="{_INK}"'
_HALO = 'paint-order="stroke" stroke="white" stroke-width="3"'  # so that no line runs through a name
_LETTER, _LINE = 6.8, 15.0  # width and height of text at 12 px


@dataclass(frozen=True, slots=True)
class _Box:
    """A rectangle by its middle, for keeping words apart."""

    x: float
    y: float
    width: float
    height: float

    def touches(self, other: "_Box") -> bool:
        across, down = abs(self.x - other.x), abs(self.y - other.y)
        return across < (self.width + other.width) / 2 and down < (self.height + other.height) / 2

    @property
    def is_inside(self) -> bool:
        return (
            self.x - self.width / 2 > _LEFT
            and self.x + self.width / 2 < _WIDTH - 5
            and self.y - self.height / 2 > _TOP - 15
            and self.y + self.height / 2 < _BOTTOM
        )


@dataclass(frozen=True, slots=True)
class _Dot:
    variant: Variant
    x: float
    y: float
    radius: float
    is_front: bool

    @property
    def box(self) -> _Box:
        return _Box(self.x, self.y, 2 * self.radius, 2 * self.radius)


def draw(variants: Sequence[Variant], front: Sequence[Variant], measure: str) -> str:
    """An SVG document; variants of the Pareto front are green and joined by a line."""
    times, qualities = _range([v.row_us for v in variants], is_log=True), _range([v.quality for v in variants])
    dots = [_dot(variant, times, qualities, variants, front) for variant in variants]
    dots.sort(key=lambda dot: (dot.is_front, -dot.radius))  # small ones and those of the front on top
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
            *_axes(times, qualities, measure),
            *_legend(max(variant.file_bytes for variant in variants)),
            _line([dot for dot in dots if dot.is_front]),
            *map(_circle, dots),
            *_names(dots),
            "</svg>",
            "",
        ]
    )


def _range(values: Sequence[float], *, is_log: bool = False) -> tuple[float, float]:
    """From below the lowest to above the highest value, so that dots stand clear of the edges."""
    low, high = (math.log10(min(values)), math.log10(max(values))) if is_log else (min(values), max(values))
    air = max((high - low) * 0.12, abs(high) * 0.005, 1e-6)
    return (10 ** (low - air), 10 ** (high + air)) if is_log else (low - air, high + air)


def _across(time: float, times: tuple[float, float]) -> float:
    low, high = map(math.log10, times)
    return _LEFT + (math.log10(time) - low) / (high - low) * (_RIGHT - _LEFT)


def _down(quality: float, qualities: tuple[float, float]) -> float:
    low, high = qualities
    return _BOTTOM - (quality - low) / (high - low) * (_BOTTOM - _TOP)


def _dot(
    variant: Variant,
    times: tuple[float, float],
    qualities: tuple[float, float],
    variants: Sequence[Variant],
    front: Sequence[Variant],
) -> _Dot:
    share = variant.file_bytes / max(other.file_bytes for other in variants)
    x, y = _across(variant.row_us, times), _down(variant.quality, qualities)
    return _Dot(variant, x, y, 4 + 14 * math.sqrt(share), variant.name in {one.name for one in front})


def _line(front: Sequence[_Dot]) -> str:
    points = " ".join(f"{dot.x:.1f},{dot.y:.1f}" for dot in sorted(front, key=lambda dot: dot.x))
    return f'<polyline points="{points}" fill="none" stroke="{_FRONT}" stroke-width="1.5" stroke-dasharray="5 4"/>'


def _circle(dot: _Dot) -> str:
    one = dot.variant
    words = f"{one.name}: {one.quality:.4f}, {one.row_us:.0f} µs, {one.file_bytes / 1e6:.2f} MB"
    fill, stroke = (_FRONT_FILL, _FRONT) if dot.is_front else (_REST_FILL, _REST)
    return (
        f'<circle cx="{dot.x:.1f}" cy="{dot.y:.1f}" r="{dot.radius:.1f}" fill="{fill}" fill-opacity="0.85" '
        f'stroke="{stroke}"><title>{escape(words)}</title></circle>'
    )


def _names(dots: Sequence[_Dot]) -> Iterator[str]:
    """Each name at the nearest place around its dot that is free, with a line to it where that is far."""
    taken = [dot.box for dot in dots]
    for dot in sorted(dots, key=lambda dot: dot.y):
        words = dot.variant.name
        places = list(_places(dot, len(words) * _LETTER))
        place = next((one for one in places if one.is_inside and not any(map(one.touches, taken))), places[0])
        taken.append(place)
        if math.dist((place.x, place.y), (dot.x, dot.y)) > dot.radius + place.width / 2 + _LINE:
            end = place.y + math.copysign(_LINE / 2, dot.y - place.y)
            yield f'<path d="M{dot.x:.1f} {dot.y:.1f} L{place.x:.1f} {end:.1f}" stroke="{_REST}" stroke-width="0.7"/>'
        yield f'<text x="{place.x:.1f}" y="{place.y + 4:.1f}" text-anchor="middle" {_HALO}>{escape(words)}</text>'


def _places(dot: _Dot, width: float) -> Iterator[_Box]:
    for step in range(8):
        away = dot.radius + _LINE / 2 + 2 + step * _LINE
        yield _Box(dot.x, dot.y - away, width, _LINE)
        yield _Box(dot.x, dot.y + away, width, _LINE)
        for side in (1, -1):
            beside = dot.x + side * (dot.radius + 4 + width / 2)
            yield _Box(beside, dot.y - step * _LINE, width, _LINE)
            yield _Box(beside, dot.y + step * _LINE, width, _LINE)


def _axes(times: tuple[float, float], qualities: tuple[float, float], measure: str) -> Iterator[str]:
    for tick in _ticks(*qualities):
        y = _down(tick, qualities)
        yield f'<path d="M{_LEFT} {y:.1f} H{_RIGHT}" stroke="{_GRID}"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:.4g}</text>'
    for tick in _time_ticks(*times):
        x = _across(tick, times)
        yield f'<path d="M{x:.1f} {_TOP} V{_BOTTOM}" stroke="{_GRID}"/>'
        yield f'<text x="{x:.1f}" y="{_BOTTOM + 18}" text-anchor="middle">{tick:,.4g}</text>'
    middle, upright = (_TOP + _BOTTOM) / 2, f"rotate(-90 24 {(_TOP + _BOTTOM) / 2})"
    yield f'<path d="M{_LEFT} {_TOP} V{_BOTTOM} H{_RIGHT}" fill="none" stroke="{_INK}"/>'
    yield (
        f'<text x="{(_LEFT + _RIGHT) / 2}" y="{_BOTTOM + 44}" font-size="14" text-anchor="middle">'
        "median time for one row, µs (logarithmic)</text>"
    )
    yield (
        f'<text x="24" y="{middle}" font-size="14" text-anchor="middle" transform="{upright}">'
        f"{escape(measure)} on the holdout</text>"
    )


def _ticks(low: float, high: float) -> list[float]:
    """Four to ten round numbers between.

    >>> _ticks(0.76, 0.85)
    [0.76, 0.78, 0.8, 0.82, 0.84]
    """
    rough = (high - low) / 4
    unit = 10 ** math.floor(math.log10(rough))
    step = max(factor * unit for factor in (1, 2, 5) if factor * unit <= rough)
    return [
        round(number * step, 10) for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]


def _time_ticks(low: float, high: float) -> list[float]:
    """Round numbers between: 1, 2, 5, 10, ... in a wide range, evenly spaced ones in a narrow range."""
    if high < 8 * low:
        return _ticks(low, high)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [tick for power in powers for tick in (10.0**power, 2 * 10.0**power, 5 * 10.0**power) if low <= tick <= high]


def _legend(largest: int) -> Iterator[str]:
    title = "What each variant costs and how good it is"
    yield f'<text x="{_LEFT}" y="28" font-size="16" font-weight="bold">{title}</text>'
    for x, fill, stroke, words in (
        (_LEFT + 7, _FRONT_FILL, _FRONT, "best trade-offs (Pareto front)"),
        (_LEFT + 220, _REST_FILL, _REST, "beaten by another in quality, time and size"),
    ):
        yield f'<circle cx="{x}" cy="46" r="6" fill="{fill}" stroke="{stroke}"/>'
        yield f'<text x="{x + 12}" y="50">{words}</text>'
    yield f'<text x="{_RIGHT}" y="50" text-anchor="end">area: size of the file, at most {largest / 1e6:.2f} MB</text>'
