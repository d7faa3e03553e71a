import hashlib
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from inferhub.audit.models import AuditEvent
from inferhub.errors import Conflict, InvalidInput, InvalidModel, ModelFailed
from inferhub.inference import services
from inferhub.inference.services import predict
from inferhub.registry.aliases import move_alias
from inferhub.registry.models import Alias, ModelVersion, RegisteredModel
from inferhub.registry.services import Provenance, register_version
from inferhub.registry.storage import artifact_storage, read_artifact, write_artifact
from tests.hub_fixtures import ACTOR, register_direct
from tests.models import linear_model

pytestmark = pytest.mark.django_db


def test_a_registered_version_carries_digest_size_and_the_signature_of_the_graph(price_model: ModelVersion) -> None:
    data = linear_model()
    assert price_model.digest == hashlib.sha256(data).hexdigest()
    assert price_model.size == len(data)
    assert [tensor["name"] for tensor in price_model.signature["inputs"]] == ["price"]
    assert read_artifact(price_model.digest) == data


def test_versions_count_up_and_the_alias_follows_only_where_it_is_told_to(price_model: ModelVersion) -> None:
    second = register_version(name="price-model", task="regression", data=linear_model(3), actor=ACTOR)
    assert second.number == 2
    assert Alias.objects.get(model__name="price-model").version == price_model


def test_the_same_file_is_not_registered_twice(price_model: ModelVersion) -> None:
    with pytest.raises(Conflict, match="version 1 of price-model already"):
        register_version(name="price-model", task="regression", data=linear_model(), actor=ACTOR)


def test_a_model_keeps_its_task(price_model: ModelVersion) -> None:
    with pytest.raises(Conflict, match="registered for the task regression"):
        register_version(name="price-model", task="classification", data=linear_model(3), actor=ACTOR)


@pytest.mark.parametrize("name", ["", "Price Model", "../etc", "stats", "x" * 65, "a\x00b"])
def test_a_name_that_cannot_stand_in_an_address_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        register_version(name=name, task="regression", data=linear_model(), actor=ACTOR)
    assert [error.pointer for error in caught.value.errors] == ["/name"]


def test_a_refused_first_file_makes_no_model_and_is_audited() -> None:
    with pytest.raises(InvalidModel) as caught:
        register_version(name="mistyped", task="regression", data=b"not a model", actor=ACTOR)
    refused = AuditEvent.objects.get()
    assert (refused.action, refused.actor, refused.subject) == ("model_version.refused", ACTOR, "model:mistyped")
    digest = hashlib.sha256(b"not a model").hexdigest()
    assert refused.details == {"why": str(caught.value), "digest": digest}
    assert not RegisteredModel.objects.exists()
    assert register_version(name="mistyped", task="ranking", data=linear_model(), actor=ACTOR).number == 1


def test_a_refused_file_leaves_an_audit_event_and_a_rejected_version_without_a_file(price_model: ModelVersion) -> None:
    with pytest.raises(InvalidModel):
        register_version(name="price-model", task="regression", data=b"not a model", actor=ACTOR)
    refused = AuditEvent.objects.get(action="model_version.refused")
    version = ModelVersion.objects.get(number=2)
    assert (version.state, version.state_reason) == ("rejected", refused.details["why"])
    assert refused.details["digest"] == version.source_digest == hashlib.sha256(b"not a model").hexdigest()
    assert not artifact_storage().exists(f"{version.digest[:2]}/{version.digest}.onnx")


def test_a_moved_alias_serves_the_other_version_and_is_audited(price_model: ModelVersion) -> None:
    second = register_version(name="price-model", task="regression", data=linear_model(3), actor=ACTOR)
    move_alias(version=second, alias="champion", actor=ACTOR, reason="better")
    answer = predict(model="price-model", rows=[{"price": 10}])
    assert (answer.version, answer.rows) == (2, [{"value": 31.0}])
    assert AuditEvent.objects.filter(action="alias.moved").first().details == {"from": 1, "to": 2, "reason": "better"}


def test_the_command_takes_golden_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, golden = tmp_path / "model.onnx", tmp_path / "golden.npz"
    model.write_bytes(linear_model())
    for value, is_right in ((5.0, False), (3.0, True)):
        np.savez(golden, **{"inputs/price": np.array([[1.0]]), "outputs/value": np.array([[value]])})
        with (
            nullcontext() if is_right else pytest.raises(CommandError, match=r"row 0 of output 'value': expected 5\.0")
        ):
            call_command("register_model", "own", str(model), "--task", "regression", "--golden", str(golden))
    assert "own version 1" in capsys.readouterr().out
    assert ModelVersion.objects.get(state="ready").golden["outputs"] == {"value": [[3.0]]}


@pytest.fixture
def own_model() -> ModelVersion:
    """A file of its own for a test that damages it: tests that run beside this one share the folder."""
    return register_direct(name="own", task="regression", data=linear_model(5.5), alias="champion")


def test_a_changed_artifact_is_not_served_until_it_is_whole_again(own_model: ModelVersion) -> None:
    _overwrite(own_model, linear_model(3))
    services._pool.discard(own_model.digest)
    with pytest.raises(ModelFailed):
        predict(model="own", rows=[{"price": 10}])
    write_artifact(own_model.digest, linear_model(5.5))
    assert predict(model="own", rows=[{"price": 10}]).rows == [{"value": 56.0}]


def test_a_damaged_artifact_is_healed_by_writing_it_again(own_model: ModelVersion) -> None:
    _overwrite(own_model, b"half")
    write_artifact(own_model.digest, linear_model(5.5))
    assert read_artifact(own_model.digest) == linear_model(5.5)


def _overwrite(version: ModelVersion, data: bytes) -> None:
    Path(artifact_storage().path(f"{version.digest[:2]}/{version.digest}.onnx")).write_bytes(data)


def test_steps_that_do_not_fit_the_model_are_refused_at_registration() -> None:
    steps = {"preprocess": [{"step": "no-such-step"}]}
    with pytest.raises(InvalidInput) as refused:
        register_version(
            name="stepped", task="regression", data=linear_model(), provenance=Provenance(steps=steps), actor=ACTOR
        )
    assert refused.value.errors[0].pointer.startswith("/steps/preprocess/0")
    assert not RegisteredModel.objects.exists()
