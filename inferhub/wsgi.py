"""The WSGI application that the web processes serve."""

import os
from http import HTTPStatus
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inferhub.settings")
django.setup(set_prefix=False)

from inferhub.api.serving import BareRequest, bare_match, check_connection, serve  # noqa: E402 (settings come first)
from inferhub.inference import serving  # noqa: E402

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class Application(WSGIHandler):
    """Django's own, with a short way in and out for bare views: no Django request, and none of the signals around it.

    Of what listens to those signals, a bare view needs one thing, a usable database connection.
    """

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        match = bare_match(environ)
        if match is None:
            return super().__call__(environ, start_response)
        check_connection(match.func.checks_connection_every)  # type: ignore[attr-defined]
        request = BareRequest(environ, lambda: self.request_class(environ))
        reply = serve(request, environ["PATH_INFO"], request.as_django, match)
        start_response(_STATUS_LINES[reply.status], reply.headers)
        return [reply.body]


application = Application()
serving.begin()
