"""JSON Schema (2020-12) checks whose errors name the field, what was expected and what came."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import jsonschema_rs

from inferhub.errors import FieldError, InvalidDefinition, InvalidInput
from inferhub.lib.describe import describe, listed, pointer, shorten
from inferhub.lib.moments import MOMENT_EXPECTED, MOMENT_PATTERN
from inferhub.lib.slug import SLUG_EXPECTED, SLUG_PATTERN

_MOST_ERRORS = 20
_COMBINED = ("oneOf", "anyOf", "not")  # which say nothing of use about a value that is of the wrong kind already
_LINEAR_TIME = jsonschema_rs.RegexOptions()  # no back-references: a pattern from a definition cannot hang a process


class Schema:
    """A compiled JSON Schema. Thread-safe; compile once, keep."""

    def __init__(self, definition: dict[str, Any]) -> None:
        """Raises InvalidDefinition where `definition` is not a JSON Schema that can be used offline."""
        self.definition = definition
        try:
            self._validator = jsonschema_rs.Draft202012Validator(
                definition, validate_formats=True, retriever=_refuse, pattern_options=_LINEAR_TIME
            )
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as exc:
            reason = str(exc).splitlines()[0]
            raise InvalidDefinition(errors=[FieldError(pointer="", expected="a JSON Schema", got=reason)]) from exc

    def check(self, value: Any, *, at: str = "", error: type[InvalidInput] = InvalidInput) -> None:
        """Raise `error` that names each wrong field of `value`; `at` is the pointer of `value` itself."""
        if not self._validator.is_valid(value):
            raise error(errors=list(self._errors(value, at)))

    def _errors(self, value: Any, at: str) -> Iterator[FieldError]:
        found = list(islice(self._validator.iter_errors(value), _MOST_ERRORS))
        of_wrong_kind = [error.instance_path for error in found if error.kind.name == "type"]
        for error in found:
            if error.kind.name not in _COMBINED or error.instance_path not in of_wrong_kind:
                yield from _field_errors(error, at)


def _field_errors(error: jsonschema_rs.ValidationError, at: str) -> Iterator[FieldError]:
    place = at + pointer(*error.instance_path)
    kind = error.kind.as_dict()
    name = error.kind.name
    if name == "required":
        yield FieldError(pointer=place + pointer(kind["property"]), expected="this field", got="nothing")
    elif name in ("additionalProperties", "unevaluatedProperties"):
        for key in kind["unexpected"]:
            yield FieldError(
                pointer=place + pointer(key),
                expected="only fields that are known here",
                got=f"the field {shorten(key)!r}",
            )
    else:
        yield FieldError(pointer=place, expected=_expectation(name, kind, error), got=describe(error.instance))


_ARTICLES = {
    "object": "an object",
    "array": "a list",
    "integer": "a whole number",
    "number": "a number",
    "string": "a string",
    "boolean": "true or false",
    "null": "null",
}
_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} elements",
    "maxItems": "at most {} elements",
    "minProperties": "at least {} fields",
    "maxProperties": "at most {} fields",
    "multipleOf": "a multiple of {}",
    "pattern": "a match of {}",
    "format": "a valid {}",
}
_KNOWN_BOUNDS = {
    r"\S": "a text that is not blank",
    SLUG_PATTERN: SLUG_EXPECTED,
    MOMENT_PATTERN: MOMENT_EXPECTED,
    "date-time": MOMENT_EXPECTED,
    "date": "a day such as 2026-12-01",
    "uuid": "an id such as 0190b2c4-7f3e-7a10-8c55-3d1f0e9a4b21",
}
"""Patterns and formats in words."""
_COUNTS = ("Length", "Items", "Properties")


def _expectation(name: str, kind: dict[str, Any], error: jsonschema_rs.ValidationError) -> str:
    if name == "type":
        return " or ".join(_ARTICLES[type_name] for type_name in kind["types"])
    if name == "enum":
        return "one of " + listed(str(option) for option in kind["options"])
    if name in _BOUNDS:
        bound = next(iter(kind.values()))
        words = _KNOWN_BOUNDS.get(bound) if name in ("pattern", "format") else None
        words = words or _BOUNDS[name].format(bound)
        return words.removesuffix("s") if name.endswith(_COUNTS) and bound == 1 else words
    return _unusual_expectation(name, kind, error)


def _unusual_expectation(name: str, kind: dict[str, Any], error: jsonschema_rs.ValidationError) -> str:
    if name == "const":
        return describe(kind["expected_value"])
    if name in ("oneOf", "anyOf"):
        broken = [branch[0].message for branch in kind["context"] if branch]
        return "one of these: " + ", or ".join(broken) if broken else "only one of the allowed forms at a time"
    if name == "not":
        return "not these fields together" if "required" in str(kind) else "another value"
    return error.message if len(error.message) <= 200 else f"a value that satisfies '{name}'"


def _refuse(uri: str) -> Any:
    """Remote references would make a check depend on a network; there is none."""
    raise ValueError(f"the reference {uri} lies outside the schema")
