"""A share of an alias's requests goes to its canary, always the same ones."""

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferhub.decisions.models import Decision
from inferhub.decisions.services import decide, save_workflow
from inferhub.inference import services
from inferhub.inference.services import predict
from inferhub.recommendations.services import recommend
from inferhub.registry.aliases import move_alias
from inferhub.registry.models import Alias, ModelVersion
from inferhub.registry.queries import AliasRow, Route, VersionPlan, find_version
from inferhub.runtime.pipeline import parse_pipeline
from inferhub.runtime.signature import Signature
from tests.hub_fixtures import ACTOR, WORKFLOW, Api, register_direct
from tests.models import fixed_recommender, linear_model

NOTHING = Signature(inputs=(), outputs=())
KEYS = [f"customer-{number}" for number in range(20_000)]


def route(percent: int, *, alias: str = "champion") -> Route:
    row = AliasRow("price-model", alias, 1, 1, 2, percent, None)
    return Route(row=row, version=plan(1), canary=plan(2), shadow=None)


def plan(number: int) -> VersionPlan:
    return VersionPlan(
        id=number,
        model="price-model",
        task="regression",
        number=number,
        digest="",
        memory_bytes=0,
        signature=NOTHING,
        labels=(),
        pipeline=parse_pipeline({}, NOTHING),
    )


def chosen(percent: int) -> set[str]:
    found = route(percent)
    return {key for key in KEYS if found.pick(key).number == 2}


@pytest.mark.parametrize("percent", [1, 5, 25, 50, 99])
def test_the_share_of_keys_is_the_one_that_was_asked_for(percent: int) -> None:
    share = percent / 100
    sigma = math.sqrt(len(KEYS) * share * (1 - share))
    assert abs(len(chosen(percent)) - len(KEYS) * share) <= 3 * sigma


def test_a_larger_share_keeps_the_keys_of_the_smaller_one() -> None:
    shares = [chosen(percent) for percent in (1, 5, 25, 50, 99)]
    assert all(smaller < larger for smaller, larger in pairwise(shares))


@given(key=st.text(min_size=1), percent=st.integers(1, 99))
def test_a_key_gets_the_same_version_every_time(key: str, percent: int) -> None:
    assert route(percent).pick(key) == route(percent).pick(key)


def test_the_canaries_of_two_aliases_get_different_keys() -> None:
    other = {key for key in KEYS if route(10, alias="challenger").pick(key).number == 2}
    assert len(other & chosen(10)) < len(other) / 2


def test_requests_without_a_key_are_dealt_at_random() -> None:
    found = route(50)
    assert {found.pick("").number for _ in range(200)} == {1, 2}


@pytest.fixture
def canary(price_model: ModelVersion) -> ModelVersion:
    """Version 2, three times the price and one; half of the requests."""
    second = register_direct(name="price-model", task="regression", data=linear_model(3))
    Alias.objects.filter(model__name="price-model").update(canary_version=second, canary_percent=50)
    return second


def versions_by_key(ask: Any) -> dict[str, int]:
    return {key: ask(key) for key in KEYS[:40]}


EXPECTED = {key: route(50).pick(key).number for key in KEYS[:40]}


def test_rest_takes_the_key_from_the_body_and_says_which_version_answered(api: Api, canary: ModelVersion) -> None:
    def ask(key: str) -> int:
        answer = api.post("models/price-model/predictions", {"rows": [{"price": 10}], "key": key}).json()
        assert answer["predictions"] == [{"value": 31.0 if answer["version"] == 2 else 21.0}]
        return int(answer["version"])

    assert versions_by_key(ask) == EXPECTED


@pytest.mark.parametrize("place", ["parameter", "id"])
def test_the_open_inference_protocol_takes_the_parameter_key_or_the_id(
    api: Api, canary: ModelVersion, place: str
) -> None:
    tensor = {"name": "price", "datatype": "FP32", "shape": [1, 1], "data": [10]}

    def ask(key: str) -> int:
        named = {"parameters": {"key": key}, "id": "other"} if place == "parameter" else {"id": key}
        answer = api._client.post(
            "/v2/models/price-model/infer",
            {"inputs": [tensor]} | named,
            content_type="application/json",
            headers={"Authorization": f"Bearer {api.secret}"},
        ).json()
        return int(answer["model_version"])

    assert versions_by_key(ask) == EXPECTED


@pytest.mark.parametrize("subject", ["customer_id", ""])
def test_a_decision_goes_by_its_subject_or_else_by_its_request_id(
    workflow: str, canary: ModelVersion, subject: str
) -> None:
    definition = {name: value for name, value in WORKFLOW.items() if name != "subject"}
    save_workflow(name="orders", definition=definition | ({"subject": subject} if subject else {}), actor=ACTOR)

    def ask(key: str) -> int:
        facts = {"customer_id": key if subject else "anybody", "total": 10, "price": 10}
        decision: Decision = decide(workflow="orders", facts_in=facts, request_id="" if subject else key, actor=ACTOR)[
            0
        ]
        return int(decision.predictions["value"]["version"])

    assert versions_by_key(ask) == EXPECTED


def test_recommendations_go_by_the_user(scenario: str) -> None:
    second = register_direct(name="items", task="recommendation", data=fixed_recommender(best=6), alias="", actor=ACTOR)
    Alias.objects.filter(model__name="items").update(canary_version=second, canary_percent=50)
    answers = [{recommend(scenario=scenario, user_id=key).version for _ in range(3)} for key in KEYS[:20]]
    assert all(len(versions) == 1 for versions in answers)
    assert set.union(*answers) == {1, 2}


def test_one_decision_uses_one_version_though_the_alias_moves_between_its_predictions(
    workflow: str, price_model: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = [{"name": name, "model": "price-model", "inputs": {"price": "price"}} for name in ("value", "again")]
    save_workflow(name="orders", definition=WORKFLOW | {"predictions": twice}, actor=ACTOR)
    second = register_direct(name="price-model", task="regression", data=linear_model(3))
    predict_with = services.predict_with

    def predict_and_move(*args: Any, **options: Any) -> Any:
        answer = predict_with(*args, **options)
        move_alias(version=second, alias="champion", actor=ACTOR, reason="in between")
        return answer

    monkeypatch.setattr(services, "predict_with", predict_and_move)
    decision, _ = decide(workflow="orders", facts_in={"customer_id": "ann", "total": 10, "price": 10}, actor=ACTOR)
    assert [decision.predictions[name]["version"] for name in ("value", "again")] == [1, 1]
    assert predict(model="price-model", rows=[{"price": 10}]).version == 2


def test_a_canary_is_no_version_of_a_fixed_number_and_none_of_the_alias_itself(canary: ModelVersion) -> None:
    assert {predict(model="price-model", version=1, rows=[{"price": 1}], key=key).version for key in KEYS[:20]} == {1}
    assert find_version("price-model").number == 1
