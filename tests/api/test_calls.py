from typing import Any

import pytest
from django.test import Client

from inferhub.decisions.models import Decision
from inferhub.jobs.bulk import run_job
from inferhub.registry.models import ModelVersion
from tests.hub_fixtures import Api

pytestmark = pytest.mark.django_db

ORDER = {"customer_id": "ann", "total": 20, "price": 10}


def test_a_prediction_names_the_version_that_made_it(api: Api, price_model: ModelVersion) -> None:
    answer = api.post("models/price-model/predictions", {"rows": [{"price": 10}, {"price": None}]})
    assert answer.status_code == 502  # the model made NaN of the missing price, and does not say that it may
    answer = api.post("models/price-model/predictions", {"rows": [{"price": 10}, {"price": 0.5}]})
    assert answer.json()["predictions"] == [{"value": 21.0}, {"value": 2.0}]
    assert (answer.json()["version"], answer.json()["digest"]) == (1, price_model.digest)


def test_a_version_can_be_asked_for_by_alias_and_by_number(api: Api, price_model: ModelVersion) -> None:
    for choice in ({}, {"alias": "champion"}, {"version": 1}):
        assert api.post("models/price-model/predictions", {"rows": [{"price": 1}]} | choice).status_code == 200
    for choice in ({"alias": "nobody"}, {"version": 9}):
        missing = api.post("models/price-model/predictions", {"rows": [{"price": 1}]} | choice)
        assert missing.status_code == 404
        assert str(next(iter(choice.values()))) in missing.json()["detail"]


def test_a_user_and_a_history_get_k_items(api: Api, scenario: str) -> None:
    for who in ({"user_id": "ann"}, {"history": ["a"]}, {"user_id": "stranger"}, {"history": []}):
        answer = api.post("scenarios/home-page/recommendations", who | {"k": 2})
        assert [item["item_id"] for item in answer.json()["items"]] == ["a", "b"]


def test_stored_lists_are_read_back_after_the_job(api: Api, scenario: str) -> None:
    assert api.get("scenarios/home-page/recommendations/ann").status_code == 404
    started = api.post("jobs", {"kind": "bulk-recommendations", "scenario": "home-page"})
    assert started.status_code == 202
    job_id = started.json()["job_id"]
    assert api.get(f"jobs/{job_id}").json()["state"] == "queued"
    run_job(job_id)
    assert (
        api.get(f"jobs/{job_id}").json() | {"done": 3, "total": 3, "state": "succeeded"}
        == api.get(f"jobs/{job_id}").json()
    )
    stored = api.get("scenarios/home-page/recommendations/ann").json()
    assert [item["item_id"] for item in stored["items"]] == ["a", "b", "c"]
    assert api.get("scenarios/home-page/recommendations/nobody").status_code == 404


def test_a_decision_is_made_once_and_read_back(api: Api, workflow: str) -> None:
    body = {"input": ORDER, "request_id": "order-1"}
    made, again = (api.post("workflows/orders/decisions", body) for _ in range(2))
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json()["outcome"] == "accept"
    assert made.json()["timings_ms"].keys() == {"validate", "model", "rules", "commit"}
    assert [action["kind"] for action in made.json()["actions"]] == ["webhook"]
    assert again.json() == made.json() | {"is_repeat": True, "timings_ms": again.json()["timings_ms"]}
    assert api.get(f"decisions/{made.json()['decision_id']}").json()["outcome"] == "accept"
    found = api.get("decisions?workflow=orders&outcome=accept&subject=ann").json()["results"]
    assert [row["decision_id"] for row in found] == [made.json()["decision_id"]]
    assert api.get("decisions?outcome=nothing").json()["results"] == []


def test_pages_follow_their_cursor_to_the_end(api: Api, workflow: str) -> None:
    for number in range(5):
        api.post("workflows/orders/decisions", {"input": ORDER, "request_id": str(number)})
    page = api.get("decisions?page_size=2").json()
    seen = [row["request_id"] for row in page["results"]]
    while page["next"]:
        page = api.get("decisions?" + page["next"].partition("?")[2]).json()
        seen += [row["request_id"] for row in page["results"]]
    assert seen == ["4", "3", "2", "1", "0"]


