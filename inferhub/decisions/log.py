"""The decision log: drafts go in together, in one statement and one transaction, and stand for ever.

Concurrent requests of a process share transactions: who comes first writes, the others queue up meanwhile, and the next
writer takes all of them at once. Nobody ever waits for a batch to fill, and nobody answers before the commit. Failures
are not shared: a batch that fails is written again draft by draft, so that only the guilty one hears of it.

A request id is decided once: the statement writes a decision only where it could claim its key. A draft that lost
(to an earlier request, or to another one of the same batch) learns which decision stands.
"""

import os
import threading
import uuid
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import psycopg
import structlog
from django.db import DataError, Error, InterfaceError, OperationalError, connection, transaction
from psycopg.types.json import Jsonb

from inferhub.decisions.delivery import ring_bell, ring_bell_soon
from inferhub.decisions.drafts import Draft
from inferhub.decisions.log_statement import MAKE_PARTITIONS, STANDING, WRITE
from inferhub.decisions.partitions import MONTHS_AHEAD
from inferhub.errors import InvalidInput, Unavailable

logger = structlog.get_logger(__name__)

Written = uuid.UUID | Exception
"""The id of the decision that stands for a draft's request (its own, or an earlier one), or why there is none."""
Execute = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]

_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, OperationalError, InterfaceError)
_UNREACHABLE_MS = 10_000  # how long a host may leave what was sent unanswered


class DecisionLog(Protocol):
    """Takes drafts; what it answers is committed."""

    def commit(self, drafts: Sequence[Draft]) -> list[Written]: ...


class DirectLog:
    """Writes on Django's connection, within the present transaction where there is one (so do tests)."""

    def commit(self, drafts: Sequence[Draft]) -> list[Written]:
        written = _write(_execute_on_django, drafts)
        made = _action_ids(drafts, written)
        transaction.on_commit(lambda: ring_bell(made), robust=True)
        return written


