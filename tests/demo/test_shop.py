"""The generated shop: the same for a seed, consistent in itself, and with something to learn in it."""

import os
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from inferhub.errors import InvalidInput
from inferhub.starters.samples.dataset import ITEM_SCHEMA, MESSAGE_SCHEMA, ORDER_SCHEMA, PURCHASE_SCHEMA, Dataset
from inferhub.starters.samples.shop import generate_shop
from inferhub.starters.samples.shop_catalogue import MAX_ITEMS
from inferhub.starters.samples.shop_orders import END


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return generate_shop()


def small(seed: int) -> Dataset:
    return generate_shop(seed=seed, customers=40, items=60, days=60)


def test_one_seed_gives_one_shop_and_another_seed_another() -> None:
    assert small(1).digest == small(1).digest
    assert small(1).digest != small(2).digest


def test_another_process_generates_the_same_shop() -> None:
    code = (
        "from inferhub.starters.samples.shop import generate_shop;"
        "print(generate_shop(seed=1, customers=40, items=60, days=60).digest)"
    )
    environ = os.environ | {"PYTHONHASHSEED": "1", "POLARS_MAX_THREADS": "1"}
    ran = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == small(1).digest


def test_the_frames_have_the_schemas_that_the_module_declares(shop: Dataset) -> None:
    frames = (shop.items, shop.purchases, shop.orders, shop.messages)
    declared = (ITEM_SCHEMA, PURCHASE_SCHEMA, ORDER_SCHEMA, MESSAGE_SCHEMA)
    assert [dict(frame.schema) for frame in frames] == [dict(pl.Schema(schema)) for schema in declared]


def test_a_default_shop_has_the_size_that_was_asked_for(shop: Dataset) -> None:
    assert shop.items.height == 600
    assert shop.purchases["user_id"].n_unique() == 2000
    assert 60_000 <= shop.purchases.height <= 100_000


def test_item_ids_and_names_are_unique_and_items_are_sorted(shop: Dataset) -> None:
    assert shop.items["item_id"].is_unique().all()
    assert shop.items["name"].is_unique().all()
    assert shop.items["item_id"].is_sorted()


def test_the_largest_catalogue_still_has_unique_names() -> None:
    assert generate_shop(customers=10, items=MAX_ITEMS, days=28).items["name"].n_unique() == MAX_ITEMS


def test_names_are_capitalised_words_and_no_word_follows_itself(shop: Dataset) -> None:
    names = [name.split() for name in shop.items["name"]]
    assert all(words[0][0].isupper() for words in names)
    assert not [words for words in names if any(a == b for a, b in pairwise(words))]


def test_prices_end_as_prices_do(shop: Dataset) -> None:
    cents = (shop.items["price"] * 100).round().cast(pl.Int64)
    assert set(cents % 100) == {45, 95}
    assert (cents > 0).all()


def test_purchases_lie_in_the_period_and_are_sorted_by_time(shop: Dataset) -> None:
    times = shop.purchases["occurred_at"]
    assert times.is_sorted()
    assert times.min() >= END - timedelta(days=365)  # type: ignore[operator]
    assert times.max() < END  # type: ignore[operator]


def test_purchases_name_items_of_the_catalogue_with_a_price_and_a_quantity(shop: Dataset) -> None:
    assert set(shop.purchases["item_id"]) <= set(shop.items["item_id"])
    assert (shop.purchases["quantity"] >= 1).all()
    assert (shop.purchases["price"] > 0).all()


def test_an_item_is_in_an_order_once(shop: Dataset) -> None:
    assert shop.purchases.select("user_id", "item_id", "occurred_at").is_unique().all()


def test_order_values_add_up_to_the_purchases(shop: Dataset) -> None:
    paid = (shop.purchases["price"] * shop.purchases["quantity"]).sum()
    assert shop.orders["order_value"].sum() == pytest.approx(paid)


def test_order_ids_are_unique_and_each_order_is_of_one_customer_and_time(shop: Dataset) -> None:
    assert shop.orders["order_id"].is_unique().all()
    keys = ["user_id", "occurred_at"]
    assert shop.orders.select(keys).unique().height == shop.purchases.select(keys).unique().height