BAD_PREDICTIONS: list[tuple[Any, int, str]] = [
    ({"rows": [{"price": 1}], "colour": 1}, 422, "/colour"),
    ({"rows": [{"price": "1"}]}, 422, "/rows/0/price"),
    ({"rows": [{"price": True}]}, 422, "/rows/0/price"),
    ({"rows": [{"price": [1]}, {"price": {}}]}, 422, "/rows/1/price"),
    ({"rows": [{}]}, 422, "/rows/0/price"),
    ({"rows": [{"price": 1, "prize": 1}]}, 422, "/rows/0/prize"),
    ({"rows": []}, 422, "/rows"),
    ({"rows": {}}, 422, "/rows"),
    ({}, 422, ""),
    ({"rows": [{"price": 1}], "columns": {"price": [1]}}, 422, ""),
    ({"columns": []}, 422, "/columns"),
    ({"columns": {}}, 422, "/columns"),
    ({"columns": {"price": []}}, 422, "/columns/price"),
    ({"columns": {"price": 1}}, 422, "/columns/price"),
    ({"columns": {"price": [1, "2"]}}, 422, "/columns/price/1"),
    ({"columns": {"prize": [1]}}, 422, "/columns/price"),
    ({"columns": {"price": [1], "prize": [1]}}, 422, "/columns/prize"),
    ([], 422, ""),
    (None, 422, ""),
    ({"rows": [{"price": 1}], "parameters": {"k": 1}}, 422, "/parameters/k"),
    ({"rows": [{"price": 1}], "alias": "a", "version": 1}, 422, ""),
    ({"rows": [{"price": 1}], "version": 0}, 422, "/version"),
    ({"rows": [{"price": 10**400}]}, 400, ""),
    (b'{"rows": [{"price": NaN}]}', 400, ""),
    (b'{"rows": [', 400, ""),
    (b"", 422, ""),
    (b"\xff\xfe", 400, ""),
    (b'{"rows": [{"price": "\\u0000"}]}', 422, ""),
    (b"[" * 100_000, 400, ""),
    (b'{"rows": [{"price": ' + b"[" * 300 + b"]" * 300 + b"}]}", 400, ""),
]


