"""What every answer to a machine has: an id, times, security, the key's quota; and what the hub counts of them."""

import dataclasses
import io
import re
from typing import Any

import orjson
import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from inferhub.accounts.services import create_api_key
from inferhub.api import metrics as metrics_module
from inferhub.api.exposition import exposition
from inferhub.api.metrics import Called, Metrics
from inferhub.api.quotas import WindowCounts
from inferhub.errors import QuotaExceeded
from inferhub.lib.stopwatch import Stopwatch
from inferhub.registry.models import ModelVersion
from inferhub.wsgi import application
from tests.hub_fixtures import ACTOR, Api

pytestmark = pytest.mark.django_db

PREDICT = "models/price-model/predictions"
ROWS = {"rows": [{"price": 1}]}
STAGE = re.compile(r"(\w+);dur=\d+\.\d{3}")


def stages(answer: Any) -> list[str]:
    return STAGE.findall(answer["Server-Timing"])


def test_columns_get_the_answer_that_rows_get(api: Api, price_model: ModelVersion) -> None:
    by_columns = api.post(PREDICT, {"columns": {"price": [1, 2.5]}}).json()["predictions"]
    assert by_columns == api.post(PREDICT, {"rows": [{"price": 1}, {"price": 2.5}]}).json()["predictions"]


def test_calls_tell_how_long_each_stage_took(api: Api, workflow: str, scenario: str) -> None:
    assert stages(api.post(PREDICT, ROWS)) == ["parse", "validate", "model", "encode", "total"]
    asked = api.post("scenarios/home-page/recommendations", {"user_id": "ann"})
    assert stages(asked) == ["parse", "history", "model", "encode", "total"]
    order = {"customer_id": "ann", "total": 20, "price": 10}
    made = api.post("workflows/orders/decisions", {"input": order})
    assert stages(made) == ["parse", "validate", "model", "rules", "commit", "other", "encode", "total"]
    tensor = {"name": "price", "datatype": "FP32", "shape": [1, 1], "data": [1.0]}
    headers = {"Authorization": f"Bearer {api.secret}"}
    inferred = Client().generic(
        "POST", "/v2/models/price-model/infer", orjson.dumps({"inputs": [tensor]}), headers=headers
    )
    assert stages(inferred) == ["parse", "validate", "model", "encode", "total"]


def test_every_other_answer_tells_its_whole_time(api: Api) -> None:
    for answer in (api.get("models"), api.get("models/nobody"), Client().get("/v2/health/live")):
        assert stages(answer) == ["total"]


def test_every_answer_has_an_id_and_is_not_to_be_sniffed(api: Api) -> None:
    for answer in (api.get("models", X_Request_Id="mine-1"), api.post(PREDICT, ROWS, X_Request_Id="mine-1")):
        assert (answer["X-Request-Id"], answer["X-Content-Type-Options"]) == ("mine-1", "nosniff")
    assert api.get("models", X_Request_Id="not usable")["X-Request-Id"] != "not usable"


def test_a_name_that_is_not_ours_is_refused_on_the_short_road_too(api: Api, price_model: ModelVersion) -> None:
    assert api.post(PREDICT, ROWS, Host="evil.example").status_code == 400
    assert api.post(PREDICT, ROWS).status_code == 200


@pytest.mark.parametrize("path", [PREDICT, "jobs", "workflows/orders/decisions", "models/x/versions"])
def test_a_body_in_chunks_is_told_to_have_a_length(api: Api, path: str) -> None:
    headers = {"Authorization": f"Bearer {api.secret}", "Transfer-Encoding": "chunked"}
    answer = Client().post(f"/api/v1/{path}", content_type="application/json", headers=headers, CONTENT_LENGTH="")
    assert answer.status_code == 411
    assert "Content-Length" in answer.json()["detail"]


@pytest.fixture
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseDatabaseWrapper, "close_if_unusable_or_obsolete", lambda _: None)


@pytest.mark.usefixtures("_one_transaction")
def test_the_web_servers_road_gives_the_same_answer(api: Api, price_model: ModelVersion) -> None:
    """Without Django's request; the headers and the body are those of the test client's road."""
    body = orjson.dumps(ROWS)
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": f"/api/v1/{PREDICT}",
        "HTTP_HOST": "localhost",
        "HTTP_AUTHORIZATION": f"Bearer {api.secret}",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(body + b"behind the end"),
        "wsgi.url_scheme": "http",
    }
    said: dict[str, Any] = {}

    def start(status: str, headers: list[tuple[str, str]]) -> None:
        said.update(headers, status=status)

    answer = orjson.loads(b"".join(application(environ, start)))
    expected = api.post(PREDICT, ROWS)
    assert said["status"] == "200 OK"
    assert answer["predictions"] == expected.json()["predictions"]
    assert {name.lower() for name in said if name != "status"} == {name.lower() for name in expected.headers}
    environ["HTTP_HOST"] = "evil.example"
    application(environ, start)
    assert said["status"] == "400 Bad Request"


