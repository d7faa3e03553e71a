"""Splitting a cell into tokens, and the literals that both conditions and results use."""

import decimal
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from inferhub.lib.describe import shorten
from inferhub.lib.slug import is_slug

LONGEST_CELL = 2_000

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}", re.ASCII)
RESERVED = frozenset(["and", "date", "false", "in", "not", "null", "or", "true"])
"""Words of the language of cells, which no field can be called."""

_TOKEN = re.compile(
    r"""[\s\xa0\u202f]*(?:
        (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w"'])
      | (?P<text>"[^"]*"|'[^']*')
      | (?P<word>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
      | (?P<sign>\.\.|>=|<=|==|!=|[-+*/()\[\],<>$])
    )""",
    re.VERBOSE | re.ASCII,
)
_MOST_DIGITS = 15  # every decimal of so many digits names a float64 of its own
_MOST_DECIMALS = 12  # further ones would fall off the 28 decimals that the engine keeps
_SHORT = decimal.Context(
    prec=_MOST_DIGITS,
    Emax=_MOST_DIGITS - 1,
    traps=[decimal.Inexact, decimal.InvalidOperation, decimal.Overflow],
)


def is_field_name(text: str) -> bool:
    """Whether `text` can name a field: letters, digits and _, several names joined by dots.

    >>> is_field_name("order.value"), is_field_name("order.not"), is_field_name("a b")
    (True, False, False)
    """
    return all(_NAME.fullmatch(part) and part not in RESERVED for part in text.split("."))


class CellError(Exception):
    """A cell does not have the form or the type that its column asks for."""

    def __init__(self, expected: str, got: str) -> None:
        self.expected = expected
        self.got = got
        super().__init__(f"expected {expected}, got {got}")


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str


END = Token("end", "")


class Tokens:
    """A cursor over the tokens of one cell."""

    def __init__(self, cell: str) -> None:
        self._tokens = _split(cell)
        self._next = 0

    @property
    def head(self) -> Token:
        return self._tokens[self._next]

    def take(self) -> Token:
        """The token at the cursor, which moves on."""
        token = self.head
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def skip(self, *texts: str) -> bool:
        """Move past these words or signs where they come next, all of them."""
        coming = self._tokens[self._next : self._next + len(texts)]
        is_here = [token.text for token in coming] == list(texts) and all(token.kind in _FIXED for token in coming)
        self._next += len(texts) if is_here else 0
        return is_here

    def follow(self, *texts: str) -> bool:
        """Whether these words come behind the token at the cursor."""
        coming = self._tokens[self._next + 1 : self._next + 1 + len(texts)]
        return [(token.kind, token.text) for token in coming] == [("word", text) for text in texts]

    def expect(self, *texts: str) -> str:
        """Move past one of these words or signs, which must come next."""
        for text in texts:
            if self.skip(text):
                return text
        raise self.error(" or ".join(f"'{text}'" for text in texts))

    def error(self, expected: str) -> CellError:
        got = "the end of the cell" if self.head is END else f"'{shorten(self.head.text)}'"
        return CellError(expected, got)


_FIXED = ("word", "sign")


def _split(cell: str) -> list[Token]:
    if len(cell) > LONGEST_CELL:
        raise CellError(f"at most {LONGEST_CELL} characters", str(len(cell)))
    tokens, position, end = [], 0, len(cell.rstrip())
    while position < end:
        match = _TOKEN.match(cell, position)
        if match is None or match.lastgroup is None:
            rest = shorten(cell[position:].strip())
            raise CellError("numbers, quoted texts, names and signs", f"'{rest}' at character {position + 1}")
        tokens.append(Token(match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return [*tokens, END]


def read_number(tokens: Tokens) -> float:
    """A number, perhaps negative. At most 15 digits, 12 of them decimals: more would not compare as they read."""
    is_negative = tokens.skip("-")
    if tokens.head.kind != "number":
        raise tokens.error("a number")
    text = tokens.take().text
    number = _short_number(text)
    if number is None:
        expected = f"a number below 10^15 of at most {_MOST_DIGITS} digits, {_MOST_DECIMALS} of them decimals"
        raise CellError(expected, f"'{shorten(text)}'")
    return float(-number if is_negative and number else number)


def _short_number(text: str) -> Decimal | None:
    """None where it has too many digits, or an exponent that would make them."""
    try:
        number = _SHORT.create_decimal(text).normalize(_SHORT)
    except decimal.DecimalException:
        return None
    exponent = number.as_tuple().exponent
    return number if isinstance(exponent, int) and exponent >= -_MOST_DECIMALS else None


def read_text(tokens: Tokens) -> str:
    """A text in double or single quotes; a text cannot hold the quotes that enclose it."""
    if tokens.head.kind != "text":
        raise tokens.error("a text in quotes")
    return tokens.take().text[1:-1]


def read_list_name(tokens: Tokens) -> str:
    """The name of a look-up list, as `list "blocked"`, or as zen-engine would read it, `lists["blocked"]`."""
    is_member = tokens.expect("list", "lists") == "lists"
    if is_member:
        tokens.expect("[")
    if tokens.head.kind != "text" or not is_slug(tokens.head.text[1:-1]):
        raise tokens.error("the name of a look-up list in quotes")
    name = read_text(tokens)
    if is_member:
        tokens.expect("]")
    return name


def read_boolean(tokens: Tokens) -> bool:
    return tokens.expect("true", "false") == "true"


def read_date(tokens: Tokens) -> float:
    """A day as `"2024-01-31"` or `date("2024-01-31")`, by its number in the calendar (day 1 is 0001-01-01)."""
    is_call = tokens.skip("date", "(")
    text = read_text(tokens)
    day = parse_day(text)
    if day is None:
        raise CellError('a day such as "2024-01-31"', f"'{shorten(text)}'")
    if is_call:
        tokens.expect(")")
    return float(day.toordinal())


def parse_day(text: str) -> date | None:
    """An ISO 8601 calendar day of ten characters, else None."""
    if len(text) != 10 or text[4] != "-" or text[7] != "-":
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def quote(text: str) -> str:
    """A text as a literal. Cells know no escapes, so a text with both kinds of quotes cannot be written."""
    return f"'{text}'" if '"' in text else f'"{text}"'


def number_text(number: float) -> str:
    """A literal without exponent.

    >>> number_text(1e-7), number_text(250.0), number_text(-0.5)
    ('0.0000001', '250', '-0.5')
    """
    return f"{Decimal(repr(number)).normalize():f}"
