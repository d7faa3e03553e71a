"""Errors as problem details (RFC 9457): the one place where families of errors meet HTTP."""

from http import HTTPStatus
from typing import Any

import orjson
import structlog
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse
from rest_framework import exceptions

from inferhub import errors
from inferhub.api.authentication import CHALLENGE
from inferhub.lib.request_ids import current_request_id

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
_STATUS: dict[type[Exception], int] = {
    errors.Malformed: 400,
    errors.InvalidInput: 422,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.NotPermitted: 403,
    errors.TooLarge: 413,
    errors.QuotaExceeded: 429,
    errors.ModelFailed: 502,
    errors.Unavailable: 503,
    errors.TimedOut: 504,
    RequestDataTooBig: 413,
    Http404: 404,
    OperationalError: 503,
    InterfaceError: 503,
}
FORESEEN: tuple[type[Exception], ...] = (*_STATUS, exceptions.APIException)
"""Errors that have a status of their own."""

_TYPES = {
    400: "malformed-request",
    401: "not-authenticated",
    403: "not-permitted",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    409: "conflict",
    411: "length-required",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid-input",
    429: "too-many-requests",
    500: "internal-error",
    502: "model-failed",
    503: "unavailable",
    504: "timed-out",
}


def problem(status: int, detail: str, *, fields: tuple[errors.FieldError, ...] = ()) -> dict[str, Any]:
    """The body of a problem answer."""
    body: dict[str, Any] = {
        "type": f"urn:inferhub:problem:{reason_of(status)}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if fields:
        body["errors"] = [{"pointer": f.pointer, "expected": f.expected, "got": f.got} for f in fields]
    request_id = current_request_id.get()
    return body | ({"request_id": request_id} if request_id else {})


def problem_of(error: Exception) -> dict[str, Any]:
    """The problem details of an error that Inferhub can explain."""
    status = next(_STATUS[family] for family in type(error).__mro__ if family in _STATUS)
    if isinstance(error, OperationalError | InterfaceError):
        return problem(
            status, "The database does not answer now. Try again; a decision with the same request_id is made once."
        )
    if isinstance(error, RequestDataTooBig):
        return problem(status, "The body is larger than this server accepts (INFERHUB_MAX_BODY_BYTES).")
    return problem(status, str(error) or "There is nothing here.", fields=getattr(error, "errors", ()))


def problem_answer(error: Exception) -> HttpResponse:
    """The answer to one of `FORESEEN`."""
    if isinstance(error, exceptions.APIException):
        body = problem(error.status_code, _api_detail(error))
    else:
        body = problem_of(error)
    response = HttpResponse(orjson.dumps(body), status=body["status"], content_type=MEDIA_TYPE)
    if body["status"] == 401:
        response["WWW-Authenticate"] = CHALLENGE
    if body["status"] in (429, 503):
        response["Retry-After"] = str(getattr(error, "retry_after_seconds", 1))
    return response


def reason_of(status: int) -> str:
    """The short name of a problem, by its HTTP status."""
    return _TYPES.get(status, "error")


def handle_exception(error: Exception, context: dict[str, Any]) -> HttpResponse:
    """Django REST framework's hook. What nobody foresaw becomes a 500 without inner details."""
    if not isinstance(error, FORESEEN):
        log.exception("unforeseen error", path=context["request"].path)
        detail = "Something went wrong inside; the server's log has the details under this request id."
        return problem_response(500, detail)
    response = problem_answer(error)
    if isinstance(error, exceptions.MethodNotAllowed):
        response["Allow"] = ", ".join(context["view"].allowed_methods)
    return response


def problem_response(status: int, detail: str) -> HttpResponse:
    """A problem answer outside of the REST views."""
    return HttpResponse(orjson.dumps(problem(status, detail)), status=status, content_type=MEDIA_TYPE)


def _api_detail(error: exceptions.APIException) -> str:
    if isinstance(error, exceptions.UnsupportedMediaType):
        return "Send JSON, with the header Content-Type: application/json."
    if isinstance(error, exceptions.NotAcceptable):
        return "The answer is application/json; the header Accept must allow it."
    return str(error.detail)
