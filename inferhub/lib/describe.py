"""Short phrases for what came in, shared by every part that builds a `FieldError`."""

from collections.abc import Iterable

_LONGEST = 60


def describe(value: object) -> str:
    """What a JSON-like value is, in words for the `got` of an error; long texts are cut.

    >>> describe("12"), describe(True), describe([1, 2]), describe(None)
    ("the string '12'", 'true', 'a list of 2 values', 'null')
    """
    match value:
        case None:
            words = "null"
        case bool():
            words = str(value).lower()
        case str():
            words = f"the string '{shorten(value)}'"
        case list() | tuple():
            words = f"a list of {len(value)} values"
        case dict():
            words = "an object"
        case int() if value.bit_length() > _LONGEST * 4:
            words = f"a whole number of {value.bit_length()} bits"
        case int() | float():
            words = shorten(repr(value))
        case _:
            words = f"a {type(value).__name__}"
    return words


def shorten(text: str) -> str:
    """One printable line of at most 60 characters.

    >>> shorten("a" * 100) == "a" * 57 + "..."
    True
    """
    line = "".join(character if character.isprintable() else " " for character in text[: _LONGEST + 1])
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def pointer(*parts: str | int) -> str:
    """A JSON Pointer (RFC 6901).

    >>> pointer("rows", 3, "a/b")
    '/rows/3/a~1b'
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def listed(names: Iterable[str]) -> str:
    """Names for a sentence; a long list is cut.

    >>> listed(["b", "a"])
    'b, a'
    """
    known = list(names)
    return ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
