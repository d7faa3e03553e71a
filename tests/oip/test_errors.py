"""Whatever is wrong, the answer is the right status and `{"error": "a sentence that helps"}`."""

import copy
import dataclasses
import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from django.conf import settings
from django.test import Client, RequestFactory

from inferhub.accounts.models import Scope
from inferhub.accounts.services import create_api_key
from inferhub.api.v2.body import read_body
from inferhub.errors import TooLarge
from inferhub.inference import services
from inferhub.inference.services import unload
from inferhub.registry.models import ModelVersion
from inferhub.registry.storage import artifact_storage
from tests.hub_fixtures import ACTOR, register_direct
from tests.oip.graphs import logarithm, pair

pytestmark = pytest.mark.django_db

LEFT: dict[str, Any] = {"name": "left", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}
WORD: dict[str, Any] = {"name": "word", "datatype": "BYTES", "shape": [1], "data": ["a"]}
GOOD: dict[str, Any] = {"inputs": [LEFT, WORD]}
INFER = "/v2/models/pair/infer"
HEADER = "Inference-Header-Content-Length"


class Oip:
    """A caller with one key, who sends bodies without a Content-Type as the reference client does."""

    def __init__(self, *scopes: str) -> None:
        self.secret = create_api_key(name="client", scopes=scopes, actor=ACTOR)[1]

    def get(self, path: str, **headers: str) -> Any:
        return Client().get(path, headers=self._headers(headers))

    def post(self, path: str, body: Any, **headers: str) -> Any:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        return Client().generic("POST", path, data, content_type="", headers=self._headers(headers))

    def infer(self, body: Any, **headers: str) -> Any:
        return self.post(INFER, body, **headers)

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return {"Authorization": f"Bearer {self.secret}"} | given


@pytest.fixture
def model(db: None) -> ModelVersion:
    return register_direct(name="pair", task="other", data=pair(), alias="champion")


@pytest.fixture
def oip(model: ModelVersion) -> Oip:
    return Oip(Scope.PREDICT, Scope.READ)


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(settings, "CONFIG", dataclasses.replace(settings.CONFIG, max_tensor_bytes=4096))
    return 4096


def check_error(answer: Any, status: int, message: str) -> None:
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/json"), answer.content
    document = answer.json()
    assert document.keys() == {"error"}
    assert message in document["error"]


def changed(*path: Any, to: Any = None) -> dict[str, Any]:
    """The good request with one thing replaced, or taken out where nothing is given instead."""
    body = copy.deepcopy(GOOD)
    place: Any = body
    for step in path[:-1]:
        place = place[step]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return body


def with_left(**more: Any) -> dict[str, Any]:
    return {"inputs": [LEFT | more, WORD]}


def test_the_good_request_is_good(oip: Oip) -> None:
    answer = oip.infer(GOOD)
    assert answer.status_code == 200
    assert answer.json() == {
        "model_name": "pair",
        "model_version": "1",
        "outputs": [
            {"name": "twice", "datatype": "FP32", "shape": [1, 2], "data": [2.0, 4.0]},
            {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]},
            {"name": "count", "datatype": "INT64", "shape": [1], "data": [7]},
        ],
    }
    assert not answer.has_header(HEADER)


