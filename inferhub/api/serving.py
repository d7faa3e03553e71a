"""The short road of machines: REST and the Open Inference Protocol, past all that only people's browsers need.

A *bare* view needs no more of a request than its `META` and its body. The WSGI application answers those without making
a Django request at all, which would take as long as the rest of a small prediction together.
"""

import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import structlog
from django.conf import settings
from django.core.handlers.exception import response_for_exception
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, ResolverMatch, resolve

from inferhub.lib.ids import uuid7_text

_PREFIXES = ("/v2/", "/api/v1/")
_USABLE_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_SECURITY = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
_MOST_ADDRESSES = 4096
_MOST_HOSTS = 64


class Incoming(Protocol):
    """What a bare view may use of a request; Django's own requests have it too."""

    META: dict[str, Any]

    def read(self, size: int, /) -> bytes: ...


class BareRequest:
    """A request as the web server gives it."""

    __slots__ = ("META", "_left")

    def __init__(self, environ: dict[str, Any]) -> None:
        self.META = environ
        length = environ.get("CONTENT_LENGTH") or ""
        self._left = int(length) if length.isdecimal() else 0

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes of the body, and none behind its declared end."""
        data: bytes = self.META["wsgi.input"].read(min(size, self._left))
        self._left -= len(data)
        return data


_View = TypeVar("_View", bound=Callable[..., HttpResponse])


def bare(view: _View) -> _View:
    """Declare a view of `Incoming` that checks API key, scope and method itself."""
    view.is_bare = True  # type: ignore[attr-defined]
    return view


def is_for_machines(path: str) -> bool:
    """Whether an address is one of REST or of the Open Inference Protocol, which no browser opens for a person."""
    return path.startswith(_PREFIXES) or path == "/v2"


def takes_bare(environ: dict[str, Any]) -> bool:
    """Whether this request can be answered without a Django request."""
    path = environ["PATH_INFO"]
    if not is_for_machines(path) or not path.isascii() or "HTTP_PREFER" in environ or "HTTP_HOST" not in environ:
        return False
    try:
        return hasattr(_match_at(path).func, "is_bare")
    except Resolver404:
        return False


def serve(request: Incoming, path: str, as_django: Callable[[], HttpRequest]) -> HttpResponse:
    """Answer a request to an address for machines; `as_django` makes Django's form of it where that is needed."""
    started = time.perf_counter()
    request_id = bind_request_id(request.META)
    try:
        response = _answer(request, path, as_django)
    except Exception as exc:  # the boundary of a request, as Django draws it
        response = response_for_exception(as_django(), exc)
    headers = response.headers
    headers["X-Request-Id"] = request_id
    stages = headers.get("Server-Timing")
    total = f"total;dur={(time.perf_counter() - started) * 1000:.3f}"
    headers["Server-Timing"] = f"{stages}, {total}" if stages else total
    headers["Content-Length"] = str(len(response.content))
    for name, value in _SECURITY:
        headers[name] = value
    return response


def bind_request_id(meta: dict[str, Any]) -> str:
    """The caller's X-Request-Id where it is usable, else a new one; log lines and the audit log carry it from now on."""
    given = meta.get("HTTP_X_REQUEST_ID")
    request_id = given if given and _USABLE_ID.fullmatch(given) else uuid7_text()
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return request_id


def _answer(request: Incoming, path: str, as_django: Callable[[], HttpRequest]) -> HttpResponse:
    _check_host(request.META.get("HTTP_HOST") or as_django().get_host())
    match = _match_at(path)
    if hasattr(match.func, "is_bare"):
        answer: HttpResponse = match.func(request, **match.kwargs)
        return answer
    django_request = as_django()
    django_request.resolver_match = match
    response = match.func(django_request, *match.args, **match.kwargs)
    return response.render() if hasattr(response, "render") else response


@lru_cache(_MOST_HOSTS)
def _check_host(name: str) -> None:
    """Raises DisallowedHost, which is not remembered, where ALLOWED_HOSTS does not hold the name."""
    request = HttpRequest()
    request.META["HTTP_HOST"] = name
    request.get_host()


@lru_cache(_MOST_ADDRESSES)
def _match_at(path: str) -> ResolverMatch:
    return resolve(path, settings.ROOT_URLCONF)
