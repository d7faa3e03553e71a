"""What comes before Django's own middlewares."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from inferhub.api.health import healthz, readyz
from inferhub.api.serving import StreamedReply, bind_request_id, is_for_machines, serve
from inferhub.lib.digits import read_digits

GetResponse = Callable[[HttpRequest], HttpResponseBase]

_CONTENT_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-eval'",
        "img-src 'self' data:",
        "style-src 'self' 'unsafe-inline'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_PROBES = {"/healthz": healthz, "/readyz": readyz}


def health_first(get_response: GetResponse) -> GetResponse:
    """Answer probes before anything looks at the name they came by: a container is asked by its address."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        probe = _PROBES.get(request.path)
        return probe(request) if probe else get_response(request)

    return middleware


def machines_first(get_response: GetResponse) -> GetResponse:
    """REST and the Open Inference Protocol go from here straight to their views.

    They know API keys and no cookies, so that sessions, forgery tokens and messages, which follow in the list of
    middlewares, are nothing to them but time.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        if not is_for_machines(path):
            return get_response(request)
        reply = serve(request, path, lambda: request)
        headers = dict(reply.headers)
        if isinstance(reply, StreamedReply):
            del headers["Content-Length"]
            return StreamingHttpResponse(reply.pieces, status=reply.status, headers=headers)
        return HttpResponse(reply.body, status=reply.status, headers=headers)

    return middleware


def request_context(get_response: GetResponse) -> GetResponse:
    """What `serve` does for machines: a request id in the answer, in each log line and in the audit log."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        request_id = bind_request_id(request.META)
        response = get_response(request)
        response["X-Request-Id"] = request_id
        return response

    return middleware


def only_what_is_ours(get_response: GetResponse) -> GetResponse:
    """Pages run no script but the hub's own files, load nothing from elsewhere and are shown in no other page (CSP).

    A script that slipped into a page with a text would then not run. What the theme needs is allowed: styles within a
    page, and expressions in attributes that its own script evaluates.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", _CONTENT_POLICY)
        return response

    return middleware


def large_bodies_of_known_people(get_response: GetResponse) -> GetResponse:
    """Refuse unread what only an upload is large enough for, where nobody has logged in.

    Otherwise the check of forgery tokens, which comes before any page asks who it is, reads all of it.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        length = read_digits(request.META.get("CONTENT_LENGTH") or "0")
        is_small = length is not None and length <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if is_small or request.user.is_authenticated:
            return get_response(request)
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        said = f"You are not logged in, or no longer, and sent more than {limit} bytes. Log in, and send it again."
        return HttpResponse(said, status=413, content_type="text/plain")

    return middleware