MESSAGES: list[tuple[Any, str]] = [
    (b"", "expected a JSON text, got nothing"),
    (b"{", "line 1 column"),
    (b"\xff\xfe", "expected a JSON text"),
    (b"[" * 100_000, "expected"),
    (b'{"inputs": [NaN]}', "line 1 column"),
    ([], "expected an object, got a list of 0 values"),
    ({}, "/inputs: expected a list of tensors, got none"),
    ({"inputs": {}}, "/inputs: expected a list of tensors, got an object"),
    ({"inputs": [1]}, "/inputs/0: expected an object, got 1"),
    (GOOD | {"parameters": []}, "/parameters: expected an object"),
    (GOOD | {"id": 7}, "/id: expected a string, got 7"),
    (GOOD | {"parameters": {"binary_data_output": "yes"}}, "/parameters/binary_data_output: expected true or false"),
    (GOOD | {"parameters": {"sequence_id": 3}}, "no stateful sequences"),
    (GOOD | {"parameters": {"alias": 3}}, "'alias' must be the name of an alias, such as champion; got 3"),
    (GOOD | {"parameters": {"alias": "a\x00"}}, "'alias' must be the name of an alias"),
    ({"inputs": [LEFT]}, "expected the input 'word', got left"),
    ({"inputs": [LEFT, LEFT, WORD]}, "/inputs/1/name: expected each tensor once, got 'left' again"),
    (changed("inputs", 0, "name"), "/inputs/0/name: expected a string, got nothing"),
    (with_left(name="right"), "expected the input 'left', got right, word"),
    ({"inputs": [LEFT, WORD, LEFT | {"name": "up"}]}, "/inputs/2/name: expected one of the inputs left, word, k"),
    (changed("inputs", 0, "datatype"), "/inputs/0/datatype: expected FP32 for 'left', got null"),
    (with_left(datatype="FP64"), "expected FP32 for 'left', got the string 'FP64'"),
    (with_left(datatype="fp32"), "expected FP32 for 'left', got the string 'fp32'"),
    (with_left(datatype=["FP32"]), "expected FP32 for 'left', got a list of 1 values"),
    (changed("inputs", 0, "shape"), "/inputs/0/shape: expected a list of whole numbers"),
    (with_left(shape=[-1, 2]), "got [-1, 2]"),
    (with_left(shape=[2]), "expected [N, 2] for 'left', got [2]"),
    (with_left(shape=[1, 3]), "expected [N, 2] for 'left', got [1, 3]"),
    (with_left(shape=[2**63 - 1, 2]), "at most 67108864 bytes of FP32"),
    (with_left(shape=[2**32, 2]), "at most 67108864 bytes of FP32"),
    (with_left(shape=[2**62, 2]), "at most 67108864 bytes of FP32"),
    (changed("inputs", 0, "data"), "expected `data`, or `binary_data_size`"),
    (with_left(data=[1.0]), "/inputs/0/data: expected 2 values for the shape [1, 2], got 1"),
    (with_left(data=[1.0, "2"]), "/inputs/0/data/1: expected a number for 'left'"),
    (with_left(data=[1.0, None]), "/inputs/0/data/1: expected a number for 'left', got null"),
    (with_left(data=[[1.0], [2.0]]), "lists of 1 values at depth 0"),
    (with_left(data=[[1.0, 2.0, 3.0]]), "lists of 2 values at depth 1"),
    (with_left(data={"0": 1}), "/inputs/0/data: expected a list of values, got an object"),
    (with_left(parameters=[]), "/inputs/0/parameters: expected an object"),
    (with_left(parameters={"binary_data_size": 8}), "a whole number from 0 to 0"),
    (with_left(parameters={"shared_memory_region": "r"}), "no shared memory here"),
    (GOOD | {"outputs": [{"name": "up"}]}, "/outputs/0/name: expected one of the outputs twice, text, count"),
    (GOOD | {"outputs": [{}]}, "/outputs/0/name: expected a string"),
    (GOOD | {"outputs": "text"}, "/outputs: expected a list of tensors"),
    (GOOD | {"outputs": [{"name": "text"}] * 2}, "/outputs/1/name: expected each tensor once"),
    (GOOD | {"outputs": [{"name": "text", "parameters": {"binary_data": 1}}]}, "expected true or false, got 1"),
    (GOOD | {"outputs": [{"name": "text", "parameters": {"classification": 3}}]}, "the raw output is answered"),
]


@pytest.mark.parametrize(("body", "message"), MESSAGES)
def test_a_wrong_message_names_the_place(oip: Oip, body: Any, message: str) -> None:
    check_error(oip.infer(body), 400, message)


def binary(size: Any = 8, raw: bytes = np.ones(2, np.float32).tobytes(), **more: Any) -> tuple[bytes, str]:
    """A request whose first input is binary, and the length of its JSON."""
    left = {key: value for key, value in LEFT.items() if key != "data"} | {"parameters": {"binary_data_size": size}}
    text = orjson.dumps({"inputs": [left | more, WORD]})
    return text + raw, str(len(text))


BINARIES: list[tuple[tuple[bytes, str], str]] = [
    (binary(-8), "/inputs/0/parameters/binary_data_size: expected a whole number from 0 to 8"),
    (binary(2**63), "a whole number from 0 to 8"),
    (binary("8"), "a whole number from 0 to 8"),
    (binary(True), "a whole number from 0 to 8"),
    (binary(9), "a whole number from 0 to 8"),
    (binary(4), "4 bytes more"),
    (binary(4, b"\0" * 4), "expected 8 bytes for FP32 [1, 2], got 4"),
    (binary(0, b""), "expected 8 bytes for FP32 [1, 2], got 0"),
    (binary(8, b"\0" * 12), "4 bytes more"),
    (binary(data=[1.0, 2.0]), "either `data` or `binary_data_size`"),
    (binary(raw=np.array([1, np.nan], np.float32).tobytes()), "finite numbers"),
]


