import pytest
from django.test import Client
from kombu.exceptions import OperationalError

from inferhub.api import health
from inferhub.inference import services
from inferhub.registry.models import ModelVersion
from inferhub.registry.storage import artifact_storage
from tests.hub_fixtures import register_direct
from tests.models import linear_model

pytestmark = pytest.mark.django_db


def test_a_probe_by_any_name_is_answered() -> None:
    for path in ("/healthz", "/readyz"):
        assert Client().get(path, headers={"Host": "10.1.2.3:8000"}).status_code != 400


def test_a_process_that_answers_is_alive() -> None:
    assert Client().get("/healthz").json() == {"status": "alive"}


def test_a_hub_with_everything_in_place_is_ready(price_model: ModelVersion) -> None:
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


def test_a_missing_artifact_is_named() -> None:
    # A file of its own: tests that run beside this one share the folder.
    lost = register_direct(name="lost", task="regression", data=linear_model(7.25), alias="champion")
    services._pool.discard(lost.digest)
    artifact_storage().delete(f"{lost.digest[:2]}/{lost.digest}.onnx")
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert lost.digest[:12] in answer.json()["parts"]["sessions"]


def test_a_broker_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("refused")

    monkeypatch.setitem(health._CHECKS, "broker", away)
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["broker"]) == (503, "does not answer")
