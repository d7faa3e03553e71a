"""Rule sets as XLSX workbooks, one sheet a table.

On the way out every cell is a text, marked so that a spreadsheet keeps it one while people edit it. On the way in
formulas, links to other files, macros and XML entities are refused, and the file's parts are bounded before any of
them is read: a zip of a few kilobytes can unfold to gigabytes.
"""

import io
import re
import zipfile
import zlib
from datetime import date, datetime, time
from typing import Any
from xml.etree.ElementTree import ParseError

from openpyxl import Workbook, load_workbook
from openpyxl.cell.cell import WriteOnlyCell
from openpyxl.utils.exceptions import InvalidFileException

from inferhub.errors import FieldError, InvalidDefinition
from inferhub.lib.describe import describe, pointer
from inferhub.rules.rule_set import MOST_TABLES, Find, RuleSet
from inferhub.rules.rule_set_sheets import from_sheets, to_sheets
from inferhub.rules.sheet import Sheet, cell_pointer
from inferhub.rules.table import MOST_ROWS
from inferhub.rules.tokens import number_text

MOST_BYTES = 10 << 20

_MOST_UNFOLDED = 50 << 20
_MOST_PARTS = 200
_MOST_LINES = MOST_ROWS + 100
_MOST_CELLS = 500_000
_LONGEST_TEXT = 32_767  # of a cell, says the format
_SHOWN_DIGITS = 15  # of a number: what it was computed to has one or two more, which nobody sees
_FOREIGN = re.compile(r"(^|/)(externalLinks/|vbaProject|embeddings/|activeX/|connections\.xml)", re.IGNORECASE)
_ROW, _CELL_MARK = re.compile(rb"[<:]row[\s/>]"), re.compile(rb"[<:]c[\s/>]")
_PIECE = 1 << 20
_ACTIVE = ("=", "+", "-", "@")
# Characters that XML cannot hold are written as _x0007_; what looks like that already gets an escape itself.
_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_BROKEN = (
    InvalidFileException,
    zipfile.BadZipFile,
    zlib.error,
    ParseError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    EOFError,
    NotImplementedError,
)
"""What openpyxl raises for files that are none of its own: it checks little before it reads.

A ValueError is also what defusedxml, which openpyxl reads by, raises for entities.
"""


def to_xlsx(rule_set: RuleSet) -> bytes:
    """A workbook that `from_xlsx` reads back to an equal rule set. Raises InvalidDefinition for a text too long."""
    sheets = [
        (
            name,
            [[_written(text, name, number, at) for at, text in enumerate(line)] for number, line in enumerate(lines)],
        )
        for name, lines in to_sheets(rule_set)
    ]
    book = Workbook(write_only=True)
    for name, lines in sheets:
        sheet = book.create_sheet(name)
        sheet.freeze_panes = "B1"
        for line in lines:
            sheet.append([_cell(sheet, text) for text in line])
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def from_xlsx(data: bytes, find: Find | None = None) -> RuleSet:
    """The rule set of a workbook. Raises InvalidDefinition with pointers of sheet, line and column (`/risk/8/B`)."""
    _check_container(data)
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=False, keep_links=False)
        sheets = [(sheet.title, _read(sheet)) for sheet in book.worksheets[: MOST_TABLES + 1]]
    except InvalidDefinition:
        raise
    except _BROKEN as exc:
        raise _error("", "an XLSX workbook", f"a file that breaks: {describe(str(exc))}") from exc
    return from_sheets([(name, lines) for name, lines in sheets if any(any(line) for line in lines)], find)


def _written(text: str, name: str, line: int, column: int) -> str:
    written = _UNWRITABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    if len(written) > _LONGEST_TEXT:
        where = pointer(name) + cell_pointer(line, column)
        raise _error(where, f"a text of at most {_LONGEST_TEXT} characters, which a cell can hold", str(len(written)))
    return written


def _cell(sheet: Any, text: str) -> Any:
    cell = WriteOnlyCell(sheet)
    cell._value, cell.data_type = text, "s"  # noqa: SLF001 - as `value` it would become a formula
    cell.quotePrefix = text.startswith(_ACTIVE)
    return cell


def _check_container(data: bytes) -> None:
    """Refuse what would unfold to too much, or reaches out of the file, before anything is unfolded."""
    if len(data) > MOST_BYTES:
        raise _error("", f"a file of at most {MOST_BYTES} bytes", str(len(data)))
    try:
        container = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as exc:
        raise _error("", "an XLSX workbook", "a file that is none") from exc
    parts = container.infolist()
    if len(parts) > _MOST_PARTS or len({part.filename for part in parts}) < len(parts):
        raise _error("", f"a workbook of at most {_MOST_PARTS} parts, each once", f"{len(parts)}")
    # What a part says of its size bounds what is read of it.
    if sum(part.file_size for part in parts) > _MOST_UNFOLDED:
        raise _error("", f"a workbook that unfolds to at most {_MOST_UNFOLDED} bytes", "a larger one")
    foreign = [part.filename for part in parts if _FOREIGN.search(part.filename)]
    if foreign:
        raise _error("", "a workbook without links to other files, macros and embedded files", describe(foreign[0]))
    _check_counts(container)


def _check_counts(container: zipfile.ZipFile) -> None:
    """Refuse too many lines and cells by counting their marks, which is far quicker than reading them."""
    rows = cells = 0
    try:
        for part in container.infolist():
            with container.open(part) as stream:
                while piece := stream.read(_PIECE):
                    rows, cells = rows + len(_ROW.findall(piece)), cells + len(_CELL_MARK.findall(piece))
                    if b"\x00" in piece and part.filename.endswith((".xml", ".rels")):
                        raise _error("", "a workbook in UTF-8", "another encoding")
                    if rows > _MOST_LINES or cells > _MOST_CELLS:
                        raise _error("", f"at most {_MOST_LINES} lines and {_MOST_CELLS} cells", "more")
    except InvalidDefinition:
        raise
    except _BROKEN as exc:
        raise _error("", "an XLSX workbook", f"a file that breaks: {describe(str(exc))}") from exc


def _read(sheet: Any) -> Sheet:
    lines: Sheet = []
    count = 0
    for number, row in enumerate(sheet.iter_rows(max_row=_MOST_LINES + 1)):
        count += len(row)
        if number >= _MOST_LINES or count > _MOST_CELLS:
            raise _error(pointer(sheet.title), f"at most {_MOST_LINES} lines and {_MOST_CELLS} cells", "more")
        lines.append(_trimmed([_text(cell, sheet.title, number, at) for at, cell in enumerate(row)]))
    return lines


def _trimmed(line: list[str]) -> list[str]:
    while line and not line[-1]:
        line.pop()
    return line


def _text(cell: Any, title: str, line: int, column: int) -> str:
    """A cell as people would type it into a text."""
    value = cell.value
    if value is not None and cell.data_type in ("f", "e"):
        what = "a text, not a formula" if cell.data_type == "f" else "a text, not an error"
        raise _error(pointer(title) + cell_pointer(line, column), what, describe(str(value)))
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int() | float():
            return number_text(float(f"{value:.{_SHOWN_DIGITS}g}"))
        case datetime() if value.time() != time.min:
            where = pointer(title) + cell_pointer(line, column)
            raise _error(where, "a day without a time of day", value.isoformat(" "))
        case datetime() | date():
            return f'"{value.strftime("%Y-%m-%d")}"'
        case _:
            return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), str(value))


def _error(where: str, expected: str, got: str) -> InvalidDefinition:
    return InvalidDefinition(errors=[FieldError(pointer=where, expected=expected, got=got)])
