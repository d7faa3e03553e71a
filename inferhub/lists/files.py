"""Lists as comma-separated text: a head line `value,note,expires_at`, then an entry a line."""

import csv
import io
from collections.abc import Iterable, Iterator

from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.csv_cells import csv_reader, guarded, unguarded
from inferhub.lib.describe import listed, pointer
from inferhub.lib.moments import parse_moment
from inferhub.lists.models import ListEntry
from inferhub.lists.services import Entry

COLUMNS = ("value", "note", "expires_at")


def to_csv(entries: Iterable[ListEntry]) -> Iterator[str]:
    """The lines of a file; cells that a spreadsheet would run as a formula are made texts."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for entry in entries:
        yield _taken(buffer)
        expires_at = entry.expires_at.isoformat() if entry.expires_at else ""
        writer.writerow([guarded(entry.value), guarded(entry.note), expires_at])
    yield _taken(buffer)


def from_csv(text: str) -> list[Entry]:
    """The entries of a file, in which `note` and `expires_at` may be left out. Raises InvalidInput, by line."""
    reader = csv_reader(text)
    try:
        head = [cell.strip().lower() for cell in next(reader, [])]
        _check_head(head)
        return [_entry(head, line, reader.line_num) for line in reader if any(cell.strip() for cell in line)]
    except csv.Error as exc:
        raise _error(pointer(reader.line_num), "comma-separated text", str(exc)) from None


def _check_head(head: list[str]) -> None:
    if "value" not in head or len(set(head)) < len(head) or not set(head) <= set(COLUMNS):
        got = listed(head) or "an empty file"
        raise _error("/1", f"a head line with value, and perhaps {COLUMNS[1]} and {COLUMNS[2]}", got)


def _entry(head: list[str], line: list[str], number: int) -> Entry:
    if len(line) > len(head):
        raise _error(pointer(number), f"at most {len(head)} cells", str(len(line)))
    cells = dict(zip(head, map(unguarded, line), strict=False))
    expires_at = cells.get("expires_at", "").strip()
    return Entry(
        value=cells.get("value", ""),
        note=cells.get("note", ""),
        expires_at=parse_moment(expires_at, at=pointer(number, "expires_at")) if expires_at else None,
    )


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _error(where: str, expected: str, got: str) -> InvalidInput:
    return InvalidInput(errors=[FieldError(pointer=where, expected=expected, got=got)])
