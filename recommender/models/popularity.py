"""Popularity: the same list for everybody, the baseline that every other model has to beat."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recommender.dataset import Interactions
from recommender.errors import InvalidData
from recommender.models.base import Retriever
from recommender.models.neighbours import NeighbourTable
from recommender.types import DoubleArray


@dataclass
class Popularity(Retriever):
    """Items by the number of different customers who have them.

    >>> shop = Interactions.from_frame(pl.DataFrame({"user": ["ann", "ann", "bob"], "item": ["tea", "jam", "tea"]}))
    >>> Popularity().fit(shop).recommend([[]], k=2).items.tolist()
    [['tea', 'jam']]
    """

    def _learn(self, interactions: Interactions) -> NeighbourTable:
        return NeighbourTable.without_neighbours(interactions.items, count_customers(interactions))


@dataclass
class RecentPopularity(Retriever):
    """Popularity in which a purchase loses half its weight every `half_life_days`, counted from the last purchase.

    The baseline that is hard to beat on splits by time: Ji, Sun, Zhang, Li, "A Re-visit of the Popularity Baseline in
    Recommender Systems", SIGIR 2020. Needs times; without them it is `Popularity` by events.

    >>> times = ["2024-01-01", "2024-01-01", "2024-06-01"]
    >>> rows = {"user": ["ann", "bob", "eve"], "item": ["old", "old", "new"], "time": times}
    >>> RecentPopularity().fit(Interactions.from_frame(pl.DataFrame(rows))).recommend([[]], k=1).items.tolist()
    [['new']]
    """

    half_life_days: float = 14.0

    def _learn(self, interactions: Interactions) -> NeighbourTable:
        if self.half_life_days <= 0:
            raise InvalidData(f"half_life_days: expected a number above 0, got {self.half_life_days}")
        days = (pl.col("time").max() - pl.col("time")).dt.total_seconds() / 86_400
        weight = (-np.log(2) / self.half_life_days * days.fill_null(0)).exp().alias("weight")
        popularity = (
            interactions.events.select("item", weight).group_by("item").agg(pl.col("weight").sum()).sort("item")
        )
        return NeighbourTable.without_neighbours(interactions.items, popularity["weight"].to_numpy().astype(np.float64))


def count_customers(interactions: Interactions) -> DoubleArray:
    """float64 [I]: how many different customers have each item."""
    counts = interactions.events.group_by("item").agg(pl.col("user").n_unique().alias("users")).sort("item")
    return counts["users"].to_numpy().astype(np.float64)
