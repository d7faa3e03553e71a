"""One connection on a loop of the test's own."""

import asyncio
import threading
import time
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from inferhub.api.serving import Reply
from inferhub.decisions.log import Commit
from inferhub.lib import waiting
from inferhub.lib.waiting import must_wait, never_wait_here
from inferhub.web import protocol
from inferhub.web.application import application, run_aside
from tests.web.wire import INFER


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The present thread is the event loop's, and the model's requests are known to be quick."""
    monkeypatch.setattr(waiting._Loop, "thread", 0)
    monkeypatch.setattr(waiting._Loop, "run_aside", None)
    never_wait_here(run_aside)
    monkeypatch.setattr(protocol, "check_connection", lambda seconds: None)
    monkeypatch.setattr(protocol._pace_of(INFER), "is_quick", True)


async def ask_at_once(count: int) -> list[bytes]:
    """What as many clients are told who ask in one turn of the loop."""
    config = uvicorn.Config(application, lifespan="off")
    asked = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}" % INFER.encode()
    transports: list[Any] = []
    for _ in range(count):
        made = protocol.Protocol(config, ServerState(), {}, asyncio.get_running_loop())
        transports.append(Transport())
        made.connection_made(transports[-1])
        made.data_received(asked)
    async with asyncio.timeout(20):
        while not all(transport.written or transport.closed for transport in transports):
            await asyncio.sleep(0.001)
    return [transport.written for transport in transports]


class Transport:
    """What the protocol writes, and whether it closed."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@pytest.mark.parametrize(
    "sent", [b"", b"POST /v2", b"POST /v2/models/a/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"]
)
def test_a_message_that_does_not_end_is_cut_however_it_drips(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def drip() -> bool:
        monkeypatch.setattr(protocol, "MESSAGE_SECONDS", 0.2)
        config = uvicorn.Config(application, lifespan="off")
        made = protocol.Protocol(config, ServerState(), {}, asyncio.get_running_loop())
        transport: Any = Transport()
        made.connection_made(transport)
        made.data_received(sent) if sent else None
        for _ in range(40):
            await asyncio.sleep(0.01)
            if sent and not transport.closed:
                made.data_received(b"" if sent.endswith(b"{") else b"a")
        return bool(transport.closed)

    assert asyncio.run(drip())


def test_the_second_head_of_a_piece_is_not_kept_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    async def echo(exchange: protocol.Exchange, *_: object) -> Reply:
        return Reply(200, exchange.META["HTTP_AUTHORIZATION"].encode(), [])

    def asking(key: bytes) -> bytes:
        return b"POST %b HTTP/1.1\r\nHost: a\r\nAuthorization: %b\r\nContent-Length: 2\r\n\r\n{}" % (
            INFER.encode(),
            key,
        )

    async def ask() -> bytes:
        config = uvicorn.Config(application, lifespan="off")
        made = protocol.Protocol(config, ServerState(), {}, asyncio.get_running_loop())
        transport: Any = Transport()
        made.connection_made(transport)
        made.data_received(asking(b"ann") + asking(b"ben"))
        transport.written = b""
        made.data_received(asking(b"ann"))
        return bytes(transport.written)

    monkeypatch.setattr(protocol, "serving", echo)
    monkeypatch.setattr(protocol._pace_of(INFER), "is_quick", True)
    assert asyncio.run(ask()).endswith(b"ann")


def test_of_those_who_miss_the_same_one_reads_it_and_the_others_wait(
    quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[str] = []
    reads: list[str] = []

    async def answer(*_: object) -> Reply:
        if not kept:
            must_wait(reading="what the database says")
        return Reply(200, b"loop", [])

    def read(*_: object) -> Reply:
        reads.append(threading.current_thread().name)
        time.sleep(0.05)
        kept.append("it")
        return Reply(200, b"thread", [])

    monkeypatch.setattr(protocol, "serving", answer)
    monkeypatch.setattr(protocol, "serve", read)
    said = [text.rpartition(b"\r\n")[2] for text in asyncio.run(ask_at_once(5))]
    assert said == [b"thread", b"loop", b"loop", b"loop", b"loop"]
    assert len(reads) == 1


def test_where_the_reading_fails_everybody_tries_on_a_thread(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(*_: object) -> Reply:
        must_wait(reading="what the database says")
        return Reply(200, b"loop", [])

    monkeypatch.setattr(protocol, "serving", answer)
    monkeypatch.setattr(protocol, "serve", lambda *_: Reply(503, b"thread", []))
    assert [text[-6:] for text in asyncio.run(ask_at_once(4))] == [b"thread"] * 4


def test_what_follows_a_commit_does_not_make_up_for_a_slow_beginning(
    quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[float] = []

    async def answer(*_: object) -> Reply:
        await Commit([])
        return Reply(200, b"done", [])

    monkeypatch.setattr(protocol, "serving", answer)
    monkeypatch.setattr(protocol._commits, "ask", lambda waiting, drafts: waiting.loop.call_soon(waiting.go_on, []))
    monkeypatch.setattr(protocol.Pace, "note", lambda self, seconds, clock: noted.append(seconds))
    assert [text[-4:] for text in asyncio.run(ask_at_once(3))] == [b"done"] * 3
    assert len(noted) == 3


@pytest.mark.parametrize("is_read", [True, False])
def test_who_cannot_even_be_told_that_something_failed_is_not_left_waiting(
    quick: None, monkeypatch: pytest.MonkeyPatch, is_read: bool
) -> None:
    async def answer(*_: object) -> Reply:
        if not is_read:
            must_wait(reading="what the database says")
        raise RuntimeError("the way to say that something failed has failed")

    monkeypatch.setattr(protocol, "serving", answer)
    monkeypatch.setattr(protocol, "serve", lambda *_: 1 / 0)
    assert asyncio.run(ask_at_once(3)) == [b""] * 3