@pytest.mark.parametrize(("body", "status", "pointer"), BAD_PREDICTIONS)
def test_a_bad_prediction_request_names_the_field(
    api: Api, price_model: ModelVersion, body: Any, status: int, pointer: str
) -> None:
    if body == {"rows": [{"price": 10**400}]}:
        body = b'{"rows": [{"price": 1' + b"0" * 400 + b"}]}"
    answer = api.post("models/price-model/predictions", body)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert "Traceback" not in answer.content.decode()
    assert set(problem) >= {"type", "title", "status", "detail", "request_id"}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"user_id": "ann", "history": []}, ""),
        ({"user_id": 3}, "/user_id"),
        ({"history": "a"}, "/history"),
        ({"history": [1]}, "/history/0"),
        ({"user_id": "ann", "k": 0}, "/k"),
        ({"user_id": "ann", "k": 1000}, "/k"),
        ({"user_id": "ann", "kk": 1}, "/kk"),
        ({"history": [""]}, "/history/0"),
    ],
)
def test_a_bad_recommendation_request_names_the_field(api: Api, scenario: str, body: Any, pointer: str) -> None:
    answer = api.post("scenarios/home-page/recommendations", body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/input"),
        ({"input": []}, "/input"),
        ({"input": {"customer_id": "ann"}}, "/input/total"),
        ({"input": ORDER | {"total": "20"}}, "/input/total"),
        ({"input": ORDER | {"colour": 1}}, "/input/colour"),
        ({"input": ORDER, "request_id": ""}, "/request_id"),
        ({"input": ORDER, "request_id": "x" * 201}, "/request_id"),
        ({"input": ORDER, "facts": {}}, "/facts"),
    ],
)
def test_a_bad_decision_request_names_the_field_and_decides_nothing(
    api: Api, workflow: str, body: Any, pointer: str
) -> None:
    answer = api.post("workflows/orders/decisions", body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert not Decision.objects.exists()


def test_a_repeat_with_another_input_is_a_conflict(api: Api, workflow: str) -> None:
    api.post("workflows/orders/decisions", {"input": ORDER, "request_id": "1"})
    other = api.post("workflows/orders/decisions", {"input": ORDER | {"total": 21}, "request_id": "1"})
    assert other.status_code == 409


@pytest.mark.parametrize(
    "path",
    [
        "models/nope/predictions",
        "models/stats/predictions",
        "models/..%2f..%2fetc/predictions",
        "scenarios/nope/recommendations",
        "workflows/nope/decisions",
        "nope",
    ],
)
def test_what_is_not_there_is_a_404_with_a_sentence(api: Api, path: str) -> None:
    body = {"rows": [{}]} if "pred" in path else {"user_id": "a"} if "recomm" in path else {"input": {}}
    answer = api.post(path, body)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("path", ["calls/7", "decisions/7", "jobs/nope", "models/x/versions/a", "v2"])
def test_an_address_of_the_wrong_form_is_a_404(api: Api, path: str) -> None:
    assert api.get(path).status_code == 404


def test_a_body_over_the_limit_is_refused_with_the_limit(api: Api, price_model: ModelVersion) -> None:
    answer = api.post("models/price-model/predictions", b" " * 10_000_000)
    assert answer.status_code == 413
    assert "INFERHUB_MAX_BODY_BYTES" in answer.json()["detail"]


def test_only_json_comes_in_and_goes_out(api: Api, price_model: ModelVersion) -> None:
    assert api.post("models/price-model/predictions", b"a=1", content_type="text/plain").status_code == 415
    refused = api.get("models", Accept="text/html")
    assert (refused.status_code, refused["Content-Type"]) == (406, "application/problem+json")


def test_a_wrong_method_names_the_right_ones(api: Api) -> None:
    answer = api.get("models/x/predictions")
    assert answer.status_code == 405
    assert "POST" in answer["Allow"]


@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
def test_an_unknown_address_is_a_problem_for_every_method(method: str) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = getattr(client, method)("/api/v1/nothing/here")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("name", ["a%00b", "A", "x" * 65, "a/b", "%ff"])
def test_a_name_that_cannot_be_is_a_404_in_every_address(api: Api, name: str) -> None:
    for path in (f"models/{name}", f"models/{name}/versions", f"models/{name}/versions/1", f"workflows/{name}"):
        assert api.get(path).status_code == 404
    for path in (f"models/{name}/predictions", f"workflows/{name}/decisions"):
        assert api.post(path, {"rows": [{}]}, Prefer="respond-async").status_code == 404


def test_a_backslash_before_u0000_is_only_text(api: Api, workflow: str) -> None:
    body = {"input": ORDER | {"customer_id": "C:\\u0000"}}
    assert api.post("workflows/orders/decisions", body).status_code == 201


def test_a_list_of_decisions_takes_as_many_queries_for_six_as_for_two(
    api: Api, workflow: str, django_assert_num_queries: Any
) -> None:
    for number in range(6):
        api.post("workflows/orders/decisions", {"input": ORDER, "request_id": str(number)})
    api.get("decisions?page_size=2")
    for size in (2, 6):
        with django_assert_num_queries(2):
            api.get(f"decisions?page_size={size}")


@pytest.mark.parametrize("cursor", ["x", "%00", "cD0x", "cD1hYmM%3D", "bz0tMQ=="])
def test_a_cursor_that_was_made_up_is_no_crash(api: Api, price_model: ModelVersion, cursor: str) -> None:
    assert api.get(f"models?cursor={cursor}").status_code in (200, 404)
