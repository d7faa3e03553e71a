"""Reading tables from files, and their columns as ids, times and numbers; errors name file, line and column."""

import csv
import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl
from polars.exceptions import ColumnNotFoundError, PolarsError

from recommender.errors import InvalidData

_TIME_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")


def read_frame(path: str | Path, *, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """A CSV file (gzip or not; every column as text) or a Parquet file. Raises InvalidData."""
    path = Path(path)
    if not path.is_file():
        raise InvalidData(f"{path}: no such file")
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path, columns=columns if columns is None else list(columns))
        return pl.read_csv(path, columns=columns, infer_schema=False)
    except ColumnNotFoundError:
        require_columns(columns or (), read_frame(path).columns, str(path))
        raise
    except (PolarsError, OSError) as exc:
        reason = _first_bad_line(path) or str(exc).strip().partition("\n")[0]
        raise InvalidData(f"{path}: {reason}") from exc


def _first_bad_line(path: Path) -> str:
    """What is wrong with which line of a CSV file that the fast reader refuses, as far as it can be told."""
    width = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                fields = len(next(csv.reader([line.decode()])))
                width = width or fields
                if fields > width:
                    return f"line {number}: expected {width} fields, got {fields}"
    except UnicodeDecodeError:
        return f"line {number}: expected text in UTF-8"
    except (OSError, EOFError, csv.Error, StopIteration):
        return ""
    return ""


def require_columns(wanted: Iterable[str], present: Iterable[str], source: str) -> None:
    """Raise InvalidData that names the first missing column and those that there are."""
    names = list(present)
    missing = [column for column in wanted if column not in names]
    if missing:
        raise InvalidData(f"{source}: no column '{missing[0]}'; the columns are {', '.join(names)}")


def read_texts(series: pl.Series, source: str) -> pl.Series:
    """Text without surrounding spaces, null where nothing is left. Raises InvalidData for lists and the like."""
    if series.dtype.is_nested() or series.dtype == pl.Binary:
        raise InvalidData(f"{source}, column {series.name}: expected texts or whole numbers, got {series.dtype}")
    text = series.cast(pl.String).str.strip_chars()
    return text.set(text.str.len_bytes() == 0, None)


def read_times(series: pl.Series, source: str) -> pl.Series:
    """Datetime in microseconds, of times with a zone in UTC. Raises InvalidData where a value is none."""
    if series.dtype in (pl.Date, pl.Datetime):
        zone = getattr(series.dtype, "time_zone", None)
        parsed = (series.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else series).cast(
            pl.Datetime("us")
        )
    elif series.dtype == pl.String:
        parsed = _parse_times(series.str.strip_chars())
    else:
        raise InvalidData(f"{source}, column {series.name}: expected dates and times, got {series.dtype}")
    refuse_rows(series, parsed.is_null(), source, "a date and time such as 2011-11-01 08:26:00")
    return parsed


def _parse_times(text: pl.Series) -> pl.Series:
    parsed = pl.repeat(None, len(text), dtype=pl.Datetime("us"), eager=True)
    for pattern in _TIME_FORMATS:
        if not parsed.has_nulls():
            break
        attempt = text.str.strptime(pl.Datetime("us"), pattern, strict=False)
        parsed = parsed.zip_with(parsed.is_not_null(), attempt)
    return parsed


def read_numbers(series: pl.Series, source: str, *, with_gaps: bool = False) -> pl.Series:
    """Finite Float32, null only where nothing stands and `with_gaps`. Raises InvalidData for any other value."""
    text = series.str.strip_chars() if series.dtype == pl.String else series
    numbers = text.cast(pl.Float32, strict=False)
    finite = pl.select(pl.when(numbers.is_finite()).then(numbers)).to_series()
    gaps = text.is_null() | (text == "") if text.dtype == pl.String else text.is_null()
    refuse_rows(series, finite.is_null() & ~gaps if with_gaps else finite.is_null(), source, "a finite number")
    return finite


def refuse_rows(raw: pl.Series, wrong: pl.Series, source: str, expected: str) -> None:
    """Raise InvalidData that names the first row of the column `raw` which is `wrong`."""
    if not wrong.any():
        return
    row = int(wrong.arg_max() or 0)
    value = raw[row]
    got = "nothing" if value is None else f"'{value}'"
    raise InvalidData(f"{source}, line {row + 2}, column {raw.name}: expected {expected}, got {got}")
