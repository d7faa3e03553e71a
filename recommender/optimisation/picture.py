"""The variants as an SVG: quality against time per row, the size of the file as the area of the dot."""

import math
from collections.abc import Sequence
from html import escape

from recommender.optimisation.measure import Variant

_WIDTH, _HEIGHT, _MARGIN = 860, 520, 90
_FRONT, _REST = "#0b6e4f", "#9aa5ad"


def draw(variants: Sequence[Variant], front: Sequence[Variant], measure: str) -> str:
    """An SVG document; variants of the Pareto front are green and joined by a line."""
    names = {variant.name for variant in front}
    x, y = _scale([math.log10(variant.row_us) for variant in variants]), _scale([v.quality for v in variants])
    largest = max(variant.file_bytes for variant in variants)
    line = " ".join(f"{_across(x, v):.1f},{_down(y, v):.1f}" for v in sorted(front, key=lambda v: v.row_us))
    dots = [_dot(v, _across(x, v), _down(y, v), v.file_bytes / largest, v.name in names) for v in variants]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">',
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
            f'<polyline points="{line}" fill="none" stroke="{_FRONT}" stroke-width="1.5" stroke-dasharray="5 4"/>',
            *dots,
            *_axes(variants, measure),
            "</svg>",
            "",
        ]
    )


def _scale(values: Sequence[float]) -> tuple[float, float]:
    """Lowest value and range, with a little air."""
    low, high = min(values), max(values)
    air = (high - low) * 0.1 or 0.01
    return low - air, high - low + 2 * air


def _across(scale: tuple[float, float], variant: Variant) -> float:
    return _MARGIN + (math.log10(variant.row_us) - scale[0]) / scale[1] * (_WIDTH - 2 * _MARGIN)


def _down(scale: tuple[float, float], variant: Variant) -> float:
    return _HEIGHT - _MARGIN - (variant.quality - scale[0]) / scale[1] * (_HEIGHT - 2 * _MARGIN)


def _dot(variant: Variant, x: float, y: float, size: float, is_front: bool) -> str:
    colour = _FRONT if is_front else _REST
    words = f"{variant.name}: {variant.quality:.4f}, {variant.row_us:.0f} µs, {variant.file_bytes / 1e6:.2f} MB"
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4 + 16 * math.sqrt(size):.1f}" fill="{colour}" fill-opacity="0.45" '
        f'stroke="{colour}"><title>{escape(words)}</title></circle>'
        f'<text x="{x:.1f}" y="{y - 24:.1f}" font-size="12" text-anchor="middle">{escape(variant.name)}</text>'
    )


def _axes(variants: Sequence[Variant], measure: str) -> list[str]:
    fastest, slowest = min(v.row_us for v in variants), max(v.row_us for v in variants)
    bottom = _HEIGHT - _MARGIN / 2
    upright = f"rotate(-90 {_MARGIN / 3} {_HEIGHT / 2})"
    across = f"time for one row: {fastest:.0f} to {slowest:.0f} µs (logarithmic); area: size of the file"
    return [
        f'<path d="M{_MARGIN} {_MARGIN / 2} V{_HEIGHT - _MARGIN} H{_WIDTH - _MARGIN / 2}" fill="none" stroke="#444"/>',
        f'<text x="{_WIDTH / 2}" y="{bottom}" font-size="14" text-anchor="middle">{across}</text>',
        f'<text x="{_MARGIN / 3}" y="{_HEIGHT / 2}" font-size="14" transform="{upright}">{escape(measure)}</text>',
        *(
            f'<text x="{_MARGIN - 8}" y="{_down(_scale([v.quality for v in variants]), v) + 4:.1f}" font-size="11" '
            f'text-anchor="end">{v.quality:.4f}</text>'
            for v in (min(variants, key=lambda v: v.quality), max(variants, key=lambda v: v.quality))
        ),
    ]
