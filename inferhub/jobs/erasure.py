"""Take a person's data out of decisions, and out of the calls and answers that are kept for those who asked."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from inferhub.accounts.repeats import forget_answers
from inferhub.decisions.erasure import ErasedContent, erase_subject
from inferhub.decisions.models import WorkflowVersion
from inferhub.errors import Conflict, error_to_dict
from inferhub.jobs.models import DeferredCall, State

_EMPTIED = (
    "This call held data of a person that was erased before the call was answered. "
    "Where it held other rows as well, send those again."
)
_SAID = {
    "decisions": "decisions erased",
    "actions": "actions cancelled",
    "comments": "comments on reviews erased",
    "test_cases": "test cases removed",
    "flags": "flags removed",
    "list_entries": "list entries removed",
    "calls": "deferred calls removed",
    "answers": "kept answers removed",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Erased:
    """What went: of the decisions, how many deferred calls, and how many answers kept for repeated writes."""

    content: ErasedContent
    calls: int
    answers: int

    @property
    def lists(self) -> Mapping[str, int]:
        return self.content.lists

    def counts(self) -> dict[str, int]:
        """How much of each kind, by its name."""
        return {**self.content.counts(), "calls": self.calls, "answers": self.answers}

    @property
    def sentences(self) -> list[str]:
        """What went, for people; nothing of what there was none of."""
        lists = ", ".join(f"{name}: {count}" for name, count in self.lists.items())
        told = {name: f"{_SAID[name]}: {count}" for name, count in self.counts().items() if count}
        return [f"{text} ({lists})" if name == "list_entries" else text for name, text in told.items()]


def erase_person(*, subject: str, reason: str, actor: str, workflow: str = "") -> Erased:
    """Erase what decisions, flags, look-up lists, deferred calls and kept answers hold about `subject`.

    With `workflow` only what belongs to that one: neither flags nor lists do. Raises InvalidInput.
    """
    with transaction.atomic():
        content = erase_subject(subject=subject, reason=reason, actor=actor, workflow=workflow)
        ids = {str(decision_id) for decision_id in content.decision_ids}
        return Erased(
            content=content,
            calls=_erase_calls(subject, workflow),
            answers=forget_answers(lambda answer: _speaks_of(answer, "" if workflow else subject, ids)),
        )


def _erase_calls(subject: str, workflow: str) -> int:
    """Delete finished calls about `subject`; one that waits or runs is emptied, and tells its caller why."""
    text = json.dumps(subject, ensure_ascii=False)[1:-1]
    calls = DeferredCall.objects.annotate(asked=Cast("body", TextField()), answered=Cast("answer", TextField()))
    calls = calls.filter(Q(asked__contains=text) | Q(answered__contains=text))
    if workflow:
        calls = calls.filter(kind="decide", target=workflow)
    fields = _subject_fields()
    found = [call for call in calls.select_for_update().order_by("pk") if _is_about(call, subject, fields)]
    is_open = [call.pk for call in found if call.state in (State.QUEUED, State.RUNNING)]
    DeferredCall.objects.filter(pk__in=is_open).update(
        body={},
        state=State.FAILED,
        problem=error_to_dict(Conflict(_EMPTIED)),
        finished_at=timezone.now(),
        leased_until=None,
    )
    DeferredCall.objects.filter(pk__in=[call.pk for call in found]).exclude(pk__in=is_open).delete()
    return len(found)


def _is_about(call: DeferredCall, subject: str, fields: Mapping[str, set[str]]) -> bool:
    if call.kind == "recommend":
        return bool(call.body.get("user_id") == subject)
    if call.kind == "predict":
        return bool(call.body.get("key") == subject)
    inputs = [row.get("input", {}) for row in call.body.get("rows", [call.body])]
    names = fields.get(call.target, set())
    return _speaks_of(call.answer, subject, ()) or any(
        name in given and str(given[name])[:200] == subject for given in inputs for name in names
    )


def _subject_fields() -> dict[str, set[str]]:
    """By workflow the fields of its input that tell, or once told, whom its decisions are about."""
    found: dict[str, set[str]] = {}
    for workflow, name in WorkflowVersion.objects.values_list("workflow__name", "definition__subject").distinct():
        if name:
            found.setdefault(workflow, set()).add(name)
    return found


def _speaks_of(document: Any, subject: str, decision_ids: Collection[str]) -> bool:
    """Whether an answer holds one of these decisions, or something of this subject (where that is not empty)."""
    if isinstance(document, list):
        return any(_speaks_of(one, subject, decision_ids) for one in document)
    if not isinstance(document, dict):
        return False
    is_about = bool(subject) and subject in (document.get("subject"), document.get("user_id"))
    is_decision = document.get("decision_id") in decision_ids
    return is_about or is_decision or any(_speaks_of(one, subject, decision_ids) for one in document.values())
