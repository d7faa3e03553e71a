"""The ASGI application of the web processes: Django, on threads.

Few threads wait for slow clients: a body that Django would take into memory is gathered on the event loop first, a
larger one (an upload) has to come at a decent pace, and only some of the threads read such ones at once.
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import structlog
from a2wsgi import WSGIMiddleware
from django.conf import settings
from django.urls import reverse

from inferhub.api.serving import SELDOM, check_connection
from inferhub.celery import app as celery
from inferhub.lib.digits import read_digits
from inferhub.lib.waiting import never_wait_here
from inferhub.wsgi import application as _django

log = structlog.get_logger(__name__)

Receive = Callable[[], Awaitable[dict[str, Any]]]

GRACE_SECONDS = 30.0
_READERS = 2
_LEAST_BYTES_PER_SECOND = 16 << 10
_CLOSING = [(b"content-length", b"0"), (b"connection", b"close")]

_on_threads = WSGIMiddleware(cast("Any", _django), workers=settings.CONFIG.web_threads)
_larger = asyncio.Semaphore(max(settings.CONFIG.web_threads // 2, 1))
threads = _on_threads.executor
"""Those of this process."""
readers = ThreadPoolExecutor(_READERS, thread_name_prefix="reader")
"""They read what the loop is about to need, even while slow requests have taken all other threads."""


class ClientLeft(ConnectionError):
    """The body did not come to its end, or not in time: what came of it must not be taken for all of it."""


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        never_wait_here(run_aside)
    elif scope["type"] == "http":
        length = _length(scope["headers"])
        if length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            async with _larger:
                receive = await _paced(receive, length)
                await _on_threads(scope, receive, send)
            return
        try:
            receive = await _paced(receive, length)
        except ClientLeft:
            await send({"type": "http.response.start", "status": 408, "headers": _CLOSING})
            await send({"type": "http.response.body"})
            return
    await _on_threads(scope, receive, send)


async def _paced(receive: Receive, length: int) -> Receive:
    """`receive` that raises ClientLeft where the client leaves or is too slow, and that has small bodies at once."""
    ends = time.monotonic() + GRACE_SECONDS + length / _LEAST_BYTES_PER_SECOND

    async def next_message() -> dict[str, Any]:
        try:
            message = await asyncio.wait_for(receive(), max(ends - time.monotonic(), 0))
        except TimeoutError:
            raise ClientLeft("The body did not come in time.") from None
        if message["type"] == "http.disconnect":
            raise ClientLeft("The client left before the end of the body.")
        return message

    if not 0 < length <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        return next_message
    message = await next_message()
    pieces = [message["body"]]
    while message["more_body"]:
        message = await next_message()
        pieces.append(message["body"])
    whole = [{"type": "http.request", "body": b"".join(pieces), "more_body": False}]

    async def gathered() -> dict[str, Any]:
        return whole.pop() if whole else await receive()

    return gathered


def _length(headers: list[tuple[bytes, bytes]]) -> int:
    """What a request says of its body; 0 where it says nothing, or the body comes in chunks."""
    given = next((value for name, value in headers if name == b"content-length"), b"")
    return read_digits(given.decode("latin-1")) or 0


def keep_for_good() -> None:
    """Load what the first requests would, and spare the collector what is here now.

    To walk through all that took 20 to 30 ms again and again, in which nobody was answered.
    """
    reverse("admin:index")  # imports every view
    celery.producer_pool  # noqa: B018 - imports the way to the broker
    gc.collect()
    gc.freeze()
    # Requests leave hardly a cycle behind, and the many that are under way are no reason to look for one so often.
    gc.set_threshold(20_000, 20, 20)


def run_aside(work: Callable[[], object]) -> None:
    readers.submit(_done_aside, work)


def _done_aside(work: Callable[[], object]) -> None:
    try:
        check_connection(SELDOM)
        work()
    except Exception as exc:  # nobody waits for it; whoever needs it next reads it himself, and hears why
        log.warning("what processes remember was not read anew", error=str(exc).strip())
