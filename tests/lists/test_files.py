from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferhub.errors import InvalidInput
from inferhub.lists.files import from_csv, to_csv
from inferhub.lists.models import ListEntry
from inferhub.lists.services import Entry

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
_MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)) | st.none()  # noqa: DTZ001
_ENTRIES = st.builds(Entry, value=_TEXT.filter(str.strip), note=_TEXT, expires_at=_MOMENTS)


def written(entries: list[Entry]) -> str:
    rows = [ListEntry(value=entry.value, note=entry.note, expires_at=entry.expires_at) for entry in entries]
    return "".join(to_csv(rows))


@given(st.lists(_ENTRIES, max_size=5))
def test_entries_survive_a_file(entries: list[Entry]) -> None:
    assert from_csv(written(entries)) == entries


def test_no_cell_can_run_as_a_formula() -> None:
    text = written([Entry(value="=HYPERLINK(1)", note="@cmd"), Entry(value="+1"), Entry(value="-1")])
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == ["'=HYPERLINK(1)", "'+1", "'-1"]
    assert "'@cmd" in text


def test_a_file_as_people_write_it_is_read() -> None:
    text = "\ufeffNote , VALUE,expires_at\r\nvip,ann,2026-01-31T12:00:00Z\r\n\r\n,ben\r\n"
    assert from_csv(text) == [
        Entry(value="ann", note="vip", expires_at=datetime(2026, 1, 31, 12, tzinfo=UTC)),
        Entry(value="ben"),
    ]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "/1"),
        ("name\nann\n", "/1"),
        ("value,value\n", "/1"),
        ("value,colour\n", "/1"),
        ("value\nann,ben\n", "/2"),
        ('value\n"ann\n', "/2"),
        ("value,expires_at\nann,tomorrow\n", "/2/expires_at"),
        ("value,expires_at\nann,2026-01-31T12:00:00\n", "/2/expires_at"),
    ],
)
def test_what_is_wrong_with_a_file_is_named_by_its_line(text: str, where: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        from_csv(text)
    assert [error.pointer for error in caught.value.errors] == [where]


@pytest.mark.parametrize("text", ["value\rann\rben\r", "value\nann\nben", "value;note\r\nann;x\r\nben;y\r\n"])
def test_lines_end_as_any_system_ends_them(text: str) -> None:
    assert [entry.value for entry in from_csv(text)] == ["ann", "ben"]


def test_a_head_line_that_is_far_too_long_is_refused() -> None:
    with pytest.raises(InvalidInput, match="comma-separated text"):
        from_csv("v" * (2 << 20))
