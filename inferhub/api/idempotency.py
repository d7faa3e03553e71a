"""The header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header) on writes: sent twice, done once."""

import hashlib
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from inferhub.accounts.repeats import KeptAnswer, begin_write, finish_write, valid_name
from inferhub.api.authentication import authenticate
from inferhub.api.problems import FORESEEN, problem_answer

_HEADER = "HTTP_IDEMPOTENCY_KEY"
_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_KEPT_HEADERS = ("Content-Type", "Location", "Retry-After")


def once(request: HttpRequest, answer: Callable[[], HttpResponse]) -> HttpResponse:
    """`answer()`, or where the same API key sent the same write before, what that one was answered."""
    if request.method not in _METHODS or _HEADER not in request.META:
        return answer()
    try:
        name = valid_name(request.META[_HEADER])
        key_id = authenticate(request.META).key_id
        write, kept = begin_write(key_id=key_id, name=name, fingerprint=_fingerprint(request))
    except FORESEEN as exc:
        return problem_answer(exc)
    if kept is not None:
        headers = kept.headers | {"Idempotent-Replayed": "true"}
        return HttpResponse(kept.content, status=kept.status, headers=headers)
    try:
        response = answer()
    except BaseException:
        finish_write(write, KeptAnswer(status=500, headers={}, content=b""))
        raise
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    finish_write(write, KeptAnswer(status=response.status_code, headers=headers, content=response.content))
    return response


def _fingerprint(request: HttpRequest) -> str:
    """Of an upload the length stands for the body, which is read only once, by whoever checks it."""
    is_upload = request.META.get("CONTENT_TYPE", "").startswith("multipart/")
    body = request.META.get("CONTENT_LENGTH", "").encode() if is_upload else request.body
    return hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode() + body).hexdigest()
