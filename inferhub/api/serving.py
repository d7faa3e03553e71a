"""The short road of machines: REST and the Open Inference Protocol, past all that only people's browsers need.

A *bare* view needs no more of a request than its `META` and its body. It is answered without making a Django request at
all, which would take as long as the rest of a small prediction together. A *quick* one is a bare view that is begun on
the event loop of a web process (`inferhub.web`), where nothing may wait (`inferhub.lib.waiting`).
"""

import re
import threading
import time
from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any, Protocol

from django.conf import settings
from django.core.exceptions import SynchronousOnlyOperation
from django.core.handlers.exception import response_for_exception
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import SimpleTemplateResponse
from django.urls import Resolver404, ResolverMatch, resolve

from inferhub.api.conditional import with_etag
from inferhub.api.idempotency import once
from inferhub.api.metrics import metrics
from inferhub.api.problems import problem_response
from inferhub.api.quotas import QUOTA, quota_headers
from inferhub.decisions.log import Commit, Written, finish
from inferhub.lib.digits import read_digits
from inferhub.lib.request_ids import current_request_id, make_request_id
from inferhub.lib.stopwatch import server_timing
from inferhub.lib.waiting import NeedsThread

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

_NO_CHUNKS = "Send the body with a Content-Length; bodies in chunks are not accepted."
_MOST_ADDRESSES = 4096
_MOST_HOSTS = 64


