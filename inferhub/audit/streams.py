"""What is sealed: streams of rows with an id and a digest. This app has one, of audit events; others bring theirs.

Rows are read from the tables as they are, in a view of the database that does not change meanwhile (`snapshot`).
"""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

import orjson
import psycopg
from django.db import connection

from inferhub.audit.chain import ID_BYTES
from inferhub.audit.digests import canonical_event
from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.canonical import has_inexact_number, sorted_json
from inferhub.lib.describe import describe
from inferhub.lib.digits import LARGEST, read_digits

View = psycopg.Connection[Any]
_names = itertools.count()


class Row(NamedTuple):
    """A row as it was found: the digest that stands in it, and the one that its content has.

    `remark` says what else is not as it must be; most often nothing.
    """

    id: bytes
    stored: str
    digest: str
    remark: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """Rows that left in the proper way, all of them: the `count` ones with `first_id` <= id < `end_id`."""

    first_id: bytes
    end_id: bytes
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Preimage:
    """What a proof says of a row: `canonical` is the text whose sha256 is the digest; `extras` are told beside it."""

    canonical: bytes
    extras: dict[str, Any]


class Stream(Protocol):
    """Rows that are sealed. `name` is what seals and people call it."""

    @property
    def name(self) -> str: ...

    def rows(self, view: View, first_id: bytes) -> Iterator[Row]:
        """All rows from `first_id` on, in order of their ids."""

    def gaps(self, view: View) -> Sequence[Gap]:
        """Which rows may be missing."""

    def preimage(self, view: View, record_id: bytes) -> Preimage | None:
        """What stands behind the digest of one row; None where there is no such row, or nothing tells it any more."""

    def id_text(self, record_id: bytes) -> str:
        """An id as people write it."""

    def id_bytes(self, text: str) -> bytes:
        """An id as records hold it. Raises InvalidInput."""


class EventStream:
    """The audit log."""

    name = "audit-event"

    def rows(self, view: View, first_id: bytes) -> Iterator[Row]:
        statement = f"SELECT {_EVENT_COLUMNS} FROM audit_auditevent WHERE id >= %s ORDER BY id"  # noqa: S608 - constants
        lowest = int.from_bytes(first_id) or -(1 << 63)  # the hub gives no numbers below 1, but others can
        return map(_event_row, read_all(view, statement, [lowest]))

    def gaps(self, view: View) -> Sequence[Gap]:
        return ()

    def preimage(self, view: View, record_id: bytes) -> Preimage | None:
        statement = f"SELECT {_EVENT_COLUMNS} FROM audit_auditevent WHERE id = %s"  # noqa: S608 - constants
        found = read_one(view, statement, [int.from_bytes(record_id)])
        return Preimage(canonical=canonical_event(**_event_fields(found)), extras={}) if found else None

    def id_text(self, record_id: bytes) -> str:
        return str(int.from_bytes(record_id))

    def id_bytes(self, text: str) -> bytes:
        number = read_digits(text)
        if number is None or number == LARGEST:
            expected = "the number of an audit event"
            raise InvalidInput(errors=[FieldError(pointer="/id", expected=expected, got=describe(text))])
        return number.to_bytes(ID_BYTES)


EVENTS: Stream = EventStream()

MISSING, UNREADABLE = "nothing where the hub writes something", "values that cannot be read"


def readable(column: str) -> str:
    """A column of times as Python can hold them: none of infinity, or of a year with five digits."""
    return f"CASE WHEN {column} IS NOT NULL THEN greatest(least({column}, '9999-12-30'), '0001-01-02') END"


def iso_text(column: str) -> str:
    """The same in UTC, as `datetime.isoformat` writes it, but for whole seconds, which get six zeros."""
    return f"""to_char({readable(column)} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')"""


def json_object(values: Mapping[str, str]) -> str:
    """An expression for a JSON object of expressions by name."""
    pairs = ", ".join(f"'{name}', {value}" for name, value in values.items())
    return f"json_build_object({pairs})"


_EVENT_COLUMNS = (
    f"id, {readable('occurred_at')}, action, actor, subject, request_id, convert_to(details::text, 'UTF8'), digest"
)


def _event_row(found: tuple[Any, ...]) -> Row:
    record_id = max(found[0], 0).to_bytes(ID_BYTES)
    if found[0] < 0:
        return Row(record_id, found[7], "", f"the number {found[0]}")
    try:
        fields = _event_fields(found)
    except orjson.JSONDecodeError:
        return Row(record_id, found[7], "", UNREADABLE)
    digest = hashlib.sha256(sorted_json(fields)).hexdigest()  # most often the canonical form; where it fits, it is
    if digest != found[7]:
        digest = hashlib.sha256(canonical_event(**fields)).hexdigest()
    return Row(record_id, found[7], digest, number_remark(found[6]))


def _event_fields(found: tuple[Any, ...]) -> dict[str, Any]:
    _, occurred_at, action, actor, subject, request_id, details, _ = found
    return {
        "action": action,
        "actor": actor,
        "details": orjson.loads(details),
        "occurred_at": occurred_at,
        "request_id": request_id,
        "subject": subject,
    }


def number_remark(json_text: bytes) -> str:
    """Digests take numbers as doubles: one that is spelt with other digits was not written by the hub."""
    return "a number with digits that no double has" if has_inexact_number(json_text) else ""


def read_all(
    view: View, statement: str, parameters: Sequence[Any] = (), *, at_once: int = 1000
) -> Iterator[tuple[Any, ...]]:
    """The rows of a long answer, fetched `at_once` by `at_once`, one fetch ahead."""
    with psycopg.ServerCursor(view, f"audit_{next(_names)}") as cursor, ThreadPoolExecutor(1) as ahead:
        cursor.execute(statement, parameters, binary=True)
        coming = ahead.submit(cursor.fetchmany, at_once)
        while rows := coming.result():
            coming = ahead.submit(cursor.fetchmany, at_once)  # the server works while these are looked at
            yield from rows


def read_one(view: View, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
    """The only row of an answer, or None."""
    with psycopg.Cursor(view) as cursor:
        found: tuple[Any, ...] | None = cursor.execute(statement, parameters, binary=True).fetchone()
        return found


@contextmanager
def snapshot() -> Iterator[View]:
    """One view of the database, however long it takes. Within a transaction it is that of the transaction."""
    if connection.in_atomic_block:
        yield cast("View", connection.connection)
        return
    ours = {"cursor_factory": psycopg.Cursor, "context": None}
    with psycopg.connect(**connection.get_connection_params() | ours) as view:
        view.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        view.read_only = True
        view.execute("SET TIME ZONE 'UTC'")
        yield view
