import base64
import hashlib
import json
import subprocess
import sys
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from inferhub.accounts.services import create_api_key
from inferhub.audit.models import AuditEvent
from inferhub.registry.models import Alias, ModelVersion
from inferhub.runtime import check
from tests.hub_fixtures import ACTOR, Api
from tests.models import linear_model

pytestmark = pytest.mark.django_db


def _upload(api: Api, data: bytes | None = None, name: str = "price-model", **fields: Any) -> Any:
    form = {"file": SimpleUploadedFile("m.onnx", linear_model() if data is None else data), "task": "regression"}
    form = {key: value for key, value in (form | fields).items() if value is not None}
    headers = {"Authorization": f"Bearer {api.secret}"}
    return Client(raise_request_exception=False).post(f"/api/v1/models/{name}/versions", form, headers=headers)


def test_an_uploaded_file_becomes_a_version_that_predicts(api: Api) -> None:
    made = _upload(api, alias="champion", approval="direct", notes="first", certificate='{"rows": 3}')
    assert made.status_code == 201
    assert made["Location"].endswith("/api/v1/models/price-model/versions/1")
    assert (made.json()["aliases"], made.json()["certificate"]) == (["champion"], {"rows": 3})
    assert api.post("models/price-model/predictions", {"rows": [{"price": 1}]}).json()["predictions"] == [
        {"value": 3.0}
    ]


@pytest.mark.parametrize(
    ("fields", "status", "pointer"),
    [
        ({"file": None}, 422, "/file"),
        ({"task": None}, 422, "/task"),
        ({"task": "divination"}, 422, "/task"),
        ({"alias": "No Slug"}, 422, "/alias"),
        ({"certificate": "[1]"}, 422, "/certificate"),
        ({"certificate": "{"}, 422, "/certificate"),
        ({"colour": "red"}, 422, "/colour"),
    ],
)
def test_a_bad_upload_names_the_field(api: Api, fields: dict[str, Any], status: int, pointer: str) -> None:
    answer = _upload(api, **fields)
    assert answer.status_code == status
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert not ModelVersion.objects.exists()


@pytest.mark.parametrize("data", [b"", b"GIF89a", linear_model()[:50]])
def test_a_file_that_is_no_model_is_refused_with_the_reason(api: Api, data: bytes) -> None:
    answer = _upload(api, data)
    assert answer.status_code == 422
    assert answer.json()["errors"]


def test_an_upload_beside_others_is_asked_to_come_again(api: Api) -> None:
    with check.in_turn(), check._one_of_few():
        answer = _upload(api, linear_model(9.5))
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert not ModelVersion.objects.exists()


def test_golden_rows_are_kept_with_the_version(api: Api) -> None:
    rows = {"inputs": {"price": [1, 2]}, "outputs": {"value": [3, 5]}, "tolerance": 0.01}
    made = _upload(api, golden=SimpleUploadedFile("golden.json", json.dumps(rows).encode()))
    assert made.status_code == 201
    kept = {"inputs": {"price": [[1.0], [2.0]]}, "outputs": {"value": [[3.0], [5.0]]}, "tolerance": 0.01}
    assert ModelVersion.objects.get().golden == kept


@pytest.mark.parametrize(
    ("golden", "pointer"),
    [
        (b"{", "/golden"),
        (b'{"inputs": {"price": [1]}, "outputs": {"value": [4]}}', "/golden/outputs/value/0/0"),
        (b'{"inputs": {"price": ["1"]}, "outputs": {"value": [4]}}', "/golden/inputs/price/0"),
    ],
)
def test_golden_rows_that_are_wrong_name_the_place(api: Api, golden: bytes, pointer: str) -> None:
    answer = _upload(api, golden=SimpleUploadedFile("golden.json", golden))
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert AuditEvent.objects.filter(action="model_version.refused").count() == 1


def test_golden_rows_that_are_no_file_are_refused(api: Api) -> None:
    answer = _upload(api, golden="{}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/golden")


