import gzip
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender import Columns, Interactions, InvalidData, split_by_time

CSV = """customer,sku,at,qty
7,tea,2024-01-02 10:00:00,2
7,jam,2024-01-01 09:00:00,1
,ham,2024-01-01 09:00:00,1
8,tea,2024-01-03 11:00:00,-1
8,"egg, brown",2024-01-03 11:00:00,3
"""
COLUMNS = "user=customer,item=sku,time=at,weight=qty"


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "sales.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


def test_a_csv_file_gives_histories_in_the_order_of_time(csv: Path) -> None:
    assert Interactions.read(csv, COLUMNS).histories() == {"7": ["jam", "tea"], "8": ["egg, brown"]}


def test_a_gzip_file_and_a_parquet_file_give_the_same_as_the_csv_file(csv: Path, tmp_path: Path) -> None:
    zipped, parquet = tmp_path / "sales.csv.gz", tmp_path / "sales.parquet"
    zipped.write_bytes(gzip.compress(csv.read_bytes()))
    pl.read_csv(csv, try_parse_dates=True).write_parquet(parquet)

    expected = Interactions.read(csv, COLUMNS).histories()

    assert Interactions.read(zipped, COLUMNS).histories() == expected
    assert Interactions.read(parquet, COLUMNS).histories() == expected


def test_returns_and_rows_without_a_customer_are_left_out_and_counted(csv: Path) -> None:
    report = Interactions.read(csv, COLUMNS).report

    assert (report.rows, report.kept, report.without_user, report.without_item, report.returns) == (5, 3, 1, 0, 1)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (CSV.replace("2024-01-01 09:00:00,1\n,", "yesterday,1\n,"), "line 3, column at: expected a date and time"),
        (CSV.replace(",3\n", ",three\n"), "line 6, column qty: expected a finite number, got 'three'"),
        (CSV.replace(",3\n", ",inf\n"), "line 6, column qty: expected a finite number, got 'inf'"),
        (CSV.replace(",3\n", ",\n"), "line 6, column qty: expected a finite number, got nothing"),
        (CSV.replace("sku", "article"), "sku"),
    ],
)
def test_a_bad_value_is_named_by_file_line_and_column(tmp_path: Path, broken: str, complaint: str) -> None:
    path = tmp_path / "broken.csv"
    path.write_text(broken, encoding="utf-8")

    with pytest.raises(InvalidData) as caught:
        Interactions.read(path, COLUMNS)

    assert "broken.csv" in str(caught.value)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("latin.csv", "user,item\na,tea\nb,thé\n".encode("latin-1"), r"latin.csv: line 3: expected text in UTF-8"),
        ("ragged.csv", b"user,item\na,tea\nb,jam,2\n", r"ragged.csv: line 3: expected 2 fields, got 3"),
        ("torn.csv.gz", gzip.compress(b"user,item\na,tea\n" * 99, mtime=0)[:40], "torn.csv.gz: unexpected end of file"),
        ("empty.csv", b"", r"empty.csv: empty CSV"),
        ("other.csv", b"customer,item\na,tea\n", r"other.csv: no column 'user'; the columns are customer, item"),
        ("odd.parquet", b"PAR1", r"odd.parquet: "),
    ],
    ids=lambda value: value if str(value).endswith(("csv", "gz", "parquet")) else "",
)
def test_a_file_that_cannot_be_read_is_named_with_the_line(
    tmp_path: Path, name: str, content: bytes, complaint: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(InvalidData, match=complaint):
        Interactions.read(path, "user=user,item=item")


def test_a_missing_column_of_a_parquet_file_and_a_column_of_lists_are_named(tmp_path: Path) -> None:
    path = tmp_path / "sales.parquet"
    pl.DataFrame({"customer": [1], "items": [["tea"]]}).write_parquet(path)

    with pytest.raises(InvalidData, match=r"sales\.parquet: no column 'user'; the columns are customer, items"):
        Interactions.read(path, "user=user,item=items")
    with pytest.raises(InvalidData, match=r"column items: expected texts or whole numbers, got List"):
        Interactions.read(path, "user=customer,item=items")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"nothing\.csv: no such file"):
        Interactions.read(tmp_path / "nothing.csv", COLUMNS)


@pytest.mark.parametrize("columns", ["customer=a", "user", "user=a,user=b", "user="])
def test_a_column_mapping_that_makes_no_sense_is_refused(columns: str) -> None:
    with pytest.raises(InvalidData, match="columns"):
        Columns.parse(columns)


def test_data_without_a_single_usable_row_is_refused() -> None:
    with pytest.raises(InvalidData, match="none of the 1 rows"):
        Interactions.from_frame(pl.DataFrame({"user": [None], "item": ["tea"]}, schema_overrides={"user": pl.String}))


def test_whole_number_ids_become_their_digits() -> None:
    shop = Interactions.from_frame(pl.DataFrame({"user": [17850], "item": [20001]}))

    assert shop.histories() == {"17850": ["20001"]}


def test_times_with_a_zone_are_compared_in_utc() -> None:
    moment = datetime(2024, 1, 1, 12, tzinfo=UTC)
    shop = Interactions.from_frame(pl.DataFrame({"user": ["a"], "item": ["b"], "time": [moment]}))

    assert shop.events["time"].to_list() == [moment.replace(tzinfo=None)]


def test_lines_of_one_basket_share_a_number_and_other_baskets_do_not() -> None:
    rows = {"user": ["a", "a", "a", "b"], "item": ["x", "y", "x", "x"], "basket": ["1", "1", "2", "1"]}

    baskets = Interactions.from_frame(pl.DataFrame(rows)).events["basket"].to_list()

    assert baskets[0] == baskets[1]
    assert len(set(baskets)) == 3


def test_a_split_by_time_leaks_nothing_of_the_future_into_training() -> None:
    rows = {"user": ["a", "b", "a"], "item": ["x", "y", "z"], "time": ["2024-01-01", "2024-02-01", "2024-03-01"]}

    split = split_by_time(Interactions.from_frame(pl.DataFrame(rows)), "2024-02-01")

    assert list(split.train.items.externals) == ["x"]
    assert list(split.train.users.externals) == ["a"]
    assert split.test.histories() == {"a": ["z"], "b": ["y"]}


def test_a_split_by_time_of_data_without_times_is_refused() -> None:
    with pytest.raises(InvalidData, match="time"):
        split_by_time(Interactions.from_frame(pl.DataFrame({"user": ["a"], "item": ["b"]})), "2024-02-01")


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("vwxyz")), min_size=1, max_size=30))
def test_every_event_comes_back_with_its_own_ids(pairs: list[tuple[str, str]]) -> None:
    frame = pl.DataFrame(pairs, schema=["user", "item"], orient="row")

    shop = Interactions.from_frame(frame)

    back = [(user, item) for user, items in shop.histories().items() for item in items]
    assert sorted(back) == sorted(pairs)
    assert np.count_nonzero(shop.matrix().toarray()) == len(set(pairs))
