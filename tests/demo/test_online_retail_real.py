"""The reader on the real Online Retail file."""

import os
from pathlib import Path

import polars as pl
import pytest

from inferhub.demo.online_retail import OTHER, read_online_retail
from inferhub.starters.samples.dataset import Dataset

pytestmark = pytest.mark.data

FOLDER = Path(os.environ.get("REAL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


@pytest.fixture(scope="module")
def retail() -> Dataset:
    return read_online_retail(FOLDER / "online_retail" / "online_retail.csv.gz")


def test_the_purchases_are_those_of_known_customers(retail: Dataset) -> None:
    assert retail.purchases.height == 396_337
    assert retail.purchases["user_id"].n_unique() == 4_334
    assert retail.items.height == retail.purchases["item_id"].n_unique() == 3_659


def test_the_notes_account_for_every_line_of_the_file(retail: Dataset) -> None:
    assert retail.notes[0].endswith(": 396,337 of 541,909.")
    counts = [int(note.split(": ")[1].split()[0].replace(",", "").rstrip(".")) for note in retail.notes[:5]]
    assert counts == [396_337, 10_624, 2_362, 1_165, 131_421]
    assert sum(counts) == 541_909


def test_the_orders_are_the_invoices_that_were_not_cancelled_in_full(retail: Dataset) -> None:
    assert retail.orders.height == 18_279
    assert retail.orders["order_id"].is_unique().all()
    assert retail.orders["order_value"].max() == 27_872.8


def test_the_cancelled_purchases_are_counted(retail: Dataset) -> None:
    assert retail.notes[5].endswith("not in the order values: 2,805.")


def test_the_times_span_the_year_that_the_file_covers(retail: Dataset) -> None:
    times = retail.purchases["occurred_at"]
    assert times.is_sorted()
    assert (str(times[0]), str(times[-1])) == ("2010-12-01 08:26:00+00:00", "2011-12-09 12:50:00+00:00")


def test_most_items_have_a_category(retail: Dataset) -> None:
    assert retail.items.filter(pl.col("category") == OTHER).height < 0.12 * retail.items.height


def test_customer_ids_are_whole_numbers(retail: Dataset) -> None:
    assert retail.purchases["user_id"].str.contains(r"^\d{5}$").all()
