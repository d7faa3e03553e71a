"""Whom or what data is about: how a value in JSON becomes the name of a subject, and which texts are the same name."""

import math
import unicodedata
from collections.abc import Collection
from typing import Any

LONGEST_SUBJECT = 200


def subject_text(value: Any) -> str:
    """The name that a field of an input gives; null gives none.

    >>> subject_text("c1"), subject_text(17), subject_text(None)
    ('c1', '17', '')
    """
    return "" if value is None else str(value)[:LONGEST_SUBJECT]


def spellings(subject: str) -> tuple[str, ...]:
    """The texts that are this one to a reader: as given, composed and decomposed (the forms NFC and NFD of Unicode).

    Nothing else is folded: neither case, nor white space, nor letters that only look alike.

    >>> spellings("c1")
    ('c1',)
    """
    forms = (subject, unicodedata.normalize("NFC", subject), unicodedata.normalize("NFD", subject))
    return tuple(dict.fromkeys(forms))


def is_named(value: Any, names: Collection[str]) -> bool:
    """Whether a field that held `value`, which the database may have kept since, named one of `names`.

    The database writes 1e16 as the whole number that it is.

    >>> is_named(17, ["17"]), is_named("c10", ["c1"]), is_named(10**16, ["1e+16"])
    (True, False, True)
    """
    if value is None:
        return False
    if subject_text(value) in names:
        return True
    return type(value) is int and abs(value) >= 10**16 and subject_text(_as_float(value)) in names


def may_be_no_text(name: str) -> bool:
    """Whether a value that is written in another way in JSON can have this name: 1e+16, True, ['a'].

    >>> may_be_no_text("c1"), may_be_no_text("17"), may_be_no_text("1e+16"), may_be_no_text("True")
    (False, False, True, True)
    """
    return name in ("True", "False") or name[:1] in ("[", "{") or (_is_float(name) and not name.isdecimal())


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