@pytest.mark.parametrize(("sent", "message"), BINARIES)
def test_wrong_raw_data_is_refused(oip: Oip, sent: tuple[bytes, str], message: str) -> None:
    body, length = sent
    check_error(oip.infer(body, **{HEADER: length}), 400, message)


def test_text_that_is_not_utf8_is_refused_with_its_element(oip: Oip) -> None:
    word = {"name": "word", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 5}}
    text = orjson.dumps({"inputs": [LEFT, word]})
    answer = oip.infer(text + b"\1\0\0\0\xff", **{HEADER: str(len(text))})
    check_error(answer, 400, "expected UTF-8 text in each element, got element 0")


@pytest.mark.parametrize(
    "length", ["-1", "+9", "1.5", "abc", "1e3", "", " ", "0x10", "1,1", "٣", "9" * 5000, str(2**63), "1000000"]
)
def test_a_hostile_header_length_is_refused(oip: Oip, length: str) -> None:
    check_error(oip.infer(binary()[0], **{HEADER: length}), 400, f"The header {HEADER} must be a whole number from 0")


@pytest.mark.parametrize("length", ["0", "5"])
def test_a_header_length_that_cuts_the_json_is_refused(oip: Oip, length: str) -> None:
    check_error(oip.infer(binary()[0], **{HEADER: length}), 400, "expected a JSON text")


GOOD_TEXT = orjson.dumps(GOOD)
ENCODINGS: list[tuple[str, bytes, int, str]] = [
    ("br", GOOD_TEXT, 415, "The Content-Encoding 'br' is not accepted; send gzip, deflate or none."),
    ("gzip, gzip", GOOD_TEXT, 415, "is not accepted"),
    ("gzip", GOOD_TEXT, 400, "The body is not gzip data"),
    ("gzip", gzip.compress(GOOD_TEXT, mtime=0)[:-9], 400, "breaks off inside its gzip data"),
    ("gzip", gzip.compress(GOOD_TEXT, mtime=0) + b"more", 400, "goes on after the end of its gzip data"),
    ("gzip", b"", 400, "breaks off inside its gzip data"),
    ("deflate", gzip.compress(GOOD_TEXT, mtime=0), 400, "The body is not deflate data"),
    ("deflate", zlib.compress(GOOD_TEXT, wbits=-15), 400, "The body is not deflate data"),
    ("deflate", zlib.compress(GOOD_TEXT)[:-2], 400, "breaks off inside its deflate data"),
]


@pytest.mark.parametrize(("encoding", "body", "status", "message"), ENCODINGS)
def test_a_wrong_encoding_is_refused(oip: Oip, encoding: str, body: bytes, status: int, message: str) -> None:
    check_error(oip.infer(body, Content_Encoding=encoding), status, message)


