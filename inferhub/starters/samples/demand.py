"""Invented weekly sales of a shop's articles: what sells at which price, in which week, with which promotion.

What there is to learn: a lower price sells more (how much more depends on the range), a leaflet more than a shelf sign,
seasons move whole ranges, and an article sells about as it sold before. The weeks are scattered as weeks are (Poisson).
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from inferhub.starters.samples.draws import Numbers, add, choose
from inferhub.starters.words import PROMOTIONS, RANGES

_ELASTICITY = {"drinks": 2.2, "snacks": 1.8, "garden": 1.2, "household": 1.0, "gifts": 0.7}
_LIFT = {"shelf-sign": 0.22, "leaflet": 0.55}
# Range: the week in which it sells best, and how much of it is season.
_SEASONS = {"drinks": (28, 0.35), "snacks": (50, 0.15), "garden": (20, 0.8), "household": (10, 0.1), "gifts": (50, 0.7)}


def generate_demand(*, seed: int = 13, rows: int = 6000) -> pl.DataFrame:
    """One row per article and week; `units` is what was sold."""
    rng = np.random.default_rng(seed)
    kind, promotion = choose(rng, RANGES, rows), choose(rng, PROMOTIONS, rows)
    usual = rng.lognormal(3.2, 0.7, rows)
    week = rng.integers(1, 53, rows)
    price = np.round(rng.lognormal(1.6, 0.6, rows), 2)
    promoted = promotion != "none"
    discount = np.where(promoted, rng.choice([10, 15, 20, 25, 30], rows), rng.choice([0, 0, 0, 0, 5, 10], rows))
    before = _season(kind, week - 1)
    lift = add(_ELASTICITY, kind) * -np.log(1 - discount / 100) + add(_LIFT, promotion)
    expected = usual * _season(kind, week) * np.exp(lift)
    columns = {
        "week": week,
        "price": price,
        "discount_percent": discount,
        "range": kind,
        "promotion": promotion,
        "units_last_week": rng.poisson(usual * before),
        "units_average": np.round(usual * before * rng.lognormal(0, 0.1, rows), 1),
        "units": rng.poisson(expected),
    }
    return pl.DataFrame(columns)


def _season(kind: NDArray[np.str_], week: NDArray[np.int64]) -> Numbers:
    peak = np.array([_SEASONS[str(one)][0] for one in kind])
    strength = np.array([_SEASONS[str(one)][1] for one in kind])
    wave: Numbers = 1 + strength * np.cos(2 * np.pi * (week - peak) / 52)
    return wave
