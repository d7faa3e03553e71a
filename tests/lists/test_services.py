from datetime import UTC, datetime, timedelta

import pytest
from django.db import Error, connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inferhub.audit.models import AuditEvent
from inferhub.errors import InvalidInput, NotFound
from inferhub.lib.snapshots import Snapshots
from inferhub.lists.models import ListEntry, ListVersion, LookupList
from inferhub.lists.queries import entries_at, find_list, find_list_as_of, find_list_version, missing_lists
from inferhub.lists.services import (
    Entry,
    add_entries,
    change_entries,
    remove_entries,
    replace_entries,
    save_list,
    set_membership,
)

pytestmark = pytest.mark.django_db
ACTOR = "user:tester"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def blocked() -> str:
    save_list(name="blocked", description="Customers that are not served.", actor=ACTOR)
    return "blocked"


def values_of(name: str, number: int | None = None) -> set[str]:
    return set((find_list(name) if number is None else find_list_version(name, number)).expiries)


def add(name: str, *values: str) -> None:
    add_entries(name=name, entries=[Entry(value=value) for value in values], actor=ACTOR)


def test_each_change_is_a_new_version_and_every_past_one_can_be_read(blocked: str) -> None:
    add(blocked, "ann", "ben")
    remove_entries(name=blocked, values=["ann"], actor=ACTOR, reason="a mistake")
    add(blocked, "ann", "cid")
    assert [values_of(blocked, number) for number in range(4)] == [
        set(),
        {"ann", "ben"},
        {"ben"},
        {"ann", "ben", "cid"},
    ]
    assert [(v.number, v.added, v.removed, v.reason) for v in ListVersion.objects.order_by("number")] == [
        (1, 2, 0, ""),
        (2, 0, 1, "a mistake"),
        (3, 2, 0, ""),
    ]
    with pytest.raises(NotFound, match="no version 4"):
        find_list_version(blocked, 4)


def test_setting_membership_twice_changes_something_once(blocked: str) -> None:
    said = [
        set_membership(name=blocked, value=" ann ", is_member=is_member, actor=ACTOR, reason="fraud", request_id="a-1")
        for is_member in (True, True, False, False)
    ]
    assert said == [True, False, True, False]
    assert LookupList.objects.get().version == 2
    events = AuditEvent.objects.filter(action="list.changed").order_by("id")
    assert [event.details for event in events] == [
        {"version": 1, "added": 1, "removed": 0, "reason": "fraud", "caused_by": "a-1"},
        {"version": 2, "added": 0, "removed": 1, "reason": "fraud", "caused_by": "a-1"},
    ]
    assert {event.subject for event in events} == {"list:blocked"}


def test_setting_membership_keeps_what_is_said_of_an_entry_until_it_expires(blocked: str) -> None:
    later = timezone.now() + timedelta(days=1)
    add_entries(name=blocked, entries=[Entry(value="ann", note="by hand", expires_at=later)], actor=ACTOR)
    assert not set_membership(name=blocked, value="ann", is_member=True, actor=ACTOR)
    past = timezone.now() - timedelta(days=1)
    add_entries(name=blocked, entries=[Entry(value="ann", expires_at=past)], actor=ACTOR)
    assert set_membership(name=blocked, value="ann", is_member=True, actor=ACTOR)
    assert ListEntry.objects.get(removed_in=None).expires_at is None


def test_an_entry_with_another_note_takes_the_place_of_the_old_one(blocked: str) -> None:
    add(blocked, "ann")
    change = add_entries(name=blocked, entries=[Entry(value="ann", note="why")], actor=ACTOR)
    assert (change.version, change.added, change.removed) == (2, 1, 1)
    assert [entry.note for entry in entries_at(LookupList.objects.get(), 1)] == [""]
    assert [entry.note for entry in entries_at(LookupList.objects.get(), 2)] == ["why"]
    assert LookupList.objects.get().entry_count == 1


def test_replacing_leaves_exactly_what_was_given(blocked: str) -> None:
    add(blocked, "ann", "ben")
    change = replace_entries(name=blocked, entries=[Entry(value="ben"), Entry(value="cid")], actor=ACTOR)
    assert (change.added, change.removed, values_of(blocked)) == (1, 1, {"ben", "cid"})


