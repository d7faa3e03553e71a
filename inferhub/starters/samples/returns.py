"""Invented returns of a shop, with what the returns desk found when it opened the parcel.

What there is to learn: a claim is more often turned down on inspection where the article was used, where the customer
returns most of what is ordered, for a dear article, late, and for no reason but a changed mind; a photo of the damage
makes it rarer. About one return in eight has a problem.
"""

import numpy as np
import polars as pl

from inferhub.starters.samples.draws import add, choose, happens, labelled
from inferhub.starters.words import CATEGORIES, REASONS

_BY_REASON = {"changed-mind": 1.1, "defective": 0.6, "does-not-fit": -0.3, "wrong-item": -0.9}
_BY_CATEGORY = {"electronics": 0.6, "beauty": 0.4, "clothing": 0.15, "home": -0.3}


def generate_returns(*, seed: int = 12, rows: int = 5000) -> pl.DataFrame:
    """One row per return; `label` is "problem" or "fine"."""
    rng = np.random.default_rng(seed)
    reason, category = choose(rng, REASONS, rows), choose(rng, CATEGORIES, rows)
    price = np.round(rng.lognormal(3.6, 0.8, rows), 2)
    days = np.minimum(rng.gamma(2.0, 6.5, rows), 120).astype(np.int64)
    orders = 1 + rng.poisson(rng.gamma(1.2, 5.0, rows))
    returned = rng.binomial(orders, rng.beta(1.6, 4.2, rows))
    is_opened = rng.random(rows) < np.where(reason == "wrong-item", 0.35, 0.6)
    has_photo = rng.random(rows) < np.where(np.isin(reason, ["defective", "damaged-in-transit"]), 0.6, 0.08)
    log_odds = (
        -4.1
        + 1.6 * is_opened
        + 5.0 * np.maximum(returned / orders - 0.3, 0) * (orders > 3)
        + 0.7 * np.log(price / 35)
        + 0.05 * np.maximum(days - 14, 0)
        - 1.5 * has_photo
        + add(_BY_REASON, reason)
        + add(_BY_CATEGORY, category)
    )
    columns: dict[str, object] = {
        "price": price,
        "days_since_delivery": days,
        "orders_last_year": orders,
        "returns_last_year": returned,
        "reason": reason,
        "category": category,
        "is_opened": is_opened,
        "has_photo": has_photo,
    }
    return labelled(columns, happens(rng, log_odds), yes="problem", no="fine")
