"""What the demo works on: one value, whether the shop was generated or read from a file."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

Schema = dict[str, type[pl.DataType] | pl.DataType]

UTC_TIME = pl.Datetime("us", "UTC")
ITEM_SCHEMA: Schema = {"item_id": pl.String, "name": pl.String, "category": pl.String, "price": pl.Float64}
PURCHASE_SCHEMA: Schema = {
    "user_id": pl.String,
    "item_id": pl.String,
    "quantity": pl.Int64,
    "price": pl.Float64,
    "occurred_at": UTC_TIME,
}
ORDER_SCHEMA: Schema = {
    "order_id": pl.String,
    "user_id": pl.String,
    "occurred_at": UTC_TIME,
    "region": pl.String,
    "weekday": pl.String,
    "hour": pl.Int64,
    "previous_orders": pl.Int64,
    "days_since_last": pl.Float64,
    "average_value": pl.Float64,
    "last_value": pl.Float64,
    "order_value": pl.Float64,
}
MESSAGE_SCHEMA: Schema = {"text": pl.String, "label": pl.String}

ORDER_CATEGORIES = ("region", "weekday")
ORDER_NUMBERS = ("hour", "previous_orders", "days_since_last", "average_value", "last_value")
ORDER_TARGET = "order_value"


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A shop: its catalogue, a period of purchases, the orders that they formed, and messages from its mailbox.

    The frames have the schemas of this module, `ITEM_SCHEMA` to `MESSAGE_SCHEMA`. `items` has one row per item and is
    sorted by `item_id`; `purchases` has one row per line, is sorted by time, and its `price` is that of one piece;
    `orders` is what `describe_orders` returns; a message's `label` is "spam" or "ham". `notes` are sentences on where
    the data comes from and what was left out of it.
    """

    name: str
    items: pl.DataFrame
    purchases: pl.DataFrame
    orders: pl.DataFrame
    messages: pl.DataFrame
    notes: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """The sha256 of the four frames, in hexadecimal: equal content, equal digest, whatever file it came from."""
        sha = hashlib.sha256()
        for name in ("items", "purchases", "orders", "messages"):
            frame: pl.DataFrame = getattr(self, name)
            sha.update(f"{name} {frame.height}\n".encode())
            for column in frame.iter_columns():
                sha.update(f"{column.name}\n".encode())
                for part in _canonical_bytes(column):
                    sha.update(part)
        return sha.hexdigest()

    def sample_customer(self) -> str:
        """A customer to show: more kinds of items than nine customers of ten, but not the most extreme one."""
        breadth = self.purchases.group_by("user_id").agg(kinds=pl.col("item_id").n_unique()).sort("kinds", "user_id")
        return str(breadth["user_id"][int(0.9 * (breadth.height - 1))])

    def popular_items(self, count: int) -> list[str]:
        """The ids of the `count` items that most customers bought, the most popular first."""
        buyers = self.purchases.group_by("item_id").agg(buyers=pl.col("user_id").n_unique())
        return buyers.sort(["buyers", "item_id"], descending=[True, False])["item_id"].head(count).to_list()


def describe_orders(orders: pl.DataFrame) -> pl.DataFrame:
    """Describe each order by what was known before it, for a model that predicts its value.

    `orders` has the columns order_id, user_id, region, occurred_at, placed_value (what the order was worth when it was
    placed) and order_value (what it is worth now, the target). Returns `ORDER_SCHEMA`, sorted by time: previous_orders
    counts the customer's earlier orders; days_since_last (days), average_value and last_value (money, as placed)
    describe them and are null for a first order.

    Only orders at a strictly earlier time count: of two orders in the same second neither knows the other, so no value
    leaks from a row into its own features or into those of a row before it.
    """
    moments = (
        orders.sort("order_id")  # a sum of floats depends on the order of its terms
        .group_by("user_id", "occurred_at", maintain_order=True)
        .agg(count=pl.len(), total=pl.col("placed_value").sum())
        .sort("user_id", "occurred_at")
    )
    before = moments.select("user_id", "occurred_at", *_history_columns())
    described = orders.join(before, on=["user_id", "occurred_at"], how="left", validate="m:1").with_columns(
        weekday=pl.col("occurred_at").dt.strftime("%A"), hour=pl.col("occurred_at").dt.hour()
    )
    return conform(described, ORDER_SCHEMA).sort("occurred_at", "order_id")


def conform(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """The columns of `schema`, in its order and with its types; others are left out."""
    return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _history_columns() -> Iterable[pl.Expr]:
    """The features of a moment from the customer's earlier moments, in rows sorted by customer and time."""
    earlier_orders = pl.col("count").cum_sum().shift(1).over("user_id")
    gap = pl.col("occurred_at").diff().over("user_id")
    yield earlier_orders.fill_null(0).alias("previous_orders")
    yield (gap.dt.total_seconds() / 86_400).alias("days_since_last")
    yield (pl.col("total").cum_sum().shift(1).over("user_id") / earlier_orders).alias("average_value")
    yield (pl.col("total") / pl.col("count")).shift(1).over("user_id").alias("last_value")


def _canonical_bytes(column: pl.Series) -> Iterable[bytes]:
    """The values as bytes that depend on the values only: no number format of a library, no byte order of a machine."""
    yield np.packbits(column.is_null().to_numpy()).tobytes()
    if column.dtype == pl.String:
        texts = column.fill_null("")
        yield texts.str.len_bytes().to_numpy().astype("<u8").tobytes()
        yield "".join(texts).encode()
    elif column.dtype == pl.Float64:
        yield column.fill_null(0).to_numpy().astype("<f8").tobytes()
    else:
        yield column.to_physical().fill_null(0).to_numpy().astype("<i8").tobytes()
