"""Erase a person's data wherever the hub keeps it, in one transaction.

Each app erases what is its own; README.md (Erasing a person's data) lists every place. That it was done, why, and how
much of each kind went is an audit event, `subject.erased`, which does not name the person.
"""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import transaction

from inferhub.accounts.repeats import forget_answers
from inferhub.audit.services import record_event
from inferhub.backtests.erasure import erase_amounts, erase_rows
from inferhub.catalog.services import erase_events
from inferhub.decisions.erasure import ErasedContent, erase_subject, subject_fields
from inferhub.decisions.models import Workflow
from inferhub.erasure.left import Left, find_left
from inferhub.errors import FieldError, InvalidInput, NotFound, Unavailable
from inferhub.jobs.erasure import erase_calls, speaks_of
from inferhub.lib.ids import uuid7
from inferhub.lib.subjects import spellings
from inferhub.recommendations.services import erase_lists

_PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.1


class Kind(NamedTuple):
    """Something that is erased: what it is called, and what is done with it."""

    title: str
    deed: str


KINDS: Mapping[str, Kind] = {
    "decisions": Kind("decisions", "erased"),
    "actions": Kind("actions", "cancelled"),
    "comments": Kind("comments on reviews", "erased"),
    "test_cases": Kind("test cases", "removed"),
    "flags": Kind("flags", "removed"),
    "list_entries": Kind("list entries", "removed"),
    "backtest_rows": Kind("rows of back-test files", "removed"),
    "backtest_amounts": Kind("amounts in back-tests", "erased"),
    "calls": Kind("deferred calls", "removed"),
    "answers": Kind("kept answers", "removed"),
    "events": Kind("events of the catalogue", "removed"),
    "recommendations": Kind("lists of recommendations", "removed"),
}
"""All kinds, by the name under which they are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Erased:
    """What went, or in a dry run would go: how much of each kind, by its name; list entries also by list.

    `erasure_id` names the audit event, None in a dry run; `left` is what was not reached, of which nothing is said
    where one workflow was named.
    """

    erasure_id: uuid.UUID | None
    counts: Mapping[str, int]
    lists: Mapping[str, int]
    left: Left

    @property
    def sentences(self) -> list[str]:
        """The same for people; nothing of what there was none of."""
        lists = ", ".join(f"{name}: {count}" for name, count in self.lists.items())
        told = {name: f"{' '.join(KINDS[name])}: {count}" for name, count in self.counts.items() if count}
        gone = [f"{text} ({lists})" if name == "list_entries" else text for name, text in told.items()]
        return [*gone, *(f"left: {sentence}" for sentence in self.left.sentences)]


def erase_person(*, subject: str, reason: str, actor: str, workflow: str = "", is_dry_run: bool = False) -> Erased:
    """Erase what the hub holds about `subject`, in all spellings of it (`inferhub.lib.subjects`).

    With `workflow` only what belongs to that one: neither flags, lists, events nor recommendations do. A dry run does
    the same and takes it back. All or nothing: whoever is killed meanwhile has erased nothing.

    Raises InvalidInput, NotFound (no such workflow: that nothing was found must not be for a misspelt name), and
    Unavailable while a worker answers a deferred call about the subject.
    """
    reason = reason.strip()
    _check(subject=subject, reason=reason)
    if workflow and not Workflow.objects.filter(name=workflow).exists():
        raise NotFound(f"There is no workflow '{workflow}'.")
    ends = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return _erase(subject=subject, reason=reason, actor=actor, workflow=workflow, is_dry_run=is_dry_run)
        except Unavailable:
            if time.monotonic() > ends:
                raise
            time.sleep(_PAUSE_SECONDS)


def _check(*, subject: str, reason: str) -> None:
    """Raises InvalidInput."""
    needed = {
        "subject": (subject, "the subject of decisions"),
        "reason": (reason, "a reason, for the audit log"),
    }
    errors = []
    for name, (value, expected) in needed.items():
        if not value:
            errors.append(FieldError(pointer=f"/{name}", expected=expected, got="nothing"))
        elif not _is_utf8(value):
            errors.append(FieldError(pointer=f"/{name}", expected="text in UTF-8", got="other bytes"))
    if errors:
        raise InvalidInput(errors=errors)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _erase(*, subject: str, reason: str, actor: str, workflow: str, is_dry_run: bool) -> Erased:
    names, fields = spellings(subject), subject_fields()
    about: dict[str, Any] = {"names": names, "fields": fields, "workflow": workflow}
    with transaction.atomic():
        # Calls first, then decisions: one that a worker has just made for a call is seen, and none comes after it.
        # Back-tests before decisions: one that finishes later sees which are erased.
        counts = {"calls": erase_calls(**about, is_dry_run=is_dry_run)}
        counts["backtest_rows"] = erase_rows(**about, reason=reason, actor=actor)
        if not workflow:
            counts |= {"events": erase_events(names), "recommendations": erase_lists(names)}
        content = erase_subject(subject=subject, reason=reason, actor=actor, workflow=workflow)
        counts |= content.counts()
        counts["backtest_amounts"] = erase_amounts(content.decision_ids)
        counts["answers"] = _forget_answers(content, () if workflow else names, fields)
        counts = {name: counts.get(name, 0) for name in KINDS}
        erasure_id = None if is_dry_run else uuid7()
        details = {"reason": reason, "workflow": workflow, "counts": counts}
        record_event("subject.erased", actor=actor, subject=f"erasure:{erasure_id}", details=details)
        transaction.set_rollback(is_dry_run)
    left = Left() if workflow else find_left(names)
    return Erased(erasure_id=erasure_id, counts=counts, lists=content.lists, left=left)


def _forget_answers(content: ErasedContent, names: tuple[str, ...], fields: Mapping[str, set[str]]) -> int:
    ids = {str(decision_id) for decision_id in content.decision_ids}
    every = {field for known in fields.values() for field in known}
    return forget_answers(lambda answer: speaks_of(answer, names, fields=every, decision_ids=ids))
