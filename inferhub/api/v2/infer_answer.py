"""The answer to an inference request: JSON, raw tensors where they were asked for, compressed where that was."""

import zlib
from collections.abc import Sequence
from typing import Any

import orjson
from django.http import HttpResponse

from inferhub.api.v2.body import HEADER_LENGTH
from inferhub.api.v2.infer_request import AskedOutput
from inferhub.registry.queries import VersionPlan
from inferhub.runtime.signature import Feeds
from inferhub.runtime.tensors import tensor_to_bytes, tensor_to_json, wire_datatype

_ZLIB_WINDOWS = {"gzip": 31, "deflate": 15}
_QUICK = 1


def infer_answer(plan: VersionPlan, request_id: str, wanted: Sequence[AskedOutput], outputs: Feeds) -> HttpResponse:
    """The answer with the `wanted` outputs, in that order; raw tensors follow the JSON in the same order."""
    datatypes = {spec.name: wire_datatype(spec) for spec in plan.pipeline.request.outputs}
    documents: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for asked in wanted:
        array = outputs[asked.name]
        document: dict[str, Any] = {"name": asked.name, "datatype": datatypes[asked.name], "shape": list(array.shape)}
        if asked.is_binary:
            raw.append(tensor_to_bytes(array))
            document["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            document["data"] = tensor_to_json(array)
        documents.append(document)
    answer = {"model_name": plan.model, "model_version": str(plan.number), "outputs": documents}
    answer |= {"id": request_id} if request_id else {}
    text = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    if not raw:
        return HttpResponse(text, content_type="application/json")
    headers = {HEADER_LENGTH: str(len(text))}
    return HttpResponse(b"".join([text, *raw]), content_type="application/octet-stream", headers=headers)


def compressed(response: HttpResponse, accept_encoding: str) -> HttpResponse:
    """The same answer, compressed as `accept_encoding` (RFC 9110, 12.5.3) prefers."""
    response["Vary"] = "Accept-Encoding"
    encoding = preferred_encoding(accept_encoding) if accept_encoding else ""
    if encoding:
        packer = zlib.compressobj(_QUICK, zlib.DEFLATED, _ZLIB_WINDOWS[encoding])
        response.content = packer.compress(response.content) + packer.flush()
        response["Content-Encoding"] = encoding
    return response


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