def test_an_item_that_came_late_is_bought_late_only(shop: Dataset) -> None:
    first = shop.purchases.group_by("item_id").agg(pl.col("occurred_at").min())
    late = (first["occurred_at"] > END - timedelta(days=365 * 0.8)).sum()
    assert 20 <= late <= 120


def test_gardens_sell_in_spring_and_wrapping_paper_in_december(shop: Dataset) -> None:
    months = shop.purchases.join(shop.items, on="item_id").group_by("category", pl.col("occurred_at").dt.month()).len()
    sold = {(category, month): count for category, month, count in months.iter_rows()}
    assert sold["Garden", 5] > 2 * sold["Garden", 12]
    assert sold["Stationery and gift wrap", 12] > 2 * sold["Stationery and gift wrap", 6]


def test_consumables_are_bought_again_more_often_than_other_things(shop: Dataset) -> None:
    times = shop.purchases.group_by("user_id", "item_id").len().join(shop.items, on="item_id")
    again = times.group_by("category").agg(share=(pl.col("len") > 1).mean())
    share = dict(again.iter_rows())
    assert share["Coffee and tea"] > 2 * share["Garden"]


def test_neighbours_recommend_far_better_than_popularity(shop: Dataset) -> None:
    cut = END - timedelta(days=30)
    bought = _matrix(shop, shop.purchases.filter(pl.col("occurred_at") < cut))
    later = _matrix(shop, shop.purchases.filter(pl.col("occurred_at") >= cut)) * (1 - bought)
    known = bought.any(axis=1)
    bought, later = bought[known], later[known]
    size = np.sqrt(np.maximum(bought.sum(axis=0), 1))
    similar = bought.T @ bought / np.outer(size, size)
    np.fill_diagonal(similar, 0)
    by_neighbours = _hits(bought @ similar, bought, later)
    by_popularity = _hits(np.broadcast_to(bought.sum(axis=0), bought.shape), bought, later)
    assert by_neighbours > 1.3 * by_popularity


def _matrix(shop: Dataset, purchases: pl.DataFrame) -> np.ndarray:
    users = shop.purchases["user_id"].unique().sort()
    matrix = np.zeros((len(users), shop.items.height))
    matrix[users.search_sorted(purchases["user_id"]), shop.items["item_id"].search_sorted(purchases["item_id"])] = 1
    return matrix


def _hits(scores: np.ndarray, bought: np.ndarray, later: np.ndarray) -> float:
    """How many of the first ten new items that are recommended were bought later."""
    top = np.argsort(-np.where(bought > 0, -np.inf, scores), axis=1)[:, :10]
    return float(np.take_along_axis(later, top, axis=1).sum())


def test_the_history_of_a_customer_tells_a_part_of_the_next_order_value(shop: Dataset) -> None:
    known = shop.orders.drop_nulls()
    correlation = np.corrcoef(known["average_value"], known["order_value"])[0, 1]
    assert 0.4 < correlation < 0.95


def test_the_sample_customer_has_a_rich_history_that_is_not_the_richest(shop: Dataset) -> None:
    kinds = shop.purchases.group_by("user_id").agg(pl.col("item_id").n_unique())
    of_sample = kinds.filter(user_id=shop.sample_customer())["item_id"][0]
    assert kinds["item_id"].mean() < of_sample < kinds["item_id"].max()


def test_popular_items_are_those_with_most_customers(shop: Dataset) -> None:
    first, second = shop.popular_items(2)
    buyers = shop.purchases.group_by("item_id").agg(pl.col("user_id").n_unique())
    count = dict(buyers.iter_rows())
    assert count[first] >= count[second] >= sorted(count.values())[-2]


def test_the_notes_say_that_the_shop_is_invented(shop: Dataset) -> None:
    assert "invented" in " ".join(shop.notes)


def test_each_size_out_of_range_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        generate_shop(customers=0, items=MAX_ITEMS + 1, days=5)
    assert [error.pointer for error in caught.value.errors] == ["/customers", "/items", "/days"]
    assert "expected a number from 10 to 20000, got 0" in str(caught.value)
