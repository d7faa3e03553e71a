"""What a check by JSON Schema says of a value."""

from typing import Any

import pytest

from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.schema import Schema
from inferhub.lib.slug import SLUG_PATTERN

ASKED = Schema(
    {
        "type": "object",
        "properties": {"deep": {"type": "array", "anyOf": [{"minItems": 1}, {"maxItems": 0}]}},
        "oneOf": [{"required": ["rows"]}, {"required": ["columns"]}],
        "not": {"required": ["alias", "version"]},
    }
)


def errors_of(value: Any) -> list[FieldError]:
    with pytest.raises(InvalidInput) as refused:
        ASKED.check(value)
    return list(refused.value.errors)


@pytest.mark.parametrize("value", [[], 5, "x", None])
def test_of_a_value_of_the_wrong_kind_only_that_is_said(value: Any) -> None:
    assert [error.expected for error in errors_of(value)] == ["an object"]


def test_what_does_not_go_together_is_said_of_the_right_kind() -> None:
    found = errors_of({"rows": [], "columns": {}, "alias": "a", "version": 1, "deep": 3})

    assert sorted((error.pointer, error.expected) for error in found) == [
        ("", "not these fields together"),
        ("", "only one of the allowed forms at a time"),
        ("/deep", "a list"),
    ]


def test_patterns_and_formats_are_told_in_words() -> None:
    fields = {
        "a": {"pattern": r"\S"},
        "b": {"pattern": SLUG_PATTERN},
        "c": {"type": "string", "format": "date-time"},
        "d": {"pattern": "^x+$"},
    }
    with pytest.raises(InvalidInput) as refused:
        Schema({"properties": fields}).check({"a": " ", "b": "A", "c": "2026-12-01", "d": "y"})
    assert sorted(error.expected for error in refused.value.errors) == [
        "a match of ^x+$",
        "a name of lower-case letters, digits and inner hyphens, 1 to 64 characters",
        "a text that is not blank",
        "a time with its zone, such as 2026-12-01T00:00:00+01:00",
    ]


def test_one_is_not_many() -> None:
    schema = Schema({"properties": {"a": {"minItems": 1}, "b": {"maxLength": 1}, "c": {"minProperties": 2}}})
    with pytest.raises(InvalidInput) as refused:
        schema.check({"a": [], "b": "xy", "c": {}})
    assert sorted(error.expected for error in refused.value.errors) == [
        "at least 1 element",
        "at least 2 fields",
        "at most 1 character",
    ]
