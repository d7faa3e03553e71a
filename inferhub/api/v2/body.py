"""The body of a request, from the wire to JSON and raw tensors; each limit is checked before what it guards."""

import re
import zlib
from typing import Any

import orjson

from inferhub.api.serving import Incoming
from inferhub.api.v2.errors import Refusal
from inferhub.errors import FieldError, InvalidInput, Malformed, TooLarge
from inferhub.lib.describe import describe, shorten
from inferhub.lib.digits import read_digits

HEADER_LENGTH = "Inference-Header-Content-Length"
_ZLIB_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # deflate is the zlib format (RFC 9110, 8.4.1.2)
_JSON_SHARE = 4  # parsed JSON takes up to 24 times its size, so that it may have a quarter of what raw tensors may have


def read_body(request: Incoming, *, max_bytes: int) -> bytes:
    """The whole body, inflated. Raises TooLarge, Malformed, and Refusal for a form of transfer that is not served."""
    declared = request.META.get("CONTENT_LENGTH") or ""
    if not declared and request.META.get("HTTP_TRANSFER_ENCODING"):
        raise Refusal(411, "Send the body with a Content-Length; bodies in chunks are not accepted.")
    if (read_digits(declared) or 0) > max_bytes:
        raise _too_large(max_bytes)
    body = request.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return _inflate(body, request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower(), max_bytes)


def split_body(body: bytes, header_length: str | None, *, max_bytes: int) -> tuple[Any, memoryview]:
    """The JSON value and the raw tensors behind it. Without `header_length` (the header's text) all of it is JSON."""
    length = len(body) if header_length is None else _length(header_length, len(body))
    if length > max_bytes // _JSON_SHARE:
        raise TooLarge(
            f"The JSON part has {length} bytes; at most {max_bytes // _JSON_SHARE} are accepted. "
            "Send large tensors as binary data."
        )
    raw = memoryview(body)
    return parse_json(raw[:length]), raw[length:]


def parse_json(text: memoryview | bytes) -> Any:
    """The value of a JSON text. Raises Malformed that says where the text breaks."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        got = f"{exc.msg} at line {exc.lineno} column {exc.colno}" if len(text) else "nothing"
        raise Malformed(errors=[FieldError(pointer="", expected="a JSON text", got=got)]) from exc
    except RecursionError as exc:
        raise Malformed(errors=[FieldError(pointer="", expected="JSON of fewer levels", got="too many")]) from exc


def parameters_of(document: object) -> dict[str, Any]:
    """The `parameters` of a request, an input or an output. Raises InvalidInput where they are no object."""
    if not isinstance(document, dict):
        raise InvalidInput(errors=[FieldError(pointer="", expected="an object", got=describe(document))])
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict):
        got = describe(parameters)
        raise InvalidInput(errors=[FieldError(pointer="/parameters", expected="an object", got=got)])
    return parameters


def _length(text: str, most: int) -> int:
    if re.fullmatch(r"[0-9]{1,18}", text) and int(text) <= most:
        return int(text)
    raise Malformed(
        f"The header {HEADER_LENGTH} must be a whole number from 0 to {most}, the body's length, "
        f"and not '{shorten(text)}'."
    )


def _inflate(body: bytes, encoding: str, max_bytes: int) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding not in _ZLIB_WINDOWS:
        message = f"The Content-Encoding '{shorten(encoding)}' is not accepted; send gzip, deflate or none."
        raise Refusal(415, message, Accept_Encoding="gzip, deflate")
    inflater = zlib.decompressobj(_ZLIB_WINDOWS[encoding])
    try:
        inflated = inflater.decompress(body, max_bytes + 1)
    except zlib.error as exc:
        raise Malformed(f"The body is not {encoding} data: {exc}.") from exc
    if len(inflated) > max_bytes:
        raise _too_large(max_bytes)
    if not inflater.eof or inflater.unused_data:
        what = "goes on after the end of" if inflater.eof else "breaks off inside"
        raise Malformed(f"The body {what} its {encoding} data.")
    return inflated


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"The body has more than {max_bytes} bytes, the limit of this server (INFERHUB_MAX_TENSOR_BYTES).")
