"""If-Match: a write by somebody who saw another state than the present one does nothing."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from inferhub.accounts.models import Scope
from inferhub.accounts.services import create_api_key
from inferhub.audit.models import AuditEvent
from inferhub.decisions.services import save_workflow
from inferhub.decisions.testing import save_workflow_test
from inferhub.lists.services import save_list
from inferhub.registry.models import Alias, ModelVersion, RegisteredModel
from inferhub.rulesets.services import save_rule_set
from tests.hub_fixtures import ACTOR, RULES, WORKFLOW, Api, register_direct
from tests.models import linear_model

MODEL, ALIAS, VERSION = "models/price-model", "models/price-model/aliases/champion", "models/price-model/versions/2"
OTHER_RULES = RULES | {"rules": [RULES["rules"][0] | {"when": ["> 2000", ""]}, *RULES["rules"][1:]]}
STRICT_RULES = RULES | {"rules": [RULES["rules"][0] | {"when": ["> 1", ""]}, *RULES["rules"][1:]]}
WRITES = [
    (MODEL, "PATCH", MODEL, {"owner": "pricing"}),
    (MODEL, "PUT", f"{MODEL}/policy", {"gates": {"certificate": True}, "reason": "stricter"}),
    (ALIAS, "PUT", ALIAS, {"version": 2, "reason": "better"}),
    (ALIAS, "PUT", f"{ALIAS}/canary", {"version": 2, "percent": 5, "reason": "try it"}),
    (ALIAS, "PUT", f"{ALIAS}/shadow", {"version": 2, "reason": "compare"}),
    (VERSION, "POST", f"{VERSION}/archive", {"reason": "old"}),
]

FLOW, RULE_SET, LIST = "workflows/orders", "rule-sets/screening", "lists/blocked"
CASE = {"name": "a case", "input": {"customer_id": "ann", "total": 5, "price": 1}, "expect": {"outcome": "accept"}}
FACTS = {"input": {"total": 5}, "prediction": {"value": {"value": 5}}}
RULE_CASE = {"name": "a case", "facts": FACTS, "expect": {"outputs": {"outcome": "accept"}}}
REASON = {"reason": "better"}
AUTHORED = [
    (LIST, "PUT", LIST, {"description": "others"}, 200),
    (LIST, "PATCH", f"{LIST}/entries", {"add": [{"value": "ann"}]}, 200),
    (f"{FLOW}/versions", "POST", f"{FLOW}/versions", {"definition": WORKFLOW | {"subject": ""}, "is_draft": True}, 201),
    (f"{RULE_SET}/versions", "POST", f"{RULE_SET}/versions", {"definition": OTHER_RULES}, 201),
    (f"{FLOW}/publications", "POST", f"{FLOW}/publications", {"version": 1} | REASON, 201),
    (f"{FLOW}/publications", "POST", f"{FLOW}/rollback", REASON, 201),
    (FLOW, "PUT", f"{FLOW}/policy", {"approval": "four-eyes"} | REASON, 200),
    (f"{FLOW}/tests", "POST", f"{FLOW}/tests", CASE, 200),
    (f"{FLOW}/tests", "PUT", f"{FLOW}/tests", {"tests": [CASE]}, 200),
    (f"{RULE_SET}/tests", "POST", f"{RULE_SET}/tests", RULE_CASE, 200),
]


@pytest.fixture
def authored(workflow: str) -> None:
    """A second version of the workflow is in force, one test case is there, and a list."""
    save_workflow(name="orders", definition=WORKFLOW | {"retention_months": 3}, actor=ACTOR)
    save_workflow_test(workflow="orders", case=CASE | {"name": "another"}, actor=ACTOR)
    save_list(name="blocked", description="", actor=ACTOR)


@pytest.mark.usefixtures("authored")
@pytest.mark.parametrize(("read", "method", "path", "body", "status"), AUTHORED)
def test_what_is_authored_is_changed_for_whoever_saw_its_present_state(
    api: Api, read: str, method: str, path: str, body: Any, status: int
) -> None:
    before = api.get(read)
    written = AuditEvent.objects.count()
    answer = write(api, method, path, body, If_Match='"seen-long-ago"')
    assert (answer.status_code, before["ETag"] in answer.json()["detail"]) == (412, True)
    assert (api.get(read).content, AuditEvent.objects.count()) == (before.content, written)
    answer = write(api, method, path, body, If_Match=before["ETag"])
    assert answer.status_code == status, answer.content
    assert write(api, method, path, body, If_Match=before["ETag"]).status_code == 412


@pytest.mark.usefixtures("authored")
def test_files_and_removals_ask_as_well(api: Api, client: Client) -> None:
    def send(path: str, tag: str, **fields: Any) -> int:
        headers = {"Authorization": f"Bearer {api.secret}", "If-Match": tag}
        return client.post(f"/api/v1/{path}", fields, headers=headers).status_code

    def csv() -> SimpleUploadedFile:
        return SimpleUploadedFile("list.csv", b"value\nann\n")

    tag = api.get(LIST)["ETag"]
    assert send(f"{LIST}/file", '"old"', file=csv(), mode="add") == 412
    assert send(f"{LIST}/file", tag, file=csv(), mode="add") == 200
    rules = api.get(f"{RULE_SET}/file?format=jdm").content.replace(b"1000", b"2000")
    tag = api.get(RULE_SET)["ETag"]
    for given, status in (('"old"', 412), (tag, 200)):
        file = SimpleUploadedFile("rules.json", rules)
        assert send(f"{RULE_SET}/file", given, file=file, format="jdm") == status
    tag = api.get(f"{FLOW}/tests")["ETag"]
    assert api.delete(f"{FLOW}/tests/another", If_Match='"old"').status_code == 412
    assert api.delete(f"{FLOW}/tests/another", If_Match=tag).status_code == 204


@pytest.mark.usefixtures("authored")
def test_a_version_that_fails_its_test_case_is_saved_though_it_is_not_published(api: Api) -> None:
    definition = WORKFLOW | {"rule_set": "strict"}
    save_rule_set(name="strict", definition=STRICT_RULES, actor=ACTOR, approval="direct")
    tag = api.get(f"{FLOW}/versions")["ETag"]
    assert api.post(f"{FLOW}/versions", {"definition": definition}, If_Match=tag).status_code == 409
    assert [one["version"] for one in api.get(f"{FLOW}/versions").json()["versions"]] == [3, 2, 1]


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
