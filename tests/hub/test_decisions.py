import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from datetime import timedelta
from threading import get_ident
from typing import Any

import pytest
from django.db import Error, connection, transaction
from django.utils import timezone

from inferhub.audit.models import AuditEvent
from inferhub.decisions import services
from inferhub.decisions.definition import parse_workflow
from inferhub.decisions.digests import digest_of_decision
from inferhub.decisions.models import Action, Decision
from inferhub.decisions.services import Decided, Request, decide, decide_all, save_workflow
from inferhub.errors import Conflict, InvalidDefinition, InvalidInput, ModelFailed, NotFound
from inferhub.lib import waiting
from inferhub.lib.snapshots import Snapshots
from inferhub.lib.waiting import NeedsThread
from inferhub.registry.models import ModelVersion
from inferhub.rulesets.publishing import publish_version
from inferhub.rulesets.services import save_rule_set
from tests.hub_fixtures import ACTOR, RULES, WORKFLOW

pytestmark = pytest.mark.django_db

ORDER = {"customer_id": "ann", "total": 20, "price": 10}


def _decide(**changes: Any) -> Decision:
    return decide(workflow="orders", facts_in=ORDER | changes, actor=ACTOR)[0]


@pytest.mark.parametrize(
    ("changes", "outcome", "kinds"),
    [
        ({}, "accept", ["webhook"]),
        ({"price": 60}, "fast", []),
        ({"total": 1001, "price": 60}, "hold", ["review", "webhook"]),
        ({"total": 1000}, "accept", ["webhook"]),
    ],
)
def test_the_outcome_of_the_rules_names_the_actions(
    workflow: str, changes: dict[str, Any], outcome: str, kinds: list[str]
) -> None:
    decision = _decide(**changes)
    assert decision.outcome == outcome
    assert [action.kind for action in decision.actions.order_by("id")] == kinds
    assert {action.state for action in decision.actions.all()} <= {"pending"}


@pytest.mark.parametrize("changes", [{"total": None}, {"price": None}])
def test_a_missing_fact_is_a_review_and_never_a_guess(workflow: str, changes: dict[str, Any]) -> None:
    decision = _decide(**changes)
    assert decision.outcome == "review"
    assert decision.trace["undecided"]


def test_what_no_rule_decided_is_seen_by_a_person_even_where_the_author_foresaw_nothing(workflow: str) -> None:
    save_workflow(name="orders", definition=WORKFLOW | {"actions": {}}, actor=ACTOR)
    decision = _decide(total=None)
    assert [action.kind for action in decision.actions.all()] == ["review"]


def test_an_outcome_that_is_too_long_is_a_review(workflow: str) -> None:
    rules = deepcopy(RULES)
    rules["rules"][2]["then"] = ['"' + "x" * 101 + '"']
    save_rule_set(name="screening", definition=rules, actor=ACTOR)
    assert _decide().outcome == "review"


def test_a_decision_keeps_what_it_rests_on(workflow: str, price_model: ModelVersion) -> None:
    decision = Decision.objects.get(pk=_decide().pk)
    assert decision.predictions["value"] == {
        "model": "price-model",
        "version": 1,
        "digest": price_model.digest,
        "output": {"value": 21.0},
    }
    assert decision.subject == "ann"
    assert decision.rule_set_version.rule_set.name == "screening"
    assert digest_of_decision(decision) == decision.digest


def test_the_audit_event_stands_beside_the_decision(workflow: str) -> None:
    decision = _decide()
    event = AuditEvent.objects.get(action="decision.made")
    assert (event.subject, event.actor) == (f"decision:{decision.pk}", ACTOR)


