"""A generated shop: customers with tastes, and a year of purchases that a recommender and a regression can learn from.

Deterministic for a seed. What there is to learn: customers belong to segments that like certain categories and styles,
buy the same consumables again, add a companion to an item, follow season and weekday, and differ in what they spend.
"""

from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from inferhub.errors import FieldError, InvalidInput
from inferhub.starters.samples.dataset import PURCHASE_SCHEMA, Dataset, conform, describe_orders
from inferhub.starters.samples.messages import generate_messages
from inferhub.starters.samples.shop_catalogue import MAX_ITEMS, Catalogue, Indices, make_catalogue
from inferhub.starters.samples.shop_customers import STAPLES, Customers, draw_columns, make_customers
from inferhub.starters.samples.shop_orders import END, Orders, make_orders
from inferhub.starters.samples.shop_words import REGIONS

COMPANION_SHARE = 0.35
SALE_MONTHS = (0, 6)  # January and July
SALE_PRICE = 0.8


def generate_shop(*, seed: int = 7, customers: int = 2000, items: int = 600, days: int = 365) -> Dataset:
    """Generate a shop whose purchases end just before `END`.

    Raises InvalidInput unless customers are 10 to 20,000, items 50 to `MAX_ITEMS` and days 28 to 3,650.
    """
    _check(customers=customers, items=items, days=days)
    for_catalogue, for_customers, for_orders, for_lines = np.random.default_rng(seed).spawn(4)
    catalogue = make_catalogue(for_catalogue, items)
    people = make_customers(for_customers, catalogue, customers)
    orders = make_orders(for_orders, people, days)
    lines = _make_lines(for_lines, catalogue, people, orders).with_columns(
        occurred_at=END - timedelta(days=days) + pl.duration(seconds="second")
    )
    return Dataset(
        name="generated-shop",
        items=catalogue.frame.sort("item_id"),
        purchases=conform(lines, PURCHASE_SCHEMA).sort("occurred_at", "user_id", "item_id"),
        orders=describe_orders(_totals(lines)),
        messages=generate_messages(seed=seed),
        notes=(f"The shop, its customers and its mailbox are invented: generated with seed {seed}.",),
    )


def _check(*, customers: int, items: int, days: int) -> None:
    limits = {"customers": (customers, 10, 20_000), "items": (items, 50, MAX_ITEMS), "days": (days, 28, 3650)}
    errors = [
        FieldError(pointer=f"/{name}", expected=f"a number from {low} to {high}", got=str(value))
        for name, (value, low, high) in limits.items()
        if not low <= value <= high
    ]
    if errors:
        raise InvalidInput(errors=errors)


def _make_lines(rng: np.random.Generator, catalogue: Catalogue, people: Customers, orders: Orders) -> pl.DataFrame:
    """One row per item of an order: the columns of a purchase, with `second` for its time, and order_id and region."""
    order, item = _with_companions(rng, catalogue, orders, *_choices(rng, catalogue, people, orders))
    customer = orders.customer[order]
    has_sale = np.isin(orders.month[order], SALE_MONTHS) & ~catalogue.is_consumable[item]
    columns = {
        "order_id": 100_001 + order,
        "user_id": 10_001 + customer,
        "region": np.array(list(REGIONS))[people.region[customer]],
        "second": orders.second[order],
        "item_id": catalogue.frame["item_id"].to_numpy()[item],
        "price": np.round(catalogue.price[item] * np.where(has_sale, SALE_PRICE, 1), 2),
        "quantity": _quantities(rng, catalogue.is_consumable[item], people.is_trade[customer]),
    }
    lines = pl.DataFrame(columns).with_columns(pl.format("O{}", "order_id"), pl.format("C{}", "user_id"))
    return lines.group_by(pl.exclude("quantity"), maintain_order=True).sum()


def _choices(
    rng: np.random.Generator, catalogue: Catalogue, people: Customers, orders: Orders
) -> tuple[Indices, Indices]:
    """The order and the item of each line: one of the customer's staples, or one by taste and season."""
    order = np.repeat(np.arange(len(orders.size)), orders.size)
    customer, month = orders.customer[order], orders.month[order]
    staple = people.staples[customer, (rng.random(len(order)) ** 2 * STAPLES).astype(np.intp)]
    item = staple.copy()
    is_fresh = rng.random(len(order)) >= people.loyalty[customer]
    for each in range(12):
        chosen = is_fresh & (month == each)
        item[chosen] = draw_columns(rng, people.taste * catalogue.season[:, each], customer[chosen])
    is_on_sale = catalogue.launched[item] <= orders.position[order]
    return order, np.where(is_on_sale, item, staple)


def _with_companions(
    rng: np.random.Generator, catalogue: Catalogue, orders: Orders, order: Indices, item: Indices
) -> tuple[Indices, Indices]:
    """Add a line with the companion to some of the lines whose item has one on sale."""
    companion = catalogue.companion[item]
    is_on_sale = catalogue.launched[companion] <= orders.position[order]
    added = (companion >= 0) & is_on_sale & (rng.random(len(item)) < COMPANION_SHARE)
    return np.concatenate([order, order[added]]), np.concatenate([item, companion[added]])


def _quantities(
    rng: np.random.Generator, is_consumable: NDArray[np.bool_], is_trade: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Mostly one piece; more of what is used up, and several of everything for the few who buy for a business."""
    return 1 + rng.poisson(np.where(is_consumable, 0.6, 0.12) * np.where(is_trade, 8, 1))


def _totals(lines: pl.DataFrame) -> pl.DataFrame:
    """One row per order with its value, as `describe_orders` wants it."""
    value = (pl.col("price") * pl.col("quantity")).sum().round(2)
    orders = lines.group_by("order_id", "user_id", "region", "occurred_at").agg(placed_value=value)
    return orders.with_columns(order_value="placed_value")
