"""Imports into the catalogue, several at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from inferhub.catalog.models import Event, Item
from inferhub.catalog.services import EventRow, ItemRow, replace_events, save_items

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*imports: Callable[[], Any]) -> list[Any]:
    """What each gives or raises, on a connection of its own."""

    def run(work: Callable[[], Any]) -> Any:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(imports)) as pool:
        return [found.result(30) for found in [pool.submit(run, work) for work in imports]]


def test_of_two_files_of_events_one_is_there_in_the_end() -> None:
    both_read = Barrier(2)

    def events(user_id: str) -> Iterator[EventRow]:
        for number in range(100):
            yield user_id, f"item {number}", "purchase", 1.0, timezone.now()

    def bring_in(user_id: str) -> int:
        both_read.wait(10)
        return replace_events(events(user_id), actor="user:alice")

    assert at_once(lambda: bring_in("ann"), lambda: bring_in("ben")) == [100, 100]
    assert Event.objects.count() == 100
    assert Event.objects.values("user_id").distinct().count() == 1


def test_two_files_of_items_in_other_orders_do_not_block_each_other() -> None:
    rows: list[ItemRow] = [(f"item {number}", "a name", "a category", 1.0) for number in range(3000)]
    both = [lambda: save_items(rows, actor="user:alice"), lambda: save_items(rows[::-1], actor="user:ben")]
    for _ in range(3):
        assert at_once(*both) == [3000, 3000]
    assert Item.objects.count() == 3000
