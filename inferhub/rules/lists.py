"""Look-up lists as the rules see them: a set of texts at one version, some of which belong to it only for a time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class AskedList(Protocol):
    """Whatever can tell which texts are on a list."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    def holds(self, text: str, *, at: datetime) -> bool: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ListSnapshot:
    """One version of a list. `expiries` holds for each text when it stops to belong, None for never."""

    name: str
    version: int
    expiries: Mapping[str, datetime | None]

    def holds(self, text: str, *, at: datetime) -> bool:
        """Whether `text` belongs to the list at that time."""
        if text not in self.expiries:
            return False
        expires_at = self.expiries[text]
        return expires_at is None or at < expires_at


class ListedText(str):
    """A text that knows on which of the lists that the rules ask it is; as a text equal to any other of its letters."""

    __slots__ = ("lists",)
    lists: frozenset[str]

    @classmethod
    def of(cls, text: str, lists: Iterable[str]) -> "ListedText":
        listed = cls(text)
        listed.lists = frozenset(lists)
        return listed


def is_on(text: object, name: str) -> bool:
    """Whether a text that knows its lists is on this one."""
    return isinstance(text, ListedText) and name in text.lists
