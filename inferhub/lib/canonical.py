"""One spelling for a JSON value, so that equal values have equal digests wherever they were stored meanwhile."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import orjson

_ALL_EXACT = 2**53  # doubles that are whole numbers below it are all of them
_LOWEST, _BEYOND = -(2**63), 2**64  # whole numbers that JSON parsers, orjson among them, take as they are
_SORTED = orjson.OPT_SORT_KEYS
_NOTHING_BEHIND_POINT = re.compile(rb"\.0(?=[,\]}])")
_AS_IT_IS, _NUMBERS = frozenset({str, bool, type(None)}), frozenset({int, float})
_DIGITS_ALIKE = bytes.maketrans(b"123456789.", b"0000000000")
# A number of 15 digits and a point is spelt as its double is, and a whole number of 18 digits is kept as it is.
_MANY_DIGITS = b"0" * 17
_LONG_NUMBER = re.compile(rb"[0-9.]{17,}")


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no white space, numbers as doubles in their shortest form (the idea of RFC 8785).

    Whole numbers of up to 64 bits keep all their digits, which a double would not. PostgreSQL's jsonb gives 1e300 back
    as a 301-digit integer and drops the sign of -0.0; both spell the same here.

    >>> canonical_json({"b": 1.0, "a": [10**300, -0.0], "c": [2**53 + 1, 1e18]})
    b'{"a":[1e+300,0],"b":1,"c":[9007199254740993,1000000000000000000]}'
    """
    return encode_both(value)[1]


def sorted_json(value: Any) -> bytes:
    """Sorted keys, no white space, numbers as they are, times in ISO 8601: soon made, and most often canonical."""
    return orjson.dumps(value, option=_SORTED)


def canonical_json_before(value: Any) -> bytes:
    """As digests were made before whole numbers kept their digits: to check digests of then."""
    return orjson.dumps(_with_numbers(value, _as_double), option=_SORTED)


def encode_both(value: Any) -> tuple[bytes, bytes]:
    """`value` as JSON with its numbers as they are (1.0 stays 1.0), and its canonical form: most often the same."""
    try:
        text = orjson.dumps(value, option=_SORTED | orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:
        return _encode_unusual(value)
    # 1e16 to 1e19 may be spelt with all their digits. (To look for one character is quicker by far than for three.)
    if isinstance(value, float) or (b"+" in text and b"e+1" in text):
        return text, _canonical(value)
    return text, text if _NOTHING_BEHIND_POINT.search(text) is None else _with_whole_numbers(text)


def has_inexact_number(text: bytes) -> bool:
    """Whether a JSON text has a number whose digits are not those that `canonical_json` takes it for.

    >>> has_inexact_number(b"[0.1, 84.55172413793103]"), has_inexact_number(b"[0.10000000000000001]")
    (False, True)
    """
    if _MANY_DIGITS not in text.translate(_DIGITS_ALIKE):
        return False
    if all(_is_shortest(found) for found in _LONG_NUMBER.findall(text)):
        return False
    numbers: list[str] = []
    json.loads(text, parse_float=numbers.append, parse_int=numbers.append)
    return any(_exact_digits(number) != number for number in numbers)


def digest_of(value: Any) -> str:
    """The sha256 of the canonical form, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def plain_json(value: Any) -> Any:
    """A JSON value from the database as it was sent: jsonb gives 1e300 back as a number that no JSON writer takes."""
    return orjson.loads(canonical_json(value))


def stored_json(value: Any) -> bytes:
    """A value that has parts from the database as JSON: whole numbers that no JSON writer takes are doubles again.

    >>> stored_json({"a": [10**300, 2**53 + 1]})
    b'{"a":[1e+300,9007199254740993]}'
    """
    try:
        return orjson.dumps(value, default=str)
    except orjson.JSONEncodeError:
        return orjson.dumps(_without_long_numbers(value), default=str)


def _without_long_numbers(value: Any) -> Any:
    if type(value) is int:
        return value if _LOWEST <= value < _BEYOND else float(value)
    if isinstance(value, Mapping):
        return {key: _without_long_numbers(item) for key, item in value.items()}
    return [_without_long_numbers(item) for item in value] if isinstance(value, list | tuple) else value


def _is_shortest(number: bytes) -> bool:
    """Quick, and sure where it says yes: a number of these digits is spelt as a double is."""
    if len(number) <= 18 and number.isdigit():
        return True
    try:
        return repr(float(number)).encode() == number
    except ValueError:  # digits and points of a text
        return False


def _exact_digits(number: str) -> str:
    if "." not in number and _LOWEST <= int(number) < _BEYOND:
        return number
    return format(Decimal(repr(float(number))), "f") if "." in number else str(int(Decimal(repr(float(number)))))


def _encode_unusual(value: Any) -> tuple[bytes, bytes]:
    """The same of a value with a whole number that a double may not hold, or with a mapping that is no dict."""
    canonical = _canonical(value)
    try:
        return orjson.dumps(value, option=_SORTED), canonical
    except orjson.JSONEncodeError:  # more than 64 bits
        return canonical, canonical


def _with_whole_numbers(text: bytes) -> bytes:
    """A JSON text with 2.0 spelt 2, and -0.0 spelt 0: quicker than a walk through the value."""
    plain = text.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")  # quotes that are left begin and end strings
    pieces = []
    done = seen = quotes = 0
    for found in _NOTHING_BEHIND_POINT.finditer(plain):
        point = found.start()
        quotes += plain.count(b'"', seen, point)
        seen = point
        if quotes % 2 == 0:
            number = text[done:point]
            pieces.append(number[:-2] + b"0" if number.endswith(b"-0") else number)
            done = found.end()
    return b"".join([*pieces, text[done:]])


def _canonical(value: Any) -> bytes:
    return orjson.dumps(_with_numbers(value, _with_all_digits), option=_SORTED)


def _with_all_digits(number: float) -> float:
    if isinstance(number, int):
        return number if _LOWEST <= number < _BEYOND else float(number)
    if not number.is_integer():
        return number
    if abs(number) < _ALL_EXACT:
        return int(number)
    digits = int(Decimal(repr(number)))  # what a database makes of it that holds decimal numbers
    return digits if _LOWEST <= digits < _BEYOND else number


def _as_double(number: float) -> float:
    number = float(number)
    return int(number) if number.is_integer() and abs(number) < _ALL_EXACT else number


def _with_numbers(value: Any, spell: Callable[[float], float]) -> Any:
    kind = type(value)  # asked first for what is most common: whole decisions come through here
    if kind in _NUMBERS:
        return spell(value)
    if kind is dict:
        return {key: item if type(item) in _AS_IT_IS else _with_numbers(item, spell) for key, item in value.items()}
    if kind is list:
        return [item if type(item) in _AS_IT_IS else _with_numbers(item, spell) for item in value]
    if kind in _AS_IT_IS or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return spell(value)
    return _with_numbers(dict(value) if isinstance(value, Mapping) else list(value), spell)
