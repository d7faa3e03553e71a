"""Where the rows of a back-test come from: the decision log or an uploaded file.

A chunk holds the rows by column, and of a row only what the sides and the report look at: a million rows of two wide
inputs would be gigabytes.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

import orjson
from django.db import connection
from psycopg import sql

from inferhub.decisions.models import Decision
from inferhub.decisions.rerun import as_sent

_MOST_AT_ONCE = 100_000
_MOST_INPUTS_AT_ONCE = 5_000
Path = tuple[str, ...]
"""Of a fact: ("input", "total") or ("prediction", "value", "score")."""

_MARGIN = timedelta(days=1)  # the clocks of an id and of its decision are read one after the other
_TABLE = Decision._meta.db_table
# When the rules saw the clock, or would have seen it: of a decision as of another time, not when it was made.
_MOMENT = sql.SQL("coalesce((coalesce(trace #>> '{surroundings,at}', trace ->> 'as_of'))::timestamptz, created_at)")
# Not where the model failed and a fallback stood in for it.
_ANSWERED = sql.SQL("coalesce((predictions -> {name}) ? 'output' AND NOT (predictions -> {name}) ? 'fallback', false)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What to read of each row: facts; names of predictions of which to say whether the model answered; whole
    inputs; when it was decided.
    """

    facts: tuple[Path, ...]
    succeeded: tuple[str, ...] = ()
    has_inputs: bool = False
    has_times: bool = False

    @property
    def chunk(self) -> int:
        """How many rows to read at once."""
        return _MOST_INPUTS_AT_ONCE if self.has_inputs else _MOST_AT_ONCE


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Some rows in a row, by column. `ids` and `outcomes` are empty where they come from a file."""

    first: int
    count: int
    ids: Sequence[str]
    outcomes: Sequence[str]
    facts: dict[Path, Sequence[Any]]
    succeeded: dict[str, Sequence[bool]] = field(default_factory=dict)
    inputs: Sequence[dict[str, Any]] = ()
    times: Sequence[str] = ()


class Source(Protocol):
    """Gives all rows, in chunks."""

    def chunks(self, wanted: Wanted) -> Iterator[Chunk]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionRows:
    """The decisions of a workflow from `since` to before `until` that are not erased, the oldest first.

    `after`: only those behind this one.
    """

    workflow_id: int
    since: datetime | None = None
    until: datetime | None = None
    after: uuid.UUID | None = None

    def chunks(self, wanted: Wanted) -> Iterator[Chunk]:
        read, last = 0, str(self.after or _first_id(self.since))
        while rows := self._read(wanted, last):
            columns = list(zip(*rows, strict=True))
            yield self._chunk(wanted, columns, read)
            read, last = read + len(rows), columns[0][-1]

    def _chunk(self, wanted: Wanted, columns: list[tuple[Any, ...]], first: int) -> Chunk:
        facts, rest = columns[2 : 2 + len(wanted.facts)], columns[2 + len(wanted.facts) :]
        return Chunk(
            first=first,
            count=len(columns[0]),
            ids=columns[0],
            outcomes=columns[1],
            facts=dict(zip(wanted.facts, facts, strict=True)),
            succeeded=dict(zip(wanted.succeeded, rest, strict=False)),
            times=rest[len(wanted.succeeded)] if wanted.has_times else (),
            inputs=list(map(as_sent, rest[-1])) if wanted.has_inputs else (),
        )

    def _read(self, wanted: Wanted, after: str) -> list[list[Any]]:
        """The next rows behind the decision `after`."""
        parts = [sql.SQL("id"), sql.SQL("outcome"), *map(_fact, wanted.facts)]
        parts += [_ANSWERED.format(name=sql.Literal(name)) for name in wanted.succeeded]
        parts += [_MOMENT] if wanted.has_times else []
        parts += [sql.SQL("input")] if wanted.has_inputs else []
        query = sql.SQL(
            "SELECT string_agg(line, ',') FROM "
            "(SELECT json_build_array({})::text AS line FROM {} WHERE {} ORDER BY id LIMIT {}) AS lines"
        ).format(sql.SQL(", ").join(parts), sql.Identifier(_TABLE), self._where(after), sql.Literal(wanted.chunk))
        with connection.cursor() as cursor:
            cursor.execute(query)
            text = cursor.fetchone()[0]
        # One text for all rows: to hand rows over one by one costs more than to read them.
        return orjson.loads(f"[{text}]") if text else []

    def _where(self, after: str) -> sql.Composable:
        tests = [
            sql.SQL("workflow_id = {}").format(sql.Literal(self.workflow_id)),
            sql.SQL("id > {}").format(sql.Literal(after)),
            sql.SQL("erased_at IS NULL"),
            sql.SQL("reviewed_decision_id IS NULL"),  # a person made it
        ]
        if self.since is not None:
            tests.append(sql.SQL("created_at >= {}").format(sql.Literal(self.since)))
        if self.until is not None:
            tests.append(sql.SQL("created_at < {}").format(sql.Literal(self.until)))
        return sql.SQL(" AND ").join(tests)


@dataclass(frozen=True, kw_only=True, slots=True)
class FileRows:
    """Inputs out of a file; None in the place of one that was erased, so that the others keep their numbers."""

    inputs: Sequence[dict[str, Any] | None]

    def chunks(self, wanted: Wanted) -> Iterator[Chunk]:
        given = [path for path in wanted.facts if path[0] == "input"]
        for start, end in self._runs():
            for first in range(start, end, wanted.chunk):
                inputs = cast("list[dict[str, Any]]", self.inputs[first : min(first + wanted.chunk, end)])
                facts: dict[Path, Sequence[Any]] = {path: [find(row, path[1:]) for row in inputs] for path in given}
                yield Chunk(first=first, count=len(inputs), ids=(), outcomes=(), facts=facts, inputs=inputs)

    def _runs(self) -> Iterator[tuple[int, int]]:
        """From where to before where there are rows, between those that are not there any more."""
        start = 0
        for gap in (place for place, row in enumerate(self.inputs) if row is None):
            yield start, gap
            start = gap + 1
        yield start, len(self.inputs)


def _first_id(since: datetime | None) -> str:
    """An id before those of `since`: they begin with the time at which a decision was made."""
    milliseconds = 0 if since is None else max(int((since - _MARGIN).timestamp() * 1000), 0)
    return str(uuid.UUID(int=milliseconds << 80))


def find(value: Any, path: Path) -> Any:
    """What lies at `path`; None where nothing does."""
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def _fact(path: Path) -> sql.Composable:
    column, keys = ("input", path[1:]) if path[0] == "input" else ("predictions", (path[1], "output", *path[2:]))
    fact: sql.Composable = sql.Identifier(column)
    for key in keys:
        fact = sql.SQL("{} -> {}").format(fact, sql.Literal(key))
    return sql.SQL("({})").format(fact)
