"""A small hub: a price model, a fixed recommender, one rule set, one workflow, one webhook endpoint, one API key."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.test import Client

from inferhub.accounts.models import Scope
from inferhub.accounts.services import create_api_key
from inferhub.catalog.services import replace_events
from inferhub.decisions.endpoints import save_endpoint
from inferhub.decisions.services import save_workflow
from inferhub.demo.receiver import WebhookReceiver
from inferhub.lib.snapshots import Snapshots
from inferhub.recommendations.services import save_scenario
from inferhub.registry import services
from inferhub.registry.models import ModelVersion
from inferhub.registry.services import register_version
from inferhub.rulesets.services import save_rule_set
from inferhub.runtime.check import ModelReport, check_model
from tests.models import fixed_recommender, linear_model

ACTOR = "user:tester"

RULES: dict[str, Any] = {
    "hit_policy": "first",
    "inputs": [
        {"field": "input.total", "type": "number", "label": "Total"},
        {"field": "prediction.value.value", "type": "number", "label": "Expected value"},
    ],
    "outputs": [{"field": "outcome", "type": "string", "label": "Outcome"}],
    "rules": [
        {"when": ["> 1000", ""], "then": ['"hold"'], "note": "large"},
        {"when": ["", ">= 100"], "then": ['"fast"'], "note": "promising"},
        {"when": ["", ""], "then": ['"accept"'], "note": "all others"},
    ],
}
WORKFLOW: dict[str, Any] = {
    "input": {
        "type": "object",
        "properties": {
            "customer_id": {"type": "string"},
            "total": {"type": ["number", "null"]},
            "price": {"type": ["number", "null"]},
        },
        "required": ["customer_id", "total"],
    },
    "subject": "customer_id",
    "predictions": [{"name": "value", "model": "price-model", "inputs": {"price": "price"}}],
    "rule_set": "screening",
    "actions": {
        "accept": [{"kind": "webhook", "endpoint": "shop"}],
        "hold": [{"kind": "review", "title": "Look at this order"}, {"kind": "webhook", "endpoint": "shop"}],
        "review": [{"kind": "review", "title": "Something is missing"}],
    },
}


class Api:
    """A caller with one API key. Any 500 fails the test that caused it."""

    def __init__(self, secret: str) -> None:
        self._client = Client(raise_request_exception=False)
        self.secret = secret

    def get(self, path: str, **headers: str) -> Any:
        return self._checked(self._client.get(f"/api/v1/{path}", headers=self._headers(headers)))

    def post(self, path: str, body: Any, **headers: str) -> Any:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        kind = headers.pop("content_type", "application/json")
        address = f"/api/v1/{path}"
        return self._checked(self._client.post(address, data, content_type=kind, headers=self._headers(headers)))

    def put(self, path: str, body: Any, **headers: str) -> Any:
        return self._send("PUT", path, body, headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self._send("PATCH", path, body, headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self._checked(self._client.delete(f"/api/v1/{path}", headers=self._headers(headers)))

    def _send(self, method: str, path: str, body: Any, given: dict[str, str]) -> Any:
        data, headers = orjson.dumps(body), self._headers(given)
        return self._checked(self._client.generic(method, f"/api/v1/{path}", data, "application/json", headers=headers))

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"} | {key.replace("_", "-"): v for key, v in headers.items()}

    def _checked(self, response: Any) -> Any:
        assert response.status_code != 500, response.content
        return response


def register_direct(**words: Any) -> ModelVersion:
    """Register a version of a model whose aliases move at once."""
    return register_version(**{"approval": "direct", "actor": ACTOR} | words)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    Snapshots.forget_all()


@pytest.fixture(autouse=True)
def _files_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of a file takes most of a second; its verdict on the same bytes is the same."""
    monkeypatch.setattr(services, "check_model", _check_once)


def _check_once(path: Path, **options: Any) -> ModelReport:
    question = (path.read_bytes(), *options.values())
    if question not in _reports:
        _reports[question] = check_model(path, **options)
    return _reports[question]


_reports: dict[Any, ModelReport] = {}


@pytest.fixture
def api(db: None) -> Api:
    return Api(create_api_key(name="test shop", scopes=list(Scope.values), actor=ACTOR)[1])


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
def price_model(db: None) -> ModelVersion:
    return register_direct(name="price-model", task="regression", data=linear_model(), alias="champion")


@pytest.fixture
def scenario(db: None) -> str:
    """`home-page`, and three customers: ann bought a and b, ben bought c, cid bought d."""
    register_direct(name="items", task="recommendation", data=fixed_recommender(), alias="champion")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    bought = [("ann", "a"), ("ann", "b"), ("ben", "c"), ("cid", "d")]
    rows = ((user, item, "purchase", 1.0, start + timedelta(days=day)) for day, (user, item) in enumerate(bought))
    replace_events(rows, actor=ACTOR)
    save_scenario(name="home-page", model="items", k=3, actor=ACTOR)
    return "home-page"


@pytest.fixture
def workflow(price_model: ModelVersion, receiver: WebhookReceiver) -> str:
    receiver.secret = save_endpoint(name="shop", url=receiver.url, actor=ACTOR)[1]
    save_rule_set(name="screening", definition=RULES, actor=ACTOR, approval="direct")
    save_workflow(name="orders", definition=WORKFLOW, actor=ACTOR, approval="direct")
    return "orders"
