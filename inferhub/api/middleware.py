"""What comes before Django's own middlewares."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from inferhub.api.health import healthz, readyz
from inferhub.api.serving import bind_request_id, is_for_machines, serve

GetResponse = Callable[[HttpRequest], HttpResponse]

_PROBES = {"/healthz": healthz, "/readyz": readyz}


def health_first(get_response: GetResponse) -> GetResponse:
    """Answer probes before anything looks at the name they came by: a container is asked by its address."""

    def middleware(request: HttpRequest) -> HttpResponse:
        probe = _PROBES.get(request.path)
        return probe(request) if probe else get_response(request)

    return middleware


def machines_first(get_response: GetResponse) -> GetResponse:
    """REST and the Open Inference Protocol go from here straight to their views.

    They know API keys and no cookies, so that sessions, forgery tokens and messages, which follow in the list of
    middlewares, are nothing to them but time.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if not is_for_machines(path):
            return get_response(request)
        reply = serve(request, path, lambda: request)
        return HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))

    return middleware


def request_context(get_response: GetResponse) -> GetResponse:
    """What `serve` does for machines: a request id in the answer, in each log line and in the audit log."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request_id = bind_request_id(request.META)
        response = get_response(request)
        response["X-Request-Id"] = request_id
        return response

    return middleware
