"""The unmodified reference client, in each of its forms, against a real server."""

import asyncio
from collections.abc import Iterator
from itertools import product
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from inferhub.runtime.signature import Array
from tests.embedded.support import wait_until
from tests.oip.conftest import MOST_BYTES, Hub
from tests.oip.graphs import DATATYPES, sample

INPUTS = ("json", "binary")
OUTPUTS = ("json", "binary", "default")
COMPRESSIONS = (None, "gzip", "deflate")
VERSIONS = ("", "1")
FORMS = tuple(product(INPUTS, OUTPUTS, COMPRESSIONS, VERSIONS))


@pytest.fixture
def client(hub: Hub) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(hub.address) as client:
        yield client


def request(datatype: str, values: Array, form: tuple[str, str, str | None, str]) -> dict[str, Any]:
    """The arguments of `infer` for one form of request."""
    sent, wanted, compression, version = form
    tensor = triton.InferInput("x", list(values.shape), datatype)
    tensor.set_data_from_numpy(values, binary_data=sent == "binary")
    outputs = None if wanted == "default" else [triton.InferRequestedOutput("same", binary_data=wanted == "binary")]
    return {
        "model_name": datatype.lower(),
        "inputs": [tensor],
        "model_version": version,
        "outputs": outputs,
        "request_id": "-".join(map(str, form)),
        "request_compression_algorithm": compression,
        "response_compression_algorithm": compression,
    }


def check(result: Any, values: Array, form: tuple[str, str, str | None, str]) -> None:
    answer, same = result.get_response(), result.as_numpy("same")
    if values.dtype == object and form[1] == "json":
        same = np.array([text.encode() for text in same.reshape(-1)], dtype=object).reshape(same.shape)
    assert (same.dtype, same.shape) == (values.dtype, values.shape)
    np.testing.assert_array_equal(same, values)
    assert (answer["model_version"], answer["id"]) == (form[3] or "2", "-".join(map(str, form)))


@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_form_of_request_brings_each_datatype_back(
    hub: Hub, client: triton.InferenceServerClient, datatype: str
) -> None:
    values = sample(datatype)
    for form in FORMS:
        check(client.infer(**request(datatype, values, form), headers=hub.headers()), values, form)


@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_form_of_request_works_with_the_aio_client(hub: Hub, datatype: str) -> None:
    values = sample(datatype)

    async def ask() -> list[Any]:
        async with triton_aio.InferenceServerClient(hub.address) as client:
            calls = (client.infer(**request(datatype, values, form), headers=hub.headers()) for form in FORMS)
            return await asyncio.gather(*calls)

    for result, form in zip(asyncio.run(ask()), FORMS, strict=True):
        check(result, values, form)


def test_async_infer_brings_many_answers(hub: Hub) -> None:
    values = sample("FP32")
    with triton.InferenceServerClient(hub.address, concurrency=4) as client:
        waiting = [client.async_infer(**request("FP32", values, form), headers=hub.headers()) for form in FORMS]
        for one, form in zip(waiting, FORMS, strict=True):
            check(one.get_result(), values, form)


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("wanted", OUTPUTS)
def test_a_tensor_without_elements_comes_back(
    hub: Hub, client: triton.InferenceServerClient, datatype: str, wanted: str
) -> None:
    values = sample(datatype)[:0]
    for sent in INPUTS:
        form = (sent, wanted, None, "")
        check(client.infer(**request(datatype, values, form), headers=hub.headers()), values, form)


def test_a_body_larger_than_djangos_own_limit_is_taken(hub: Hub, client: triton.InferenceServerClient) -> None:
    values = np.arange(900_000, dtype=np.float32).reshape(-1, 3)
    form = ("binary", "binary", None, "")
    check(client.infer(**request("FP32", values, form), headers=hub.headers()), values, form)


def test_an_alias_is_a_parameter_of_the_request(hub: Hub, client: triton.InferenceServerClient) -> None:
    arguments = request("INT8", sample("INT8"), ("binary", "binary", None, ""))
    result = client.infer(**arguments, headers=hub.headers(), parameters={"alias": "challenger"})
    assert result.get_response()["model_version"] == "1"


def test_several_inputs_and_outputs_keep_their_order(hub: Hub, client: triton.InferenceServerClient) -> None:
    word = triton.InferInput("word", [2], "BYTES").set_data_from_numpy(np.array([b"a", b"bc"], dtype=object))
    left = triton.InferInput("left", [2, 2], "FP32")
    left.set_data_from_numpy(np.eye(2, dtype=np.float32), binary_data=False)
    k = triton.InferInput("k", [1], "INT64").set_data_from_numpy(np.array([9]))
    wanted = [
        triton.InferRequestedOutput("count"),
        triton.InferRequestedOutput("text", binary_data=False),
        triton.InferRequestedOutput("twice"),
    ]
    result = client.infer("pair", [word, left, k], outputs=wanted, headers=hub.headers())
    assert [output["name"] for output in result.get_response()["outputs"]] == ["count", "text", "twice"]
    assert result.as_numpy("count").tolist() == [9]
    assert result.as_numpy("text").tolist() == ["a", "bc"]
    assert result.as_numpy("twice").tolist() == [[2, 0], [0, 2]]
    without_k = client.infer("pair", [word, left], headers=hub.headers())
    assert without_k.as_numpy("count").tolist() == [7]


