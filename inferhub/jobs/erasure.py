"""Take a person's data out of deferred calls."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
from django.db import transaction
from django.db.models import Q, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from inferhub.errors import Conflict, Unavailable, error_to_dict
from inferhub.jobs.models import DeferredCall, State
from inferhub.lib.subjects import is_named, may_be_no_text

_EMPTIED = (
    "This call held data of a person that was erased before the call was answered. "
    "Where it held other rows as well, send those again."
)


def erase_calls(
    *, names: Sequence[str], fields: Mapping[str, Collection[str]], workflow: str = "", is_dry_run: bool = False
) -> int:
    """Delete finished calls about a subject; one that waits is emptied, and tells its caller why. Says how many.

    `names` are the subject's spellings, `fields` by workflow the fields of its input that tell the subject. Raises
    Unavailable while a worker answers one of them: a decision that it is about to make would be about the subject.
    """
    with transaction.atomic():
        found = [call for call in _candidates(names, workflow) if _is_about(call, names, fields)]
        now = timezone.now()
        is_held = any(call.state == State.RUNNING and call.leased_until and call.leased_until > now for call in found)
        if is_held and not is_dry_run:
            raise Unavailable("A worker answers a deferred call about this subject now; nothing was erased. Ask again.")
        is_open = [call.pk for call in found if call.state in (State.QUEUED, State.RUNNING)]
        DeferredCall.objects.filter(pk__in=is_open).update(
            body={},
            state=State.FAILED,
            problem=error_to_dict(Conflict(_EMPTIED)),
            finished_at=now,
            leased_until=None,
        )
        DeferredCall.objects.filter(pk__in=[call.pk for call in found]).exclude(pk__in=is_open).delete()
    return len(found)


def speaks_of(document: Any, names: Collection[str], *, fields: Collection[str], decision_ids: Collection[str]) -> bool:
    """Whether an answer holds one of these decisions, or something of this subject (where there are `names`).

    `fields` are those of inputs that tell a subject, in any workflow.
    """
    if isinstance(document, list):
        return any(speaks_of(one, names, fields=fields, decision_ids=decision_ids) for one in document)
    if not isinstance(document, dict):
        return False
    is_about = (
        any(is_named(document.get(field), names) for field in ("subject", "user_id", *fields)) if names else False
    )
    is_decision = document.get("decision_id") in decision_ids
    return (
        is_about
        or is_decision
        or any(speaks_of(one, names, fields=fields, decision_ids=decision_ids) for one in document.values())
    )


def _candidates(names: Sequence[str], workflow: str) -> list[DeferredCall]:
    """Calls that may be about the subject, locked, the oldest first."""
    calls = DeferredCall.objects.annotate(asked=Cast("body", TextField()), answered=Cast("answer", TextField()))
    if workflow:
        calls = calls.filter(kind="decide", target=workflow)
    if not any(map(may_be_no_text, names)):
        mentions = Q()
        for text in (orjson.dumps(name).decode()[1:-1] for name in names):
            mentions |= Q(asked__contains=text) | Q(answered__contains=text)
        calls = calls.filter(mentions)
    return list(calls.select_for_update().order_by("pk"))


def _is_about(call: DeferredCall, names: Collection[str], fields: Mapping[str, Collection[str]]) -> bool:
    if call.kind == "recommend":
        return is_named(call.body.get("user_id"), names)
    if call.kind == "predict":
        return is_named(call.body.get("key"), names)
    inputs = [row.get("input", {}) for row in call.body.get("rows", [call.body])]
    known = fields.get(call.target, ())
    return speaks_of(call.answer, names, fields=(), decision_ids=()) or any(
        is_named(given.get(field), names) for given in inputs for field in known
    )
