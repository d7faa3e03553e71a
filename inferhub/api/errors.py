"""What is answered where no view is: problem details or the protocol's errors for machines, a page for people."""

from django.http import HttpRequest, HttpResponse
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt

from inferhub.api.problems import problem_response
from inferhub.api.v2.errors import error_response

_INTERNAL = "Something went wrong inside; the server's log has the details."


@csrf_exempt
def not_found(request: HttpRequest) -> HttpResponse:
    return problem_response(404, f"There is nothing at {request.path[:200]}; see /api/docs.")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return not_found(request) if _is_api(request) else defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_oip(request):
        return error_response(400, "The request is malformed.")
    if _is_api(request):
        return problem_response(400, "The request is malformed.")
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    if _is_oip(request):
        return error_response(500, _INTERNAL)
    if _is_api(request):
        return problem_response(500, _INTERNAL)
    return defaults.server_error(request)


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def _is_oip(request: HttpRequest) -> bool:
    return request.path == "/v2" or request.path.startswith("/v2/")
