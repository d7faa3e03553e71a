"""Lists as the rules ask them: the last version in the memory of the process, and any past one from the database."""

from datetime import datetime

from django.db.models import Q, QuerySet

from inferhub.errors import NotFound
from inferhub.lib.snapshots import Snapshots
from inferhub.lists.models import ERASED, ListEntry, ListVersion, LookupList
from inferhub.rules.lists import ListSnapshot


def find_list(name: str) -> ListSnapshot:
    """The last version of the list, at most a second old. Raises NotFound."""
    return _current.get(name)


def find_list_version(name: str, number: int) -> ListSnapshot:
    """A past version, read from the database. Raises NotFound."""
    found = LookupList.objects.filter(name=name, version__gte=number).first()
    if found is None:
        raise NotFound(f"There is no version {number} of a list '{name}'.")
    rows = entries_at(found, number).values_list("value", "expires_at").iterator(chunk_size=10_000)
    return ListSnapshot(name=name, version=number, expiries=dict(rows))


def find_list_as_of(name: str, moment: datetime) -> ListSnapshot:
    """The version that was the last one at that time. Raises NotFound."""
    changes = ListVersion.objects.filter(list__name=name, created_at__lte=moment)
    number = changes.order_by("-number").values_list("number", flat=True).first()
    return find_list_version(name, number or 0)


def entries_at(found: LookupList, number: int) -> QuerySet[ListEntry]:
    """The entries of a version, those that expired since among them, but for what was erased."""
    then = Q(removed_in=None) | Q(removed_in__gt=number)
    return ListEntry.objects.filter(then, list=found, added_in__lte=number).exclude(value=ERASED).order_by("value")


def missing_lists(names: set[str]) -> list[str]:
    """Those of `names` that no list has."""
    known = LookupList.objects.filter(name__in=names).values_list("name", flat=True)
    return sorted(names - set(known))


def _read(name: str) -> ListSnapshot:
    row = LookupList.objects.filter(name=name).values_list("pk", "version").first()
    if row is None:
        raise NotFound(f"There is no list '{name}'.")
    list_id, version = row
    kept = _kept.get(list_id)
    if kept is None or kept.version > version:
        kept = ListSnapshot(name=name, version=0, expiries={})
    if kept.version != version:
        kept = _kept[list_id] = _brought_up(kept, list_id, version)
    return kept


def _brought_up(kept: ListSnapshot, list_id: int, version: int) -> ListSnapshot:
    """A later version from an earlier one: only what changed is read, however long the list."""
    changed = ListEntry.objects.filter(
        Q(added_in__gt=kept.version) | Q(removed_in__gt=kept.version), list_id=list_id, added_in__lte=version
    ).values_list("value", "expires_at", "removed_in")
    rows = list(changed.iterator(chunk_size=10_000))
    if kept.version and any(value == ERASED for value, _, _ in rows):  # nothing tells which entry that was: all anew
        return _brought_up(ListSnapshot(name=kept.name, version=0, expiries={}), list_id, version)
    expiries = dict(kept.expiries)
    for value, _, removed_in in rows:
        if removed_in is not None and removed_in <= version:
            expiries.pop(value, None)
    for value, expires_at, removed_in in rows:
        if value != ERASED and (removed_in is None or removed_in > version):
            expiries[value] = expires_at
    return ListSnapshot(name=kept.name, version=version, expiries=expiries)


_kept: dict[int, ListSnapshot] = {}  # by the id of the list; what is read anew starts from here
_current: Snapshots[str, ListSnapshot] = Snapshots(_read, seconds=1.0)
