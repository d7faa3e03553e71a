"""Edit look-up lists: each change is a new version of the list, in use within a second, with its audit event."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.errors import FieldError, InvalidInput, NotFound
from inferhub.lib.describe import describe, pointer
from inferhub.lib.slug import SLUG_EXPECTED, is_slug
from inferhub.lib.snapshots import Snapshots
from inferhub.lists.models import ERASED, LONGEST_VALUE, ListEntry, ListVersion, LookupList

MOST_ENTRIES = 500_000
LONGEST_NOTE = 200

_BATCH = 5_000
_MOST_ERRORS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A value with what is said of it. White space around the value is no part of it."""

    value: str
    note: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ListChange:
    """What a change did. Where it did nothing, `version` is the one before."""

    version: int
    added: int
    removed: int


def save_list(*, name: str, description: str, actor: str) -> LookupList:
    """Make the list `name`, empty, or change its description. Raises InvalidInput."""
    if not is_slug(name):
        raise InvalidInput(errors=[FieldError(pointer="/name", expected=SLUG_EXPECTED, got=describe(name))])
    with transaction.atomic():
        found, is_new = LookupList.objects.get_or_create(name=name, defaults={"description": description})
        if is_new or found.description != description:
            found.description = description
            found.save(update_fields=["description"])
            record_event(f"list.{'created' if is_new else 'described'}", actor=actor, subject=_subject(name))
    Snapshots.forget_all()
    return found


def set_membership(
    *, name: str, value: str, is_member: bool, actor: str, reason: str = "", request_id: str = ""
) -> bool:
    """Put `value` on the list or take it off; whether that changed anything. Idempotent.

    `request_id` names in the audit log what caused it, such as the action that did. Raises InvalidInput and NotFound.
    """
    entry = Entry(value=value)
    change = change_entries(
        name=name,
        add=[entry] if is_member else [],
        remove=[] if is_member else [value],
        keeps_present=True,
        actor=actor,
        reason=reason,
        request_id=request_id,
    )
    return bool(change.added or change.removed)


def add_entries(*, name: str, entries: Iterable[Entry], actor: str, reason: str = "") -> ListChange:
    """Put entries on the list; one whose value is there with another note or expiry takes its place."""
    return change_entries(name=name, add=entries, actor=actor, reason=reason)


def remove_entries(*, name: str, values: Iterable[str], actor: str, reason: str = "") -> ListChange:
    """Take values off the list; one that is not there is passed over."""
    return change_entries(name=name, remove=values, actor=actor, reason=reason)


def replace_entries(*, name: str, entries: Iterable[Entry], actor: str, reason: str = "") -> ListChange:
    """Make the list hold these entries and no others."""
    return change_entries(name=name, add=entries, replaces_all=True, actor=actor, reason=reason)


def change_entries(
    *,
    name: str,
    add: Iterable[Entry] = (),
    remove: Iterable[str] = (),
    replaces_all: bool = False,
    keeps_present: bool = False,
    actor: str,
    reason: str = "",
    request_id: str = "",
) -> ListChange:
    """One change, one new version; none where nothing changes.

    With `keeps_present` an entry that is there and not expired stays, whatever its note and expiry. Raises NotFound,
    and InvalidInput with pointers into `add` and `remove`.
    """
    wanted = {entry.value: entry for entry in _checked(add)}
    unwanted = {value.strip() for value in remove} - wanted.keys()
    with transaction.atomic():
        found = LookupList.objects.select_for_update().filter(name=name).first()
        if found is None:
            raise NotFound(f"There is no list '{name}'.")
        present = _present(found, None if replaces_all else [*wanted, *unwanted])
        kept = {value for value, old in present.items() if _stays(old, wanted.get(value), is_enough=keeps_present)}
        added = [entry for value, entry in wanted.items() if value not in kept]
        gone = [
            old.pk
            for value, old in present.items()
            if value not in kept and (value in wanted or value in unwanted or replaces_all)
        ]
        if not added and not gone:
            return ListChange(version=found.version, added=0, removed=0)
        change = _write(found, added, gone, actor=actor, reason=reason)
        details = {"version": change.version, "added": change.added, "removed": change.removed, "reason": reason}
        if request_id:
            details["caused_by"] = request_id
        record_event("list.changed", actor=actor, subject=_subject(name), details=details)
    Snapshots.forget_all()
    return change


