"""Reads that say whether anything has changed: ETag and If-None-Match (RFC 9110, 13.1.2)."""

import hashlib
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse


def with_etag(meta: Mapping[str, Any], response: HttpResponse) -> HttpResponse:
    """The answer to a GET with the tag of its content, or 304 where the caller has just that."""
    if meta["REQUEST_METHOD"] != "GET" or response.status_code != 200:
        return response
    tag = response.headers.get("ETag") or tag_of(response.content)
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = "private, no-cache"  # keep it, but ask each time
    if not _holds(meta.get("HTTP_IF_NONE_MATCH", ""), tag):
        return response
    unchanged = HttpResponse(status=304)
    del unchanged.headers["Content-Type"]
    for name in ("ETag", "Cache-Control", "Vary"):
        if name in response.headers:
            unchanged.headers[name] = response.headers[name]
    return unchanged


def tag_of(content: bytes) -> str:
    """The strong tag of a representation."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _holds(header: str, tag: str) -> bool:
    """
    >>> _holds('"a", W/"b"', '"b"'), _holds("*", '"b"'), _holds('"a"', '"b"')
    (True, True, False)
    """
    given = [part.strip().removeprefix("W/") for part in header.split(",")]
    return "*" in given or tag in given