class GroupLog:
    """Writes on a connection of its own, many requests at a time. Threads share it; a forked child starts anew."""

    def __init__(self, connect: Callable[[], "psycopg.Connection[Any]"]) -> None:
        self._connect = connect
        self.reset()
        _logs.add(self)

    def reset(self) -> None:
        """Start with nothing: no lock that a vanished thread holds, no connection that another process uses."""
        self._lock = threading.Lock()
        self._queue: list[_Entry] = []
        self._is_writing = False
        self._connection: psycopg.Connection[Any] | None = None

    def commit(self, drafts: Sequence[Draft]) -> list[Written]:
        entry = _Entry(drafts)
        with self._lock:
            self._queue.append(entry)
            is_first = not self._is_writing
            self._is_writing = True
        if not is_first:
            entry.turn.acquire()
        if not entry.is_served:
            self._write_queue()
        return entry.written

    def close(self) -> None:
        """End the connection; the next draft opens another."""
        if self._connection is not None:
            self._connection.close()

    def _write_queue(self) -> None:
        """Write everything that waits, hand over to whoever came meanwhile, and wake those who were served."""
        with self._lock:
            batch, self._queue = self._queue, []
        try:
            self._serve(batch)
        finally:
            with self._lock:
                following = self._queue[0] if self._queue else None
                self._is_writing = following is not None
            for entry in ([following] if following else []) + batch:
                entry.turn.release()

    def _serve(self, batch: "Sequence[_Entry]") -> None:
        for entry in batch:  # what they are told if this thread is torn away
            entry.is_served = True
            entry.written = [Unavailable("The server stopped before the decision was written. Ask again.")]
            entry.written *= len(entry.drafts)
        drafts = [draft for entry in batch for draft in entry.drafts]
        written = _write(self._execute, drafts)
        place = 0
        for entry in batch:
            entry.written = written[place : place + len(entry.drafts)]
            place += len(entry.drafts)
        ring_bell_soon(_action_ids(drafts, written))

    def _execute(self, statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run a statement in a transaction of its own, on a new connection where the old one turns out to be dead."""
        if self._connection is not None and not self._connection.closed:
            try:
                return self._connection.execute(statement, parameters, prepare=True).fetchall()
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if not self._connection.closed:
                    raise
        # Safe to repeat even where the first try was committed and its answer lost: the draft then finds itself.
        self._connection = self._connect()
        return self._connection.execute(statement, parameters, prepare=True).fetchall()


class _Entry:
    """What one caller brought. Its `turn` comes when it is written, or when it is to write."""

    __slots__ = ("drafts", "is_served", "turn", "written")

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self.drafts = drafts
        self.written: list[Written] = []
        self.is_served = False
        self.turn = threading.Lock()
        self.turn.acquire()


def _write(execute: Execute, drafts: Sequence[Draft]) -> list[Written]:
    try:
        return _write_together(execute, drafts)
    except _AWAY as exc:
        logger.warning("the database does not take decisions", error=str(exc), decisions=len(drafts))
        why = "The database does not answer now. Try again; a decision with the same request_id is made once."
        return [Unavailable(why) for _ in drafts]
    except (psycopg.Error, Error) as exc:
        if len(drafts) > 1:
            return [_write(execute, [draft])[0] for draft in drafts]
        if isinstance(exc, psycopg.DataError | DataError):
            return [InvalidInput(f"The database cannot hold this: {str(exc).splitlines()[0]}")]
        return [exc]


def _write_together(execute: Execute, drafts: Sequence[Draft]) -> list[Written]:
    rows = [_array(draft.row for draft in drafts)]
    try:
        answered = execute(WRITE, rows)
    except (psycopg.Error, Error) as exc:
        if "no partition" not in str(exc):
            raise
        execute(MAKE_PARTITIONS, [MONTHS_AHEAD])  # the hub was off when they should have been made
        answered = execute(WRITE, rows)
    if not answered:
        return [draft.id for draft in drafts]
    lost = {row[0] for row in answered}
    standing = _standing(execute, [_key(draft) for draft in drafts if draft.id in lost])
    return [standing[_key(draft)] if draft.id in lost else draft.id for draft in drafts]


def _standing(execute: Execute, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], uuid.UUID]:
    rows = execute(STANDING, [[workflow_id for workflow_id, _ in keys], [request_id for _, request_id in keys]])
    return {(workflow_id, request_id): decision_id for workflow_id, request_id, decision_id in rows}


def _key(draft: Draft) -> tuple[int, str]:
    return draft.published.workflow_id, draft.request_id


def _array(rows: Iterable[bytes]) -> Jsonb:
    return Jsonb(b"[" + b",".join(rows) + b"]", dumps=lambda made: made)


def _action_ids(drafts: Sequence[Draft], written: Sequence[Written]) -> list[uuid.UUID]:
    made = [draft for draft, standing in zip(drafts, written, strict=True) if draft.id == standing]
    return [action.id for draft in made for action in draft.actions]


def _execute_on_django(statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def _connect() -> "psycopg.Connection[Any]":
    """A connection to where Django's own ones go; each statement is a transaction, prepared once by the server."""
    ours = {"prepare_threshold": 0, "autocommit": True, "cursor_factory": psycopg.Cursor}
    return psycopg.connect(**{"tcp_user_timeout": _UNREACHABLE_MS} | connection.get_connection_params() | ours)


_logs: "weakref.WeakSet[GroupLog]" = weakref.WeakSet()


def _reset_all() -> None:
    for log in tuple(_logs):
        log.reset()


os.register_at_fork(after_in_child=_reset_all)

_log: DecisionLog = GroupLog(_connect)


def decision_log() -> DecisionLog:
    """The log that this process decides into."""
    return _log


def use_log(log: DecisionLog) -> None:
    """Decide into another log from now on."""
    global _log  # noqa: PLW0603 - one log a process
    _log = log
