"""Decide again from what is stored, and compare: what is equal, what is found, what is told."""

from collections.abc import Sequence
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from onnx import ModelProto, TensorProto, helper

from inferhub.api.answers import REPLAY
from inferhub.audit.models import AuditEvent
from inferhub.decisions.digests import commitment_of, content_of, digest_of_decision
from inferhub.decisions.explaining import explained_trace
from inferhub.decisions.models import Action, Decision
from inferhub.decisions.replay import ReplayCount, replay_decision, replay_period
from inferhub.decisions.rerun import Replayed
from inferhub.decisions.services import Request, decide_all, save_workflow
from inferhub.erasure.services import erase_person
from inferhub.errors import NotFound
from inferhub.inference.services import unload
from inferhub.lib.canonical import canonical_json
from inferhub.lib.schema import Schema
from inferhub.registry.aliases import set_canary
from inferhub.registry.lifecycle import archive_version
from inferhub.registry.models import Alias, ModelVersion, Tuning
from inferhub.registry.storage import artifact_storage
from inferhub.rulesets.services import save_rule_set
from tests.hub_fixtures import ACTOR, RULES, WORKFLOW, Api, register_direct
from tests.models import linear_model

pytestmark = pytest.mark.django_db

ORDERS: tuple[dict[str, Any], ...] = (
    {"customer_id": "ann", "total": 20, "price": 10},
    {"customer_id": "ben", "total": 20.0, "price": 60.5},
    {"customer_id": "cid", "total": 1001, "price": 1e300},
    {"customer_id": "dan", "total": 1e16, "price": -0.0},
    {"customer_id": "eve", "total": None, "price": None},
    {"customer_id": "fay", "total": 5},
)


def made(orders: Sequence[dict[str, Any]] = ORDERS) -> list[Decision]:
    decided = decide_all(workflow="orders", requests=[Request(facts=order) for order in orders], actor=ACTOR)
    assert not [one for one in decided if isinstance(one, Exception)]
    return list(Decision.objects.order_by("id"))


def replayed(**words: Any) -> tuple[ReplayCount, list[Replayed]]:
    told: list[Replayed] = []
    since = timezone.now() - timedelta(hours=1)
    return replay_period(since=since, actor=ACTOR, tell=told.append, **words), told


