"""Moves that take two people: what is asked for, who may decide, and what is refused."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, connections, transaction

from inferhub.accounts.models import ApiKey, User
from inferhub.accounts.services import create_api_key
from inferhub.approvals.models import ChangeRequest
from inferhub.approvals.services import approve_change, reject_change, request_change, withdraw_change
from inferhub.audit.models import AuditEvent
from inferhub.errors import Conflict, InferhubError, InvalidInput, NotPermitted
from inferhub.inference.services import predict
from inferhub.registry.aliases import move_alias, rollback_alias, set_canary, set_shadow
from inferhub.registry.models import Alias, ModelVersion, RegisteredModel
from inferhub.registry.policies import edit_model, set_policy
from inferhub.registry.services import register_version
from tests.api.test_registering import _upload
from tests.hub_fixtures import ACTOR, Api, register_direct
from tests.models import linear_model

pytestmark = pytest.mark.django_db


def make_person(name: str, role: str = "approver") -> str:
    """Somebody with a role, as an actor."""
    person = User.objects.create_user(name, is_staff=True)
    person.groups.add(Group.objects.get(name=role))
    return f"user:{name}"


@pytest.fixture
def ann(db: None) -> str:
    return make_person("ann")


@pytest.fixture
def ben(db: None) -> str:
    return make_person("ben")


@pytest.fixture
def second(price_model: ModelVersion) -> ModelVersion:
    """Version 2 of a model whose champion is version 1 and whose aliases take four eyes."""
    version = register_direct(name="price-model", task="regression", data=linear_model(3))
    set_policy(model=price_model.model, approval="four-eyes", actor=ACTOR, reason="it matters")
    return version


@pytest.fixture
def asked(second: ModelVersion, ann: str) -> ChangeRequest:
    """Ann asks for version 2."""
    change = move_alias(version=second, alias="champion", actor=ann, reason="better on the holdout")
    assert isinstance(change, ChangeRequest)
    return change


def champion() -> int:
    return Alias.objects.get(model__name="price-model", name="champion").version.number


def events(action: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action))


def test_a_model_takes_four_eyes_where_nobody_says_otherwise(ann: str, ben: str) -> None:
    version = register_version(name="new", task="regression", data=linear_model(), alias="champion", actor=ann)
    assert version.model.approval == "four-eyes"
    assert not Alias.objects.exists()
    approve_change(change_id=ChangeRequest.objects.get().pk, actor=ben)
    assert Alias.objects.get().version == version


def test_a_move_waits_until_another_person_approves_it(asked: ChangeRequest, ben: str) -> None:
    assert (asked.state, champion()) == ("pending", 1)
    approved = approve_change(change_id=asked.pk, actor=ben, reason="agreed")
    assert (approved.state, approved.decided_by, champion()) == ("approved", "user:ben", 2)
    assert approved.applied_at is not None
    assert predict(model="price-model", rows=[{"price": 10}]).rows == [{"value": 31.0}]
    assert [event.actor for event in (*events("change.requested"), *events("change.approved"))] == [
        "user:ann",
        "user:ben",
    ]
    moved = events("alias.moved")[0]
    assert moved.details == {"from": 1, "to": 2, "reason": "better on the holdout", "change": asked.pk}


def test_nobody_approves_the_own_wish(asked: ChangeRequest, ann: str) -> None:
    with pytest.raises(NotPermitted, match="ann asked for this change and cannot approve it as well"):
        approve_change(change_id=asked.pk, actor=ann)
    assert champion() == 1
    refused = events("change.approval_refused")[0]
    assert (refused.actor, refused.details["change"]) == ("user:ann", asked.pk)


def test_the_owner_of_an_api_key_does_not_approve_what_it_asked_for(second: ModelVersion, ann: str) -> None:
    key, _ = create_api_key(name="pipeline", scopes=["register"], actor=ann)
    change = move_alias(version=second, alias="champion", actor=f"api-key:{key.prefix}", reason="nightly")
    assert isinstance(change, ChangeRequest)
    with pytest.raises(NotPermitted, match="ann asked for this change"):
        approve_change(change_id=change.pk, actor=ann)


def test_an_api_key_does_not_approve_what_its_owner_asked_for(asked: ChangeRequest, ann: str) -> None:
    key, _ = create_api_key(name="anns", scopes=["approve"], actor=ann)
    with pytest.raises(NotPermitted, match="ann asked for this change"):
        approve_change(change_id=asked.pk, actor=f"api-key:{key.prefix}")


def test_an_api_key_of_nobody_approves_nothing(asked: ChangeRequest) -> None:
    key, _ = create_api_key(name="cli", scopes=["approve"], actor="cli:root")
    with pytest.raises(NotPermitted, match="takes a person"):
        approve_change(change_id=asked.pk, actor=f"api-key:{key.prefix}")


@pytest.mark.parametrize("actor", ["user:nobody", "cli:ben", "system:sweeper", "api-key:ffffffff", "ben", ""])
def test_only_people_approve(asked: ChangeRequest, ben: str, actor: str) -> None:
    with pytest.raises(NotPermitted, match="takes a person"):
        approve_change(change_id=asked.pk, actor=actor)


@pytest.mark.parametrize("decide", [approve_change, reject_change])
def test_a_person_without_the_role_decides_nothing(asked: ChangeRequest, decide: Callable[..., object]) -> None:
    make_person("dora", role="data scientist")
    with pytest.raises(NotPermitted, match="the role approver is missing"):
        decide(change_id=asked.pk, actor="user:dora", reason="no")


def test_a_person_who_was_switched_off_approves_nothing(asked: ChangeRequest, ben: str) -> None:
    key, _ = create_api_key(name="bens", scopes=["approve"], actor=ben)
    User.objects.filter(username="ben").update(is_active=False)
    for actor in (ben, f"api-key:{key.prefix}"):
        with pytest.raises(NotPermitted, match="switched off"):
            approve_change(change_id=asked.pk, actor=actor)
    assert champion() == 1


def test_a_request_is_decided_once(asked: ChangeRequest, ben: str) -> None:
    reject_change(change_id=asked.pk, actor=ben, reason="not yet")
    for decide in (approve_change, reject_change):
        with pytest.raises(Conflict, match="rejected already, by user:ben"):
            decide(change_id=asked.pk, actor=ben, reason="after all")
    assert champion() == 1
    assert events("change.rejected")[0].details["reason"] == "not yet"


def test_what_was_withdrawn_cannot_be_approved(asked: ChangeRequest, ann: str, ben: str) -> None:
    with pytest.raises(NotPermitted, match="Only user:ann can withdraw"):
        withdraw_change(change_id=asked.pk, actor=ben)
    assert [event.actor for event in events("change.withdrawal_refused")] == ["user:ben"]
    withdraw_change(change_id=asked.pk, actor=ann, reason="a mistake")
    with pytest.raises(Conflict, match="withdrawn already"):
        approve_change(change_id=asked.pk, actor=ben)
    assert [event.actor for event in events("change.withdrawn")] == ["user:ann"]


def test_an_alias_waits_for_one_move_at_a_time(asked: ChangeRequest, second: ModelVersion, ben: str) -> None:
    with pytest.raises(Conflict, match=f"waits for approval already: request {asked.pk} by user:ann"):
        move_alias(version=second, alias="champion", actor=ben, reason="me too")
    assert isinstance(move_alias(version=second, alias="challenger", actor=ben, reason="try"), ChangeRequest)


def test_a_rejection_needs_a_reason(asked: ChangeRequest, ben: str) -> None:
    with pytest.raises(InvalidInput):
        reject_change(change_id=asked.pk, actor=ben, reason=" ")


def test_gates_run_again_when_a_move_is_approved(asked: ChangeRequest, ann: str, ben: str) -> None:
    policy = set_policy(model=asked_model(), gates={"certificate": True}, actor=ann, reason="proof")
    assert isinstance(policy, ChangeRequest)
    approve_change(change_id=policy.pk, actor=ben)
    with pytest.raises(Conflict, match="has no certificate"):
        approve_change(change_id=asked.pk, actor=ben)
    asked.refresh_from_db()
    assert (asked.state, champion()) == ("pending", 1)
    assert "no certificate" in events("change.approval_refused")[0].details["why"]


def asked_model() -> RegisteredModel:
    return RegisteredModel.objects.get(name="price-model")


def test_a_version_that_was_archived_meanwhile_is_not_moved_to(asked: ChangeRequest, ben: str) -> None:
    ModelVersion.objects.filter(pk=asked.payload["version_id"]).update(state="archived", state_reason="old")
    with pytest.raises(Conflict, match="is archived"):
        approve_change(change_id=asked.pk, actor=ben)


def test_a_rollback_is_one_step_and_at_once(asked: ChangeRequest, ann: str, ben: str) -> None:
    approve_change(change_id=asked.pk, actor=ben)
    alias = rollback_alias(alias=Alias.objects.get(), actor=ann, reason="errors went up")
    assert alias.version.number == champion() == 1
    assert events("alias.rolled_back")[0].details == {"from": 2, "to": 1, "reason": "errors went up"}


def test_two_people_who_roll_back_at_once_do_not_undo_each_other(asked: ChangeRequest, ann: str, ben: str) -> None:
    approve_change(change_id=asked.pk, actor=ben)
    alias = Alias.objects.get()
    rollback_alias(alias=alias, actor=ann, reason="errors", from_version=2)
    with pytest.raises(Conflict, match="points at version 1 now, not at 2"):
        rollback_alias(alias=alias, actor=ben, reason="errors", from_version=2)
    assert champion() == 1


def test_an_alias_that_never_moved_has_nothing_to_go_back_to(price_model: ModelVersion) -> None:
    with pytest.raises(Conflict, match="never pointed at another version"):
        rollback_alias(alias=Alias.objects.get(), actor=ACTOR, reason="errors")


def test_a_canary_takes_approval_and_less_of_it_does_not(second: ModelVersion, ann: str, ben: str) -> None:
    alias = Alias.objects.get()
    change = set_canary(alias=alias, version=second, percent=20, actor=ann, reason="carefully")
    assert isinstance(change, ChangeRequest)
    approve_change(change_id=change.pk, actor=ben)
    alias.refresh_from_db()
    assert (alias.canary_version_id, alias.canary_percent) == (second.pk, 20)
    less = set_canary(alias=alias, version=second, percent=5, actor=ann, reason="slower")
    assert isinstance(less, Alias)
    assert isinstance(set_canary(alias=alias, version=second, percent=50, actor=ann, reason="faster"), ChangeRequest)
    set_canary(alias=alias, version=None, percent=0, actor=ann, reason="errors")
    alias.refresh_from_db()
    assert (alias.canary_version_id, alias.canary_percent) == (None, 0)
    assert len(events("alias.canary_set")) == 3


def test_a_shadow_needs_no_approval_and_a_move_ends_it(second: ModelVersion, ann: str, ben: str) -> None:
    alias = set_shadow(alias=Alias.objects.get(), version=second, actor=ann, reason="compare")
    assert alias.shadow_version == second
    change = move_alias(version=second, alias="champion", actor=ann, reason="it is better")
    assert isinstance(change, ChangeRequest)
    approve_change(change_id=change.pk, actor=ben)
    alias.refresh_from_db()
    assert (alias.version_id, alias.shadow_version_id) == (second.pk, None)


@pytest.mark.parametrize("percent", [0, 100, -1])
def test_a_canary_has_from_1_to_99_percent(second: ModelVersion, percent: int) -> None:
    with pytest.raises(InvalidInput, match="from 1 to 99"):
        set_canary(alias=Alias.objects.get(), version=second, percent=percent, actor=ACTOR, reason="x")


def test_neither_canary_nor_shadow_is_the_champion_or_another_models_version(second: ModelVersion) -> None:
    alias, other = Alias.objects.get(), register_direct(name="other", task="regression", data=linear_model(9))
    for version in (alias.version, other):
        with pytest.raises(InvalidInput, match="another version of price-model"):
            set_canary(alias=alias, version=version, percent=5, actor=ACTOR, reason="x")
        with pytest.raises(InvalidInput, match="another version of price-model"):
            set_shadow(alias=alias, version=version, actor=ACTOR, reason="x")


def test_four_eyes_end_only_by_four_eyes(second: ModelVersion, ann: str, ben: str) -> None:
    change = set_policy(model=second.model, approval="direct", actor=ann, reason="too slow")
    assert isinstance(change, ChangeRequest)
    assert asked_model().approval == "four-eyes"
    approve_change(change_id=change.pk, actor=ben)
    assert asked_model().approval == "direct"
    assert events("model.policy_changed")[0].details["to"] == {"approval": "direct", "gates": {}}


def test_an_approved_list_of_gates_is_no_approval_of_half_of_it(second: ModelVersion, ann: str, ben: str) -> None:
    person = User.objects.get(username="ben")
    payload = {"approval": "four-eyes", "gates": {"certificate": True, "golden": True}}
    change = request_change(kind="model.policy", subject="model:price-model", payload=payload, reason="x", actor=ann)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE approvals_changerequest SET state = 'approved', decided_by = %s, decided_person_id = %s, "
            "decided_at = now() WHERE id = %s",
            [ben, person.pk, change.pk],
        )
    with pytest.raises(Exception, match="for exactly this"), transaction.atomic():
        RegisteredModel.objects.filter(name="price-model").update(
            gates={"certificate": True}, approval_change=change.pk
        )


def test_what_a_model_says_of_itself_is_changed_and_audited(second: ModelVersion, ann: str) -> None:
    edit_model(model=second.model, description="New words.", owner="pricing", tags=["shop"], actor=ann)
    changed = events("model.changed")[0]
    assert changed.details["to"] == {"description": "New words.", "owner": "pricing", "tags": ["shop"]}
    edit_model(model=second.model, owner="pricing", actor=ann)
    assert len(events("model.changed")) == 1


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ({"tags": ["No Slug"]}, "/tags/0"),
        ({"owner": "x" * 201}, "/owner"),
        ({"tags": ["a"] + [f"t{n}" for n in range(21)]}, "/tags"),
    ],
)
def test_a_bad_word_about_a_model_is_named(price_model: ModelVersion, words: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        edit_model(model=price_model.model, actor=ACTOR, **words)
    assert place in [error.pointer for error in caught.value.errors]


def test_an_api_key_belongs_to_the_person_who_makes_it(ann: str) -> None:
    create_api_key(name="hers", scopes=["read"], actor=ann)
    create_api_key(name="nobodys", scopes=["read"], actor="cli:root")
    owners = {key.name: key.owner and key.owner.username for key in ApiKey.objects.all()}
    assert owners == {"hers": "ann", "nobodys": None}


@pytest.mark.django_db(transaction=True)
def test_of_many_approvals_at_once_one_counts(second: ModelVersion) -> None:
    # Superusers: a test that commits does not rely on roles, which others that did so have emptied.
    asker, *actors = [User.objects.create_superuser(f"person{number}").username for number in range(5)]
    change = move_alias(version=second, alias="champion", actor=f"user:{asker}", reason="better")
    assert isinstance(change, ChangeRequest)
    actors = [f"user:{name}" for name in actors]
    outcomes: list[str] = []

    def approve(actor: str) -> None:
        try:
            approve_change(change_id=change.pk, actor=actor)
            outcomes.append("approved")
        except InferhubError as exc:
            outcomes.append(str(exc))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=approve, args=(actor,)) for actor in actors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("approved") == 1
    assert sum("approved already" in outcome for outcome in outcomes) == 3
    assert len(events("alias.moved")) == 2  # the first champion, and this one


def test_over_rest_a_move_is_accepted_and_waits(second: ModelVersion, api: Api, ann: str, ben: str) -> None:
    answer = api.put("models/price-model/aliases/champion", {"version": 2, "reason": "better"})
    assert answer.status_code == 202
    address = answer["Location"].split("/api/v1/")[1]
    read = api.get(address).json()
    assert (read["state"], read["payload"]["version"], read["now"]) == ("pending", 2, {"gates": [], "now": 1})
    assert api.post(f"{address}/approve", {}).status_code == 403  # this key is nobody's
    bens = Api(create_api_key(name="bens", scopes=["approve"], actor=ben)[1])
    approved = bens.post(f"{address}/approve", {"reason": "agreed"})
    assert (approved.status_code, approved.json()["decided_by"][:8]) == (200, "api-key:")
    assert bens.post(f"{address}/approve", {}).status_code == 409
    assert api.get("models/price-model/aliases/champion").json()["previous_version"] == 1


def test_over_rest_the_own_wish_is_answered_with_403_and_why(second: ModelVersion, ann: str) -> None:
    anns = Api(create_api_key(name="anns", scopes=["register", "approve", "read"], actor=ann)[1])
    anns.put("models/price-model/aliases/champion", {"version": 2, "reason": "better"})
    change = ChangeRequest.objects.get()
    answer = anns.post(f"changes/{change.pk}/approve", {})
    assert answer.status_code == 403
    assert "ann asked for this change" in answer.json()["detail"]
    assert anns.post(f"changes/{change.pk}/withdraw", {}).json()["state"] == "withdrawn"
    assert [entry["id"] for entry in anns.get("changes?state=withdrawn").json()["results"]] == [change.pk]
    assert anns.get("changes?state=pending").json()["results"] == []


def test_over_rest_rollback_canary_shadow_policy_and_words(price_model: ModelVersion, api: Api) -> None:
    register_direct(name="price-model", task="regression", data=linear_model(3))
    champion = "models/price-model/aliases/champion"
    assert api.put(f"{champion}/canary", {"version": 2, "percent": 10, "reason": "x"}).json()["canary_percent"] == 10
    assert api.put(f"{champion}/canary", {"version": None, "reason": "x"}).json()["canary_version"] is None
    assert api.put(f"{champion}/canary", {"version": 2, "reason": "x"}).status_code == 422
    assert api.put(f"{champion}/shadow", {"version": 2, "reason": "x"}).json()["shadow_version"] == 2
    assert api.put(champion, {"version": 2, "reason": "x"}).status_code == 200
    rolled = api.post(f"{champion}/rollback", {"reason": "errors", "from_version": 2}).json()
    assert (rolled["version"], rolled["previous_version"]) == (1, 2)
    assert api.post(f"{champion}/rollback", {"reason": "errors", "from_version": 2}).status_code == 409
    assert api.patch("models/price-model", {"owner": "pricing", "tags": ["a", "a"]}).json()["tags"] == ["a"]
    assert api.patch("models/price-model", {"name": "other"}).status_code == 422
    wrong = api.put("models/price-model/policy", {"gates": {"colour": 1}, "reason": "x"})
    assert wrong.json()["errors"][0]["pointer"] == "/gates/colour"
    assert api.put("models/price-model/policy", {"approval": "four-eyes", "reason": "x"}).status_code == 200
    assert api.put("models/price-model/policy", {"approval": "direct", "reason": "x"}).status_code == 202


def test_over_rest_a_registration_says_which_change_its_alias_waits_for(api: Api) -> None:
    made = _upload(api, alias="champion").json()
    assert made["aliases"] == []
    assert made["change"].endswith(f"/api/v1/changes/{ChangeRequest.objects.get().pk}")
