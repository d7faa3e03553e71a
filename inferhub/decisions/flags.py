"""Flags: what is held (`shipping` of an order, `payout` of a customer), since when, why, and every change before.

Actions can arrive late or twice. Each change carries the id of what caused it, which tells its time (UUID version 7): a
change that is older than the one in force is kept in the history and changes nothing, and one that comes again is the
same change.
"""

import uuid
from collections.abc import Sequence

from django.db import transaction
from django.db.models import QuerySet

from inferhub.audit.services import record_event
from inferhub.decisions.models import Flag, FlagChange
from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.describe import describe
from inferhub.lib.ids import uuid7
from inferhub.lib.slug import SLUG_EXPECTED, is_slug
from inferhub.lib.subjects import spellings

LONGEST_SUBJECT = 200


def change_flag(
    *,
    subject: str,
    name: str,
    is_held: bool,
    actor: str,
    reason: str,
    change_id: uuid.UUID | None = None,
    decision_id: uuid.UUID | None = None,
) -> FlagChange:
    """Hold or release `subject`; the same `change_id` is one change, however often it comes. Raises InvalidInput."""
    _check(subject, name, reason)
    with transaction.atomic():
        flag = find_flag(subject, name) or Flag.objects.get_or_create(subject=subject, name=name)[0]
        flag = Flag.objects.select_for_update().get(pk=flag.pk)
        known = FlagChange.objects.filter(pk=change_id).first() if change_id else None
        if known is not None:
            return known
        change = FlagChange(
            id=change_id or uuid7(),
            flag=flag,
            is_held=is_held,
            actor=actor,
            reason=reason.strip()[:500],
            decision_id=decision_id,
        )
        change.is_applied = flag.last_change_id is None or change.id > flag.last_change_id
        change.save(force_insert=True)
        if change.is_applied:
            flag.is_held, flag.last_change_id, flag.changed_at = is_held, change.id, change.made_at
            flag.save(update_fields=["is_held", "last_change_id", "changed_at"])
        _record(change, flag)
    return change


def flags_of(subject: str) -> "QuerySet[Flag]":
    """Every flag that `subject`, in any of its spellings, ever had, by name."""
    return Flag.objects.filter(subject__in=spellings(subject)).order_by("name", "-is_held", "pk")


def find_flag(subject: str, name: str) -> Flag | None:
    """Composed and decomposed, `é` looks the same: what one system holds, another one must find."""
    return flags_of(subject).filter(name=name).first()


def forget_flags(names: Sequence[str]) -> int:
    """Delete the flags of a subject, in all its spellings, with their history; gives the number of flags."""
    FlagChange.objects.filter(flag__subject__in=names).delete()
    count, _ = Flag.objects.filter(subject__in=names).delete()
    return count


def _check(subject: str, name: str, reason: str) -> None:
    errors = []
    if not 1 <= len(subject.strip()) <= LONGEST_SUBJECT or "\x00" in subject:
        expected = f"a subject of 1 to {LONGEST_SUBJECT} characters, none of them U+0000"
        errors.append(FieldError(pointer="/subject", expected=expected, got=describe(subject)))
    if not is_slug(name):
        errors.append(FieldError(pointer="/name", expected=SLUG_EXPECTED, got=describe(name)))
    if not reason.strip():
        errors.append(FieldError(pointer="/reason", expected="a reason", got="nothing"))
    if errors:
        raise InvalidInput(errors=errors)


def _record(change: FlagChange, flag: Flag) -> None:
    """The audit log is for ever, so it names the flag by its number and not the person."""
    details = {
        "flag": flag.name,
        "applied": change.is_applied,
        "reason": change.reason,
        "decision": str(change.decision_id) if change.decision_id else None,
    }
    action = "flag.held" if change.is_held else "flag.released"
    record_event(action, actor=change.actor, subject=f"flag:{flag.pk}", details=details)
