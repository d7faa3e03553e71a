"""The pace of a body, on a loop of the test's own."""

import asyncio
from typing import Any

import pytest

from inferhub.web import application as module
from inferhub.web.application import ClientLeft

HALF = {"type": "http.request", "body": b"half", "more_body": True}
GONE = {"type": "http.disconnect"}


def read(messages: list[dict[str, Any]], length: int) -> bytes:
    """What a thread would read; `messages` come from the client, and then nothing more."""

    async def come() -> dict[str, Any]:
        if not messages:
            await asyncio.sleep(60)
        return messages.pop(0)

    async def run() -> bytes:
        receive = await module._paced(come, length)
        body = b""
        while True:
            message = await receive()
            body += message["body"]
            if not message["more_body"]:
                return body

    return asyncio.run(run())


@pytest.mark.parametrize("length", [100, 1 << 30, 0])
def test_half_a_body_is_never_taken_for_a_whole_one(length: int) -> None:
    with pytest.raises(ClientLeft, match="left before the end"):
        read([HALF, GONE], length)


@pytest.mark.parametrize("length", [100, 1 << 30])
def test_a_body_that_does_not_come_is_not_waited_for(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(module, "_LEAST_BYTES_PER_SECOND", 1 << 40)
    with pytest.raises(ClientLeft, match="in time"):
        read([HALF], length)


def test_a_small_body_is_whole_before_a_thread_begins() -> None:
    pieces = [{"type": "http.request", "body": piece, "more_body": piece != b"c"} for piece in (b"a", b"b", b"c")]

    async def come() -> dict[str, Any]:
        return pieces.pop(0)

    async def run() -> tuple[dict[str, Any], int]:
        receive = await module._paced(come, 3)
        left = len(pieces)
        return await receive(), left

    assert asyncio.run(run()) == ({"type": "http.request", "body": b"abc", "more_body": False}, 0)
