"""The answer to an inference request: JSON, raw tensors where they were asked for, compressed where that was."""

import zlib
from collections.abc import Iterable
from typing import Any

import orjson

from inferhub.api.serving import Reply
from inferhub.api.v2.body import HEADER_LENGTH
from inferhub.api.v2.infer_request import WantedOutput
from inferhub.registry.queries import VersionPlan
from inferhub.runtime.signature import Feeds
from inferhub.runtime.tensors import tensor_to_bytes, tensor_to_json

_ZLIB_WINDOWS = {"gzip": 31, "deflate": 15}
_QUICK = 1
_VARY = ("Vary", "Accept-Encoding")
_JSON = ("Content-Type", "application/json")
_OCTETS = ("Content-Type", "application/octet-stream")


def infer_answer(
    plan: VersionPlan, request_id: str, wanted: Iterable[WantedOutput], outputs: Feeds, accept_encoding: str
) -> Reply:
    """The answer with the `wanted` outputs, in that order; raw tensors follow the JSON in the same order.

    It is compressed as `accept_encoding` (RFC 9110, 12.5.3) prefers.
    """
    documents: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for spec, is_binary in wanted:
        array = outputs[spec.name]
        document: dict[str, Any] = {"name": spec.name, "datatype": spec.datatype, "shape": array.shape}
        if is_binary:
            raw.append(tensor_to_bytes(array))
            document["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            document["data"] = tensor_to_json(array)
        documents.append(document)
    answer = {"model_name": plan.model, "model_version": str(plan.number), "outputs": documents}
    if request_id:
        answer["id"] = request_id
    body = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = [_VARY, _OCTETS, (HEADER_LENGTH, str(len(body)))] if raw else [_VARY, _JSON]
    if raw:
        body = b"".join([body, *raw])
    encoding = preferred_encoding(accept_encoding) if accept_encoding else ""
    if encoding:
        packer = zlib.compressobj(_QUICK, zlib.DEFLATED, _ZLIB_WINDOWS[encoding])
        body = packer.compress(body) + packer.flush()
        headers.append(("Content-Encoding", encoding))
    return Reply(200, body, headers)


def preferred_encoding(accept_encoding: str) -> str:
    """gzip, deflate, or `""` for none.

    >>> preferred_encoding("br, gzip;q=0.5, deflate"), preferred_encoding("gzip;q=0"), preferred_encoding("")
    ('deflate', '', '')
    """
    weights = dict(_weighted(part) for part in accept_encoding.lower().split(","))
    best = max(_ZLIB_WINDOWS, key=lambda encoding: weights.get(encoding, 0.0))
    weight = weights.get(best, 0.0)
    return best if weight > 0 and weight >= weights.get("identity", 0.0) else ""


def _weighted(part: str) -> tuple[str, float]:
    encoding, _, weight = part.partition(";")
    name, _, number = weight.replace(" ", "").partition("=")
    digits = number.replace(".", "", 1)
    is_number = name == "q" and digits.isascii() and digits.isdecimal()
    return encoding.strip(), float(number) if is_number else 1.0
