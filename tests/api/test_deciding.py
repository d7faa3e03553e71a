from typing import Any

import jsonschema_rs
import pytest
from django.db import connection

from inferhub.api import answers
from inferhub.decisions import services
from inferhub.decisions.models import Action, Decision
from inferhub.erasure.services import erase_person
from inferhub.inference.routing import Choice
from inferhub.jobs.deferred import run_deferred_call
from tests.hub_fixtures import Api, register_direct
from tests.models import linear_model

pytestmark = pytest.mark.django_db

ORDER = {"customer_id": "ann", "total": 20, "price": 10}
HELD = {"customer_id": "ben", "total": 2000, "price": 10}
PATH = "workflows/orders/decisions"


def _results(api: Api, *rows: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    answer = api.post(PATH, {"rows": list(rows)} | more)
    assert answer.status_code == 200
    jsonschema_rs.validator_for(answers.DECISIONS).validate(answer.json())
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def test_each_row_gets_what_it_alone_would_have_got(api: Api, workflow: str) -> None:
    rows = [
        {"input": ORDER, "request_id": "1"},
        {"input": {"customer_id": "ann"}},
        {"input": HELD},
        {"input": ORDER, "request_id": "1"},
        {"input": HELD, "request_id": "1"},
        {"input": ORDER | {"price": None}},
    ]
    results = _results(api, *rows)
    assert [result["status"] for result in results] == [201, 422, 201, 200, 409, 201]
    made = [result["decision"]["outcome"] for result in results if result["decision"]]
    assert made == ["accept", "hold", "accept", "review"]
    assert results[3]["decision"]["decision_id"] == results[0]["decision"]["decision_id"]
    assert results[1]["problem"]["errors"][0]["pointer"] == "/rows/1/input/total"
    assert Decision.objects.count() == 3


def test_a_thousand_rows_are_one_model_call(api: Api, workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    predict_by = services.predict_by

    def counting(choice: Choice, **arguments: Any) -> Any:
        asked.append(len(arguments["rows"]))
        return predict_by(choice, **arguments)

    monkeypatch.setattr(services, "predict_by", counting)
    results = _results(api, *[{"input": ORDER | {"price": price}} for price in range(1000)])
    assert asked == [1000]
    assert [result["decision"]["predictions"]["value"]["output"]["value"] for result in results[:3]] == [1, 3, 5]
    assert {result["decision"]["outcome"] for result in results} == {"accept", "fast"}
    assert Decision.objects.count() == 1000


def test_more_rows_than_a_thousand_are_refused(api: Api, workflow: str) -> None:
    answer = api.post(PATH, {"rows": [{"input": {}}] * 1001})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/rows")


@pytest.mark.parametrize("more", [{"input": ORDER}, {"request_id": "1"}])
def test_rows_stand_alone(api: Api, workflow: str, more: dict[str, Any]) -> None:
    assert api.post(PATH, {"rows": [{"input": ORDER}]} | more).status_code == 422


def test_a_dry_run_answers_the_same_and_stores_nothing(api: Api, workflow: str) -> None:
    tried = api.post(PATH, {"input": HELD, "dry_run": True})
    assert (tried.status_code, tried.json()["decision_id"], tried.json()["digest"]) == (200, None, None)
    assert [(action["action_id"], action["state"]) for action in tried.json()["actions"]] == [(None, "not stored")] * 2
    assert not Decision.objects.exists()
    assert not Action.objects.exists()
    made = api.post(PATH, {"input": HELD}).json()
    same = ("outcome", "outputs", "predictions", "trace", "subject", "workflow_version", "rule_set_version")
    assert {key: tried.json()[key] for key in same} == {key: made[key] for key in same}


def test_the_trace_can_be_left_out_of_the_answer_and_is_stored_anyway(api: Api, workflow: str) -> None:
    made = api.post(PATH, {"input": ORDER, "trace": False}).json()
    assert made["trace"] is None
    assert Decision.objects.get(pk=made["decision_id"]).trace["matched"] == [{"index": 2, "note": "all others"}]


def test_why_other_rows_did_not_match_is_told_and_not_stored(api: Api, workflow: str) -> None:
    made = api.post(PATH, {"input": ORDER, "request_id": "1"}).json()
    stored = Decision.objects.get(pk=made["decision_id"])
    assert set(stored.trace) == {"matched", "values"}
    assert [rejection["index"] for rejection in made["trace"]["rejections"]] == [0, 1]
    assert made["trace"]["rejections"][0]["got"] == stored.trace["values"][made["trace"]["rejections"][0]["field"]]
    assert made["trace"]["overruled"] == []
    assert api.get(f"decisions/{made['decision_id']}").json()["trace"] == made["trace"]
    assert api.post(PATH, {"input": ORDER, "request_id": "1"}).json()["trace"] == made["trace"]
    erase_person(subject="ann", reason="asked", actor="user:eve")
    assert api.get(f"decisions/{made['decision_id']}").json()["trace"] == {}


def test_a_trace_that_somebody_altered_is_shown_as_it_is(api: Api, workflow: str) -> None:
    made = api.post(PATH, {"input": ORDER}).json()
    altered = {"matched": [], "values": {}}
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE decisions_decision DISABLE TRIGGER USER")
        Decision.objects.filter(pk=made["decision_id"]).update(trace=altered)
    assert api.get(f"decisions/{made['decision_id']}").json()["trace"] == altered


@pytest.mark.parametrize("key", ["order-7", '"order-7"'])
def test_the_idempotency_key_is_the_request_id(api: Api, workflow: str, key: str) -> None:
    made = api.post(PATH, {"input": ORDER}, Idempotency_Key=key)
    again = api.post(PATH, {"input": ORDER, "request_id": "order-7"}, Idempotency_Key=key)
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json()["decision_id"] == again.json()["decision_id"]


@pytest.mark.parametrize("body", [{"input": ORDER, "request_id": "other"}, {"rows": [{"input": ORDER}]}])
def test_an_idempotency_key_that_contradicts_the_body_is_refused(api: Api, workflow: str, body: dict[str, Any]) -> None:
    assert api.post(PATH, body, Idempotency_Key="order-7").status_code == 422
    assert not Decision.objects.exists()


def test_an_idempotency_key_that_is_too_long_is_refused(api: Api, workflow: str) -> None:
    assert api.post(PATH, {"input": ORDER}, Idempotency_Key="x" * 201).status_code == 422


def test_rows_can_be_left_to_a_worker_and_are_decided_once(api: Api, workflow: str) -> None:
    accepted = api.post(PATH, {"rows": [{"input": ORDER}, {"input": {}}]}, Prefer="respond-async")
    assert accepted.status_code == 202
    run_deferred_call(accepted.json()["call_id"])
    results = api.get(f"calls/{accepted.json()['call_id']}").json()["answer"]["results"]
    assert [result["status"] for result in results] == [201, 422]
    assert results[0]["decision"]["request_id"].startswith("deferred-")


def test_the_rows_of_one_request_are_dealt_out_to_a_canary_one_by_one(api: Api, workflow: str) -> None:
    second = register_direct(name="price-model", task="regression", data=linear_model(3))
    alias = second.model.aliases.get(name="champion")
    type(alias).objects.filter(pk=alias.pk).update(canary_version=second, canary_percent=50)
    rows = [{"input": ORDER | {"customer_id": f"c{number}", "price": 10}} for number in range(200)]
    first, again = ([result["decision"]["predictions"]["value"] for result in _results(api, *rows)] for _ in range(2))
    assert {said["version"] for said in first} == {1, 2}
    assert [said["version"] for said in first] == [said["version"] for said in again]
    assert all(said["output"]["value"] == {1: 21, 2: 31}[said["version"]] for said in first)
