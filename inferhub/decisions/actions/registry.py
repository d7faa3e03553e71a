"""Kinds of action by name: the entry points of the group `inferhub.actions` (`inferhub.lib.plugins`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import cleandoc
from typing import Any

from inferhub.decisions.actions.base import ActionKind
from inferhub.errors import FieldError, InvalidDefinition
from inferhub.lib.describe import describe, listed, pointer
from inferhub.lib.plugins import Plugins
from inferhub.lib.schema import Schema


@dataclass(frozen=True, kw_only=True, slots=True)
class DescribedKind:
    """A kind of action for those who write definitions; `meaning` is the first line that its class says of itself."""

    name: str
    meaning: str
    schema: Mapping[str, Any]
    needs_subject: bool


_COMMON = ("kind", "ordered")
_kinds: Plugins[tuple[ActionKind, Schema]] = Plugins("inferhub.actions", lambda kind: (kind(), Schema(kind.schema)))


def find_kind(name: str) -> ActionKind | None:
    """None where no installed package offers it any more."""
    found = _kinds.find(name)
    return found[0] if found else None


def names() -> list[str]:
    """The names of all kinds, in order."""
    return _kinds.names()


def describe_kinds() -> list[DescribedKind]:
    """Every kind that can be used, by name."""
    kinds = [(name, kind) for name in names() if (kind := find_kind(name)) is not None]
    return [
        DescribedKind(
            name=name,
            meaning=cleandoc(type(kind).__doc__ or "").partition("\n")[0],
            schema=kind.schema,
            needs_subject=kind.needs_subject,
        )
        for name, kind in kinds
    ]


def forget() -> None:
    """Look again at what is installed: for tests."""
    _kinds.forget()


def check_settings(settings: Mapping[str, Any], definition: Mapping[str, Any], *, at: str) -> list[FieldError]:
    """What is wrong with one action of a definition, whose pointer is `at`. Looks at no database."""
    found = _kinds.find(settings["kind"])
    if found is None:
        expected, got = f"one of the kinds of action {listed(names())}", _kinds.describe(settings["kind"])
        return [FieldError(pointer=f"{at}/kind", expected=expected, got=got)]
    kind, schema = found
    own = {key: value for key, value in settings.items() if key not in _COMMON}
    try:
        schema.check(own, at=at, error=InvalidDefinition)
    except InvalidDefinition as exc:
        return list(exc.errors)
    problems = [placed(error, at=at) for error in kind.check_definition(own, definition)]
    return [*problems, *_unknown_fields(kind, own, definition, at), *_missing_subject(kind, settings, definition, at)]


def check_references(settings: Mapping[str, Any], *, at: str) -> list[FieldError]:
    """What an action of a checked definition names and is not there."""
    kind = find_kind(settings["kind"])
    return [placed(error, at=at) for error in kind.check_references(settings)] if kind else []


def lane_of(settings: Mapping[str, Any]) -> str:
    """What an action queues up for; empty where it need not keep the order."""
    if not settings.get("ordered"):
        return ""
    kind = find_kind(settings["kind"])
    return kind.lane(settings) if kind else str(settings["kind"])


def placed(error: FieldError, *, at: str) -> FieldError:
    return FieldError(pointer=at + error.pointer, expected=error.expected, got=error.got)


def _unknown_fields(
    kind: ActionKind, own: Mapping[str, Any], definition: Mapping[str, Any], at: str
) -> list[FieldError]:
    known = definition["input"]["properties"]
    return [
        FieldError(
            pointer=at + pointer(name), expected=f"a field of the input ({listed(known)})", got=describe(own[name])
        )
        for name in kind.input_fields
        if name in own and own[name] not in known
    ]


def _missing_subject(
    kind: ActionKind, settings: Mapping[str, Any], definition: Mapping[str, Any], at: str
) -> list[FieldError]:
    if definition.get("subject"):
        return []
    expected = "a workflow that names its subject"
    if settings.get("ordered"):
        return [FieldError(pointer=f"{at}/ordered", expected=expected, got="one without")]
    return [FieldError(pointer=f"{at}/kind", expected=expected, got="one without")] if kind.needs_subject else []
