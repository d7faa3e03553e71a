"""The tree against the definition of RFC 6962, written down as it stands there."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferhub.audit.merkle import path_to, root_by_path, root_of


def naive_root(records: list[bytes]) -> bytes:
    if not records:
        return sha256().digest()
    if len(records) == 1:
        return sha256(b"\x00" + records[0]).digest()
    split = 1
    while split * 2 < len(records):
        split *= 2
    return sha256(b"\x01" + naive_root(records[:split]) + naive_root(records[split:])).digest()


def naive_path(records: list[bytes], place: int) -> list[bytes]:
    if len(records) == 1:
        return []
    split = 1
    while split * 2 < len(records):
        split *= 2
    if place < split:
        return [*naive_path(records[:split], place), naive_root(records[split:])]
    return [*naive_path(records[split:], place - split), naive_root(records[:split])]


some_records = st.lists(st.binary(max_size=4), min_size=1, max_size=70)


@given(some_records)
def test_the_root_is_that_of_the_definition(records: list[bytes]) -> None:
    assert root_of(records) == naive_root(records)


@given(some_records, st.data())
def test_the_path_is_that_of_the_definition_and_leads_to_the_root(records: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(records) - 1))
    path = path_to(records, place)
    assert path == naive_path(records, place)
    assert root_by_path(records[place], place, len(records), path) == root_of(records)


@given(some_records, st.data())
def test_no_other_record_and_no_other_place_leads_to_the_root(records: list[bytes], data: st.DataObject) -> None:
    place, other = (data.draw(st.integers(0, len(records) - 1)) for _ in range(2))
    path, root = path_to(records, place), root_of(records)
    assert root_by_path(records[place] + b"x", place, len(records), path) != root
    if other != place and records[other] != records[place]:
        assert root_by_path(records[other], place, len(records), path) != root


@pytest.mark.parametrize("change", [lambda path: path[:-1], lambda path: [*path, bytes(32)]])
def test_a_path_of_another_length_leads_nowhere(change: object) -> None:
    records = [bytes([number]) for number in range(5)]
    assert callable(change)
    assert root_by_path(records[1], 1, 5, change(path_to(records, 1))) is None


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