def erase_values(*, values: Iterable[str], reason: str, actor: str) -> dict[str, int]:
    """Take a person's values off every list and out of every past version; gives the number of entries by list.

    White space around a value is no part of it, as when it came. Whoever reads a past version no longer finds it
    there. The audit log says of which list how many went.
    """
    wanted = [value.strip() for value in values if value.strip()]
    found = LookupList.objects.filter(entries__value__in=wanted).distinct().order_by("name")
    with transaction.atomic():
        erased = {
            name: _erase_from_list(name, wanted, reason=reason, actor=actor)
            for name in found.values_list("name", flat=True)
        }
    Snapshots.forget_all()
    return erased


def _erase_from_list(name: str, values: Sequence[str], *, reason: str, actor: str) -> int:
    change_entries(name=name, remove=values, actor=actor, reason=reason)
    count = ListEntry.objects.filter(list__name=name, value__in=values).update(value=ERASED, note="")
    record_event(
        "list.entries_erased", actor=actor, subject=_subject(name), details={"entries": count, "reason": reason}
    )
    return count


def _write(found: LookupList, added: Sequence[Entry], gone: Sequence[int], *, actor: str, reason: str) -> ListChange:
    count = found.entry_count + len(added) - len(gone)
    if count > MOST_ENTRIES:
        expected = f"a list of at most {MOST_ENTRIES:,} entries"
        raise InvalidInput(errors=[FieldError(pointer="/add", expected=expected, got=f"{count:,}")])
    found.version += 1
    found.entry_count = count
    found.save(update_fields=["version", "entry_count"])
    ListVersion.objects.create(
        list=found, number=found.version, added=len(added), removed=len(gone), reason=reason, created_by=actor
    )
    for batch in _batches(gone):
        ListEntry.objects.filter(pk__in=batch).update(removed_in=found.version)
    ListEntry.objects.bulk_create(
        (
            ListEntry(
                list=found,
                value=entry.value,
                note=entry.note,
                expires_at=entry.expires_at,
                added_in=found.version,
            )
            for entry in added
        ),
        batch_size=_BATCH,
    )
    return ListChange(version=found.version, added=len(added), removed=len(gone))


def _present(found: LookupList, values: Sequence[str] | None) -> dict[str, ListEntry]:
    """The entries of the last version, all or those with one of `values`."""
    entries = ListEntry.objects.filter(list=found, removed_in=None)
    if values is None:
        return {entry.value: entry for entry in entries.iterator(chunk_size=_BATCH)}
    return {entry.value: entry for batch in _batches(values) for entry in entries.filter(value__in=batch)}


def _stays(old: ListEntry, wanted: Entry | None, *, is_enough: bool) -> bool:
    if wanted is None:
        return False
    if is_enough:
        return old.expires_at is None or old.expires_at > timezone.now()
    return (old.note, old.expires_at) == (wanted.note, wanted.expires_at)


def _checked(entries: Iterable[Entry]) -> list[Entry]:
    """The entries without white space around their texts. Raises InvalidInput."""
    clean = [
        Entry(value=entry.value.strip(), note=entry.note.strip(), expires_at=entry.expires_at) for entry in entries
    ]
    errors = [error for place, entry in enumerate(clean) for error in _errors(place, entry)]
    if errors:
        raise InvalidInput(errors=errors[:_MOST_ERRORS])
    return clean


def _errors(place: int, entry: Entry) -> Iterator[FieldError]:
    if not 1 <= len(entry.value) <= LONGEST_VALUE or not entry.value.isprintable():
        expected = f"a value of 1 to {LONGEST_VALUE} printable characters"
        yield FieldError(pointer=pointer("add", place, "value"), expected=expected, got=describe(entry.value))
    if len(entry.note) > LONGEST_NOTE or "\x00" in entry.note:
        expected = f"a note of at most {LONGEST_NOTE} characters"
        yield FieldError(pointer=pointer("add", place, "note"), expected=expected, got=describe(entry.note))
    if entry.expires_at is not None and timezone.is_naive(entry.expires_at):
        expected = "a time with its zone, such as 2026-01-31T12:00:00Z"
        got = entry.expires_at.isoformat()
        yield FieldError(pointer=pointer("add", place, "expires_at"), expected=expected, got=got)


def _batches(values: Sequence[int] | Sequence[str]) -> Iterator[Sequence[int] | Sequence[str]]:
    return (values[start : start + _BATCH] for start in range(0, len(values), _BATCH))


def _subject(name: str) -> str:
    return f"list:{name}"