@pytest.mark.parametrize("statement", ["UPDATE decisions_decision SET outcome = 'x'", "DELETE FROM decisions_decision"])
def test_the_database_itself_refuses_to_change_a_decision(workflow: str, statement: str) -> None:
    _decide()
    Action.objects.all().delete()
    with pytest.raises(Error, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_repeat_gets_the_first_decision_even_where_the_rules_changed(workflow: str) -> None:
    first, is_new = decide(workflow="orders", facts_in=ORDER, request_id="r1", actor=ACTOR)
    save_workflow(name="orders", definition=WORKFLOW | {"actions": {}}, actor=ACTOR)
    again, is_new_again = decide(workflow="orders", facts_in=dict(ORDER), request_id="r1", actor="api-key:other")
    assert (again.pk, is_new, is_new_again) == (first.pk, True, False)
    assert Decision.objects.count() == 1


def _ask_a_new_field(workflow: str) -> None:
    """From now on the first input is refused."""
    definition = deepcopy(WORKFLOW)
    definition["input"]["properties"]["channel"] = {"type": "string"}
    definition["input"]["required"].append("channel")
    save_workflow(name=workflow, definition=definition, actor=ACTOR)


def test_a_repeat_gets_the_first_decision_even_where_its_input_would_be_refused_now(workflow: str) -> None:
    first, _ = decide(workflow=workflow, facts_in=ORDER, request_id="r1", actor=ACTOR)
    _ask_a_new_field(workflow)
    again, is_new = decide(workflow=workflow, facts_in=ORDER, request_id="r1", actor=ACTOR)
    assert (again.pk, is_new) == (first.pk, False)
    with pytest.raises(InvalidInput, match="channel"):
        decide(workflow=workflow, facts_in=ORDER, request_id="r2", actor=ACTOR)


def test_a_repeat_gets_the_first_decision_even_where_no_version_is_in_force_any_more(workflow: str) -> None:
    brief = save_workflow(name="brief", definition=WORKFLOW, actor=ACTOR, approval="direct", is_draft=True)
    ends = timezone.now() + timedelta(seconds=1)
    publish_version(services.KIND, version=brief, actor=ACTOR, reason="a sale", effective_until=ends)
    first, _ = decide(workflow="brief", facts_in=ORDER, request_id="r1", actor=ACTOR)
    time.sleep(1.1)
    Snapshots.forget_all()
    with pytest.raises(NotFound, match="no version in force"):
        decide(workflow="brief", facts_in=ORDER, request_id="r2", actor=ACTOR)
    assert decide(workflow="brief", facts_in=ORDER, request_id="r1", actor=ACTOR)[0].pk == first.pk


def test_a_repeat_gets_the_first_decision_even_where_its_model_fails_now(
    workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = deepcopy(WORKFLOW)
    definition["predictions"][0]["on_failure"] = "error"
    save_workflow(name=workflow, definition=definition, actor=ACTOR)
    first, _ = decide(workflow=workflow, facts_in=ORDER, request_id="r1", actor=ACTOR)

    def fail(*_: Any, **__: Any) -> None:
        raise ModelFailed("It broke.")

    monkeypatch.setattr(services, "predict_by", fail)
    with pytest.raises(ModelFailed):
        _decide()
    assert decide(workflow=workflow, facts_in=ORDER, request_id="r1", actor=ACTOR)[0].pk == first.pk


def test_repeats_and_new_ones_of_a_batch_are_answered_in_their_order(
    workflow: str, django_assert_max_num_queries: Any
) -> None:
    def asked(*names: str) -> list[Request]:
        return [Request(facts=ORDER | {"customer_id": name}, request_id=name) for name in names]

    first = decide_all(workflow=workflow, requests=asked("a", "b", "c"), actor=ACTOR)
    other = Request(facts=ORDER, request_id="b")
    with django_assert_max_num_queries(20):
        found = decide_all(workflow=workflow, requests=[*asked("d", "c", "a", "d"), other], actor=ACTOR)
    assert [isinstance(one, Decided) and one.is_new for one in found] == [True, False, False, False, False]
    ids = [one.record.pk if isinstance(one.record, Decision) else one.record.id for one in found[:4]]
    assert ids == [found[0].record.id, first[2].record.id, first[0].record.id, found[0].record.id]
    assert "another input" in str(found[4])
    assert Decision.objects.count() == 4


def test_the_event_loop_leaves_a_failure_to_a_thread_which_knows_whether_it_is_a_repeat(
    workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ask_a_new_field(workflow)
    _decide(channel="web")  # processes remember what this read
    monkeypatch.setattr(waiting._Loop, "thread", get_ident())
    with pytest.raises(NeedsThread):
        decide_all(workflow=workflow, requests=[Request(facts=ORDER, request_id="r1")], actor=ACTOR)
    assert isinstance(decide_all(workflow=workflow, requests=[Request(facts=ORDER)], actor=ACTOR)[0], InvalidInput)


@pytest.mark.parametrize("total", [float("nan"), pytest.param(10**400, id="huge"), 2**60, "x", {"a": [None]}])
def test_what_no_number_holds_is_refused_under_a_known_request_id_as_well(workflow: str, total: Any) -> None:
    decide(workflow=workflow, facts_in=ORDER, request_id="r1", actor=ACTOR)
    with pytest.raises(Conflict, match="used before with another input"):
        decide(workflow=workflow, facts_in=ORDER | {"total": total}, request_id="r1", actor=ACTOR)


def test_a_request_id_is_not_used_for_another_input(workflow: str) -> None:
    decide(workflow="orders", facts_in=ORDER, request_id="r1", actor=ACTOR)
    with pytest.raises(Conflict, match="used before with another input"):
        decide(workflow="orders", facts_in=ORDER | {"total": 21}, request_id="r1", actor=ACTOR)


@pytest.mark.django_db(transaction=True)
def test_concurrent_repeats_make_one_decision_with_its_actions_once(workflow: str) -> None:
    def ask(_: int) -> tuple[str, bool]:
        try:
            decision, is_new = decide(workflow="orders", facts_in=ORDER, request_id="same", actor=ACTOR)
            return str(decision.pk), is_new
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(24)))
    assert len({pk for pk, _ in answers}) == 1
    assert sum(is_new for _, is_new in answers) == 1
    assert Action.objects.count() == 1


def test_an_input_that_is_not_as_declared_leaves_nothing_behind(workflow: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decide(workflow="orders", facts_in={"customer_id": 3, "prize": 1}, actor=ACTOR)
    assert {error.pointer for error in caught.value.errors} == {"/input/customer_id", "/input/prize", "/input/total"}
    assert not Decision.objects.exists()


def test_a_whole_number_that_no_double_holds_is_refused(workflow: str) -> None:
    with pytest.raises(InvalidInput, match=r"2\^53"):
        _decide(total=2**53 + 1)


def test_a_model_that_is_gone_leads_to_a_review(workflow: str) -> None:
    save_workflow(name="orders", definition=_changed(lambda d: d["predictions"][0].update(version=1)), actor=ACTOR)
    with pytest.raises(InvalidDefinition, match="no version 7"):
        save_workflow(name="orders", definition=_changed(lambda d: d["predictions"][0].update(version=7)), actor=ACTOR)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        (lambda d: d.update(colour="red"), "/colour"),
        (lambda d: d.pop("rule_set"), "/rule_set"),
        (lambda d: d.update(rule_set="nope"), "/rule_set"),
        (lambda d: d.update(subject="nobody"), "/subject"),
        (lambda d: d["predictions"][0].update(model="nope"), "/predictions/0/model"),
        (lambda d: d["predictions"][0]["inputs"].update(price="prize"), "/predictions/0/inputs/price"),
        (lambda d: d["predictions"][0].update(inputs={"colour": "price"}), "/predictions/0/inputs/colour"),
        (lambda d: d["actions"].update(accept=[{"kind": "webhook", "endpoint": "nope"}]), "/actions/accept/0/endpoint"),
        (lambda d: d["actions"].update(acept=[]), "/actions/acept"),
        (lambda d: d["actions"].update(accept=[{"kind": "explode"}]), "/actions/accept/0/kind"),
        (lambda d: d["actions"].update(accept=[{"kind": "review"}]), "/actions/accept/0/title"),
        (lambda d: d["input"]["properties"].update(total={"type": "numbr"}), "/input"),
        (lambda d: d["input"]["properties"].update(total={"$ref": "http://example.org/x"}), "/input"),
    ],
)
def test_a_definition_that_cannot_work_is_refused_with_the_place(
    workflow: str, change: Callable[[dict[str, Any]], Any], pointer: str
) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        save_workflow(name="orders", definition=_changed(change), actor=ACTOR)
    assert pointer in [error.pointer for error in caught.value.errors]


def test_saving_the_same_definition_again_makes_no_version(workflow: str) -> None:
    assert save_workflow(name="orders", definition=deepcopy(WORKFLOW), actor=ACTOR).number == 1


def test_a_field_that_the_author_did_not_declare_is_refused_unless_allowed() -> None:
    parse_workflow(WORKFLOW).input_schema.check(ORDER)
    with pytest.raises(InvalidInput):
        parse_workflow(WORKFLOW).input_schema.check(ORDER | {"more": 1})
    open_input = WORKFLOW["input"] | {"additionalProperties": True}
    parse_workflow(WORKFLOW | {"input": open_input}).input_schema.check(ORDER | {"more": 1})


def _changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    definition = deepcopy(WORKFLOW)
    change(definition)
    return definition
