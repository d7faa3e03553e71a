"""Bring in items and events, in bulk and by COPY; erase the events of a user."""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.catalog.models import ErasedUser, Event, Item
from inferhub.errors import Conflict, NotFound
from inferhub.lib.snapshots import Snapshots

ItemRow = tuple[str, str, str, Decimal | float | None]  # item id, name, category, price
EventRow = tuple[str, str, str, float, datetime]  # user id, item id, kind, quantity, time

_ERASURES_LOCK = 0xE7A5E  # any number that nothing else locks


def save_items(rows: Iterable[ItemRow], *, actor: str) -> int:
    """Insert or update items by their id, all or none. Returns how many rows were given."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE new_items (item_id text, name text, category text, price numeric) ON COMMIT DROP"
        )
        count = _copy(cursor, "new_items (item_id, name, category, price)", rows)
        cursor.execute(
            """
            INSERT INTO catalog_item (item_id, name, category, price)
            SELECT item_id, left(name, 300), left(category, 200), price FROM new_items
            ORDER BY item_id  -- two imports at once lock them in the same order
            ON CONFLICT (item_id) DO UPDATE
            SET name = excluded.name, category = excluded.category, price = excluded.price
            """
        )
        record_event("items.saved", actor=actor, subject="catalog", details={"rows": count})
    return count


def replace_events(rows: Iterable[EventRow], *, actor: str) -> int:
    """Put `rows` in the place of every event there is, all or nothing. Returns how many rows there are now.

    What users did before their events were erased is left out; the audit event says how many rows that were.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        hold_off_erasures()
        # Of two imports at once one waits: what the other brings in is not there yet for its DELETE to see.
        cursor.execute("LOCK TABLE catalog_event IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("DELETE FROM catalog_event")
        left = _NotErased(rows)
        count = _copy(cursor, "catalog_event (user_id, item_id, kind, quantity, occurred_at)", left)
        details = {"rows": count, "left_out": left.left_out}
        record_event("events.replaced", actor=actor, subject="catalog", details=details)
    return count


def erase_events(user_ids: Sequence[str]) -> int:
    """Delete what these users did, and keep imports from bringing it back; gives the number of rows.

    In a transaction, until whose end nobody writes events or what is computed from them: whoever began before is waited
    for (`hold_off_erasures`).
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ERASURES_LOCK])
        now = timezone.now()
        for digest in {_digest_of_user(user_id) for user_id in user_ids}:
            ErasedUser.objects.update_or_create(digest=digest, defaults={"erased_at": now})
        return Event.objects.filter(user_id__in=user_ids).delete()[0]


def hold_off_erasures() -> None:
    """Have erasures wait until the present transaction ends; wait for one that is under way.

    For whoever writes events, or what was computed from them and has to be looked at again now.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [_ERASURES_LOCK])


def switch_item(*, item_id: str, is_available: bool, actor: str) -> Item:
    """Say whether an item can be sold now. Raises NotFound, and Conflict where it is so already."""
    word = "available" if is_available else "unavailable"
    with transaction.atomic():
        changed = Item.objects.filter(item_id=item_id, is_available=not is_available).update(is_available=is_available)
        item = Item.objects.filter(item_id=item_id).first()
        if item is None:
            raise NotFound(f"There is no item '{item_id}'.")
        if not changed:
            raise Conflict(f"The item '{item_id}' is {word} already.")
        record_event(f"item.made_{word}", actor=actor, subject=f"item:{item_id}")
    Snapshots.forget_all()
    return item


class _NotErased:
    """Those of `rows` that no erasure took away before, and how many others there were."""

    def __init__(self, rows: Iterable[EventRow]) -> None:
        self._rows = rows
        self._erased = dict(ErasedUser.objects.values_list("digest", "erased_at"))
        self.left_out = 0

    def __iter__(self) -> Iterator[EventRow]:
        if not self._erased:
            yield from self._rows
            return
        erased_at = cache(lambda user_id: self._erased.get(_digest_of_user(user_id)))
        for row in self._rows:
            until = erased_at(row[0])
            if until is None or _in_utc(row[4]) > until:
                yield row
            else:
                self.left_out += 1


def _digest_of_user(user_id: str) -> str:
    """The same for all spellings (`inferhub.lib.subjects`)."""
    text = unicodedata.normalize("NFC", user_id).encode()
    return hashlib.blake2b(text, digest_size=32, key=_key()).hexdigest()


@cache
def _key() -> bytes:
    return hashlib.blake2b(settings.SECRET_KEY.encode(), digest_size=32, person=b"inferhub.erased").digest()


def _in_utc(moment: datetime) -> datetime:
    return moment if timezone.is_aware(moment) else moment.replace(tzinfo=UTC)


def _copy(cursor, target: str, rows: Iterable[tuple[object, ...]]) -> int:  # type: ignore[no-untyped-def]
    count = 0
    with cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count
