"""The decision log: drafts go in together, in one statement and one transaction, and stand for ever.

Concurrent requests of a process share transactions: one thread writes, and whatever queued up meanwhile goes into its
next transaction. Nobody ever waits for a batch to fill, and nobody answers before the commit. Failures are not shared:
a batch that fails is written again draft by draft, so that only the guilty one hears of it.

A request id is decided once: the statement writes a decision only where it could claim its key. A draft that lost
(to an earlier request, or to another one of the same batch) learns which decision stands.
"""

import os
import threading
import uuid
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

import psycopg
import structlog
from django.db import DataError, Error, InterfaceError, OperationalError, connection, transaction
from psycopg.types.json import Jsonb

from inferhub.decisions.delivery import ring_bell, ring_bell_soon
from inferhub.decisions.drafts import Draft
from inferhub.decisions.log_statement import MAKE_PARTITIONS, STANDING, WRITE
from inferhub.decisions.partitions import MONTHS_AHEAD
from inferhub.errors import InvalidInput, Unavailable
from inferhub.lib.waiting import must_wait

logger = structlog.get_logger(__name__)

T = TypeVar("T")
Written = uuid.UUID | Exception
"""The id of the decision that stands for a draft's request (its own, or an earlier one), or why there is none."""
Tell = Callable[[list[Written]], object]
Execute = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]

_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, OperationalError, InterfaceError)
# How long a host may leave what was sent unanswered; and how long it may be silent while it owes an answer.
_LIMITS = {"tcp_user_timeout": 10_000, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}


class DecisionLog(Protocol):
    """Takes drafts; what it answers is committed."""

    def commit(self, drafts: Sequence[Draft]) -> list[Written]: ...

    def submit(self, drafts: Sequence[Draft], tell: Tell) -> None:
        """The same without waiting: `tell` is called with the answer later, maybe by another thread."""


class DirectLog:
    """Writes on Django's connection, within the present transaction where there is one (so do tests)."""

    def commit(self, drafts: Sequence[Draft]) -> list[Written]:
        written = _write(_execute_on_django, drafts)
        made = _action_ids(drafts, written)
        transaction.on_commit(lambda: ring_bell(made), robust=True)
        return written

    def submit(self, drafts: Sequence[Draft], tell: Tell) -> None:
        tell(self.commit(drafts))


class GroupLog:
    """Writes in a thread and on a connection of its own, many requests at a time. A forked child starts anew."""

    def __init__(self, connect: Callable[[], "psycopg.Connection[Any]"]) -> None:
        self._connect = connect
        self.reset()
        _logs.add(self)

    def reset(self) -> None:
        """Start with nothing: no lock that a vanished thread holds, no connection that another process uses."""
        self._lock = threading.Lock()
        self._queue: SimpleQueue[_Entry | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._connection: psycopg.Connection[Any] | None = None

    def commit(self, drafts: Sequence[Draft]) -> list[Written]:
        must_wait()
        answers: SimpleQueue[list[Written]] = SimpleQueue()
        self.submit(drafts, answers.put)
        return answers.get()

    def submit(self, drafts: Sequence[Draft], tell: Tell) -> None:
        self._queue.put((drafts, tell))
        if self._thread is None:
            self._start()

    def close(self) -> None:
        """Write what waits, and end the connection; the next draft opens another."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()
        if self._connection is not None:
            self._connection.close()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_for_ever, name="decision-log", daemon=True)
                self._thread.start()

    def _write_for_ever(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            while (more := self._next()) is not None:
                batch.append(more)
            self._serve(batch)

    def _next(self) -> "_Entry | None":
        """What waits; the end of the log comes back in a turn of its own."""
        try:
            entry = self._queue.get_nowait()
        except Empty:
            return None
        if entry is None:
            self._queue.put(None)
        return entry

    def _serve(self, batch: "Sequence[_Entry]") -> None:
        drafts = [draft for brought, _ in batch for draft in brought]
        try:
            written = _write(self._execute, drafts)
        except BaseException as exc:  # whoever waits must hear of it, whatever it was
            logger.exception("the decision log met something unforeseen", decisions=len(drafts))
            written = [_unforeseen(exc)] * len(drafts)
        place = 0
        for brought, tell in batch:
            tell(written[place : place + len(brought)])
            place += len(brought)
        ring_soon(_action_ids(drafts, written))

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


_Entry = tuple[Sequence[Draft], Tell]
"""What one caller brought, and how to tell it what stands."""


def ring_soon(action_ids: Sequence[uuid.UUID]) -> None:
    """Tell workers of new actions. Never fails: a sweeper finds the actions, but who writes must go on writing."""
    if not action_ids:
        return
    try:
        ring_bell_soon(list(action_ids))
    except Exception:  # whatever it was
        logger.exception("workers were not told of new actions", actions=len(action_ids))


def _unforeseen(exc: BaseException) -> Exception:
    return exc if isinstance(exc, Exception) else Unavailable("The decision was not written. Ask again.")


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
    rows = [Jsonb(array_of(drafts), dumps=lambda made: made)]
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


def array_of(drafts: Iterable[Draft]) -> bytes:
    """The parameter of the statement that writes drafts."""
    return b"[" + b",".join([draft.row for draft in drafts]) + b"]"


def _action_ids(drafts: Sequence[Draft], written: Sequence[Written]) -> list[uuid.UUID]:
    made = [draft for draft, standing in zip(drafts, written, strict=True) if draft.id == standing]
    return [action.id for draft in made for action in draft.actions]


def _execute_on_django(statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def connect() -> "psycopg.Connection[Any]":
    """A connection to where Django's own ones go; each statement is a transaction, prepared once by the server."""
    ours = {"prepare_threshold": 0, "autocommit": True, "cursor_factory": psycopg.Cursor}
    return psycopg.connect(**_LIMITS | connection.get_connection_params() | ours)


_logs: "weakref.WeakSet[GroupLog]" = weakref.WeakSet()


def _reset_all() -> None:
    for log in tuple(_logs):
        log.reset()


os.register_at_fork(after_in_child=_reset_all)

_log: DecisionLog = GroupLog(connect)


def decision_log() -> DecisionLog:
    """The log that this process decides into."""
    return _log


def use_log(log: DecisionLog) -> None:
    """Decide into another log from now on."""
    global _log  # noqa: PLW0603 - one log a process
    _log = log


class Commit:
    """What a coroutine awaits to have drafts committed; the value is what `DecisionLog.commit` answers.

    Whoever drives the coroutine decides how: a thread waits (`finish`), the event loop goes on with others meanwhile.
    """

    __slots__ = ("drafts",)

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self.drafts = drafts

    def __await__(self) -> "Generator[Commit, list[Written], list[Written]]":
        return (yield self)


def finish(coroutine: "Coroutine[Commit, list[Written], T]") -> T:
    """Drive a coroutine that awaits nothing but commits to its end, in this thread."""
    try:
        asked = coroutine.send(None)  # type: ignore[arg-type]
        while True:
            asked = coroutine.send(_log.commit(asked.drafts))
    except StopIteration as done:
        value: T = done.value
        return value
