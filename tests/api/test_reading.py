"""Lists that can be narrowed, reads that say whether anything changed, writes that may be sent again."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from inferhub.accounts.models import ApiKey, RepeatableWrite
from inferhub.accounts.repeats import begin_write
from inferhub.accounts.services import create_api_key
from inferhub.errors import Conflict
from inferhub.jobs.models import Job
from inferhub.registry.models import ModelVersion, RegisteredModel
from inferhub.registry.services import register_version
from tests.hub_fixtures import ACTOR, Api
from tests.models import fixed_recommender, linear_model

pytestmark = pytest.mark.django_db

ORDER = {"customer_id": "ann", "total": 20, "price": 10}


@pytest.fixture
def two_models(price_model: ModelVersion) -> None:
    register_version(name="items", task="recommendation", data=fixed_recommender(), actor=ACTOR)
    RegisteredModel.objects.filter(name="items").update(tags=["shop", "home"])


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["items", "price-model"]),
        ("task=regression", ["price-model"]),
        ("tag=home", ["items"]),
        ("tag=nothing", []),
        ("name_prefix=price", ["price-model"]),
        ("name_prefix=rice", []),
        ("name_prefix=%25", []),
        ("task=recommendation&tag=shop", ["items"]),
    ],
)
def test_models_are_found_by_task_tag_and_name(api: Api, two_models: None, query: str, names: list[str]) -> None:
    assert [row["name"] for row in api.get(f"models?{query}").json()["results"]] == names


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("outcome=accept", 1),
        ("outcome=hold", 0),
        ("from=2020-01-01T00:00:00Z", 1),
        ("from=2020-01-01T00:00:00%2B02:00&until=2099-01-01T00:00:00Z", 1),
        ("from=2020-01-01T00:00:00+02:00", 1),
        ("until=2020-01-01T00:00:00Z", 0),
        ("workflow=orders&subject=ann", 1),
    ],
)
def test_decisions_are_found_by_outcome_subject_and_time(api: Api, workflow: str, query: str, count: int) -> None:
    api.post("workflows/orders/decisions", {"input": ORDER})
    assert len(api.get(f"decisions?{query}").json()["results"]) == count


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("models?task=divination", "/task"),
        ("models?colour=red", "/colour"),
        ("models/price-model/versions?state=lost", "/state"),
        ("decisions?from=yesterday", "/from"),
        ("decisions?until=2026-01-01T00:00:00", "/until"),
        ("jobs?state=lost", "/state"),
    ],
)
def test_a_wrong_parameter_is_named(api: Api, price_model: ModelVersion, path: str, pointer: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("path", ["models", "models/price-model", "models/price-model/versions/1", "workflows/orders"])
def test_what_has_not_changed_is_not_sent_again(api: Api, workflow: str, path: str) -> None:
    first = api.get(path)
    again = api.get(path, If_None_Match=first["ETag"])
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert api.get(path, If_None_Match='"another"').content == first.content


def test_a_change_gives_another_tag(api: Api, price_model: ModelVersion) -> None:
    before = api.get("models/price-model")
    register_version(name="price-model", task="regression", data=linear_model(3), actor=ACTOR)
    after = api.get("models/price-model", If_None_Match=before["ETag"])
    assert (after.status_code, after.json()["latest_version"]) == (200, 2)
    assert after["ETag"] != before["ETag"]


def test_an_artifact_keeps_the_tag_that_is_its_digest(api: Api, price_model: ModelVersion) -> None:
    answer = api.get("models/price-model/versions/1/artifact")
    assert answer["ETag"] == f'"{price_model.digest}"'


def test_an_idempotency_key_is_the_request_id_of_a_decision(api: Api, workflow: str) -> None:
    made, again = (api.post("workflows/orders/decisions", {"input": ORDER}, Idempotency_Key='"k-1"') for _ in range(2))
    assert (made.status_code, again.status_code) == (201, 200)
    assert (made.json()["request_id"], again.json()["decision_id"]) == ("k-1", made.json()["decision_id"])
    other = api.post("workflows/orders/decisions", {"input": ORDER, "request_id": "k-2"}, Idempotency_Key="k-1")
    assert other.json()["errors"][0]["pointer"] == "/request_id"


def test_a_write_that_is_sent_again_is_done_once(api: Api, scenario: str) -> None:
    body = {"kind": "bulk-recommendations", "scenario": "home-page"}
    first, again = (api.post("jobs", body, Idempotency_Key="j-1") for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert (again.content, again["Location"]) == (first.content, first["Location"])
    assert (again["Idempotent-Replayed"], first.get("Idempotent-Replayed")) == ("true", None)
    assert Job.objects.count() == 1
    assert api.post("jobs", body, Idempotency_Key="j-2").status_code == 409
    other = api.post("jobs", body | {"scenario": "other"}, Idempotency_Key="j-1")
    assert (other.status_code, other.json()["errors"][0]["pointer"]) == (422, "/Idempotency-Key")


def test_a_write_that_failed_can_be_tried_again_under_its_key(api: Api, price_model: ModelVersion) -> None:
    for version, status in ((9, 404), (1, 200)):
        headers = {"Authorization": f"Bearer {api.secret}", "Idempotency-Key": "move"}
        body = {"version": version, "reason": "x"}
        address = "/api/v1/models/price-model/aliases/second"
        assert Client().put(address, body, content_type="application/json", headers=headers).status_code == status


def test_a_write_in_progress_is_a_conflict_until_it_must_be_lost(api: Api) -> None:
    key_id = ApiKey.objects.get().pk
    write, _ = begin_write(key_id=key_id, name="w", fingerprint="f")
    with pytest.raises(Conflict, match="being answered now"):
        begin_write(key_id=key_id, name="w", fingerprint="f")
    RepeatableWrite.objects.update(started_at=timezone.now() - timedelta(minutes=5))
    assert begin_write(key_id=key_id, name="w", fingerprint="f") == (write, None)


def test_what_was_kept_for_a_day_is_forgotten(api: Api) -> None:
    key_id = ApiKey.objects.get().pk
    begin_write(key_id=key_id, name="w", fingerprint="f")
    RepeatableWrite.objects.update(started_at=timezone.now() - timedelta(days=2))
    assert begin_write(key_id=key_id, name="w", fingerprint="other")[1] is None


@pytest.mark.parametrize("name", ["", '""', "x" * 201, "a\tb"])
def test_an_idempotency_key_of_another_form_is_refused(api: Api, name: str) -> None:
    assert api.post("jobs", {}, Idempotency_Key=name).json()["errors"][0]["pointer"] == "/Idempotency-Key"


def test_another_api_key_has_idempotency_keys_of_its_own(api: Api) -> None:
    other = create_api_key(name="other", scopes=["run-jobs"], actor=ACTOR)[0]
    for key in (ApiKey.objects.exclude(pk=other.pk).get(), other):
        assert begin_write(key_id=key.pk, name="w", fingerprint="f")[1] is None