@pytest.mark.usefixtures("small_limit")
@pytest.mark.parametrize(
    ("encoding", "body", "message"),
    [
        ("", b" " * 4097, "more than 4096 bytes, the limit of this server (INFERHUB_MAX_TENSOR_BYTES)"),
        ("", b" " * 10_000_000, "more than 4096 bytes"),
        ("gzip", gzip.compress(b" " * 2_000_000, mtime=0), "more than 4096 bytes"),
        ("deflate", zlib.compress(b" " * 2_000_000), "more than 4096 bytes"),
        ("", b" " * 1025, "The JSON part has 1025 bytes; at most 1024 are accepted."),
    ],
)
def test_a_body_over_the_limit_is_refused_before_it_is_unpacked(
    oip: Oip, encoding: str, body: bytes, message: str
) -> None:
    check_error(oip.infer(body, Content_Encoding=encoding), 413, message)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_that_would_inflate_to_much_is_not_inflated(encoding: str) -> None:
    pack = {"gzip": gzip.compress, "deflate": zlib.compress}[encoding]
    packed = pack(bytes(20_000_000))
    request = RequestFactory().generic("POST", INFER, packed, headers={"Content-Encoding": encoding})
    tracemalloc.start()
    with pytest.raises(TooLarge):
        read_body(request, max_bytes=100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


ADDRESSES: list[tuple[str, str, int, str]] = [
    ("POST", "/v2/models/nobody/infer", 404, "There is no registered model 'nobody'."),
    ("POST", "/v2/models/stats/infer", 404, "There is no registered model 'stats'."),
    ("POST", "/v2/models/a%00b/infer", 404, "There is no registered model 'a b'."),
    ("POST", "/v2/models/pair/versions/9/infer", 404, "The model 'pair' has no version 9."),
    ("POST", "/v2/models/pair/versions/0/infer", 400, "must be a whole number from 1, and not '0'"),
    ("POST", "/v2/models/pair/versions/latest/infer", 400, "must be a whole number from 1, and not 'latest'"),
    ("POST", f"/v2/models/pair/versions/{10**30}/infer", 400, "must be a whole number from 1"),
    ("POST", "/v2/models/pair/infer?alias=nobody", 404, "The model 'pair' has no alias 'nobody'."),
    ("POST", "/v2/models/pair/versions/1/infer?alias=champion", 400, "one version or one alias"),
    ("GET", "/v2/models/pair/infer", 405, "GET is not a method of this address; it has POST"),
    ("POST", "/v2/models/pair", 405, "POST is not a method of this address; it has GET"),
    ("GET", "/v2/models/nobody", 404, "There is no registered model 'nobody'."),
    ("GET", "/v2/models/nobody/ready", 404, "There is no registered model 'nobody'."),
    ("GET", "/v2/models/pair/versions/2/config", 404, "The model 'pair' has no version 2."),
    ("GET", "/v2/models/nobody/stats", 404, "There is no registered model 'nobody'."),
    ("GET", "/v2/nothing", 404, "There is nothing at /v2/nothing."),
    ("GET", "/v2/models", 404, "There is nothing at /v2/models."),
    ("POST", "/v2/repository/models/nobody/load", 404, "There is no registered model 'nobody'."),
    ("POST", "/v2/repository/models/nobody/unload", 404, "There is no registered model 'nobody'."),
    ("GET", "/v2/trace/setting", 501, "not served here"),
    ("POST", "/v2/models/pair/trace/setting", 501, "not served here"),
    ("GET", "/v2/logging", 501, "not served here"),
    ("GET", "/v2/systemsharedmemory/status", 501, "not served here"),
    ("POST", "/v2/cudasharedmemory/region/r/register", 501, "not served here"),
]


@pytest.mark.parametrize(("method", "path", "status", "message"), ADDRESSES)
def test_an_address_that_is_wrong_says_why(oip: Oip, method: str, path: str, status: int, message: str) -> None:
    answer = oip.get(path) if method == "GET" else oip.post(path, GOOD)
    check_error(answer, status, message)


def test_an_alias_and_a_version_together_are_refused(oip: Oip) -> None:
    body = GOOD | {"parameters": {"alias": "champion"}}
    check_error(oip.post("/v2/models/pair/versions/1/infer", body), 400, "one version or one alias")
    assert oip.post("/v2/models/pair/versions/1/infer", GOOD).status_code == 200
    assert oip.post("/v2/models/pair/infer?alias=champion", body).status_code == 200


@pytest.mark.parametrize("name", ["file:1/model.onnx", "config"])
def test_a_model_cannot_be_brought_in_by_load(oip: Oip, name: str) -> None:
    answer = oip.post("/v2/repository/models/pair/load", {"parameters": {name: "AAAA"}})
    check_error(answer, 400, f"'{name}' is not accepted")


def test_a_repository_request_that_is_no_json_is_refused(oip: Oip) -> None:
    for path in ("/v2/repository/index", "/v2/repository/models/pair/load"):
        check_error(oip.post(path, b"{"), 400, "expected a JSON text")
        check_error(oip.post(path, []), 400, "expected an object")


def test_a_body_in_chunks_is_refused_with_the_cure(oip: Oip) -> None:
    headers = {"Authorization": f"Bearer {oip.secret}", "Transfer-Encoding": "chunked"}
    answer = Client().post(INFER, content_type="", headers=headers, CONTENT_LENGTH="")
    check_error(answer, 411, "Send the body with a Content-Length")


WITHOUT_KEY = ["/v2", "/v2/", "/v2/models/pair", "/v2/models/pair/ready", "/v2/models/pair/config", "/v2/models/stats"]


@pytest.mark.parametrize("path", [*WITHOUT_KEY, "/v2/models/pair/stats", "/v2/logging", "/v2/models/nobody"])
def test_nothing_is_read_without_a_key(model: ModelVersion, path: str) -> None:
    answer = Client().get(path)
    check_error(answer, 401, "Send an API key in the header Authorization: Bearer ihk_...")
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", [INFER, "/v2/repository/index", "/v2/repository/models/pair/unload"])
def test_nothing_is_done_without_a_key(model: ModelVersion, path: str) -> None:
    check_error(Client().post(path), 401, "needs an API key")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("Basic YTpi", "not of the form that is expected"),
        ("Bearer", "not of the form that is expected"),
        ("Bearer ihk_00000000_nothing", "unknown, revoked or expired"),
        ("Bearer \x00", "unknown, revoked or expired"),
    ],
)
def test_a_wrong_key_is_refused(model: ModelVersion, header: str, message: str) -> None:
    check_error(Client().post(INFER, GOOD, headers={"Authorization": header}), 401, message)


