"""If-Match: a write by somebody who saw another state than the present one does nothing."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from inferhub.accounts.models import Scope
from inferhub.accounts.services import create_api_key
from inferhub.audit.models import AuditEvent
from inferhub.registry.models import Alias, ModelVersion, RegisteredModel
from tests.hub_fixtures import ACTOR, Api, register_direct
from tests.models import linear_model

MODEL, ALIAS, VERSION = "models/price-model", "models/price-model/aliases/champion", "models/price-model/versions/2"
WRITES = [
    (MODEL, "PATCH", MODEL, {"owner": "pricing"}),
    (MODEL, "PUT", f"{MODEL}/policy", {"gates": {"certificate": True}, "reason": "stricter"}),
    (ALIAS, "PUT", ALIAS, {"version": 2, "reason": "better"}),
    (ALIAS, "PUT", f"{ALIAS}/canary", {"version": 2, "percent": 5, "reason": "try it"}),
    (ALIAS, "PUT", f"{ALIAS}/shadow", {"version": 2, "reason": "compare"}),
    (VERSION, "POST", f"{VERSION}/archive", {"reason": "old"}),
]


@pytest.fixture
def second(price_model: ModelVersion) -> ModelVersion:
    return register_direct(name="price-model", task="regression", data=linear_model(3))


def write(api: Api, method: str, path: str, body: Any, **headers: str) -> Any:
    return {"PATCH": api.patch, "PUT": api.put, "POST": api.post}[method](path, body, **headers)


@pytest.mark.parametrize(("read", "method", "path", "body"), WRITES)
def test_a_write_is_done_for_whoever_saw_the_present_state(
    api: Api, second: ModelVersion, read: str, method: str, path: str, body: Any
) -> None:
    tag = api.get(read)["ETag"]
    assert write(api, method, path, body, If_Match=f'"older", {tag}').status_code == 200


@pytest.mark.parametrize(("read", "method", "path", "body"), WRITES)
def test_a_write_after_a_change_does_nothing_and_says_so(
    api: Api, second: ModelVersion, read: str, method: str, path: str, body: Any
) -> None:
    before = api.get(read)
    written = AuditEvent.objects.count()
    answer = write(api, method, path, body, If_Match='"seen-long-ago"')
    assert answer.status_code == 412
    assert answer.json()["type"] == "urn:inferhub:problem:precondition-failed"
    assert before["ETag"] in answer.json()["detail"]
    assert api.get(read).content == before.content
    assert AuditEvent.objects.count() == written


def test_a_weak_tag_is_not_good_enough_for_a_write(api: Api, price_model: ModelVersion) -> None:
    tag = api.get(MODEL)["ETag"]
    assert api.patch(MODEL, {"owner": "a"}, If_Match=f"W/{tag}").status_code == 412


def test_a_star_stands_for_whatever_is_there_and_for_nothing_else(api: Api, price_model: ModelVersion) -> None:
    body = {"version": 1, "reason": "first"}
    assert api.put(f"{MODEL}/aliases/trial", body, If_Match="*").status_code == 412
    assert not Alias.objects.filter(name="trial").exists()
    assert api.patch(MODEL, {"owner": "a"}, If_Match="*").status_code == 200


def test_a_write_that_is_refused_for_another_reason_leaves_its_mark_in_the_audit_log(
    api: Api, second: ModelVersion
) -> None:
    api.put(f"{MODEL}/policy", {"gates": {"certificate": True}, "reason": "stricter"})
    answer = api.put(ALIAS, {"version": 2, "reason": "better"}, If_Match=api.get(ALIAS)["ETag"])
    assert answer.status_code == 409
    assert AuditEvent.objects.filter(action="alias.move_refused").count() == 1


@pytest.fixture
def _committed(transactional_db: None) -> Iterator[None]:
    yield
    connection.close()


@pytest.mark.usefixtures("_committed")
def test_of_two_who_saw_the_same_one_writes() -> None:
    register_direct(name="price-model", task="regression", data=linear_model())
    api = Api(create_api_key(name="editor", scopes=list(Scope.values), actor=ACTOR)[1])
    tag = api.get(MODEL)["ETag"]

    def edit(owner: str) -> int:
        try:
            return int(api.patch(MODEL, {"owner": owner}, If_Match=tag).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(edit, "abcdefgh"))
    assert sorted(statuses) == [200] + [412] * 7
    assert RegisteredModel.objects.get().owner == "abcdefgh"[statuses.index(200)]
