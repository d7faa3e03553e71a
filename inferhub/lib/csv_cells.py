"""CSV as spreadsheets write it, and cells that they would run as formulas, made texts and read back."""

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _csv import Reader

_SEPARATORS = ",;\t"
_LONGEST_CELL = 1 << 20
_ACTIVE = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


def csv_reader(text: str) -> "Reader":
    """`csv.reader` of a whole file, strict. Where the comma is in numbers, spreadsheets part cells by semicolons.

    >>> list(csv_reader("a;b\\r\\n1;2,5")), list(csv_reader("a,b\\n1,x;y"))
    ([['a', 'b'], ['1', '2,5']], [['a', 'b'], ['1', 'x;y']])
    """
    csv.field_size_limit(_LONGEST_CELL)
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="")
    first = lines.readline()
    lines.seek(0)
    separator = next((mark for mark in _SEPARATORS if _parts(first, mark) > 1), ",")
    return csv.reader(lines, delimiter=separator, strict=True)


def _parts(line: str, separator: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=separator), ()))
    except csv.Error:  # which whoever reads the file meets again, and tells
        return 0


def guarded(cell: str) -> str:
    """A cell that no spreadsheet runs: one that begins as formulas do carries an apostrophe, as texts do there.

    Blanks before the sign do not hide it (OWASP, CSV Injection).

    >>> guarded("=1+1"), guarded(" =1"), guarded("a"), guarded("'a")
    ("'=1+1", "' =1", 'a', "''a")
    """
    return f"'{cell}" if _is_active(cell) else cell


def unguarded(cell: str) -> str:
    """What `guarded` was given; a cell that carries no guard is itself.

    >>> unguarded("'=1+1"), unguarded("a"), unguarded("'tis")
    ('=1+1', 'a', "'tis")
    """
    return cell[1:] if cell.startswith("'") and _is_active(cell[1:]) else cell


def _is_active(cell: str) -> bool:
    return cell.startswith(_ACTIVE) or cell.lstrip().startswith(_ACTIVE)
