"""What a version must show before an alias points at it."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from inferhub.audit.models import AuditEvent
from inferhub.errors import Conflict, InvalidInput
from inferhub.registry.aliases import move_alias, set_canary
from inferhub.registry.gates import POLICY, Candidate, judge, refuses
from inferhub.registry.models import Alias, ModelVersion, Tuning
from inferhub.registry.policies import set_policy
from inferhub.registry.services import Provenance
from inferhub.registry.storage import artifact_storage
from tests.hub_fixtures import ACTOR, Api, register_direct
from tests.models import linear_model

GOOD = Candidate(
    number=2,
    certificate={"rows": 100},
    has_golden=True,
    run_us=900.0,
    memory_bytes=5000,
    metrics={"rmse": 1.0, "f1": 0.9},
)
CHAMPION = Candidate(number=1, metrics={"rmse": 1.1, "f1": 0.95})
LOWER, HIGHER = {"name": "rmse", "better": "lower"}, {"name": "f1", "better": "higher"}


@pytest.mark.parametrize(
    ("policy", "candidate", "failed"),
    [
        ({}, Candidate(number=2), []),
        ({}, replace(GOOD, certificate={"passed": False}), ["certificate"]),
        ({}, replace(GOOD, certificate={"digest": "b" * 64}, digests=("a" * 64,)), ["certificate"]),
        ({}, replace(GOOD, certificate={"digest": "a" * 64}, digests=("a" * 64,)), []),
        ({}, replace(GOOD, golden_failure="3 of 5 differ."), ["golden rows"]),
        ({"certificate": True, "golden": True}, GOOD, []),
        ({"certificate": True, "golden": True}, Candidate(number=2), ["certificate", "golden rows"]),
        ({"max_latency_ms": 1}, GOOD, []),
        ({"max_latency_ms": 0.5}, GOOD, ["latency"]),
        ({"max_latency_ms": 0.5}, replace(GOOD, run_us=None), ["latency"]),
        ({"max_memory_bytes": 5000}, GOOD, []),
        ({"max_memory_bytes": 4999}, GOOD, ["memory"]),
        ({"metrics": [LOWER]}, GOOD, []),
        ({"metrics": [HIGHER]}, GOOD, ["quality: f1"]),
        ({"metrics": [HIGHER | {"tolerance": 0.06}]}, GOOD, []),
        ({"metrics": [{"name": "mae", "better": "lower"}]}, GOOD, ["quality: mae"]),
        ({"metrics": [LOWER]}, replace(GOOD, metrics={"rmse": True}), ["quality: rmse"]),
    ],
)
def test_each_gate_passes_and_fails(policy: dict[str, Any], candidate: Candidate, failed: list[str]) -> None:
    POLICY.check(policy)
    gates = judge(policy, candidate, CHAMPION)
    assert [gate.name for gate in gates if not gate.passed] == failed
    assert all(gate.sentence.endswith(".") for gate in gates)
    assert refuses(policy, gates) == bool(failed)
    assert not refuses(policy | {"on_failure": "warn"}, gates)


def test_without_a_champion_there_is_nothing_to_be_worse_than() -> None:
    assert all(gate.passed for gate in judge({"metrics": [HIGHER]}, GOOD, None))


@pytest.mark.parametrize(
    "policy",
    [
        {"colour": True},
        {"certificate": "yes"},
        {"max_latency_ms": 0},
        {"max_memory_bytes": -1},
        {"metrics": [{"name": "rmse"}]},
        {"metrics": [{"name": "rmse", "better": "smaller"}]},
        {"on_failure": "ignore"},
    ],
)
def test_a_policy_that_means_nothing_is_refused(policy: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        POLICY.check(policy)


def version_2(**provenance: Any) -> ModelVersion:
    return register_direct(
        name="price-model", task="regression", data=linear_model(3), provenance=Provenance(**provenance)
    )


def ask_for(version: ModelVersion, **gates: Any) -> None:
    set_policy(model=version.model, gates=gates, actor=ACTOR, reason="x")


def move(version: ModelVersion) -> None:
    move_alias(version=version, alias="champion", actor=ACTOR, reason="better")


@pytest.mark.django_db
def test_a_failed_gate_refuses_the_move_with_every_reason(price_model: ModelVersion) -> None:
    second = version_2(metrics={"rmse": 2})
    ask_for(second, certificate=True, golden=True, metrics=[LOWER], max_memory_bytes=1)
    with pytest.raises(Conflict) as caught:
        move(second)
    for words in ("no certificate", "no golden rows", "the budget is 1."):
        assert words in str(caught.value)
    assert Alias.objects.get().version == price_model
    refused = AuditEvent.objects.get(action="alias.move_refused")
    assert (refused.subject, refused.details["version"]) == ("model:price-model@champion", 2)


@pytest.mark.django_db
def test_a_warning_is_written_down_and_stops_nothing(price_model: ModelVersion) -> None:
    second = version_2()
    ask_for(second, certificate=True, on_failure="warn")
    move(second)
    assert Alias.objects.get().version == second


@pytest.mark.django_db
def test_a_canary_passes_the_same_gates(price_model: ModelVersion) -> None:
    second = version_2()
    ask_for(second, certificate=True)
    with pytest.raises(Conflict, match="no certificate"):
        set_canary(alias=Alias.objects.get(), version=second, percent=5, actor=ACTOR, reason="x")


@pytest.mark.django_db
def test_the_check_measures_and_a_tuning_counts_more(price_model: ModelVersion) -> None:
    second = version_2()
    assert second.measured["run_us"] > 0
    assert second.measured["load_ms"] > 0
    ask_for(second, max_latency_ms=1000)
    settings = {"threads": 1, "optimisation": "all"}
    runs = [settings | {"batch": batch, "run_us": 2e6 * batch} for batch in (8, 1)]
    runs.append({"threads": 2, "optimisation": "all", "batch": 1, "run_us": 1.0})
    Tuning.objects.create(version=second, settings=settings, measured={"runs": runs}, machine="m", created_by=ACTOR)
    with pytest.raises(Conflict, match="One run takes 2e\\+03 ms"):
        move(second)


GOLDEN = orjson.dumps({"inputs": {"price": [[1.0], [2.0]]}, "outputs": {"value": [[4.0], [7.0]]}})


@pytest.mark.django_db
def test_golden_rows_are_run_again_before_a_move(price_model: ModelVersion) -> None:
    second = register_direct(name="price-model", task="regression", data=linear_model(3), golden=GOLDEN)
    ask_for(second, golden=True)
    move(second)
    assert Alias.objects.get().version == second


@pytest.mark.django_db
def test_a_damaged_artifact_does_not_pass_its_golden_rows(price_model: ModelVersion) -> None:
    other = register_direct(name="golden", task="regression", data=linear_model(4.125), golden=golden_of(4.125))
    artifact_storage().delete(f"{other.digest[:2]}/{other.digest}.onnx")
    with pytest.raises(Conflict, match="golden rows could not be run"):
        move(other)


def golden_of(factor: float) -> bytes:
    return orjson.dumps({"inputs": {"price": [[1.0]]}, "outputs": {"value": [[factor + 1]]}})


@pytest.mark.django_db
def test_over_rest_a_failed_gate_is_409_with_the_sentences(price_model: ModelVersion, api: Api) -> None:
    version_2()
    api.put("models/price-model/policy", {"gates": {"certificate": True, "golden": True}, "reason": "x"})
    answer = api.put("models/price-model/aliases/champion", {"version": 2, "reason": "better"})
    assert answer.status_code == 409
    assert "no certificate" in answer.json()["detail"]
    assert "no golden rows" in answer.json()["detail"]
