"""JSON in and out, by orjson: strict on the way in."""

from collections.abc import Mapping
from typing import Any

import orjson
from django.conf import settings
from rest_framework.exceptions import NotAcceptable, UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from inferhub.api.serving import Incoming
from inferhub.errors import FieldError, Malformed, TooLarge
from inferhub.lib.canonical import stored_json
from inferhub.lib.storable import MOST_LEVELS, check_storable

_MEDIA_TYPE = "application/json"
_ACCEPTED = frozenset({"", "*/*", "application/*", _MEDIA_TYPE})


class JsonParser(BaseParser):
    """RFC 8259 JSON: no NaN, no lone surrogates, no NUL (which PostgreSQL cannot hold)."""

    media_type = _MEDIA_TYPE

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        limit = settings.CONFIG.max_body_bytes
        return parse_json(_within(stream.read(limit + 1), limit))


class JsonRenderer(BaseRenderer):
    media_type = _MEDIA_TYPE
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else dump_json(data)


def dump_json(value: Any) -> bytes:
    return stored_json(value)


def read_json(request: Incoming) -> Any:
    """The body of a request to a bare view, as the REST framework would read it: an empty one is an empty object.

    Raises NotAcceptable, UnsupportedMediaType, TooLarge, Malformed and InvalidInput.
    """
    meta = request.META
    if not any(part.split(";")[0].strip() in _ACCEPTED for part in meta.get("HTTP_ACCEPT", "").split(",")):
        raise NotAcceptable
    limit = settings.CONFIG.max_body_bytes
    body = _within(request.read(limit + 1), limit)
    if not body:
        return {}
    if meta.get("CONTENT_TYPE", "").split(";")[0].strip().lower() != _MEDIA_TYPE:
        raise UnsupportedMediaType(meta.get("CONTENT_TYPE", ""))
    return parse_json(body)


def parse_json(body: bytes) -> Any:
    """The value of a JSON text. Raises Malformed that says where the text breaks."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        where = f"{exc.msg} at line {exc.lineno} column {exc.colno}" if body else "an empty body"
        raise Malformed(errors=[FieldError(pointer="", expected="a JSON text", got=where)]) from exc
    # A text without the escape holds no U+0000, and one of few brackets is not deep: most need not be walked through.
    if b"\\u0000" in body or body.count(b"[") + body.count(b"{") > MOST_LEVELS:
        check_storable(value)
    return value


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise TooLarge(f"The body has more than {limit} bytes, the limit of this server (INFERHUB_MAX_BODY_BYTES).")
    return body
