"""Histories of users, and what cannot be sold now."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from inferhub.catalog.models import Event, EventKind, Item
from inferhub.lib.snapshots import Snapshots


def find_history(user_id: str, *, limit: int) -> list[str]:
    """The ids of the items that the user bought, each once, latest purchase first; at most `limit`."""
    return find_histories(user_id, user_id, limit=limit).get(user_id, [])


def find_histories(first_user_id: str, last_user_id: str, *, limit: int) -> dict[str, list[str]]:
    """The same for every user from `first_user_id` to `last_user_id`, both included, in the order of the ids."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT user_id, (array_agg(item_id ORDER BY latest DESC, item_id))[1:%s]
            FROM (SELECT user_id, item_id, max(occurred_at) AS latest FROM catalog_event
                  WHERE user_id >= %s AND user_id <= %s AND kind = 'purchase'
                  GROUP BY user_id, item_id) AS last_purchases
            GROUP BY user_id ORDER BY user_id
            """,
            [limit, first_user_id, last_user_id],
        )
        return dict(cursor.fetchall())


def list_user_ids() -> list[str]:
    """Every user with a purchase, in the order in which `find_histories` counts."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT user_id FROM catalog_event WHERE kind = 'purchase' GROUP BY user_id ORDER BY user_id")
        return [row[0] for row in cursor.fetchall()]


def users_with_history(user_ids: Sequence[str]) -> set[str]:
    """Those of `user_ids` that have a purchase."""
    purchases = Event.objects.filter(user_id__in=user_ids, kind=EventKind.PURCHASE)
    return set(purchases.order_by().values_list("user_id", flat=True).distinct())


def unavailable_item_ids() -> Sequence[str]:
    """What cannot be sold now, as it was at most a second ago."""
    return _unavailable.get(None)


def names_of_items(item_ids: Sequence[str]) -> dict[str, str]:
    return dict(Item.objects.filter(item_id__in=item_ids).values_list("item_id", "name"))


def describe_items(item_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the catalogue knows of these items, by id: item_id, name, category and price, which may be None."""
    found = Item.objects.filter(item_id__in=item_ids).values("item_id", "name", "category", "price")
    return {row["item_id"]: row | {"price": None if row["price"] is None else float(row["price"])} for row in found}


def _read_unavailable(_: None) -> tuple[str, ...]:
    return tuple(Item.objects.filter(is_available=False).values_list("item_id", flat=True))


_unavailable: Snapshots[None, tuple[str, ...]] = Snapshots(_read_unavailable, seconds=1.0)
