"""The WSGI application that the web processes serve."""

import gc
import os
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inferhub.settings")
django.setup(set_prefix=False)

from inferhub.api.serving import BareRequest, check_connection, serve, takes_bare  # noqa: E402 (settings come first)
from inferhub.inference import serving  # noqa: E402


class Application(WSGIHandler):
    """Django's own, with a short way in and out for bare views: no Django request, and none of the signals around it.

    Of what listens to those signals, a bare view needs one thing, a usable database connection.
    """

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if not takes_bare(environ):
            return super().__call__(environ, start_response)
        path = environ["PATH_INFO"]
        check_connection(path)
        request = BareRequest(environ, lambda: self.request_class(environ))
        response, headers = serve(request, path, request.as_django)
        start_response(f"{response.status_code} {response.reason_phrase}", [*response.items(), *headers])
        return [response.content]


application = Application()
# What is here now stays: the collector need not walk through it again and again while requests wait.
gc.collect()
gc.freeze()
serving.begin()