def test_a_key_with_a_quota_is_told_what_is_left_and_then_refused(price_model: ModelVersion) -> None:
    secret = create_api_key(name="small", scopes=["predict", "read"], actor=ACTOR, requests_per_minute=3)[1]
    small = Api(secret)
    for left in (2, 1):
        answer = small.post(PREDICT, ROWS)
        assert answer["RateLimit-Policy"] == '"minute";q=3;w=60'
        assert answer["RateLimit"].startswith(f'"minute";r={left};t=')
    assert small.get("models")["RateLimit"].startswith('"minute";r=0;t=')
    for refused in (small.get("models"), small.post(PREDICT, ROWS)):
        assert refused.status_code == 429
        assert refused.json()["type"].endswith("too-many-requests")
        assert 1 <= int(refused["Retry-After"]) <= 60
        assert refused["RateLimit"].startswith('"minute";r=0;t=')


def test_a_key_without_a_quota_is_told_of_none(api: Api) -> None:
    assert "RateLimit" not in api.get("models")


def test_processes_count_together_and_a_new_minute_begins_anew(tmp_path: Any) -> None:
    processes = [WindowCounts(tmp_path) for _ in range(2)]
    left = [process.take(7, 4, now=100.0).left for process in processes * 2]
    assert left == [3, 2, 1, 0]
    with pytest.raises(QuotaExceeded, match="4 requests in a minute; there is more in 20 seconds"):
        processes[0].take(7, 4, now=140.0)
    assert processes[1].take(7, 4, now=160.0).left == 3
    assert processes[0].take(8, 4, now=140.0).left == 3


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Metrics:
    """Counts that begin at nothing, and are written nowhere."""
    made = Metrics()
    monkeypatch.setattr(made, "_start_writer", lambda: None)
    for module in ("calls", "serving", "v2.views"):
        monkeypatch.setattr(f"inferhub.api.{module}.metrics", made)
    return made


def count(made: list[Metrics], sample_name: str, **labels: str) -> float:
    """The one sample with these labels."""
    text = exposition([orjson.loads(one.snapshot()) for one in made]).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    (found,) = [one.value for one in samples if one.name == sample_name and labels.items() <= one.labels.items()]
    return found


def test_calls_are_counted_by_model_version_stage_and_reason(
    api: Api, price_model: ModelVersion, fresh: Metrics
) -> None:
    for body in (ROWS, ROWS, {"rows": [{"price": "x"}]}):
        api.post(PREDICT, body)
    api.post("models/nobody/predictions", ROWS)
    of = {"call": "predict", "name": "price-model"}
    assert count([fresh], "inferhub_requests_total", **of, version="1") == 2
    assert count([fresh], "inferhub_stage_seconds_count", **of, version="1", stage="model") == 2
    assert count([fresh], "inferhub_errors_total", **of, reason="invalid-input") == 1
    assert count([fresh], "inferhub_errors_total", call="predict", name="", reason="not-found") == 1
    assert count([fresh], "inferhub_http_answers_total", status="200") == 2
    assert count([fresh], "inferhub_queue_depth", queue="actions") == 0
    assert count([fresh], "inferhub_session_pool_bytes") > 0
    assert count([fresh], "inferhub_model_loads_total") > 0


def test_the_counts_of_processes_are_added_and_their_buckets_hold_them() -> None:
    watch = Stopwatch()
    watch.stages = {"model": 0.0007}
    processes = [Metrics(), Metrics()]
    for process in processes:
        process.succeeded(Called(call="infer", name="a", version="1"), watch)
    of = {"call": "infer", "name": "a", "version": "1", "stage": "model"}
    for bound, held in (("0.0005", 0), ("0.001", 2), ("+Inf", 2)):
        assert count(processes, "inferhub_stage_seconds_bucket", **of, le=bound) == held
    assert count(processes, "inferhub_stage_seconds_sum", **of) == pytest.approx(0.0014)


def test_a_process_leaves_its_counts_where_the_others_find_them(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_module, "metrics_folder", lambda: tmp_path)
    made = Metrics()
    made.succeeded(Called(call="infer", name="a", version="1"), Stopwatch())
    made.write(tmp_path / "1.json")
    assert [entry["name"] for entry in metrics_module.read_snapshots()[0]["calls"]] == ["a"]


@pytest.mark.parametrize(
    ("access", "headers", "address", "status"),
    [
        ("key", {}, "127.0.0.1", 401),
        ("loopback", {}, "127.0.0.1", 200),
        ("loopback", {}, "::1", 200),
        ("loopback", {}, "10.0.0.1", 401),
        ("loopback", {"X-Forwarded-For": "10.0.0.1"}, "127.0.0.1", 401),
        ("loopback", {}, "unix", 401),
    ],
)
def test_metrics_are_closed_but_for_whom_the_configuration_lets_in(
    settings: Any, access: str, headers: dict[str, str], address: str, status: int
) -> None:
    settings.CONFIG = dataclasses.replace(settings.CONFIG, metrics_access=access)
    assert Client().get("/metrics", headers=headers, REMOTE_ADDR=address).status_code == status


def test_a_key_that_may_read_may_read_metrics(api: Api) -> None:
    answer = Client().get("/metrics", headers={"Authorization": f"Bearer {api.secret}"})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    other = create_api_key(name="other", scopes=["predict"], actor=ACTOR)[1]
    assert Client().get("/metrics", headers={"Authorization": f"Bearer {other}"}).status_code == 403
