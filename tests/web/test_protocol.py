"""One connection on a loop of the test's own."""

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from inferhub.api.serving import Reply
from inferhub.web import protocol
from inferhub.web.application import application
from tests.web.wire import INFER


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
