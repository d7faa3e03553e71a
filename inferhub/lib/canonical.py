"""One spelling for a JSON value, so that equal values have equal digests wherever they were stored meanwhile."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import orjson

_LARGEST_EXACT = 2**53
_SORTED = orjson.OPT_SORT_KEYS
# A float with nothing behind its point, which may be spelt without it. Whole numbers within 53 bits have one spelling.
_UNUSUAL_FLOAT = re.compile(rb"[:,\[]-?\d+\.0[,\]}]")


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no white space, numbers as doubles in their shortest form (the idea of RFC 8785).

    PostgreSQL's jsonb gives 1e300 back as a 301-digit integer and drops the sign of -0.0; both spell the same here.

    >>> canonical_json({"b": 1.0, "a": [10**300, -0.0]})
    b'{"a":[1e+300,0],"b":1}'
    """
    return encode_both(value)[1]


def encode_both(value: Any) -> tuple[bytes, bytes]:
    """`value` as JSON with its numbers as they are (1.0 stays 1.0), and its canonical form: most often the same."""
    try:
        text = orjson.dumps(value, option=_SORTED | orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:
        return _encode_unusual(value)
    return text, _canonical(value) if isinstance(value, float) or _has_unusual_float(text) else text


def digest_of(value: Any) -> str:
    """The sha256 of the canonical form, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def plain_json(value: Any) -> Any:
    """A JSON value from the database as it was sent: jsonb gives 1e300 back as a number that no JSON writer takes."""
    return orjson.loads(canonical_json(value))


def _encode_unusual(value: Any) -> tuple[bytes, bytes]:
    """The same of a value with a whole number that a double may not hold, or with a mapping that is no dict."""
    canonical = _canonical(value)
    try:
        return orjson.dumps(value, option=_SORTED), canonical
    except orjson.JSONEncodeError:  # more than 64 bits
        return canonical, canonical


def _has_unusual_float(text: bytes) -> bool:
    """First what is quick and finds too much: the expression reads each character."""
    return (b".0," in text or b".0}" in text or b".0]" in text) and _UNUSUAL_FLOAT.search(text) is not None


def _canonical(value: Any) -> bytes:
    return orjson.dumps(_normal(value), option=orjson.OPT_SORT_KEYS)


def _normal(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        number = float(value)
        return int(number) if number.is_integer() and abs(number) < _LARGEST_EXACT else number
    if isinstance(value, Mapping):
        return {key: _normal(item) for key, item in value.items()}
    return [_normal(item) for item in value]
