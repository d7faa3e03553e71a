"""The generated shop's orders: who orders when, and how many lines."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from inferhub.starters.samples.shop_catalogue import Indices, Numbers
from inferhub.starters.samples.shop_customers import Customers
from inferhub.starters.samples.shop_words import REGIONS

END = datetime(2026, 1, 1, tzinfo=UTC)
WEEKDAYS = np.array([1.0, 0.9, 0.9, 1.0, 1.15, 1.35, 1.25])  # Monday first
MONTHS = np.array([0.85, 0.8, 0.9, 0.95, 1.0, 0.95, 0.85, 0.85, 0.95, 1.05, 1.35, 1.5])
HOURS = np.array([1, 0.5, 0.3, 0.2, 0.2, 0.4, 1, 2, 3, 4, 5, 5, 5, 4, 4, 4, 5, 6, 7, 9, 10, 9, 6, 3])


@dataclass(frozen=True, kw_only=True)
class Orders:
    """One entry an order, sorted by customer and time.

    `second` counts from the start of the period and `position` is the same as a share of it; `month` is 0 to 11;
    `size` is the number of lines.
    """

    customer: Indices
    second: NDArray[np.int64]
    position: Numbers
    month: Indices
    size: NDArray[np.int64]


def make_orders(rng: np.random.Generator, people: Customers, days: int) -> Orders:
    """Orders of the `days` before `END`, at least one for each customer."""
    calendar = [END - timedelta(days=days - day) for day in range(days)]
    weekday = np.array([day.weekday() for day in calendar])
    month = np.array([day.month - 1 for day in calendar])
    customer = _who(rng, people, days)
    day = _days(rng, people, customer, WEEKDAYS[weekday] * MONTHS[month])
    hour = rng.choice(24, size=len(day), p=HOURS / HOURS.sum())
    second = day * 86_400 + hour * 3600 + rng.integers(3600, size=len(day))
    by_time = np.lexsort((second, customer))
    customer, second = customer[by_time], second[by_time]
    busy = _pause(customer, second) * _habits(people, customer, second, weekday)
    return Orders(
        customer=customer,
        second=second,
        position=second / (days * 86_400),
        month=month[second // 86_400],
        size=1 + rng.poisson(people.basket[customer] * busy),
    )


def _who(rng: np.random.Generator, people: Customers, days: int) -> Indices:
    expected = people.orders_a_year * (people.left - people.joined) * days / 365
    return np.repeat(np.arange(len(expected)), np.maximum(rng.poisson(expected), 1))


def _days(rng: np.random.Generator, people: Customers, customer: Indices, weights: Numbers) -> Indices:
    """A day for each order, between its customer's joining and leaving, in proportion to how busy the days are."""
    share = np.cumsum(weights) / weights.sum()
    position = rng.uniform(people.joined[customer], people.left[customer])
    return np.searchsorted(share, position, side="right").clip(max=len(share) - 1)


def _pause(customer: Indices, second: NDArray[np.int64]) -> Numbers:
    """Baskets are fuller the longer ago the last order was; 1 for a first order and after a month."""
    gap = np.maximum(np.diff(second, prepend=0) / 86_400, 1)
    is_first = np.diff(customer, prepend=-1) != 0
    return np.where(is_first, 1.0, np.clip(gap / 30, 0.3, 3) ** 0.35)


def _habits(people: Customers, customer: Indices, second: NDArray[np.int64], weekday: Indices) -> Numbers:
    """More at weekends, in the evening, and where parcels take long."""
    weekend = np.where(weekday[second // 86_400] >= 5, 1.25, 1.0)
    evening = np.where(second % 86_400 >= 18 * 3600, 1.2, 1.0)
    region = np.array([factor for _, factor in REGIONS.values()])[people.region[customer]]
    return np.asarray(weekend * evening * region)
