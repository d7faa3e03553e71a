"""The reader of the Online Retail file, on small files written here."""

import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from inferhub.demo.online_retail import CATEGORIES, OTHER, read_online_retail
from inferhub.errors import InvalidInput, NotFound
from inferhub.starters.samples.dataset import Dataset

Writer = Callable[..., Path]

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
LINE = "536365,71053,WHITE METAL LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,United Kingdom"


def line(**changes: str) -> str:
    return ",".join((dict(zip(HEADER.split(","), LINE.split(","), strict=True)) | changes).values())


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    def write(*lines: str, name: str = "retail.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        content = "\n".join([HEADER, *lines, ""]).encode(encoding)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


def refusal(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_online_retail(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def notes(dataset: Dataset) -> str:
    return " ".join(dataset.notes)


def test_a_line_becomes_a_purchase_an_item_and_an_order(write: Writer) -> None:
    dataset = read_online_retail(write(LINE))
    assert dataset.items.rows() == [("71053", "WHITE METAL LANTERN", "Candles and lights", 3.39)]
    assert dataset.purchases.drop("occurred_at").rows() == [("17850", "71053", 6, 3.39)]
    assert str(dataset.purchases["occurred_at"][0]) == "2010-12-01 08:26:00+00:00"
    order = dataset.orders.row(0, named=True)
    assert (order["order_id"], order["region"], order["order_value"]) == ("536365", "United Kingdom", 20.34)


def test_a_gzipped_file_reads_the_same_whatever_it_is_called(write: Writer) -> None:
    plain = read_online_retail(write(LINE))
    gzipped = write(LINE, name="retail.csv.gz")
    assert read_online_retail(gzipped).digest == plain.digest
    assert read_online_retail(gzipped.rename(gzipped.with_suffix(""))).digest == plain.digest


def test_the_order_of_the_lines_does_not_change_the_digest(write: Writer) -> None:
    lines = [line(StockCode=code, UnitPrice=price) for code, price in [("1", "0.1"), ("2", "0.2"), ("3", "0.3")]]
    assert read_online_retail(write(*lines)).digest == read_online_retail(write(*reversed(lines))).digest


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Quantity": "-6"}, "because they are returns"),
        ({"InvoiceNo": "C536365"}, "because they are returns"),
        ({"StockCode": "POST"}, "because they have a code that is no product"),
        ({"StockCode": "m"}, "because they have a code that is no product"),
        ({"StockCode": "gift_0001_20"}, "because they have a code that is no product"),
        ({"UnitPrice": "0"}, "because they have no price"),
        ({"UnitPrice": "-11062.06"}, "because they have no price"),
        ({"CustomerID": ""}, "because they name no customer"),
    ],
)
def test_a_line_that_is_no_purchase_is_left_out_and_counted(
    write: Writer, changes: dict[str, str], reason: str
) -> None:
    dataset = read_online_retail(write(LINE, line(**changes)))
    assert dataset.purchases.height == 1
    assert "known customers: 1 of 2." in notes(dataset)
    assert [note for note in dataset.notes if reason in note and note.endswith(": 1.")]


def test_a_file_without_any_purchase_is_refused_with_the_counts(write: Writer) -> None:
    message = refusal(write(line(CustomerID=""), line(CustomerID="")))
    assert "no line is a purchase" in message
    assert "because they name no customer: 2." in message


def test_a_cancelled_purchase_is_not_in_the_value_of_its_order(write: Writer) -> None:
    other = line(StockCode="22752", UnitPrice="5", Quantity="2")
    back = line(InvoiceNo="C536380", Quantity="-6", InvoiceDate="2010-12-02 10:00:00")
    dataset = read_online_retail(write(LINE, other, back))
    assert dataset.orders["order_value"].to_list() == [10.0]
    assert dataset.purchases.height == 2
    assert "not in the order values: 1." in notes(dataset)


def test_a_cancellation_takes_back_the_last_purchase_before_it_only(write: Writer) -> None:
    days = [("1", "2010-12-01 08:00:00"), ("2", "2010-12-02 08:00:00"), ("3", "2010-12-04 08:00:00")]
    bought = [line(InvoiceNo=number, InvoiceDate=day) for number, day in days]
    back = line(InvoiceNo="C4", Quantity="-6", InvoiceDate="2010-12-03 08:00:00")
    dataset = read_online_retail(write(*bought, back))
    assert dataset.orders["order_id"].to_list() == ["1", "3"]
    assert dataset.orders["previous_orders"].to_list() == [0, 2]


def test_a_return_of_a_part_or_by_another_customer_cancels_nothing(write: Writer) -> None:
    later = {"InvoiceNo": "C9", "InvoiceDate": "2010-12-09 08:00:00"}
    dataset = read_online_retail(
        write(LINE, line(Quantity="-5", **later), line(Quantity="-6", CustomerID="1", **later))
    )
    assert dataset.orders["order_value"].to_list() == [20.34]


def test_an_item_has_its_most_frequent_description_and_its_median_price(write: Writer) -> None:
    lines = [line(UnitPrice="1"), line(UnitPrice="2"), line(UnitPrice="9", Description="lantern?")]
    assert read_online_retail(write(*lines)).items.rows() == [("71053", "WHITE METAL LANTERN", "Candles and lights", 2)]


def test_spaces_in_a_description_are_tidied_and_a_missing_one_is_the_code(write: Writer) -> None:
    lines = [line(Description=" RED  MUG "), line(StockCode="22752", Description="")]
    assert read_online_retail(write(*lines)).items["name"].to_list() == ["22752", "RED MUG"]


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("WHITE HANGING HEART T-LIGHT HOLDER", "Candles and lights"),
        ("SET OF 3 CAKE TINS PANTRY DESIGN", "Kitchen and table"),
        ("JUMBO BAG RED RETROSPOT", "Bags and travel"),
        ("CHRISTMAS GINGHAM TREE", "Christmas"),
        ("DOORMATS", "Home decoration"),
        ("RASTA STRINGS", OTHER),
    ],
)
def test_the_category_follows_from_a_word_of_the_name(write: Writer, name: str, category: str) -> None:
    assert read_online_retail(write(line(Description=name))).items["category"].to_list() == [category]


