"""A connection of the event loop to the decision log, on which nobody waits."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import psycopg
import structlog
from psycopg.pq import ExecStatus

from inferhub.decisions.drafts import Draft
from inferhub.decisions.log import array_of, connect
from inferhub.decisions.log_statement import WRITE

log = structlog.get_logger(__name__)

_NAME = b"write_decisions"
_SILENCE_SECONDS = 1.0
_FAILURES = (psycopg.Error, OSError)


class OnAnswer(Protocol):
    def __call__(self, *, is_written: bool) -> None: ...


class LogConnection:
    """Writes drafts, one statement at a time, and tells `on_answer` what came of it; then `go_on` is called.

    "Not written" means that it is unknown: a request id was decided before, the statement failed, the database is away.
    After a failure, as at the beginning, nothing can be sent until another thread has opened a connection:
    `do_aside` has one do that.
    """

    def __init__(
        self,
        *,
        on_answer: OnAnswer,
        go_on: Callable[[], None],
        do_aside: Callable[[Callable[[], object]], object],
    ) -> None:
        self._on_answer = on_answer
        self._go_on = go_on
        self._do_aside = do_aside
        self._open: _Open | None = None
        self._is_asked = False
        self._is_opening = False
        self._silent_until = 0.0

    def send(self, loop: asyncio.AbstractEventLoop, drafts: Sequence[Draft]) -> bool:
        """Whether they have gone out. Never called while an answer is due."""
        if self._open is None:
            self._open_soon(loop)
            return False
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
        is_written = False
        try:
            pgconn.consume_input()
            if not self._is_asked or pgconn.is_busy():
                return
            while (result := pgconn.get_result()) is not None:
                if result.status != ExecStatus.TUPLES_OK:
                    raise psycopg.OperationalError(result.get_error_message())
                is_written = result.ntuples == 0
        except _FAILURES as exc:
            self._drop(exc)
        else:
            self._answer(is_written=is_written)

    def _answer(self, *, is_written: bool) -> None:
        if self._is_asked:
            self._is_asked = False
            self._on_answer(is_written=is_written)

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
        log.warning("a thread writes decisions in place of the event loop for now", why=str(why).strip())
        if self._open is not None:
            self._open.close()
            self._open = None
        self._silent_until = time.monotonic() + _SILENCE_SECONDS
        self._answer(is_written=False)

    def _open_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_opening and time.monotonic() >= self._silent_until:
            self._is_opening = True
            self._do_aside(lambda: self._connect(loop))

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
    result = connection.pgconn.prepare(_NAME, WRITE.replace("%s", "$1").encode())
    if result.status != ExecStatus.COMMAND_OK:
        connection.close()
        raise psycopg.OperationalError(result.get_error_message())
    connection.pgconn.nonblocking = 1
    return connection
