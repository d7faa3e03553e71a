"""What an erasure does not reach, so that whoever asks for it knows: months that were detached, and free text."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models.fields.json import KeyTextTransform

from inferhub.audit.models import AuditEvent
from inferhub.decisions.partitions import count_in_detached
from inferhub.lists.models import LookupList

_MOST_EVENTS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """Where the subject still stands.

    `tables`: decisions about it by detached table; `lists`: names of look-up lists whose description names it;
    `audit_events`: ids of events with a reason, written by people, that names it (the first 100).
    """

    tables: Mapping[str, int] = field(default_factory=dict)
    lists: Sequence[str] = ()
    audit_events: Sequence[int] = ()

    @property
    def sentences(self) -> list[str]:
        """The same for people, with what to do about it."""
        told = [
            f"decisions in the detached table {name}, to be erased or dropped there: {count}"
            for name, count in self.tables.items()
        ]
        if self.lists:
            told.append(f"the subject in the description of the lists {', '.join(self.lists)}: write them anew")
        if self.audit_events:
            events = ", ".join(map(str, self.audit_events))
            told.append(f"the subject in reasons that people gave, which nobody can change: audit events {events}")
        return told


def find_left(names: Sequence[str]) -> Left:
    """What is left of a subject, in any of its spellings; as a whole word where it stands in a text."""
    words = [name for name in names if any(map(str.isalnum, name))]
    if not words:
        return Left(tables=count_in_detached(names))
    pattern = rf"(^|\W)({'|'.join(map(re.escape, words))})($|\W)"
    reasons = AuditEvent.objects.annotate(reason=KeyTextTransform("reason", "details")).filter(reason__regex=pattern)
    lists = LookupList.objects.filter(description__regex=pattern).order_by("name")
    return Left(
        tables=count_in_detached(names),
        lists=tuple(lists.values_list("name", flat=True)),
        audit_events=tuple(reasons.order_by("id").values_list("pk", flat=True)[:_MOST_EVENTS]),
    )
