"""The form of the UCI Online Retail file: from bytes to columns of values, or to a sentence on what is wrong where."""

import csv
import gzip
import io
import textwrap
import zlib
from itertools import islice
from pathlib import Path

import polars as pl

from inferhub.errors import InvalidInput, NotFound

COLUMNS = {
    "InvoiceNo": "order_id",
    "StockCode": "item_id",
    "Description": "description",
    "Quantity": "quantity",
    "InvoiceDate": "occurred_at",
    "UnitPrice": "price",
    "CustomerID": "user_id",
    "Country": "region",
}
REQUIRED = {
    "InvoiceNo": "the number of an invoice",
    "StockCode": "the code of a product",
    "Quantity": "a whole number",
    "InvoiceDate": "a time such as 2010-12-01 08:26:00 or 12/1/2010 8:26",
    "UnitPrice": "a number",
}
TIME_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%m/%d/%Y %H:%M")


def read_lines(path: Path) -> pl.DataFrame:
    """The lines of the file, in its order, with the names of `COLUMNS` and their number in `row`.

    quantity (Int64), price (Float64, finite), occurred_at (UTC), order_id and item_id are never null; description and
    user_id may be; region is "Unspecified" where the file names no country. Raises NotFound and InvalidInput as
    `inferhub.demo.online_retail.read_online_retail` says.
    """
    text = _read_text(path)
    _check_header(path, text)
    try:
        raw = pl.read_csv(text.encode(), columns=list(COLUMNS), infer_schema=False)
    except pl.exceptions.PolarsError as exc:
        raise InvalidInput(f"{path}{_first_fault(text)}") from exc
    lines = raw.with_row_index("row").filter(~pl.all_horizontal(pl.col(COLUMNS).is_null())).with_columns(**_values())
    _check_values(path, text, raw, lines)
    return lines.rename(COLUMNS)


def _read_text(path: Path) -> str:
    """The file's text: UTF-8 or, as some copies are, Windows-1252, in which every sequence of bytes can be read."""
    content = _read_bytes(path)
    if not content.strip():
        raise InvalidInput(f"{path}: the file is empty.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise InvalidInput(f"{path}: expected a file, got a folder.")
    try:
        content = path.read_bytes()
    except FileNotFoundError as exc:
        raise NotFound(f"{path}: there is no such file.") from exc
    except OSError as exc:
        raise InvalidInput(f"{path}: the file cannot be read: {exc.strerror}.") from exc
    if content.startswith(b"PK"):
        raise InvalidInput(f"{path}: this is an Excel or zip file; save the sheet as CSV first.")
    if not content.startswith(b"\x1f\x8b"):
        if path.suffix == ".gz" and content:
            raise InvalidInput(f"{path}: the name ends in .gz but the content is not gzip.")
        return content
    try:
        return gzip.decompress(content)
    except EOFError as exc:
        raise InvalidInput(f"{path}: the gzip file is cut off.") from exc
    except (gzip.BadGzipFile, zlib.error) as exc:
        raise InvalidInput(f"{path}: the gzip file is damaged: {exc}.") from exc


def _check_header(path: Path, text: str) -> None:
    header = next(csv.reader([text[:10_000].partition("\n")[0]]))
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise InvalidInput(
            f"{path}, line 1: there is no column {', '.join(missing)}; expected {', '.join(COLUMNS)}, "
            f"got {textwrap.shorten(', '.join(header), 200)}."
        )


def _values() -> dict[str, pl.Expr]:
    """What the texts mean, null where they mean nothing."""
    price = pl.col("UnitPrice").str.strip_chars().cast(pl.Float64, strict=False)
    times = (pl.col("InvoiceDate").str.to_datetime(form, time_unit="us", strict=False) for form in TIME_FORMATS)
    return {
        "Quantity": pl.col("Quantity").str.strip_chars().cast(pl.Int64, strict=False),
        "UnitPrice": pl.when(price.is_finite()).then(price),
        "InvoiceDate": pl.coalesce(*times).dt.replace_time_zone("UTC"),
        "CustomerID": pl.col("CustomerID").str.strip_chars().str.replace(r"\.0+$", "").replace("", None),
        "Description": pl.col("Description").str.replace_all(r"\s+", " ").str.strip_chars().replace("", None),
        "Country": pl.col("Country").str.strip_chars().fill_null("Unspecified"),
    }


def _check_values(path: Path, text: str, raw: pl.DataFrame, lines: pl.DataFrame) -> None:
    """Raise InvalidInput for the first line that lacks what every line has."""
    bad = lines.filter(pl.any_horizontal(pl.col(REQUIRED).is_null())).head(1)
    if bad.is_empty():
        return
    row = bad["row"][0]
    name = next(name for name in REQUIRED if bad[name][0] is None)
    got = "nothing" if raw[name][row] is None else repr(textwrap.shorten(raw[name][row], 80))
    raise InvalidInput(f"{path}, line {_line_of(text, row)}, column {name}: expected {REQUIRED[name]}, got {got}.")


def _line_of(text: str, row: int) -> int:
    """The line on which a row starts, which is not its number where a field before it has a line break in it."""
    reader = csv.reader(io.StringIO(text, newline=""))
    for _ in islice(reader, row + 1):
        pass
    return reader.line_num + 1


def _first_fault(text: str) -> str:
    """Where a text that is no CSV stops being one, and how."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        width = len(next(reader))
        for fields in reader:
            line = reader.line_num
            if len(fields) > width:
                return f", line {line}: expected {width} fields, got {len(fields)}."
    except csv.Error as exc:
        return f", line {line + 1}: not CSV: {exc}."
    return ": the file is no CSV file."
