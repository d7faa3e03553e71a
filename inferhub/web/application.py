"""The ASGI application that the web processes serve: Django, on threads.

    uvicorn inferhub.web.application:application --http inferhub.web.protocol:Protocol

The loop thread is declared as such when the server starts, so that nothing on it waits (`inferhub.lib.waiting`).
"""

from collections.abc import Callable
from typing import Any, cast

import structlog
from a2wsgi import WSGIMiddleware
from django.conf import settings

from inferhub.api.serving import SELDOM, check_connection
from inferhub.lib.waiting import never_wait_here
from inferhub.wsgi import application as _django

log = structlog.get_logger(__name__)

_on_threads = WSGIMiddleware(cast("Any", _django), workers=settings.CONFIG.web_threads)
threads = _on_threads.executor
"""Those of this process."""


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        never_wait_here(run_aside)
    await _on_threads(scope, receive, send)


def run_aside(work: Callable[[], object]) -> None:
    threads.submit(_done_aside, work)


def _done_aside(work: Callable[[], object]) -> None:
    check_connection(SELDOM)
    try:
        work()
    except Exception as exc:  # nobody waits for it; whoever needs it next reads it himself, and hears why
        log.warning("what processes remember was not read anew", error=str(exc).strip())
