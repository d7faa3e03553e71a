"""Invented sign-ins to a company's systems, some of them with a stolen password.

What there is to learn: theft comes with failed attempts, a device and a country that the account never used, a network
of rented servers or one that hides where it is, a long way from the last sign-in, the hours when the person usually
sleeps, and no second factor. Travellers and new phones look alike in part; about 3 % of the sign-ins are theft.
"""

import numpy as np
import polars as pl

from inferhub.starters.samples.draws import add, choose, happens, labelled
from inferhub.starters.words import NETWORKS, SECOND_FACTORS

_BY_NETWORK = {"office": -1.2, "mobile": 0.2, "hosting": 2.6, "anonymising": 3.4}
_BY_FACTOR = {"passed": -1.6, "none": 0.7, "failed": 2.4}


def generate_logins(*, seed: int = 14, rows: int = 6000) -> pl.DataFrame:
    """One row per sign-in; `label` is "threat" or "usual"."""
    rng = np.random.default_rng(seed)
    network, factor = choose(rng, NETWORKS, rows), choose(rng, SECOND_FACTORS, rows)
    is_away = rng.random(rows) < 0.06
    is_new_device = rng.random(rows) < np.where(is_away, 0.25, 0.08)
    is_new_country = is_away & (rng.random(rows) < 0.6)
    distance = np.where(is_away, rng.gamma(1.5, 1400, rows), rng.exponential(12, rows)).round()
    hours = np.round(rng.exponential(14, rows) + 0.1, 1)
    failed = rng.poisson(0.25, rows) + rng.poisson(4.0, rows) * (rng.random(rows) < 0.05)
    hour = rng.choice(24, rows, p=_hours())
    log_odds = (
        -5.6
        + 0.9 * np.minimum(failed, 8)
        + 2.2 * is_new_device
        + 2.0 * is_new_country
        + 2.2 * (distance / hours > 900)
        + 1.1 * (hour < 5)
        + add(_BY_NETWORK, network)
        + add(_BY_FACTOR, factor)
    )
    columns: dict[str, object] = {
        "failed_attempts": failed,
        "distance_km": distance,
        "hours_since_last": hours,
        "hour": hour,
        "network": network,
        "second_factor": factor,
        "is_new_device": is_new_device,
        "is_new_country": is_new_country,
    }
    return labelled(columns, happens(rng, log_odds), yes="threat", no="usual")


def _hours() -> list[float]:
    weights = [1, 1, 1, 1, 1, 3, 8, 16, 22, 20, 18, 17, 15, 17, 18, 17, 14, 10, 7, 6, 5, 4, 3, 2]
    return [weight / sum(weights) for weight in weights]