def test_every_other_method_of_the_client_is_answered(hub: Hub, client: triton.InferenceServerClient) -> None:
    headers = hub.headers()
    assert client.is_server_live()
    wait_until(client.is_server_ready)  # on a busy host the broker may take its time
    assert client.is_model_ready("fp32", headers=headers)
    assert client.is_model_ready("fp32", "1", headers=headers)
    assert not client.is_model_ready("fp32", "3", headers=headers)
    assert client.get_server_metadata(headers=headers)["name"] == "inferhub"
    tensor = {"datatype": "FP32", "shape": [-1, -1]}
    assert client.get_model_metadata("fp32", headers=headers) == {
        "name": "fp32",
        "versions": ["1", "2"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "x"} | tensor],
        "outputs": [{"name": "same"} | tensor],
    }
    config = client.get_model_config("bytes", "1", headers=headers)
    assert config["input"] == [{"name": "x", "data_type": "TYPE_STRING", "dims": [-1, -1], "optional": False}]
    assert (config["name"], config["backend"], config["max_batch_size"]) == ("bytes", "onnxruntime", 0)
    client.load_model("uint16", headers=headers)
    assert _reason(client, hub, "uint16") == ""
    client.unload_model("uint16", headers=headers)
    assert "loads it" in _reason(client, hub, "uint16")
    assert client.is_model_ready("uint16", headers=headers)


def test_the_aio_client_reads_everything_else_too(hub: Hub, client: triton.InferenceServerClient) -> None:
    wait_until(client.is_server_ready)

    async def ask() -> list[Any]:
        headers = hub.headers()
        async with triton_aio.InferenceServerClient(hub.address) as aio:
            await aio.load_model("fp32", headers=headers)
            await aio.unload_model("fp32", headers=headers)
            return [
                await aio.is_server_live(),
                await aio.is_server_ready(),
                await aio.is_model_ready("fp32", headers=headers),
                (await aio.get_server_metadata(headers=headers))["name"],
                (await aio.get_model_metadata("fp32", "2", headers=headers))["name"],
                (await aio.get_model_config("fp32", headers=headers))["name"],
                (await aio.get_inference_statistics("fp32", headers=headers))["model_stats"][0]["name"],
                len(await aio.get_model_repository_index(headers=headers)) == 30,
            ]

    assert asyncio.run(ask()) == [True, True, True, "inferhub", "fp32", "fp32", "fp32", True]


def test_statistics_count_successes_and_failures(hub: Hub, client: triton.InferenceServerClient) -> None:
    headers = hub.headers()
    before = _stats(client, hub)
    arguments = request("INT16", sample("INT16"), ("binary", "binary", None, ""))
    client.infer(**arguments, headers=headers)
    wrong = request("INT16", sample("INT16"), ("binary", "binary", None, ""))
    wrong["inputs"][0].set_shape([6])
    with pytest.raises(InferenceServerException):
        client.infer(**wrong, headers=headers)
    after = _stats(client, hub)
    assert after["inference_count"] == before["inference_count"] + 1
    for name, more in {"success": 1, "fail": 1, "compute_infer": 1, "compute_input": 1, "compute_output": 1}.items():
        assert after["inference_stats"][name]["count"] == before["inference_stats"][name]["count"] + more
        assert after["inference_stats"][name]["ns"] > before["inference_stats"][name]["ns"]
    assert after["inference_stats"]["queue"] == {"count": 0, "ns": 0}
    everything = client.get_inference_statistics(headers=headers)["model_stats"]
    assert {entry["name"] for entry in everything} >= {"fp32", "int16", "pair"}


def test_what_is_not_served_says_so(hub: Hub, client: triton.InferenceServerClient) -> None:
    headers = hub.headers()
    calls = [
        lambda: client.get_trace_settings("fp32", headers=headers),
        lambda: client.update_trace_settings(settings={"trace_level": "OFF"}, headers=headers),
        lambda: client.get_log_settings(headers=headers),
        lambda: client.get_system_shared_memory_status(headers=headers),
        lambda: client.register_system_shared_memory("a", "/a", 1, headers=headers),
        lambda: client.get_cuda_shared_memory_status(headers=headers),
    ]
    for call in calls:
        with pytest.raises(InferenceServerException, match="not served here") as refused:
            call()
        assert refused.value.status() == "501"


