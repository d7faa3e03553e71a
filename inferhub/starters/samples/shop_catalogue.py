"""The generated shop's catalogue: invented products with a category, a style, a price, a season and a companion."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from inferhub.starters.samples.dataset import ITEM_SCHEMA
from inferhub.starters.samples.shop_words import COMPANIONS, RANGES, STYLES

Numbers = NDArray[np.float64]
Indices = NDArray[np.intp]


class _Kind(NamedTuple):
    category: int
    style: int
    qualifier: str
    thing: str


_KINDS = [
    _Kind(category, style, qualifier, thing)
    for category, one in enumerate(RANGES)
    for style, words in enumerate(STYLES.values())
    for qualifier in words[one.wording]
    for thing in one.things
]
MAX_ITEMS = len(_KINDS)
ITEM_NAMES = tuple(f"{kind.qualifier} {kind.thing}" for kind in _KINDS)
LAUNCHED_LATE = 0.08


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """`frame` holds the items as the shop shows them; the arrays, one entry an item, say how they sell.

    `popularity` is a positive weight, `season` (items, 12) its factor by month, `launched` the share of the period
    from which the item is on sale, `companion` the row of the item that is bought with it, -1 where there is none.
    """

    frame: pl.DataFrame
    category: Indices
    style: Indices
    is_consumable: NDArray[np.bool_]
    price: Numbers
    popularity: Numbers
    season: Numbers
    launched: Numbers
    companion: Indices


def make_catalogue(rng: np.random.Generator, items: int) -> Catalogue:
    """Choose `items` of the `MAX_ITEMS` products that the words of the shop allow."""
    kinds = [_KINDS[row] for row in np.sort(rng.choice(MAX_ITEMS, size=items, replace=False))]
    category = np.array([kind.category for kind in kinds])
    style = np.array([kind.style for kind in kinds])
    price = _prices(rng, np.array([RANGES[kind.category].things[kind.thing] for kind in kinds]))
    return Catalogue(
        frame=_frame(kinds, price),
        category=category,
        style=style,
        is_consumable=np.array([one.is_consumable for one in RANGES])[category],
        price=price,
        popularity=rng.lognormal(sigma=0.75, size=items) / price**0.5,
        season=_seasons()[category],
        launched=np.where(rng.random(items) < LAUNCHED_LATE, rng.uniform(0.2, 0.8, items), 0.0),
        companion=_companions(rng, kinds),
    )


def _frame(kinds: list[_Kind], price: Numbers) -> pl.DataFrame:
    """Item ids are the category's code and a number within the category, such as "KT-012"."""
    numbers: dict[int, int] = {}
    ids = []
    for kind in kinds:
        numbers[kind.category] = numbers.get(kind.category, 0) + 1
        ids.append(f"{RANGES[kind.category].code}-{numbers[kind.category]:03}")
    names = [f"{kind.qualifier} {kind.thing}" for kind in kinds]
    categories = [RANGES[kind.category].name for kind in kinds]
    columns = {"item_id": ids, "name": names, "category": categories, "price": price}
    return pl.DataFrame(columns, schema=ITEM_SCHEMA)


def _prices(rng: np.random.Generator, usual: Numbers) -> Numbers:
    """Around the usual price of such a thing, and ending on .45 or .95 as prices do."""
    varied = usual * rng.lognormal(sigma=0.18, size=len(usual))
    return np.round(np.maximum(np.round(varied * 2) / 2, 1.5) - 0.05, 2)


def _seasons() -> Numbers:
    """(categories, 12): a cosine around the peak month, 1 on average, so that a season moves sales and adds none."""
    peak = np.array([[one.peak_month] for one in RANGES])
    strength = np.array([[one.season] for one in RANGES])
    wave: Numbers = 1 + strength * np.cos(2 * np.pi * (np.arange(1, 13) - peak) / 12)
    return wave


def _companions(rng: np.random.Generator, kinds: list[_Kind]) -> Indices:
    """For each item one that goes with it: of the companion kind, in the same style where there is one."""
    by_thing: dict[str, list[int]] = {}
    for row, kind in enumerate(kinds):
        by_thing.setdefault(kind.thing, []).append(row)
    companions = []
    for kind in kinds:
        rows = by_thing.get(COMPANIONS.get(kind.thing, ""), [])
        choices = [row for row in rows if kinds[row].style == kind.style] or rows
        companions.append(int(rng.choice(choices)) if choices else -1)
    return np.array(companions)
