"""What is known of each item whoever asks: how it sells, lately and over all, and whether people buy it again."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recommender.dataset import Interactions
from recommender.types import FloatArray, IndexArray

_WINDOWS = (7, 30, 90)


@dataclass(frozen=True, kw_only=True)
class ItemProfile:
    """`columns` names the float32 columns of `values` [I, S]; `categories` int32 [I] counts from 0, None without any.

    `trend` float32 [I] is the number of customers of the last 30 days over the largest such number.
    """

    columns: tuple[str, ...]
    values: FloatArray
    trend: FloatArray
    categories: IndexArray | None
    category_count: int

    @classmethod
    def of(cls, interactions: Interactions, features: pl.DataFrame | None) -> "ItemProfile":
        """Profile all items of `interactions` at the time of the last event."""
        sales = _sales(interactions)
        known = _features(interactions, features)
        if "price" in known.columns:
            sales = sales.with_columns(price=known["price"])
        recent = sales["customers_30"].to_numpy()
        categories, count = _categories(known)
        return cls(
            columns=tuple(sales.columns),
            values=np.ascontiguousarray(sales.to_numpy(), np.float32),
            trend=(recent / max(float(recent.max()), 1.0)).astype(np.float32),
            categories=categories,
            category_count=count,
        )


def _sales(interactions: Interactions) -> pl.DataFrame:
    """One Float32 row per item: customers ever and in the last days, the trend, and the share who bought again."""
    age = (pl.col("time").max() - pl.col("time")).dt.total_seconds() / 86_400
    events = interactions.events.select("user", "item", "basket", age=age.fill_null(0.0))
    windows = [
        pl.col("user").filter(pl.col("age") < days).n_unique().cast(pl.Float32).alias(f"customers_{days}")
        for days in _WINDOWS
    ]
    ever = pl.col("user").n_unique().cast(pl.Float32).alias("customers")
    pairs = events.group_by("item", "user").agg(pl.col("basket").n_unique().alias("times"))
    again = pairs.group_by("item").agg((pl.col("times") > 1).mean().cast(pl.Float32).alias("again"))
    sales = events.group_by("item").agg(ever, *windows).join(again, on="item").sort("item").drop("item")
    return sales.with_columns(trend=pl.col("customers_30") / (pl.col("customers_90") + 1))


def _features(interactions: Interactions, features: pl.DataFrame | None) -> pl.DataFrame:
    """The given features in the order of the internal ids, null where an item has none."""
    items = pl.DataFrame({"item": interactions.items.externals.tolist()}, schema={"item": pl.String})
    if features is None:
        return items
    given = features.unique("item", keep="first")
    known = items.join(given, on="item", how="left", maintain_order="left")
    if "price" in known.columns:
        known = known.with_columns(pl.col("price").cast(pl.Float32).fill_null(-1.0).fill_nan(-1.0))
    return known


def _categories(known: pl.DataFrame) -> tuple[IndexArray | None, int]:
    """Internal category ids; items without one share a category of their own."""
    if "category" not in known.columns:
        return None, 0
    codes = (known["category"].cast(pl.String).fill_null("").rank("dense") - 1).to_numpy().astype(np.int32)
    return codes, int(codes.max(initial=0)) + 1