def test_no_word_stands_in_two_categories() -> None:
    words = [word for words in CATEGORIES.values() for word in words.split()]
    assert sorted(words) == sorted(set(words))


@pytest.mark.parametrize("written", ["12/1/2010 8:26", "2010-12-01 08:26"])
def test_the_other_published_forms_of_time_are_read(write: Writer, written: str) -> None:
    assert read_online_retail(write(line(InvoiceDate=written))).digest == read_online_retail(write(LINE)).digest


def test_a_copy_in_windows_1252_is_read(write: Writer) -> None:
    path = write(line(Description="VOUCHER HOLDER £20"), encoding="cp1252")
    assert read_online_retail(path).items["name"].to_list() == ["VOUCHER HOLDER £20"]


def test_columns_may_come_in_another_order_and_be_more(write: Writer, tmp_path: Path) -> None:
    path = tmp_path / "more.csv"
    pl.DataFrame([LINE.split(",")], schema=HEADER.split(","), orient="row").select(
        pl.lit("x").alias("More"), pl.all().reverse()
    ).select(pl.col("Country"), pl.exclude("Country")).write_csv(path)
    assert read_online_retail(path).digest == read_online_retail(write(LINE)).digest


def test_blank_lines_are_passed_over(write: Writer) -> None:
    assert read_online_retail(write(LINE, "", "")).digest == read_online_retail(write(LINE)).digest


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"Quantity": "six"}, "column Quantity: expected a whole number, got 'six'"),
        ({"Quantity": "1.5"}, "column Quantity: expected a whole number, got '1.5'"),
        ({"Quantity": ""}, "column Quantity: expected a whole number, got nothing"),
        ({"UnitPrice": "3;39"}, "column UnitPrice: expected a number, got '3;39'"),
        ({"UnitPrice": "nan"}, "column UnitPrice: expected a number, got 'nan'"),
        ({"InvoiceDate": "2010-13-01 08:26:00"}, "column InvoiceDate: expected a time such as 2010-12-01 08:26:00"),
        ({"InvoiceNo": ""}, "column InvoiceNo: expected the number of an invoice, got nothing"),
        ({"StockCode": ""}, "column StockCode: expected the code of a product, got nothing"),
    ],
)
def test_a_value_that_cannot_be_read_is_named_with_its_line(
    write: Writer, changes: dict[str, str], complaint: str
) -> None:
    assert refusal(write(LINE, line(**changes), LINE)).startswith(f", line 3, {complaint}")


def test_the_line_is_that_of_the_file_after_blank_lines_and_line_breaks_in_a_field(write: Writer) -> None:
    assert ", line 5, column Quantity" in refusal(write(line(Description='"RED\nMUG"'), "", line(Quantity="?")))


def test_a_line_that_is_cut_off_is_named(write: Writer) -> None:
    cut_off = LINE[: LINE.index(",3.39")]
    assert refusal(write(LINE, cut_off)) == ", line 3, column UnitPrice: expected a number, got nothing."


def test_a_line_with_too_many_fields_is_named(write: Writer) -> None:
    assert refusal(write(LINE, LINE + ",more")) == ", line 3: expected 8 fields, got 9."


def test_a_quote_that_is_not_closed_is_named(write: Writer) -> None:
    assert ", line 3: not CSV: unexpected end of data" in refusal(write(LINE, line(Description='"RED MUG')))


def test_a_missing_column_is_named_with_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "retail.csv"
    path.write_text("InvoiceNo,Price\n1,2\n")
    message = refusal(path)
    assert message.startswith(", line 1: there is no column StockCode, Description, Quantity")
    assert message.endswith("got InvoiceNo, Price.")


@pytest.mark.parametrize("content", [b"", b"\n\n", gzip.compress(b"")], ids=["nothing", "blank", "gzipped nothing"])
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "retail.csv"
    path.write_bytes(content)
    assert refusal(path) == ": the file is empty."


def test_a_file_without_lines_is_refused(write: Writer) -> None:
    assert "0 of 0." in refusal(write())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (HEADER.encode(), "the name ends in .gz but the content is not gzip"),
        (gzip.compress(LINE.encode() * 100)[:-20], "the gzip file is cut off"),
        (gzip.compress(LINE.encode())[:-8] + b"12345678", "the gzip file is damaged: CRC check failed"),
        (gzip.compress(LINE.encode())[:10] + b"\xff" * 40, "the gzip file is damaged"),
        (b"PK\x03\x04 a sheet", "this is an Excel or zip file"),
        (gzip.compress(b"\x00\x01\xff" * 1000), "there is no column InvoiceNo"),
    ],
    ids=["no gzip", "cut off", "bad sum", "bad data", "xlsx", "binary"],
)
def test_a_file_of_another_kind_is_told_as_what_it_is(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "retail.csv.gz"
    path.write_bytes(content)
    assert complaint in refusal(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == ": expected a file, got a folder."


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"nowhere\.csv: there is no such file"):
        read_online_retail(tmp_path / "nowhere.csv")


def test_a_path_below_a_file_is_refused(write: Writer) -> None:
    assert "the file cannot be read: Not a directory" in refusal(write(LINE) / "retail.csv")
