"""Texts with facts of a decision in them: `Order {subject}: {outcome}, total {input.total}`. Always plain text."""

import re
from collections.abc import Mapping
from typing import Any

from inferhub.decisions.models import Decision
from inferhub.lib.canonical import stored_json
from inferhub.lib.describe import listed

_PLACE = re.compile(r"\{([^{}]*)\}")
_WORDS = ("subject", "outcome", "workflow", "request_id", "decision_id")
_LONGEST_VALUE = 2000


def unknown_places(text: str, definition: Mapping[str, Any]) -> list[str]:
    """What stands in braces and is nothing that a decision of this definition has."""
    return [place for place in _PLACE.findall(text) if not _is_known(place, definition)]


def known_places(definition: Mapping[str, Any]) -> str:
    """What may stand in braces, for an error."""
    fields = [f"input.{name}" for name in definition["input"]["properties"]]
    return listed([*_WORDS, *fields, "output.NAME", "prediction.NAME.OUTPUT"])


def fill_in(text: str, decision: Decision) -> str:
    """A value that the decision does not have is a dash."""
    return _PLACE.sub(lambda found: _text(_value(found[1], decision)), text)


def one_line(text: str, *, longest: int) -> str:
    """Without what could end a line: for headers, where a second line would be another header."""
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())[:longest]


def _is_known(place: str, definition: Mapping[str, Any]) -> bool:
    root, _, rest = place.partition(".")
    if root == "input":
        return rest in definition["input"]["properties"]
    if root == "prediction":
        name, _, output = rest.partition(".")
        return bool(output) and name in {entry["name"] for entry in definition["predictions"]}
    return (root == "output" and bool(rest)) or place in _WORDS


def _value(place: str, decision: Decision) -> Any:
    root, _, rest = place.partition(".")
    if root == "input":
        return decision.input.get(rest)
    if root == "output":
        return decision.outputs.get(rest)
    if root == "prediction":
        name, _, output = rest.partition(".")
        return decision.predictions.get(name, {}).get("output", {}).get(output)
    words = {"workflow": decision.workflow.name, "decision_id": str(decision.pk)}
    return words.get(place) or getattr(decision, place)


def _text(value: Any) -> str:
    if value is None or value == "":
        return "–"
    text = value if isinstance(value, str) else stored_json(value).decode()
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."