def test_adding_and_removing_at_once_is_one_version_and_adding_wins(blocked: str) -> None:
    add(blocked, "ann", "ben")
    change = change_entries(name=blocked, add=[Entry(value="cid")], remove=["ann", "cid", "dora"], actor=ACTOR)
    assert (change.version, change.added, change.removed, values_of(blocked)) == (2, 1, 1, {"ben", "cid"})


def test_an_entry_belongs_to_the_list_until_it_expires(blocked: str) -> None:
    add_entries(name=blocked, entries=[Entry(value="ann", expires_at=NOW), Entry(value="ben")], actor=ACTOR)
    found = find_list(blocked)
    moments = (NOW - timedelta(seconds=1), NOW)
    assert [found.holds("ann", at=moment) for moment in moments] == [True, False]
    assert [found.holds(value, at=NOW) for value in ("ben", "Ben", "")] == [True, False, False]


def test_the_version_of_a_past_moment_is_found(blocked: str) -> None:
    before = timezone.now() - timedelta(minutes=1)
    add(blocked, "ann")
    assert find_list_as_of(blocked, before).version == 0
    assert find_list_as_of(blocked, timezone.now() + timedelta(minutes=1)).version == 1


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        (Entry(value=""), "/add/1/value"),
        (Entry(value=" "), "/add/1/value"),
        (Entry(value="x" * 201), "/add/1/value"),
        (Entry(value="a\x00b"), "/add/1/value"),
        (Entry(value="a\nb"), "/add/1/value"),
        (Entry(value="a", note="n" * 201), "/add/1/note"),
        (Entry(value="a", expires_at=datetime(2026, 1, 1)), "/add/1/expires_at"),  # noqa: DTZ001 - the mistake
    ],
)
def test_what_cannot_be_kept_is_named_and_nothing_is_changed(blocked: str, entry: Entry, where: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        add_entries(name=blocked, entries=[Entry(value="good"), entry], actor=ACTOR)
    assert [error.pointer for error in caught.value.errors] == [where]
    assert LookupList.objects.get().version == 0


def test_a_list_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="no list 'other'"):
        set_membership(name="other", value="ann", is_member=True, actor=ACTOR)
    with pytest.raises(NotFound, match="no list 'other'"):
        find_list("other")
    with pytest.raises(InvalidInput):
        save_list(name="Not a slug", description="", actor=ACTOR)


def test_lists_that_are_missing_are_named(blocked: str) -> None:
    assert missing_lists({blocked, "vip"}) == ["vip"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE lists_listentry SET value = 'ben'",
        "UPDATE lists_listentry SET removed_in = 9 WHERE removed_in IS NOT NULL",
        "UPDATE lists_listentry SET removed_in = NULL",
        "UPDATE lists_listentry SET removed_in = 9, note = 'x'",
        "DELETE FROM lists_listentry",
        "UPDATE lists_listversion SET created_by = 'nobody'",
        "DELETE FROM lists_listversion",
        "DELETE FROM lists_lookuplist",
    ],
)
def test_the_database_itself_keeps_past_versions(blocked: str, statement: str) -> None:
    add(blocked, "ann", "dora")
    remove_entries(name=blocked, values=["dora"], actor=ACTOR)
    with pytest.raises(Error, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


_CHANGES = st.lists(
    st.tuples(st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd")), st.booleans()), max_size=6
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(_CHANGES)
def test_what_a_process_remembers_is_brought_up_to_every_version(
    blocked: str, changes: list[tuple[set[str], set[str], bool]]
) -> None:
    number, expected = find_list(blocked).version, values_of(blocked)
    for added, removed, is_looked_at in changes:  # on and on with the same list
        change_entries(name=blocked, add=[Entry(value=value) for value in added], remove=removed, actor=ACTOR)
        after = (expected - removed) | added
        number += after != expected
        expected = after
        if is_looked_at:
            assert (values_of(blocked), find_list(blocked).version) == (expected, number)
    Snapshots.forget_all()
    assert values_of(blocked) == values_of(blocked, number) == expected
