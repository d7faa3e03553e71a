"""The short road of machines: REST and the Open Inference Protocol, past all that only people's browsers need.

A *bare* view needs no more of a request than its `META` and its body. The WSGI application answers those without making
a Django request at all, which would take as long as the rest of a small prediction together.
"""

import re
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import structlog
from django.conf import settings
from django.core.handlers.exception import response_for_exception
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template.response import SimpleTemplateResponse
from django.urls import Resolver404, ResolverMatch, resolve

from inferhub.api.conditional import with_etag
from inferhub.api.idempotency import once
from inferhub.api.metrics import metrics
from inferhub.api.problems import problem_response
from inferhub.api.quotas import quota_headers
from inferhub.lib.ids import uuid7_text

_REST = "/api/v1/"
_PREFIXES = ("/v2/", _REST)
_WHOLE = ("/v2", "/metrics")
Headers = list[tuple[str, str]]
_USABLE_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_SECURITY = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
SELDOM = 1.0
"""Seconds between two looks at the connection of a view that reads what processes remember for a second."""

_MOST_ADDRESSES = 4096
_MOST_HOSTS = 64


class Incoming(Protocol):
    """What a bare view may use of a request; Django's own requests have it too."""

    META: dict[str, Any]

    def read(self, size: int, /) -> bytes: ...

    def build_absolute_uri(self, location: str | None = None) -> str: ...


class BareRequest:
    """A request as the web server gives it; `as_django` makes Django's form of it, for what is seldom needed."""

    __slots__ = ("META", "_left", "as_django")

    def __init__(self, environ: dict[str, Any], as_django: Callable[[], HttpRequest]) -> None:
        self.META = environ
        self.as_django = as_django
        length = environ.get("CONTENT_LENGTH") or ""
        self._left = int(length) if length.isdecimal() else 0

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes of the body, and none behind its declared end."""
        data: bytes = self.META["wsgi.input"].read(min(size, self._left))
        self._left -= len(data)
        return data

    def build_absolute_uri(self, location: str | None = None) -> str:
        return self.as_django().build_absolute_uri(location)


_View = TypeVar("_View", bound=Callable[..., HttpResponse])


def bare(view: _View, *, checks_connection_every: float = 0.0) -> _View:
    """Declare a view of `Incoming` that checks API key, scope and method itself.

    One that seldom needs the database need not have the thread's connection looked at for each request, but after so
    many seconds, and after an answer that says that something inside failed.
    """
    view.checks_connection_every = checks_connection_every  # type: ignore[attr-defined]
    return view


class _Thread(threading.local):
    connection_checked_at = 0.0


_thread = _Thread()


def is_for_machines(path: str) -> bool:
    """Whether an address is one of REST, of the Open Inference Protocol or of a scraper: nothing that people browse."""
    return path.startswith(_PREFIXES) or path in _WHOLE


def takes_bare(environ: dict[str, Any]) -> bool:
    """Whether this request can be answered without a Django request."""
    path = environ["PATH_INFO"]
    if not is_for_machines(path) or not path.isascii() or "HTTP_HOST" not in environ:
        return False
    try:
        return _is_bare(_match_at(path).func)
    except Resolver404:
        return False


def serve(request: Incoming, path: str, as_django: Callable[[], HttpRequest]) -> tuple[HttpResponse, Headers]:
    """Answer a request to an address for machines; the headers are to be added to those that the answer has.

    `as_django` makes Django's form of the request where that is needed.
    """
    started = time.perf_counter()
    request_id = bind_request_id(request.META)
    try:
        response = _answer(request, path, as_django)
    except Exception as exc:  # the boundary of a request, as Django draws it
        response = response_for_exception(as_django(), exc)
    if response.status_code >= 500:
        _thread.connection_checked_at = 0.0
    metrics.answered(response.status_code)
    return response, [
        ("X-Request-Id", request_id),
        ("Server-Timing", f"total;dur={(time.perf_counter() - started) * 1000:.3f}"),
        ("Content-Length", str(len(response.content))),
        *_SECURITY,
        *quota_headers(request.META),
    ]


def check_connection(path: str) -> None:
    """What Django does around each request, for a bare view at `path`: let go of a connection that cannot be used."""
    now = time.monotonic()
    if now - _thread.connection_checked_at >= _match_at(path).func.checks_connection_every:  # type: ignore[attr-defined]
        connection.close_if_unusable_or_obsolete()
        _thread.connection_checked_at = now


def bind_request_id(meta: dict[str, Any]) -> str:
    """The caller's X-Request-Id where it is usable, else a new one; log lines and the audit log carry it from here."""
    given = meta.get("HTTP_X_REQUEST_ID")
    request_id = given if given and _USABLE_ID.fullmatch(given) else uuid7_text()
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return request_id


def _answer(request: Incoming, path: str, as_django: Callable[[], HttpRequest]) -> HttpResponse:
    _check_host(request.META.get("HTTP_HOST") or as_django().get_host())
    match = _match_at(path)
    if path.startswith(_REST) and "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
        return problem_response(411, "Send the body with a Content-Length; bodies in chunks are not accepted.")
    response: HttpResponse
    if _is_bare(match.func):
        response = match.func(request, **match.kwargs)
        return response
    django_request = as_django()
    django_request.resolver_match = match
    if not path.startswith(_REST):
        response = match.func(django_request, *match.args, **match.kwargs)
        return response

    def answer() -> HttpResponse:
        return _rendered(match.func(django_request, *match.args, **match.kwargs))

    has_method = hasattr(getattr(match.func, "cls", None), str(django_request.method).lower())
    response = once(django_request, answer) if has_method else answer()
    return with_etag(request.META, response)


def _rendered(response: HttpResponse) -> HttpResponse:
    return response.render() if isinstance(response, SimpleTemplateResponse) else response


def _is_bare(view: Callable[..., Any]) -> bool:
    return hasattr(view, "checks_connection_every")


@lru_cache(_MOST_HOSTS)
def _check_host(name: str) -> None:
    """Raises DisallowedHost, which is not remembered, where ALLOWED_HOSTS does not hold the name."""
    request = HttpRequest()
    request.META["HTTP_HOST"] = name
    request.get_host()


@lru_cache(_MOST_ADDRESSES)
def _match_at(path: str) -> ResolverMatch:
    return resolve(path, settings.ROOT_URLCONF)
