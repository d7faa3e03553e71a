"""The life of a version: validating, ready or rejected, archived."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from inferhub.audit.models import AuditEvent
from inferhub.errors import Conflict, InvalidInput, InvalidModel, NotFound
from inferhub.inference.services import predict
from inferhub.registry import services
from inferhub.registry.lifecycle import archive_version, sweep_validations, unarchive_version
from inferhub.registry.models import Alias, ModelVersion, RegisteredModel
from inferhub.registry.services import fetch_artifact
from tests.hub_fixtures import ACTOR, Api, register_direct
from tests.models import linear_model

pytestmark = pytest.mark.django_db


@pytest.fixture
def second(price_model: ModelVersion) -> ModelVersion:
    return register_direct(name="price-model", task="regression", data=linear_model(3))


@pytest.fixture
def rejected(price_model: ModelVersion) -> ModelVersion:
    with pytest.raises(InvalidModel):
        register_direct(name="price-model", task="regression", data=b"not a model")
    return ModelVersion.objects.get(state="rejected")


def test_a_version_stands_as_validating_while_its_file_is_checked(
    price_model: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    check = services.check_model

    def look(path: Any, **options: Any) -> Any:
        seen.append(ModelVersion.objects.get(number=2).state)
        return check(path, **options)

    monkeypatch.setattr(services, "check_model", look)
    assert register_direct(name="price-model", task="regression", data=linear_model(3)).state == "ready"
    assert seen == ["validating"]


def test_a_rejected_version_keeps_the_reason_and_no_file(rejected: ModelVersion) -> None:
    assert rejected.state_reason
    with pytest.raises(NotFound, match="no artifact of it is kept"):
        fetch_artifact(version=rejected, actor=ACTOR)


def test_a_file_that_was_rejected_may_be_sent_again(rejected: ModelVersion) -> None:
    with pytest.raises(InvalidModel):
        register_direct(name="price-model", task="regression", data=b"not a model")
    assert ModelVersion.objects.filter(state="rejected").count() == 2


def test_what_is_not_ready_is_not_served_and_says_why(rejected: ModelVersion, second: ModelVersion) -> None:
    archive_version(version=second, actor=ACTOR, reason="replaced by a better one")
    with pytest.raises(Conflict, match="is rejected and is not served"):
        predict(model="price-model", rows=[{"price": 1}], version=rejected.number)
    with pytest.raises(Conflict, match="is archived and is not served: replaced by a better one"):
        predict(model="price-model", rows=[{"price": 1}], version=second.number)


def test_an_archived_version_comes_back(second: ModelVersion) -> None:
    archive_version(version=second, actor=ACTOR, reason="old")
    unarchive_version(version=second, actor=ACTOR, reason="needed")
    assert predict(model="price-model", rows=[{"price": 1}], version=2).rows == [{"value": 4.0}]
    actions = AuditEvent.objects.filter(subject="model:price-model/2").values_list("action", flat=True)
    assert {"model_version.archived", "model_version.unarchived"} <= set(actions)


def test_a_version_that_an_alias_uses_stays(price_model: ModelVersion, second: ModelVersion) -> None:
    with pytest.raises(Conflict, match="used by the alias champion"):
        archive_version(version=price_model, actor=ACTOR, reason="old")
    with pytest.raises(InvalidInput):
        archive_version(version=second, actor=ACTOR, reason=" ")


@pytest.mark.parametrize("deed", [archive_version, unarchive_version])
def test_a_rejected_version_stays_rejected(rejected: ModelVersion, deed: Any) -> None:
    with pytest.raises(Conflict, match="is rejected, not"):
        deed(version=rejected, actor=ACTOR, reason="x")


def _cut_off(model: RegisteredModel, minutes: int) -> ModelVersion:
    """What a killed process leaves behind."""
    return ModelVersion.objects.create(
        model=model,
        number=9,
        digest="9" * 64,
        source_digest="9" * 64,
        size=1,
        state="validating",
        state_changed_at=timezone.now() - timedelta(minutes=minutes),
        created_by=ACTOR,
    )


@pytest.mark.parametrize(("minutes", "state"), [(1, "validating"), (6, "rejected")])
def test_a_check_that_was_cut_off_is_rejected_after_its_lease(
    price_model: ModelVersion, minutes: int, state: str
) -> None:
    lost = _cut_off(price_model.model, minutes)
    assert sweep_validations() == (state == "rejected")
    lost.refresh_from_db()
    assert lost.state == state
    assert AuditEvent.objects.filter(action="model_version.refused").exists() == (state == "rejected")


def test_a_check_that_ends_after_its_lease_does_not_count(
    price_model: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = services.check_model

    def slow(path: Any, **options: Any) -> Any:
        report = check(path, **options)
        ModelVersion.objects.filter(state="validating").update(state_changed_at=timezone.now() - timedelta(hours=1))
        assert sweep_validations() == 1
        return report

    monkeypatch.setattr(services, "check_model", slow)
    with pytest.raises(Conflict, match="given up meanwhile"):
        register_direct(name="price-model", task="regression", data=linear_model(3))
    assert ModelVersion.objects.get(number=2).state == "rejected"


def test_the_same_file_is_not_checked_twice_at_once(price_model: ModelVersion) -> None:
    lost = _cut_off(price_model.model, 1)
    ModelVersion.objects.filter(pk=lost.pk).update(digest=services.artifact_digest(linear_model(3)))
    with pytest.raises(Conflict, match="being checked already, as version 9"):
        register_direct(name="price-model", task="regression", data=linear_model(3))


def test_the_database_lets_no_alias_point_at_an_archived_version(second: ModelVersion) -> None:
    archive_version(version=second, actor=ACTOR, reason="old")
    with pytest.raises(IntegrityError, match="ready versions"), transaction.atomic():
        Alias.objects.filter(model=second.model).update(shadow_version=second)


def test_over_rest_versions_are_archived_compared_and_shown_with_their_state(second: ModelVersion, api: Api) -> None:
    path = "models/price-model/versions/2"
    assert api.post(f"{path}/archive", {"reason": "old"}).json()["state"] == "archived"
    assert api.get(path).json()["state_reason"] == "old"
    assert api.post("models/price-model/predictions", {"rows": [{"price": 1}], "version": 2}).status_code == 409
    assert api.post(f"{path}/unarchive", {"reason": "needed"}).json()["state"] == "ready"
    compared = api.get("models/price-model/versions/1/comparison/2").json()
    assert {line["name"] for line in compared["tensors"]} == {"input price", "output value"}
    assert all(line["is_same"] for line in compared["tensors"])
    assert not next(line for line in compared["properties"] if line["name"] == "digest")["is_same"]