READING: list[Callable[[Oip], Any]] = [
    lambda oip: oip.get("/v2"),
    lambda oip: oip.get("/v2/models/pair"),
    lambda oip: oip.get("/v2/models/pair/config"),
    lambda oip: oip.get("/v2/models/stats"),
    lambda oip: oip.post("/v2/repository/index", b""),
]
PREDICTING: list[Callable[[Oip], Any]] = [
    lambda oip: oip.infer(GOOD),
    lambda oip: oip.post("/v2/repository/models/pair/load", b""),
    lambda oip: oip.post("/v2/repository/models/pair/unload", b""),
]


def test_a_key_does_what_its_scope_says_and_no_more(model: ModelVersion) -> None:
    reader, predictor, other = Oip(Scope.READ), Oip(Scope.PREDICT), Oip(Scope.DECIDE)
    for call in READING:
        assert call(reader).status_code == 200
        check_error(call(predictor), 403, "lacks the scope 'read'")
    for call in PREDICTING:
        assert call(predictor).status_code == 200
        check_error(call(reader), 403, "lacks the scope 'predict'")
    for either in (reader, predictor):
        assert either.get("/v2/models/pair/ready").status_code == 200
    check_error(other.get("/v2/models/pair/ready"), 403, "lacks the scope 'predict' or 'read'")


def test_health_needs_no_key(model: ModelVersion) -> None:
    for part in ("live", "ready"):
        assert Client().get(f"/v2/health/{part}").status_code == 200


def test_a_missing_artifact_is_unavailable_and_not_ready(oip: Oip, model: ModelVersion) -> None:
    unload(model.digest)
    artifact_storage().delete(f"{model.digest[:2]}/{model.digest}.onnx")
    for answer in (oip.infer(GOOD), oip.get("/v2/models/pair/ready"), Client().get("/v2/health/ready")):
        check_error(answer, 503, f"The artifact {model.digest[:12]} could not be read")
        assert answer["Retry-After"] == "1"


def test_a_model_that_answers_nan_failed(oip: Oip) -> None:
    register_direct(name="log", task="other", data=logarithm(), alias="champion")
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1.0, -1.0]}]}
    check_error(oip.post("/v2/models/log/infer", body), 502, "Output 'y' is NaN or infinite")


def test_what_nobody_foresaw_is_a_500_without_inner_details(oip: Oip, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("inner detail")

    monkeypatch.setattr(services._pool, "get", broken)
    client = Client(raise_request_exception=False)
    headers = {"Authorization": f"Bearer {oip.secret}"}
    answer = client.generic("POST", INFER, orjson.dumps(GOOD), content_type="", headers=headers)
    check_error(answer, 500, "Something went wrong inside")


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("", ""), ("gzip", "gzip"), ("deflate", "deflate"), ("gzip, deflate, br", "gzip"), ("gzip;q=0", ""), ("br", "")],
)
def test_only_inference_answers_are_compressed_and_only_as_asked(oip: Oip, accepted: str, encoding: str) -> None:
    plain = oip.infer(GOOD).content
    answer = oip.infer(GOOD, Accept_Encoding=accepted)
    unpack = {"": bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}[encoding]
    assert (answer.get("Content-Encoding", ""), unpack(answer.content)) == (encoding, plain)
    for other in (oip.get("/v2", Accept_Encoding=accepted), oip.infer({}, Accept_Encoding=accepted)):
        assert not other.has_header("Content-Encoding")
