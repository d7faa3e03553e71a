"""A connection of the event loop to the decision log, on which nobody waits."""

import asyncio
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any

import psycopg
import structlog
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult

from inferhub.decisions.drafts import Draft
from inferhub.decisions.log import array_of, connect
from inferhub.decisions.log_statement import WRITE

log = structlog.get_logger(__name__)

_NAME = b"write_decisions"
_SILENCE_SECONDS = 1.0
_REFUSALS = (b"22", b"23")  # classes of SQLSTATE: data exceptions, violations of constraints
_FAILURES = (psycopg.Error, OSError)


class LogConnection:
    """Writes drafts, one statement at a time, and tells `on_answer` what came of it; then `go_on` is called.

    `on_answer` hears the ids of the drafts that lost to an earlier decision, or None where it is unknown whether any is
    written: the statement failed, the database is away. To write those again is safe: a draft finds itself.
    After a failure, as at the beginning, nothing can be sent until another thread, which `do_aside` finds, has opened a
    connection.
    """

    def __init__(
        self,
        *,
        on_answer: Callable[[Collection[uuid.UUID] | None], None],
        go_on: Callable[[], None],
        do_aside: Callable[[Callable[[], object]], object],
    ) -> None:
        self._on_answer = on_answer
        self._go_on = go_on
        self._do_aside = do_aside
        self._open: _Open | None = None
        self._is_asked = False
        self._lost: Collection[uuid.UUID] | None = None
        self._is_opening = False
        self._silent_until = 0.0

    def send(self, loop: asyncio.AbstractEventLoop, drafts: Sequence[Draft]) -> bool:
        """Whether they have gone out. Never called while an answer is due."""
        if self._open is None:
            self._open_soon(loop)
            return False
        self._lost = None
        try:
            self._open.pgconn.send_query_prepared(_NAME, [array_of(drafts)])
            self._is_asked = True
            self._flush()
        except _FAILURES as exc:
            self._is_asked = False
            self._drop(exc)
        return self._is_asked

    def look(self) -> None:
        """Tell what has come of what was sent, where that is known by now."""
        if self._open is None:
            return
        pgconn = self._open.pgconn
        try:
            pgconn.consume_input()
            # Asked before each result, of which the last is None: to fetch one that is not there yet would wait for it.
            while self._is_asked and not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    self._answer(self._lost)
                else:
                    self._lost = _lost(result)
        except _FAILURES as exc:
            self._drop(exc)

    def _answer(self, lost: Collection[uuid.UUID] | None) -> None:
        if self._is_asked:
            self._is_asked = False
            self._on_answer(lost)

    def _flush(self) -> None:
        """Hand the kernel what it takes; the rest once it takes more."""
        if self._open is not None:
            loop, pgconn = self._open.loop, self._open.pgconn
            loop.remove_writer(pgconn.socket)
            if pgconn.flush():
                loop.add_writer(pgconn.socket, self._flush_more)

    def _flush_more(self) -> None:
        try:
            self._flush()
        except _FAILURES as exc:
            self._drop(exc)

    def _on_readable(self) -> None:
        self.look()
        self._go_on()

    def _drop(self, why: Exception) -> None:
        """What was under way may be written or not; what comes next may say the same of a new connection."""
        opened, self._open = self._open, None
        if opened is not None:
            opened.close()
        self._silent_until = time.monotonic() + _SILENCE_SECONDS
        log.warning("a thread writes decisions in place of the event loop for now", why=str(why).strip())
        self._answer(None)

    def _open_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_opening and time.monotonic() >= self._silent_until:
            self._do_aside(lambda: self._connect(loop))
            self._is_opening = True

    def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        """By another thread."""
        opened = None
        try:
            opened = _prepared()
        except _FAILURES as exc:
            log.warning("the event loop has no connection to the database", why=str(exc).strip())
        finally:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._use, loop, opened)

    def _use(self, loop: asyncio.AbstractEventLoop, opened: "psycopg.Connection[Any] | None") -> None:
        self._is_opening = False
        if opened is None:
            self._silent_until = time.monotonic() + _SILENCE_SECONDS
        else:
            self._open = _Open(loop, opened)
            loop.add_reader(opened.pgconn.socket, self._on_readable)


class _Open:
    """A connection that the loop listens on. The socket is kept by number: libpq forgets it when it breaks off."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: "psycopg.Connection[Any]") -> None:
        self.loop = loop
        self.pgconn = connection.pgconn
        self._connection = connection
        self._socket = connection.pgconn.socket

    def close(self) -> None:
        self.loop.remove_reader(self._socket)
        self.loop.remove_writer(self._socket)
        self._connection.close()


def _prepared() -> "psycopg.Connection[Any]":
    connection = connect()
    try:
        result = connection.pgconn.prepare(_NAME, WRITE.replace("%s", "$1").encode())
        if result.status != ExecStatus.COMMAND_OK:
            raise psycopg.OperationalError(result.get_error_message())
        connection.pgconn.nonblocking = 1
    except _FAILURES:
        connection.close()
        raise
    return connection


def _lost(result: PGresult) -> Collection[uuid.UUID] | None:
    """The ids that the statement gives back; None where it refused the drafts.

    Raises OperationalError where it failed in another way, such as one that no longer fits its tables: on a new
    connection it is prepared anew.
    """
    if result.status == ExecStatus.TUPLES_OK:
        return {uuid.UUID((result.get_value(row, 0) or b"").decode()) for row in range(result.ntuples)}
    if (result.error_field(DiagnosticField.SQLSTATE) or b"")[:2] in _REFUSALS:
        return None
    raise psycopg.OperationalError(result.get_error_message())
