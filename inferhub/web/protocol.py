"""HTTP/1.1 as uvicorn speaks it, with a short road for the small requests of machines.

A small POST to a bare view is not made an ASGI scope, a task and messages: the view is called as soon as the body is
there, and the answer written in one piece. A quick view is called on the event loop. What turns out to need time goes
on with a thread: a request that must wait (`NeedsThread`), and all those to an address whose last requests took long.
Of requests that miss the same (after a pause the process remembers nothing) one reads it, and the others wait for that.

A client repeats itself: the head of such a request that was read once (by llhttp, as every other) is known again by its
bytes, and not read a second time.

Everything else is uvicorn's affair: other requests, pipelining, keep-alive, the end of a process.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Hashable
from contextlib import suppress
from contextvars import copy_context
from functools import lru_cache
from http import HTTPStatus
from io import BytesIO
from typing import Any, NamedTuple

import structlog
from django.http import HttpRequest
from django.urls import ResolverMatch
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from inferhub.api.serving import Reply, bare_match_at, check_connection, serve, serving
from inferhub.decisions.log import Written
from inferhub.lib.waiting import NeedsThread
from inferhub.web.application import readers, threads
from inferhub.web.balance import Balance
from inferhub.web.commits import Commits
from inferhub.wsgi import application

log = structlog.get_logger(__name__)

MOST_SHORT_BYTES = 16 << 10
MOST_HEAD_BYTES = 64 << 10
MESSAGE_SECONDS = 60.0
_LAST_SECONDS = 0.5
_MOST_KNOWN_HEADS = 1024
_MOST_KNOWN_HEAD_BYTES = 2048
_MOST_ADDRESSES = 4096
_SLOW_SECONDS = 0.004
_TRUSTED_AFTER = 4  # quick requests
_END_OF_HEAD = b"\r\n\r\n"
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_NOT_SHORT = frozenset({b"expect", b"transfer-encoding", b"upgrade"})


class Pace:
    """Whether the requests to one address are quick: trusted after a few in a row, and no longer after two slow ones.

    One slow request may have been the machine's fault, as where others run on its processors. The next is therefore
    timed by the processor time of its thread; not every one is, as that clock takes ten times as long to read.
    """

    __slots__ = ("_in_a_row", "clock", "is_quick")

    def __init__(self) -> None:
        self._in_a_row = 0
        self.clock: Callable[[], float] = time.thread_time
        self.is_quick = False

    def note(self, seconds: float, clock: Callable[[], float]) -> None:
        """`clock` is the one that measured: `self.clock` as it was, or that of the processor time of a thread."""
        if seconds < _SLOW_SECONDS:
            self.clock = time.perf_counter
            if not self.is_quick:
                self._in_a_row += 1
                self.is_quick = self._in_a_row >= _TRUSTED_AFTER
        else:
            if clock is time.thread_time and self.clock is time.thread_time:
                self.is_quick = False
            self.clock = time.thread_time
            self._in_a_row = 0


class Head(NamedTuple):
    """The head of a request on the short road; `meta` is as WSGI has it, without what is in the body."""

    match: ResolverMatch
    path: str
    meta: dict[str, Any]
    length: int
    keep_alive: bool
    pace: Pace


_paces: dict[str, Pace] = {}
_known_heads: dict[bytes, Head] = {}


class _Flow(FlowControl):
    """Reads nothing more while requests wait: uvicorn reads on whenever it begins with one, and would hoard them."""

    def __init__(self, transport: Any, pipeline: Collection[Any]) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if not self._pipeline:
            super().resume_reading()


class Protocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        self._began = self.loop.time()
        self._head_bytes = 0
        self._is_between = True  # messages; True as well in the middle of an answer
        self._is_in_head = True
        self._first: bytes = b""
        self.is_last = False  # the next answer, after which the process ends
        self._cut_when_late()

    def data_received(self, data: bytes) -> None:
        if self._is_between and self._is_free():
            at = data.find(_END_OF_HEAD) + len(_END_OF_HEAD)
            head = _known_heads.get(data[:at])
            if head is not None and len(data) == at + head.length:
                self._unset_keepalive_if_required()
                exchange = Exchange(self, head, data[at:])
                self.cycle = exchange  # type: ignore[assignment]
                exchange.begin()
                return
        self._first = data if self._is_between else b""
        self._is_new = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._is_in_head and not self._is_new:  # one that begins in this piece has at most its rest
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self.transport.write(_HEAD_TOO_LARGE)
                self.transport.close()
                return
        cycle: Any = self.cycle
        if not self._is_between and (self._is_in_head or type(cycle) is Exchange):
            self._cut_when_late()

    def shutdown(self) -> None:
        """The process ends: what is asked on this connection still gets its answer, and the client is told to close.

        Where nothing is asked, something may be on its way.
        """
        self.is_last = True
        if self.cycle is None or self.cycle.response_complete:
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(_LAST_SECONDS, self.timeout_keep_alive_handler)
        else:
            super().shutdown()

    def _is_free(self) -> bool:
        """Whether the last answer is out, and the client reads what it is told."""
        return (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused

    def _cut_when_late(self) -> None:
        """Whoever begins a message has to end it; of larger bodies the application looks after the pace."""
        late = self._began + MESSAGE_SECONDS
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_at(late, self.timeout_keep_alive_handler)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._began = self.loop.time()
        self._head_bytes = 0
        self._is_new = True
        self._is_between = False
        self._is_in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        # Behind WSGI nobody could tell X_Request_Id from X-Request-Id, which a proxy in front may have checked.
        if b"_" not in name:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        head = self._short_head()
        if head is not None:
            self._remember(head)
        self._first = b""  # what follows in the same piece is another message
        if head is None:
            super().on_headers_complete()
            if self.is_last and self.cycle is not None:
                self.cycle.keep_alive = False
        else:
            self.cycle = Exchange(self, head, b"")  # type: ignore[assignment]

    def on_message_complete(self) -> None:
        self._is_between = True
        cycle: Any = self.cycle
        if type(cycle) is Exchange:
            cycle.begin()
        else:
            super().on_message_complete()

    def _short_head(self) -> Head | None:
        if self.parser.get_method() != b"POST" or not self._is_free():
            return None
        path, _, query = self.url.partition(b"?")
        match = _match_at(path)
        if match is None:
            return None
        meta: dict[str, Any] = {}
        for name, value in self.headers:
            if name in _NOT_SHORT:
                return None
            key, text = _key_of(name), value.decode("latin-1")
            meta[key] = f"{meta[key]},{text}" if key in meta else text
        length = meta.get("CONTENT_LENGTH", "")
        if not length.isdecimal() or int(length) > MOST_SHORT_BYTES or "HTTP_HOST" not in meta:
            return None
        text = path.decode("ascii")
        meta |= {"REQUEST_METHOD": "POST", "PATH_INFO": text, "QUERY_STRING": query.decode("latin-1")}
        keep_alive = bool(self.parser.should_keep_alive()) and self.parser.get_http_version() == "1.1"
        return Head(match, text, meta, int(length), keep_alive, _pace_of(text))

    def _remember(self, head: Head) -> None:
        """Where the message began with the piece, and ends its lines as it should: no other end can be meant."""
        at = self._first.find(_END_OF_HEAD) + len(_END_OF_HEAD)
        known = self._first[:at]
        if len(known) > _MOST_KNOWN_HEAD_BYTES or not known.startswith(b"POST "):
            return
        if known.endswith(_END_OF_HEAD) and known.count(b"\n") == known.count(b"\r\n"):
            if len(_known_heads) >= _MOST_KNOWN_HEADS:
                _known_heads.clear()
            _known_heads[known] = head


class _Nobody:
    """Whom uvicorn wakes when more of a body is there; an exchange has all of it."""

    def set(self) -> None:
        return


_NOBODY = _Nobody()


_commits = Commits(readers.submit)
balance: Balance | None = None
"""That of this process, where others may listen at the same port."""
_waiting: "dict[Hashable, list[Exchange]]" = {}
"""Who waits for what another request reads now."""


class Exchange:
    """A request and its answer: what a bare view wants of a request, and what uvicorn wants of one of its cycles."""

    __slots__ = (
        "META",
        "_at",
        "_context",
        "_coroutine",
        "_has_waited",
        "_head",
        "_protocol",
        "body",
        "disconnected",
        "keep_alive",
        "response_complete",
    )
    message_event = _NOBODY

    def __init__(self, protocol: Protocol, head: Head, body: bytes) -> None:
        self._protocol = protocol
        self._head = head
        self._at = 0
        self._has_waited = False
        self.META = head.meta.copy()
        self.body = body
        self.disconnected = self.response_complete = False
        self.keep_alive = head.keep_alive and not protocol.is_last

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._protocol.loop

    def read(self, size: int, /) -> bytes:
        start = self._at
        self._at = start + size
        return self.body[start : self._at]

    def build_absolute_uri(self, location: str | None = None) -> str:
        return self.as_django().build_absolute_uri(location)

    def as_django(self) -> HttpRequest:
        host, port = self._protocol.server or ("localhost", 80)
        environ = self.META | {"SERVER_NAME": host, "SERVER_PORT": str(port or 80), "SCRIPT_NAME": ""}
        environ |= {"wsgi.url_scheme": "http", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.input": BytesIO(self.body)}
        return application.request_class(environ)

    def begin(self) -> None:
        """The body is there."""
        _commits.go_on()
        if self._head.match.func.is_quick and self._head.pace.is_quick:  # type: ignore[attr-defined]
            self._at = 0
            self._coroutine = serving(self, self._head.path, self.as_django, self._head.match)
            self._context = copy_context()  # the request id is one of this request, whatever comes between
            self.go_on(None)
        else:
            threads.submit(self._answer_on_thread)

    def go_on(self, written: list[Written] | None) -> None:
        """Run until it is answered, or has something to commit."""
        pace = self._head.pace
        clock = pace.clock
        started = clock()
        try:
            asked = self._context.run(self._coroutine.send, written)
        except StopIteration as done:
            self._answer(done.value)
        except NeedsThread as needed:
            self._wait(needed.reading)
            return
        except Exception as exc:  # the boundary of a request
            self._break_off(exc)
            return
        else:
            _commits.ask(self, asked.drafts)
        if written is None:  # what follows a commit is short
            pace.note(clock() - started, clock)

    def _wait(self, reading: Hashable) -> None:
        """Begin anew on a thread or, where somebody reads already what is missing, after him.

        Else each of the many that come at once after a pause would ask the database for the same. Nobody waits twice:
        the reading may have failed.
        """
        if reading is None or self._has_waited:
            threads.submit(self._answer_on_thread)
        elif (waiting := _waiting.get(reading)) is not None:
            self._has_waited = True
            waiting.append(self)
        else:
            _waiting[reading] = []
            threads.submit(self._answer_on_thread, reading)

    def _answer_on_thread(self, reading: Hashable = None) -> None:
        """`reading` is what others wait for meanwhile. Of the pace it says nothing, as the next one reads nothing."""
        try:
            check_connection(self._head.match.func.checks_connection_every)  # type: ignore[attr-defined]
            started = time.thread_time()
            self._at = 0
            reply = serve(self, self._head.path, self.as_django, self._head.match)
            if reading is None:
                self._head.pace.note(time.thread_time() - started, time.thread_time)
        except Exception as exc:  # the boundary of a request
            self._call_loop(self._break_off, exc)
        else:
            self._call_loop(self._answer, reply)
        finally:
            if reading is not None:
                self._call_loop(_begin_anew, reading)

    def _break_off(self, why: Exception) -> None:
        """Even the way to say that something failed has failed."""
        log.error("a request could not be answered", path=self._head.path, exc_info=why)
        self.response_complete = True
        self._protocol.transport.close()

    def _call_loop(self, function: Callable[..., object], argument: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._protocol.loop.call_soon_threadsafe(function, argument)

    def _answer(self, reply: Reply) -> None:
        protocol = self._protocol
        transport = protocol.transport
        self.response_complete = True
        if transport.is_closing():
            return
        if self.keep_alive and balance is not None and not protocol.pipeline and balance.lets_go():
            self.keep_alive = False
        if not self.keep_alive:
            reply.headers.append(("Connection", "close"))
        head = "\r\n".join(map(": ".join, reply.headers))
        own = _own_headers(tuple(protocol.server_state.default_headers))
        transport.write(f"{_STATUS_LINES[reply.status]}{own}{head}\r\n\r\n".encode("latin-1") + reply.body)
        if not self.keep_alive:
            transport.close()
        protocol.on_response_complete()


def _begin_anew(reading: Hashable) -> None:
    for exchange in _waiting.pop(reading):
        exchange.loop.call_soon(exchange.begin)


def _pace_of(path: str) -> Pace:
    pace = _paces.get(path)
    if pace is None:
        if len(_paces) >= _MOST_ADDRESSES:
            _paces.clear()
        pace = _paces[path] = Pace()
    return pace


@lru_cache(2)
def _own_headers(headers: tuple[tuple[bytes, bytes], ...]) -> str:
    """Those of the server, such as the date, which it writes anew each second."""
    return "".join(f"{name.decode('latin-1')}: {value.decode('latin-1')}\r\n" for name, value in headers)


@lru_cache(_MOST_ADDRESSES)
def _match_at(path: bytes) -> ResolverMatch | None:
    return None if b"%" in path or not path.isascii() else bare_match_at(path.decode("ascii"))


@lru_cache(1024)
def _key_of(name: bytes) -> str:
    """The name of a header as WSGI has it."""
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