class Reply:
    """The answer of a bare view: no more than what the web server wants. `stages`: seconds, for Server-Timing."""

    __slots__ = ("body", "headers", "stages", "status")

    def __init__(self, status: int, body: bytes, headers: Headers, stages: dict[str, float] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = headers
        self.stages = stages or {}

    @classmethod
    def of(cls, response: HttpResponse | StreamingHttpResponse, stages: dict[str, float] | None = None) -> "Reply":
        """What Django would send."""
        if isinstance(response, StreamingHttpResponse):
            return StreamedReply(response, stages)
        return cls(response.status_code, response.content, list(response.items()), stages)


Answering = Reply | Coroutine[Commit, list[Written], Reply]
"""What a bare view gives back: an answer, or what comes to one and awaits nothing but commits of decisions."""


class StreamedReply(Reply):
    """The answer of a view of Django that comes in pieces, of no known length."""

    __slots__ = ("pieces",)

    def __init__(self, response: StreamingHttpResponse, stages: dict[str, float] | None = None) -> None:
        super().__init__(response.status_code, b"", list(response.items()), stages)
        self.pieces = response.streaming_content


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
        self._left = read_digits(environ.get("CONTENT_LENGTH") or "") or 0

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes of the body, and none behind its declared end."""
        data: bytes = self.META["wsgi.input"].read(min(size, self._left))
        self._left -= len(data)
        return data

    def build_absolute_uri(self, location: str | None = None) -> str:
        return self.as_django().build_absolute_uri(location)


def bare(
    view: Callable[..., Answering], *, checks_connection_every: float = 0.0, is_quick: bool = False
) -> Callable[..., Any]:
    """Declare a view of `Incoming` that checks API key, scope and method itself.

    One that seldom needs the database need not have the thread's connection looked at for each request, but after so
    many seconds, and after an answer that says that something inside failed. One that `is_quick` may be called again
    where it raised NeedsThread, and so changes nothing before.
    """
    view.checks_connection_every = checks_connection_every  # type: ignore[attr-defined]
    view.is_quick = is_quick  # type: ignore[attr-defined]
    return view


class _Thread(threading.local):
    connection_checked_at = 0.0


_thread = _Thread()


def is_for_machines(path: str) -> bool:
    """Whether an address is one of REST, of the Open Inference Protocol or of a scraper: nothing that people browse."""
    return path.startswith(_PREFIXES) or path in _WHOLE


def bare_match(environ: dict[str, Any]) -> ResolverMatch | None:
    """The bare view that this request is for; None where it needs a Django request."""
    return bare_match_at(environ["PATH_INFO"]) if "HTTP_HOST" in environ else None


def bare_match_at(path: str) -> ResolverMatch | None:
    """The view at an address, where it is a bare one."""
    if not is_for_machines(path) or not path.isascii():
        return None
    try:
        match = _match_at(path)
    except Resolver404:
        return None
    return match if hasattr(match.func, "is_quick") else None


def serve(
    request: Incoming, path: str, as_django: Callable[[], HttpRequest], match: ResolverMatch | None = None
) -> Reply:
    """Answer a request to an address for machines.

    `as_django` makes Django's form of the request where that is needed. `match` is what stands at `path`, where that
    is known.
    """
    return finish(serving(request, path, as_django, match))


async def serving(
    request: Incoming, path: str, as_django: Callable[[], HttpRequest], match: ResolverMatch | None = None
) -> Reply:
    """`serve` for whoever drives the coroutine, which awaits the commit of decisions and nothing else.

    On the event loop it raises NeedsThread where it would have to wait.
    """
    started = time.perf_counter()
    meta = request.META
    request_id = bind_request_id(meta)
    try:
        reply = await _answer(request, path, as_django, match)
    except SynchronousOnlyOperation:  # Django saves the loop from waiting for the database
        raise NeedsThread from None
    except Exception as exc:  # the boundary of a request, as Django draws it
        reply = Reply.of(response_for_exception(as_django(), exc))
    if reply.status >= 500:
        _thread.connection_checked_at = 0.0
    metrics.answered(reply.status)
    reply.stages["total"] = time.perf_counter() - started
    reply.headers += (
        ("X-Request-Id", request_id),
        ("Server-Timing", server_timing(reply.stages)),
        ("Content-Length", str(len(reply.body))),
        *_SECURITY,
    )
    if QUOTA in meta:
        reply.headers += quota_headers(meta[QUOTA])
    return reply


def check_connection(seconds: float) -> None:
    """What Django does around each request, for a bare view that wants it every so many seconds: let go of a
    connection that cannot be used.
    """
    now = time.monotonic()
    if now - _thread.connection_checked_at >= seconds:
        connection.close_if_unusable_or_obsolete()
        _thread.connection_checked_at = now


def bind_request_id(meta: dict[str, Any]) -> str:
    """The caller's X-Request-Id where it is usable, else a new one; log lines and the audit log carry it from here."""
    given = meta.get("HTTP_X_REQUEST_ID")
    request_id = given if given and _USABLE_ID.fullmatch(given) else make_request_id()
    current_request_id.set(request_id)
    return request_id


async def _answer(
    request: Incoming, path: str, as_django: Callable[[], HttpRequest], match: ResolverMatch | None
) -> Reply:
    meta = request.META
    _check_host(meta.get("HTTP_HOST") or as_django().get_host())
    if "HTTP_TRANSFER_ENCODING" in meta and path.startswith(_REST) and not meta.get("CONTENT_LENGTH"):
        return Reply.of(problem_response(411, _NO_CHUNKS))
    if match is None:
        match = _match_at(path)
    if hasattr(match.func, "is_quick"):
        answering: Answering = match.func(request, **match.kwargs)
        return answering if isinstance(answering, Reply) else await answering
    return Reply.of(_answer_of_django(as_django(), path, match))


def _answer_of_django(django_request: HttpRequest, path: str, match: ResolverMatch) -> HttpResponse:
    django_request.resolver_match = match
    if not path.startswith(_REST):
        response: HttpResponse = match.func(django_request, *match.args, **match.kwargs)
        return response

    def answer() -> HttpResponse:
        return _rendered(match.func(django_request, *match.args, **match.kwargs))

    has_method = hasattr(getattr(match.func, "cls", None), str(django_request.method).lower())
    response = once(django_request, answer) if has_method else answer()
    return with_etag(django_request.META, response)


def _rendered(response: HttpResponse) -> HttpResponse:
    return response.render() if isinstance(response, SimpleTemplateResponse) else response


@lru_cache(_MOST_HOSTS)
def _check_host(name: str) -> None:
    """Raises DisallowedHost, which is not remembered, where ALLOWED_HOSTS does not hold the name."""
    request = HttpRequest()
    request.META["HTTP_HOST"] = name
    request.get_host()


@lru_cache(_MOST_ADDRESSES)
def _match_at(path: str) -> ResolverMatch:
    return resolve(path, settings.ROOT_URLCONF)
