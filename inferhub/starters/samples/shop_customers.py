"""The generated shop's customers: their tastes, what they come back for, and when and how much they order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inferhub.starters.samples.shop_catalogue import Catalogue, Indices, Numbers
from inferhub.starters.samples.shop_words import RANGES, REGIONS, STYLES

SEGMENTS = 8
STAPLES = 5
ORDERS_A_YEAR = 10.5
LATE_SHARE = 0.45
LEAVING_SHARE = 0.25
TRADE_SHARE = 0.04


@dataclass(frozen=True, kw_only=True)
class Customers:
    """`taste` (customers, items) weighs the items; the other arrays have one entry a customer.

    `staples` (customers, STAPLES) are rows of the catalogue, `loyalty` the share of lines that go to them, `region` an
    index into `REGIONS`, `basket` the usual number of further lines of an order, `joined` and `left` shares of the
    period between which the customer orders. Those with `is_trade` buy for a business.
    """

    taste: Numbers
    staples: Indices
    loyalty: Numbers
    region: Indices
    is_trade: NDArray[np.bool_]
    orders_a_year: Numbers
    basket: Numbers
    joined: Numbers
    left: Numbers


def make_customers(rng: np.random.Generator, catalogue: Catalogue, count: int) -> Customers:
    taste = _tastes(rng, catalogue, count)
    is_trade = rng.random(count) < TRADE_SHARE
    joined = np.where(rng.random(count) < LATE_SHARE, rng.uniform(0, 0.9, count), 0.0)
    leaves = rng.random(count) < LEAVING_SHARE
    return Customers(
        taste=taste,
        staples=_staples(rng, catalogue, taste),
        loyalty=rng.beta(2, 4, count),
        region=rng.choice(len(REGIONS), size=count, p=[share for share, _ in REGIONS.values()]),
        is_trade=is_trade,
        orders_a_year=rng.gamma(1.4, ORDERS_A_YEAR / 1.4, count),
        basket=rng.lognormal(np.log(2.6), 0.55, count) * np.where(is_trade, 2.5, 1),
        joined=joined,
        left=np.where(leaves, joined + (1 - joined) * rng.uniform(0.3, 1, count), 1.0),
    )


def draw_columns(rng: np.random.Generator, weights: Numbers, rows: Indices) -> Indices:
    """For each entry of `rows` a column of `weights`, with a probability in proportion to the weights of that row.

    `weights` is (rows, columns), not negative, each row with a positive sum.
    """
    share = np.cumsum(weights, axis=1)
    share /= share[:, -1:]
    # All rows are laid end to end, row r filling the interval from r to r + 1, so that one search serves them all.
    ends = (share + np.arange(len(share))[:, np.newaxis]).ravel()
    found = np.searchsorted(ends, rows + rng.random(len(rows)), side="right")
    columns = share.shape[1]
    drawn: Indices = np.clip(found - rows * columns, 0, columns - 1)
    return drawn


def _tastes(rng: np.random.Generator, catalogue: Catalogue, count: int) -> Numbers:
    """Popularity times what the segment, and a little what the person, makes of an item's category and style."""
    segment = rng.integers(SEGMENTS, size=count)
    weights = catalogue.popularity[np.newaxis, :]
    for group, kinds, spread in ((catalogue.category, len(RANGES), 0.4), (catalogue.style, len(STYLES), 0.35)):
        shared = rng.dirichlet(np.full(kinds, spread), size=SEGMENTS)[segment]
        own = rng.dirichlet(np.full(kinds, spread), size=count)
        weights = weights * (0.67 * shared + 0.3 * own + 0.03 / kinds)[:, group]
    return weights


def _staples(rng: np.random.Generator, catalogue: Catalogue, taste: Numbers) -> Indices:
    """Consumables that were there from the start, drawn by taste."""
    weights = taste * (catalogue.is_consumable & (catalogue.launched == 0))
    rows = np.repeat(np.arange(len(taste)), STAPLES)
    return draw_columns(rng, weights, rows).reshape(len(taste), STAPLES)
