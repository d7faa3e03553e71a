"""What is known of items and of customers apart from who bought what, from files or frames."""

from pathlib import Path

import polars as pl

from recommender.errors import InvalidData
from recommender.reading import read_frame, read_numbers, read_texts, refuse_rows, require_columns

ITEM_COLUMNS = ("item", "text", "category", "price")
USER = "user"
_NUMBER = ":number"


def read_item_features(path: str | Path, columns: str = "") -> pl.DataFrame:
    """The columns item, text, category (String) and price (Float32) of a .csv, .csv.gz or .parquet file.

    `columns` says where to find them ("item=StockCode,price=UnitPrice"); without it they are found by their names, as
    far as the file has them. Of several rows of one item the first counts; rows without an item are left out. Raises
    InvalidData that names file, line and column.
    """
    frame, source = read_frame(path), str(path)
    mapping = _mapping(columns) if columns else {name: name for name in ITEM_COLUMNS if name in frame.columns}
    unknown = [name for name in mapping if name not in ITEM_COLUMNS]
    if unknown or "item" not in mapping:
        raise InvalidData(
            f"{source}: expected the column item and some of text, category, price; got {', '.join(frame.columns)}; "
            "name them as in item=StockCode,category=Department"
        )
    require_columns(mapping.values(), frame.columns, source)
    found = pl.DataFrame(
        (read_numbers(frame[column], source, with_gaps=True) if name == "price" else read_texts(frame[column], source))
        .alias(name)
        for name, column in mapping.items()
    )  # fmt: skip
    return found.drop_nulls("item").unique("item", keep="first", maintain_order=True)


def read_user_features(path: str | Path, columns: str = "") -> pl.DataFrame:
    """The column user and whatever else is known of customers, of a .csv, .csv.gz or .parquet file.

    `columns` says what to take: "user=household_id,age,kids=kids_count,spend=total:number" takes age under its own
    name and reads total as numbers; without it every column is taken. See `as_user_features`.
    """
    return as_user_features(read_frame(path), columns, source=str(path))


def as_user_features(frame: pl.DataFrame, columns: str = "", *, source: str = "frame") -> pl.DataFrame:
    """One row per customer: user (String) and features, each String (groups) or Float32 (amounts), null if unknown.

    Numbers of a frame or Parquet file are amounts, all else is groups. Raises InvalidData that names line and column
    where a customer has no id or two rows, or a number is none.

    >>> as_user_features(pl.DataFrame({"id": [7], "age": ["45-54"], "visits": [3]}), "user=id,age,visits").row(0)
    ('7', '45-54', 3.0)
    """
    mapping = _mapping(columns) if columns else {name: name for name in frame.columns}
    if USER not in mapping or len(mapping) < 2:
        raise InvalidData(
            f"{source}: expected the column user and at least one feature; got {', '.join(frame.columns)}; "
            "name them as in user=household_id,age,income"
        )
    require_columns((column.removesuffix(_NUMBER) for column in mapping.values()), frame.columns, source)
    users = read_texts(frame[mapping[USER]], source)
    refuse_rows(users.alias(mapping[USER]), users.is_null(), source, "the id of a customer")
    refuse_rows(users.alias(mapping[USER]), ~users.is_first_distinct(), source, "one row for each customer")
    features = (_feature(frame, column, source).alias(name) for name, column in mapping.items() if name != USER)
    return pl.DataFrame([users.alias(USER), *features])


def _feature(frame: pl.DataFrame, column: str, source: str) -> pl.Series:
    series = frame[column.removesuffix(_NUMBER)]
    if column.endswith(_NUMBER) or series.dtype.is_numeric():
        return read_numbers(series, source, with_gaps=True)
    return read_texts(series, source)


def _mapping(text: str) -> dict[str, str]:
    """`name=column,...`, where a name alone is also the column's."""
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    mapping = {name.removesuffix(_NUMBER): column or name for name, _, column in pairs}
    if len(mapping) < len(pairs) or any(equals and not column for _, equals, column in pairs):
        raise InvalidData(f"columns: expected name=column with every name once, got '{text}'")
    return mapping
