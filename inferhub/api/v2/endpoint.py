"""What every address of the protocol does before and after its own work: the key, the errors, the method."""

from typing import Any, ClassVar

import orjson
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views import View

from inferhub.accounts.models import Scope
from inferhub.api.authentication import authenticate, check_scope
from inferhub.api.v2.errors import FORESEEN, error_response, response_to


class Endpoint(View):
    """A view that needs an API key with one of `scopes`. A view that names none is closed to everybody."""

    scopes: ClassVar[frozenset[Scope]] = frozenset()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            self.check_caller(request)
            return super().dispatch(request, *args, **kwargs)
        except FORESEEN as exc:
            return response_to(exc)

    def check_caller(self, request: HttpRequest) -> None:
        check_scope(authenticate(request.META), self.scopes)

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        allowed = ", ".join(name.upper() for name in self.http_method_names if hasattr(self, name))
        response = error_response(405, f"{request.method} is not a method of this address; it has {allowed}.")
        response["Allow"] = allowed
        return response


class OpenEndpoint(Endpoint):
    """A view for everybody, such as a load balancer that asks for health."""

    def check_caller(self, request: HttpRequest) -> None:
        return


def json_response(document: object) -> HttpResponse:
    """Never compressed: the aio client asks for gzip everywhere and inflates nothing but inference answers."""
    return HttpResponse(orjson.dumps(document), content_type="application/json")
