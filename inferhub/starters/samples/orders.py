"""Invented orders of a web shop, some of them placed with somebody else's money.

What there is to learn: fraud comes with young accounts, failed payments, several orders within an hour, an address that
is new, a country that does not fit, the small hours, dear baskets and gift cards. Each of these is also common among
honest customers, so that no sign alone is proof; about 3 % of the orders are fraud.
"""

import numpy as np
import polars as pl

from inferhub.starters.samples.draws import add, choose, happens, labelled
from inferhub.starters.words import DELIVERIES, PAYMENTS

_BY_PAYMENT = {"gift-card": 1.6, "card": 0.3, "invoice": 0.1, "wallet": -0.8}
_BY_DELIVERY = {"locker": 0.7, "pickup-point": 0.25}


def generate_orders(*, seed: int = 11, rows: int = 6000) -> pl.DataFrame:
    """One row per order; `label` is "fraud" or "genuine"."""
    rng = np.random.default_rng(seed)
    previous = rng.poisson(rng.gamma(0.8, 5.0, rows))
    age = np.where(previous == 0, rng.exponential(40, rows), 30 + rng.exponential(500, rows)).astype(np.int64)
    amount = np.round(rng.lognormal(4.1, 0.85, rows), 2)
    failed = rng.poisson(0.18, rows) + rng.poisson(2.2, rows) * (rng.random(rows) < 0.05)
    recent = rng.poisson(0.1, rows) + rng.poisson(1.8, rows) * (rng.random(rows) < 0.05)
    is_new_address = rng.random(rows) < np.where(previous == 0, 0.8, 0.12)
    country_differs = rng.random(rows) < 0.07
    hour = rng.choice(24, rows, p=_hours())
    payment, delivery = choose(rng, PAYMENTS, rows), choose(rng, DELIVERIES, rows)
    log_odds = (
        -6.4
        + 1.4 * np.minimum(failed, 5)
        + 1.3 * np.minimum(recent, 4)
        + 2.4 * country_differs
        + 1.4 * is_new_address
        + 1.9 * (age < 3)
        - 0.2 * np.minimum(previous, 12)
        + 1.0 * np.log(amount / 60)
        + 0.9 * (hour < 5)
        + add(_BY_PAYMENT, payment)
        + add(_BY_DELIVERY, delivery)
    )
    columns: dict[str, object] = {
        "amount": amount,
        "items": 1 + rng.poisson(1.6, rows),
        "account_age_days": age,
        "previous_orders": previous,
        "orders_last_hour": recent,
        "failed_payments": failed,
        "hour": hour,
        "payment": payment,
        "delivery": delivery,
        "is_new_address": is_new_address,
        "country_differs": country_differs,
    }
    return labelled(columns, happens(rng, log_odds), yes="fraud", no="genuine")


def _hours() -> list[float]:
    weights = [2, 1, 1, 1, 1, 2, 4, 7, 9, 10, 11, 11, 12, 11, 10, 10, 11, 13, 15, 17, 18, 15, 9, 4]
    return [weight / sum(weights) for weight in weights]