def alter(decision: Decision, **fields: Any) -> None:
    """What the database refuses, unless its owner switches the refusal off."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE decisions_decision DISABLE TRIGGER USER")
        Decision.objects.filter(pk=decision.pk).update(**fields)
        cursor.execute("ALTER TABLE decisions_decision ENABLE TRIGGER USER")


def test_what_was_decided_comes_out_equal_after_everything_it_names_has_moved_on(
    workflow: str, price_model: ModelVersion
) -> None:
    made()
    better = register_direct(name="price-model", task="regression", data=linear_model(9.0), alias="champion")
    assert better.number == 2
    archive_version(version=price_model, actor=ACTOR, reason="old")
    changed = RULES | {"rules": [{"when": ["", ""], "then": ['"hold"']}]}
    save_rule_set(name="screening", definition=changed, actor=ACTOR)
    save_workflow(name="orders", definition=WORKFLOW | {"actions": {}, "subject": "total"}, actor=ACTOR)
    count, told = replayed()
    assert (count.replayed, count.equal, told) == (len(ORDERS), len(ORDERS), [])


def test_decisions_that_keep_why_rows_did_not_match_come_out_equal_as_well(workflow: str) -> None:
    for decision in made():
        trace = explained_trace(decision)
        assert ("rejections" in trace) == ("values" in decision.trace)
        commitment = commitment_of(decision.salt, canonical_json(content_of(decision) | {"trace": trace}))
        alter(decision, trace=trace, commitment=commitment)
    count, told = replayed()
    assert (count.equal, told) == (len(ORDERS), [])
    decision = Decision.objects.filter(trace__has_key="rejections").first()
    assert decision is not None
    assert explained_trace(decision) == decision.trace
    alter(decision, trace=decision.trace | {"rejections": []})
    assert replay_decision(decision.pk).differences[0].pointer == "/trace/rejections"


def test_a_canary_that_answered_is_asked_again(workflow: str, price_model: ModelVersion) -> None:
    second = register_direct(name="price-model", task="regression", data=linear_model(3.0))
    alias = Alias.objects.get(model=price_model.model)
    set_canary(alias=alias, version=second, percent=50, actor=ACTOR, reason="test")
    orders = [{"customer_id": f"customer {number}", "total": 1, "price": number} for number in range(40)]
    versions = [decision.predictions["value"]["version"] for decision in made(orders)]
    assert set(versions) == {1, 2}
    assert replayed()[0].equal == 40


def test_a_replay_writes_no_decision_and_does_nothing(workflow: str) -> None:
    made()
    before = (Decision.objects.count(), Action.objects.count())
    replayed()
    assert (Decision.objects.count(), Action.objects.count()) == before
    assert AuditEvent.objects.get(action="decisions.replayed").details["equal"] == len(ORDERS)


def test_a_failed_prediction_is_taken_as_it_is_recorded(workflow: str) -> None:
    made()
    failed = [decision.pk for decision in Decision.objects.all() if "error" in decision.predictions["value"]]
    assert len(failed) == 3  # no price, a price that is null, and one beyond the model's numbers
    assert all(replay_decision(pk).takes_failure and replay_decision(pk).is_equal for pk in failed)
    assert replayed()[0].failures_taken == 3


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"outcome": "accept"}, "/outcome"),
        ({"outputs": {"outcome": "fast", "more": 1}}, "/outputs/more"),
        ({"subject": "bob"}, "/subject"),
        ({"trace": {}}, "/trace/matched"),
        ({"salt": "0" * 32}, "/commitment"),
    ],
)
def test_an_altered_record_is_found_by_the_field(workflow: str, fields: dict[str, Any], pointer: str) -> None:
    decision = made()[1]
    alter(decision, **fields)
    found = replay_decision(decision.pk)
    assert pointer in [difference.pointer for difference in found.differences]
    assert not found.problem


def test_an_altered_prediction_is_told_with_both_values(workflow: str) -> None:
    decision = made()[0]
    said = decision.predictions["value"]
    alter(decision, predictions={"value": said | {"output": {"value": 21.5}}})
    (difference,) = replay_decision(decision.pk).differences
    assert (difference.pointer, difference.stored, difference.replayed) == ("/predictions/value/output/value", 21.5, 21)


def test_an_action_that_the_outcome_does_not_name_is_found(workflow: str) -> None:
    decision = made()[1]
    Action.objects.create(
        decision=decision,
        kind="webhook",
        settings={"kind": "webhook", "endpoint": "other"},
        next_attempt_at=timezone.now(),
        created_at=timezone.now(),
    )
    assert [difference.pointer for difference in replay_decision(decision.pk).differences] == ["/actions"]


def test_a_version_whose_file_is_gone_is_said(workflow: str, price_model: ModelVersion) -> None:
    made()
    unload(price_model.digest)
    artifact_storage().delete(f"{price_model.digest[:2]}/{price_model.digest}.onnx")
    count, told = replayed()
    assert count.impossible == 3  # the three whose prediction had failed need no model
    assert {one.problem for one in told} == {
        f"The artifact {price_model.digest[:12]} could not be read: No such file or directory."
    }


def test_a_version_that_nobody_knows_is_said(workflow: str) -> None:
    decision = made()[0]
    alter(decision, predictions={"value": decision.predictions["value"] | {"digest": "0" * 64}})
    assert "with the digest 000000000000" in replay_decision(decision.pk).problem


def test_erased_decisions_are_left_out_and_counted(workflow: str) -> None:
    made()
    erase_person(subject="ann", reason="asked", actor=ACTOR)
    count, _ = replayed()
    assert (count.erased, count.replayed, count.mismatches) == (1, len(ORDERS) - 1, 0)


def _linear_regressor() -> ModelProto:
    """Adds its 300 products in another order for one row than for several."""
    weights = [((number * 7919) % 1000 - 500) / 997 for number in range(300)]
    node = helper.make_node(
        "LinearRegressor", ["x"], ["value"], domain="ai.onnx.ml", coefficients=weights, intercepts=[0.3], targets=1
    )
    graph = helper.make_graph(
        [node],
        "sum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 300])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def test_rows_that_were_decided_alone_and_among_others_are_equal_though_their_sums_are_rounded_differently(
    workflow: str,
) -> None:
    register_direct(name="sums", task="regression", data=_linear_regressor().SerializeToString(), alias="champion")
    definition = {
        "input": {"type": "object", "properties": {"x": {"type": "array"}, "total": {"type": "number"}}},
        "predictions": [{"name": "value", "model": "sums", "inputs": {"x": "x"}}],
        "rule_set": "screening",
        "actions": {},
    }
    save_workflow(name="orders", definition=definition, actor=ACTOR)
    rows = [{"x": [((row * 37 + at) % 101) / 101 for at in range(300)], "total": 1} for row in range(60)]
    together = [decision.predictions["value"]["output"]["value"] for decision in made(rows)]
    for row in rows:
        decide_all(workflow="orders", requests=[Request(facts=row)], actor=ACTOR)
    alone = [decision.predictions["value"]["output"]["value"] for decision in Decision.objects.order_by("id")[60:]]
    assert together != alone
    assert replayed()[0].equal == 120


def test_settings_that_a_version_was_tuned_to_later_make_no_difference(
    workflow: str, price_model: ModelVersion
) -> None:
    made()
    settings = {"threads": 2, "optimisation": "none", "batch": 1}
    Tuning.objects.create(version=price_model, settings=settings, measured={"runs": []}, machine="m", created_by=ACTOR)
    unload(price_model.digest)
    assert replayed()[0].mismatches == 0


def test_a_period_and_a_workflow_narrow_what_is_replayed(workflow: str) -> None:
    first = made()[0]
    assert replayed(workflow="orders")[0].replayed == len(ORDERS)
    assert replayed(until=first.created_at)[0].replayed == 0
    with pytest.raises(NotFound, match="no workflow 'nothing'"):
        replayed(workflow="nothing")


def test_rest_replays_a_decision_and_answers_as_documented(workflow: str, api: Api) -> None:
    decision = made()[0]
    answer = api.post(f"decisions/{decision.pk}/replay", {}).json()
    Schema(REPLAY).check(answer)
    assert answer["is_equal"] is True
    alter(decision, outcome="hold")
    assert api.post(f"decisions/{decision.pk}/replay", {}).json()["differences"][0] == {
        "pointer": "/outcome",
        "stored": "hold",
        "replayed": "accept",
    }
    assert api.post("decisions/01a20d1e-d7fa-7bf5-bf80-9823eab32636/replay", {}).status_code == 404
    erase_person(subject="ann", reason="asked", actor=ACTOR)
    assert api.post(f"decisions/{decision.pk}/replay", {}).status_code == 409


def test_the_command_fails_where_something_differs_and_says_what(workflow: str) -> None:
    decision = made()[0]
    out, since = StringIO(), (timezone.now() - timedelta(hours=1)).isoformat()
    call_command("replay", "--since", since, stdout=out)
    assert "6 decisions replayed: 6 equal, 0 different" in out.getvalue()
    alter(decision, outcome="hold")
    with pytest.raises(CommandError, match="5 equal, 1 different"):
        call_command("replay", "--since", since, stdout=out)
    assert f"decision {decision.pk}: different\n  /outcome: stored 'hold', replayed 'accept'" in out.getvalue()


def test_the_digest_of_a_decision_with_a_large_number_holds_as_well(workflow: str) -> None:
    assert all(digest_of_decision(decision) == decision.digest for decision in made())
