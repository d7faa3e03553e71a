"""The header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header) on writes: sent twice, done once."""

import hashlib
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError

from inferhub.accounts.repeats import KeptAnswer, begin_write, finish_write, valid_name
from inferhub.api.authentication import authenticate
from inferhub.api.bodies import MOST_FORM_BYTES
from inferhub.api.problems import FORESEEN, problem_answer
from inferhub.errors import Malformed
from inferhub.lib.digits import read_digits

_HEADER = "HTTP_IDEMPOTENCY_KEY"
_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_KEPT_HEADERS = ("Content-Type", "Location", "Retry-After")


def once(request: HttpRequest, answer: Callable[[], HttpResponse]) -> HttpResponse:
    """`answer()`, or where the same API key sent the same write before, what that one was answered."""
    if request.method not in _METHODS or _HEADER not in request.META or _is_too_long(request):
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


def _is_upload(request: HttpRequest) -> bool:
    return str(request.META.get("CONTENT_TYPE", "")).startswith("multipart/")


def _is_too_long(request: HttpRequest) -> bool:
    """An upload that its view refuses unread; other bodies are bounded by Django."""
    length = read_digits(request.META.get("CONTENT_LENGTH") or "0")
    most = settings.CONFIG.max_model_bytes + MOST_FORM_BYTES
    return _is_upload(request) and (length is None or length > most)


def _fingerprint(request: HttpRequest) -> str:
    """Of an upload its fields and files count: their boundary is another one each time."""
    found = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    if not _is_upload(request):
        found.update(request.body)
        return found.hexdigest()
    try:
        fields = sorted(request.POST.lists())
    except MultiPartParserError as exc:
        raise Malformed(f"The form cannot be read: {exc}") from exc
    found.update(repr(fields).encode("utf-8", "surrogatepass"))
    for name in sorted(request.FILES):
        for file in request.FILES.getlist(name):
            found.update(f"\n{name} {file.size}\n".encode("utf-8", "surrogatepass"))
            for chunk in file.chunks():
                found.update(chunk)
            file.seek(0)
    return found.hexdigest()
