"""JSON values that PostgreSQL can hold, and that recursion elsewhere does not choke on."""

import re
from typing import Any

from inferhub.errors import FieldError, InvalidInput, Malformed

MOST_LEVELS = 64
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def check_storable(value: Any) -> None:
    """Raise InvalidInput for a text with U+0000 or half a character, Malformed for too many levels.

    >>> check_storable({"a": ["b", 1, None]})
    """
    level = [value]
    for _ in range(MOST_LEVELS):
        if any(_UNSTORABLE.search(text) for text in level if isinstance(text, str)):
            expected = "strings without U+0000 and halves of characters"
            raise InvalidInput(errors=[FieldError(pointer="", expected=expected, got="one with it")])
        keys = [key for item in level if isinstance(item, dict) for key in item]
        items = [inner for item in level if isinstance(item, dict) for inner in item.values()]
        level = keys + items + [inner for item in level if isinstance(item, list) for inner in item]
        if not level:
            return
    raise Malformed(errors=[FieldError(pointer="", expected=f"JSON of at most {MOST_LEVELS} levels", got="more")])
