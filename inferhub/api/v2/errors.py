"""Errors as this protocol wants them: `{"error": "a sentence"}` and a status that is not 200."""

import orjson
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse, UnreadablePostError
from rest_framework import exceptions

from inferhub import errors
from inferhub.api.authentication import CHALLENGE
from inferhub.api.problems import problem_of


class Refusal(Exception):
    """A request that HTTP itself has a status for."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        super().__init__(message)


FORESEEN = (
    Refusal,
    errors.InferhubError,
    exceptions.APIException,
    OperationalError,
    InterfaceError,
    UnreadablePostError,
)


def error_response(status: int, message: str) -> HttpResponse:
    return HttpResponse(orjson.dumps({"error": message}), status=status, content_type="application/json")


def response_to(error: Exception) -> HttpResponse:
    """The answer to one of `FORESEEN`."""
    if isinstance(error, Refusal):
        response = error_response(error.status, str(error))
        for name, value in error.headers.items():
            response[name] = value
    elif isinstance(error, exceptions.APIException):
        response = error_response(error.status_code, str(error.detail))
    elif isinstance(error, errors.InvalidInput):
        response = error_response(400, str(error))
    elif isinstance(error, UnreadablePostError):
        response = error_response(400, "The connection broke before the whole body was there.")
    else:
        body = problem_of(error)
        response = error_response(body["status"], body["detail"])
    if response.status_code == 401:
        response["WWW-Authenticate"] = CHALLENGE
    if response.status_code == 503:
        response["Retry-After"] = str(getattr(error, "retry_after_seconds", 1))
    return response
