"""What every request carries: an id, in its answer, in each log line and in the audit log."""

import re
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

from inferhub.api.health import healthz, readyz
from inferhub.lib.ids import uuid7

_PROBES = {"/healthz": healthz, "/readyz": readyz}
_USABLE = re.compile(r"[A-Za-z0-9._:-]{1,100}")


def health_first(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer probes before anything looks at the name they came by: a container is asked by its address."""

    def middleware(request: HttpRequest) -> HttpResponse:
        probe = _PROBES.get(request.path)
        return probe(request) if probe else get_response(request)

    return middleware


def request_context(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Take the caller's X-Request-Id where it is usable, else make one."""

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _USABLE.fullmatch(given) else str(uuid7())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = get_response(request)
        response["X-Request-Id"] = request_id
        return response

    return middleware
