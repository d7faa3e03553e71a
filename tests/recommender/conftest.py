"""A made-up shop whose right answers are known by construction."""

import polars as pl
import pytest

from recommender import Interactions


@pytest.fixture(scope="session")
def checkerboard() -> Interactions:
    """Customers with an even number buy two of each three even items, the others two of each three odd ones."""
    rows = [
        {
            "user": f"user {user:02}",
            "item": f"item {item:02}",
            "time": f"2024-01-{1 + (user + item) % 28:02}",
            "basket": "one",
        }
        for user in range(40)
        for item in range(20)
        if user % 2 == item % 2 and (user // 2 + item // 2) % 3
    ]
    return Interactions.from_frame(pl.DataFrame(rows))
