"""Inputs out of a file: JSON lines, or CSV whose cells become what the workflow's input schema declares."""

import csv
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from inferhub.backtests.question import input_fields
from inferhub.errors import FieldError, InvalidInput, TooLarge
from inferhub.lib.csv_cells import csv_reader
from inferhub.lib.describe import describe, shorten
from inferhub.lib.storable import MOST_LEVELS, check_storable

MOST_BYTES = 64 << 20
MOST_ROWS = 1_000_000
ENDINGS = (".csv", ".jsonl", ".ndjson")

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def read_rows(name: str, data: bytes, *, workflow: str, version: int | None = None) -> list[dict[str, Any]]:
    """The rows of a file called `name`, for a version of a workflow (by default the newest).

    In CSV the first line names fields of the input; an empty cell is null where the field may be null, and else
    missing; empty lines are none. Whether a row is as the workflow declares it is for the back-test to say. Raises
    InvalidInput that names the line, TooLarge and NotFound.
    """
    if len(data) > MOST_BYTES:
        raise TooLarge(f"The file has more than {MOST_BYTES >> 20} MiB.")
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), None)
    if ending is None:
        raise _wrong("", f"a file whose name ends with {', '.join(ENDINGS)}", describe(name))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise _wrong("", "text in UTF-8", f"other bytes at {exc.start}") from exc
    if "\x00" in text or "\\u0000" in text:
        raise _wrong("", "text without U+0000, which the database cannot hold", "it")
    rows = []
    for row in _csv(text, input_fields(workflow, version)) if ending == ".csv" else _json_lines(text):
        rows.append(row)
        if len(rows) > MOST_ROWS:
            raise TooLarge(f"The file has more than {MOST_ROWS:,} rows.")
    if not rows:
        raise _wrong("", "at least one row", "none")
    return rows


def _json_lines(text: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as exc:
            raise _wrong(f"/{number}", "a JSON object", f"{exc.msg} at column {exc.colno}") from exc
        if not isinstance(row, dict):
            raise _wrong(f"/{number}", "a JSON object", describe(row))
        if line.count("[") + line.count("{") > MOST_LEVELS:
            check_storable(row)
        yield row


def _csv(text: str, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    lines = csv_reader(text)
    try:
        names: list[str] = next(lines, [])
        unknown = [name for name in names if name not in fields] or [name for name in names if names.count(name) > 1]
        if unknown or not names:
            raise _wrong("/1", f"names of input fields ({', '.join(fields)}), each once", describe(", ".join(unknown)))
        readers = [_Cell(name, fields[name]) for name in names]
        for line in filter(None, lines):
            if len(line) != len(names):
                raise _wrong(f"/{lines.line_num}", f"{len(names)} cells", f"{len(line)}")
            found = (
                (reader.name, reader.read(cell, lines.line_num)) for reader, cell in zip(readers, line, strict=True)
            )
            yield {name: value for name, value in found if value is not _MISSING}
    except csv.Error as exc:
        raise _wrong(f"/{lines.line_num}", "a line of CSV", str(exc)) from exc


_MISSING = object()


class _Cell:
    """Reads the cells of one column."""

    def __init__(self, name: str, schema: Any) -> None:
        self.name = name
        kind = schema.get("type", "string") if isinstance(schema, dict) else "string"
        self._kinds = set(kind if isinstance(kind, list) else [kind])

    def read(self, cell: str, line: int) -> Any:
        if cell == "":
            return None if "null" in self._kinds else _MISSING
        for kind, read in _READERS.items():
            if kind in self._kinds and (value := read(cell)) is not None:
                return value
        if "string" in self._kinds:
            return cell
        expected = " or ".join(sorted(self._kinds - {"null"}))
        raise _wrong(f"/{line}/{self.name}", f"a cell that holds a value of the type {expected}", repr(shorten(cell)))


def _whole_number(cell: str) -> int | None:
    digits = cell.strip().removeprefix("-")
    return int(cell) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else None


def _number(cell: str) -> int | float | None:
    whole = _whole_number(cell)
    if whole is not None:
        return whole
    found = float(cell) if _NUMBER.fullmatch(cell.strip()) else math.inf
    return found if math.isfinite(found) else None


def _boolean(cell: str) -> bool | None:
    return {"true": True, "false": False}.get(cell.strip().lower())


def _json(cell: str) -> Any:
    try:
        value = orjson.loads(cell)
    except orjson.JSONDecodeError:
        return None
    check_storable(value)
    return value


_READERS = {"integer": _whole_number, "number": _number, "boolean": _boolean, "array": _json, "object": _json}


def _wrong(place: str, expected: str, got: str) -> InvalidInput:
    return InvalidInput(errors=[FieldError(pointer=f"/file{place}", expected=expected, got=got)])