def test_an_error_reaches_the_client_with_its_status_and_message(
    hub: Hub, client: triton.InferenceServerClient
) -> None:
    form = ("binary", "binary", None, "")
    arguments = request("FP32", np.zeros((MOST_BYTES // 8, 3), np.float32), form)
    with pytest.raises(InferenceServerException, match="INFERHUB_MAX_TENSOR_BYTES") as too_large:
        client.infer(**arguments, headers=hub.headers())
    arguments = request("FP32", sample("FP32"), form)
    with pytest.raises(InferenceServerException, match="needs an API key") as stranger:
        client.infer(**arguments)
    with pytest.raises(InferenceServerException, match="lacks the scope 'predict'") as reader:
        client.infer(**arguments, headers=hub.headers("read"))
    with pytest.raises(InferenceServerException, match="no version 7") as missing:
        client.infer(**arguments | {"model_version": "7"}, headers=hub.headers())
    wrong = arguments | {"model_name": "fp64"}
    with pytest.raises(InferenceServerException, match="expected FP64 for 'x'") as datatype:
        client.infer(**wrong, headers=hub.headers())
    with pytest.raises(InferenceServerException, match="is not accepted") as override:
        client.load_model("fp32", config="{}", files={"file:1/model.onnx": b"x"}, headers=hub.headers())
    refused = (too_large, stranger, reader, missing, datatype, override)
    assert [one.value.status() for one in refused] == ["413", "401", "403", "404", "400", "400"]
    check(client.infer(**arguments, headers=hub.headers()), sample("FP32"), form)


def test_a_body_that_the_client_made_for_another_http_library_is_answered(hub: Hub) -> None:
    values = sample("FP32")
    tensor = triton.InferInput("x", [2, 3], "FP32").set_data_from_numpy(values)
    body, length = triton.InferenceServerClient.generate_request_body([tensor])
    headers = hub.headers() | {"Inference-Header-Content-Length": str(length)}
    answer = httpx.post(f"http://{hub.address}/v2/models/fp32/infer", content=body, headers=headers, trust_env=False)
    header_length = int(answer.headers["Inference-Header-Content-Length"])
    result = triton.InferenceServerClient.parse_response_body(answer.content, header_length=header_length)
    np.testing.assert_array_equal(result.as_numpy("same"), values)


def test_a_body_in_chunks_is_refused_by_the_real_server_too(hub: Hub) -> None:
    answer = httpx.post(
        f"http://{hub.address}/v2/models/fp32/infer", content=iter([b"{", b"}"]), headers=hub.headers(), trust_env=False
    )
    assert answer.status_code == 411
    assert "Content-Length" in answer.json()["error"]


def _reason(client: triton.InferenceServerClient, hub: Hub, model: str) -> str:
    index = client.get_model_repository_index(headers=hub.headers())
    (reason,) = (row["reason"] for row in index if (row["name"], row["version"]) == (model, "2"))
    return str(reason)


def _stats(client: triton.InferenceServerClient, hub: Hub) -> dict[str, Any]:
    (entry,) = client.get_inference_statistics("int16", "2", headers=hub.headers())["model_stats"]
    return dict(entry)


def steps_inputs(*, binary: bool) -> list[triton.InferInput]:
    age, kind = triton.InferInput("age", [3], "FP32"), triton.InferInput("kind", [3], "BYTES")
    age.set_data_from_numpy(np.array([50, 30, 20.5], np.float32), binary_data=binary)
    kind.set_data_from_numpy(np.array([b"web", b"till", b"fax"], object), binary_data=binary)
    return [age, kind]


@pytest.mark.parametrize("binary", [True, False])
def test_a_model_with_steps_answers_tensors_as_it_answers_rows(
    hub: Hub, client: triton.InferenceServerClient, binary: bool
) -> None:
    wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("is_known", "total")]
    result = client.infer("steps", steps_inputs(binary=binary), outputs=wanted, headers=hub.headers())
    rows = [{"age": 50, "kind": "web"}, {"age": 30, "kind": "till"}, {"age": 20.5, "kind": "fax"}]
    answer = httpx.post(
        f"http://{hub.address}/api/v1/models/steps/predictions",
        json={"rows": rows},
        headers=hub.headers(),
        trust_env=False,
    ).json()
    for name in ("is_known", "total"):
        found = result.as_numpy(name)
        assert found.shape == (3, 1)
        assert found.ravel().tolist() == pytest.approx([row[name] for row in answer["predictions"]])


def test_metadata_and_configuration_show_what_a_model_with_steps_takes(
    hub: Hub, client: triton.InferenceServerClient
) -> None:
    metadata = client.get_model_metadata("steps", headers=hub.headers())
    assert metadata["inputs"] == [
        {"name": "age", "datatype": "FP32", "shape": [-1]},
        {"name": "kind", "datatype": "BYTES", "shape": [-1]},
    ]
    assert [(one["name"], one["datatype"]) for one in metadata["outputs"]] == [("total", "FP32"), ("is_known", "BOOL")]
    config = client.get_model_config("steps", headers=hub.headers())
    assert [one["name"] for one in config["input"]] == ["age", "kind"]


def test_tensors_of_a_model_with_steps_must_have_as_many_rows_each(
    hub: Hub, client: triton.InferenceServerClient
) -> None:
    age, kind = steps_inputs(binary=True)
    kind = triton.InferInput("kind", [1], "BYTES")
    kind.set_data_from_numpy(np.array([b"web"], object))
    with pytest.raises(InferenceServerException, match=r"/kind: expected 3 rows, as many as 'age' has, got 1 rows"):
        client.infer("steps", [age, kind], headers=hub.headers())