def test_the_server_never_loads_what_trains_and_converts() -> None:
    """The conversion of a LightGBM text model runs in a process of its own."""
    script = "import sys, inferhub.wsgi, inferhub.urls; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"lightgbm", "sklearn", "skl2onnx", "onnxmltools", "recommender"} & set(done.stdout.split())


def test_the_same_file_twice_is_a_conflict(api: Api) -> None:
    assert [_upload(api).status_code for _ in range(2)] == [201, 409]


def test_a_file_over_the_limit_is_refused_before_it_is_read(api: Api, settings: Any) -> None:
    headers = {"Authorization": f"Bearer {api.secret}"}
    length = str(settings.CONFIG.max_model_bytes + (16 << 20))
    answer = Client().generic(
        "POST",
        "/api/v1/models/x/versions",
        b"",
        "multipart/form-data; boundary=x",
        headers=headers,
        CONTENT_LENGTH=length,
    )
    assert answer.status_code == 413


def test_an_upload_that_is_sent_again_is_done_once_and_another_file_under_its_key_is_refused(api: Api) -> None:
    """Two files of one length: a wrong one must not be answered as if it were registered."""
    files = linear_model(2), linear_model(3)
    assert len(files[0]) == len(files[1])

    def send(data: bytes) -> Any:
        form = {"file": SimpleUploadedFile("m.onnx", data), "task": "regression"}
        headers = {"Authorization": f"Bearer {api.secret}", "Idempotency-Key": "k-1"}
        return Client(raise_request_exception=False).post("/api/v1/models/own/versions", form, headers=headers)

    made, again, other = send(files[0]), send(files[0]), send(files[1])
    assert (made.status_code, again.status_code, again.content) == (201, 201, made.content)
    assert again["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["errors"][0]["pointer"]) == (422, "/Idempotency-Key")
    assert ModelVersion.objects.count() == 1


def test_a_broken_form_under_an_idempotency_key_is_malformed(api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.secret}", "Idempotency-Key": "k-1"}
    kind = "multipart/form-data"
    answer = Client().post("/api/v1/models/own/versions", b"no form", content_type=kind, headers=headers)
    assert answer.status_code == 400


def test_a_key_without_the_scope_registers_nothing() -> None:
    reader = Api(create_api_key(name="reader", scopes=["read", "predict"], actor=ACTOR)[1])
    assert _upload(reader).status_code == 403
    assert not ModelVersion.objects.exists()


def test_an_artifact_comes_back_as_it_was_sent_and_the_download_is_audited(api: Api) -> None:
    _upload(api)
    answer = api.get("models/price-model/versions/1/artifact")
    assert answer.content == linear_model()
    digest = hashlib.sha256(linear_model()).digest()
    assert answer["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"
    assert AuditEvent.objects.filter(action="model_version.downloaded").count() == 1


def test_an_alias_moves_with_a_reason_and_back_again(api: Api) -> None:
    _upload(api, alias="champion", approval="direct")
    _upload(api, linear_model(3))
    for number in (2, 1):
        moved = api.put("models/price-model/aliases/champion", {"version": number, "reason": "better"})
        assert moved.json()["aliases"] == ["champion"]
        assert Alias.objects.get().version.number == number


@pytest.mark.parametrize(
    ("alias", "body", "status"),
    [
        ("champion", {"version": 1}, 422),
        ("champion", {"version": 1, "reason": " "}, 422),
        ("champion", {"version": 9, "reason": "x"}, 404),
        ("No Slug", {"version": 1, "reason": "x"}, 404),
    ],
)
def test_a_bad_move_moves_nothing(api: Api, alias: str, body: dict[str, Any], status: int) -> None:
    _upload(api)
    assert api.put(f"models/price-model/aliases/{alias}", body).status_code == status
    assert not Alias.objects.exists()


def test_the_example_of_a_version_is_answered_as_it_stands(api: Api, price_model: ModelVersion) -> None:
    request = api.get("models/price-model/versions/1").json()["request"]
    assert [(one["name"], one["shape"], one["allows_nan"]) for one in request["inputs"]] == [("price", [None, 1], True)]
    answer = api.post("models/price-model/predictions", request["example"])
    assert (answer.status_code, answer.json()["predictions"]) == (200, [{"value": 1.0}])
