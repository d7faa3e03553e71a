"""Look-up lists as the rules see them: a set of texts at one version, some of which belong to it only for a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


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
