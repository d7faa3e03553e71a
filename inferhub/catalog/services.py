"""Bring in items and events, in bulk and by COPY."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from django.db import connection, transaction

from inferhub.audit.services import record_event
from inferhub.catalog.models import Item
from inferhub.errors import Conflict, NotFound
from inferhub.lib.snapshots import Snapshots

ItemRow = tuple[str, str, str, Decimal | float | None]  # item id, name, category, price
EventRow = tuple[str, str, str, float, datetime]  # user id, item id, kind, quantity, time


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
            ON CONFLICT (item_id) DO UPDATE
            SET name = excluded.name, category = excluded.category, price = excluded.price
            """
        )
        record_event("items.saved", actor=actor, subject="catalog", details={"rows": count})
    return count


def replace_events(rows: Iterable[EventRow], *, actor: str) -> int:
    """Put `rows` in the place of every event there is, all or nothing. Returns how many rows there are now."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM catalog_event")
        count = _copy(cursor, "catalog_event (user_id, item_id, kind, quantity, occurred_at)", rows)
        record_event("events.replaced", actor=actor, subject="catalog", details={"rows": count})
    return count


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


def _copy(cursor, target: str, rows: Iterable[tuple[object, ...]]) -> int:  # type: ignore[no-untyped-def]
    count = 0
    with cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count
