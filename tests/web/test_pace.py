"""The pace of a body, on a loop of the test's own."""

import asyncio
from typing import Any

import pytest

from inferhub.web import application as module


def test_a_large_body_that_does_not_come_is_taken_for_a_client_who_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(module, "_LEAST_BYTES_PER_SECOND", 1 << 40)

    async def never() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    async def read(length: int) -> dict[str, Any]:
        receive = await module._paced(never, length)
        return await receive()

    assert asyncio.run(read(1 << 30)) == {"type": "http.disconnect"}
    assert asyncio.run(read(100))["body"] == b""


def test_a_small_body_is_whole_before_a_thread_begins() -> None:
    pieces = [{"type": "http.request", "body": piece, "more_body": piece != b"c"} for piece in (b"a", b"b", b"c")]

    async def come() -> dict[str, Any]:
        return pieces.pop(0)

    async def read() -> tuple[dict[str, Any], int]:
        receive = await module._paced(come, 3)
        left = len(pieces)
        return await receive(), left

    assert asyncio.run(read()) == ({"type": "http.request", "body": b"abc", "more_body": False}, 0)
