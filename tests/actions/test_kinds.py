"""Kinds of action come from installed packages, and a workflow is held against what they say."""

import sys
from pathlib import Path
from typing import Any

import pytest

from inferhub.decisions.actions import registry
from inferhub.decisions.delivery import deliver_action
from inferhub.decisions.explaining import explain_predictions
from inferhub.decisions.models import Action, DeliveryTarget
from inferhub.decisions.services import decide, save_workflow
from inferhub.errors import InvalidDefinition
from inferhub.rulesets.services import save_rule_set
from tests.actions.plugins import LABELS, install
from tests.hub_fixtures import ACTOR, WORKFLOW

pytestmark = pytest.mark.django_db

FACTS = {"customer_id": "ann", "total": 20, "price": 10}


def with_action(action: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return WORKFLOW | {"actions": {"accept": [action]}} | changes


def refusal(definition: dict[str, Any]) -> str:
    with pytest.raises(InvalidDefinition) as caught:
        save_workflow(name="orders", definition=definition, actor=ACTOR)
    return str(caught.value)


@pytest.fixture
def printer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "labels_actions", raising=False)
    install(tmp_path, monkeypatch, name="labels", program=LABELS, entry="print-label = labels_actions:PrintLabel")


@pytest.mark.usefixtures("printer")
def test_a_package_brings_a_kind_of_its_own(workflow: str) -> None:
    label = {"kind": "print-label", "printer": "dock-2", "text_from": "customer_id"}
    save_workflow(name="orders", definition=with_action(label), actor=ACTOR)
    decide(workflow="orders", facts_in=FACTS, actor=ACTOR)
    action = Action.objects.get()
    deliver_action(action.pk)
    action.refresh_from_db()
    assert action.state == "delivered"
    assert {action.pk: "ann"} == sys.modules["labels_actions"].PRINTED
    assert action.attempts.get().detail == "printed"


@pytest.mark.usefixtures("printer")
def test_its_settings_are_checked_when_a_workflow_is_saved(workflow: str) -> None:
    label = {"kind": "print-label", "text_from": "name", "colour": "red"}
    said = refusal(with_action(label))
    assert "/actions/accept/0/printer: expected this field, got nothing" in said
    assert "/actions/accept/0/colour: expected only fields that are known here" in said
    said = refusal(with_action({"kind": "print-label", "printer": "dock-2", "text_from": "name"}))
    assert "/actions/accept/0/text_from: expected a field of the input (customer_id, total, price), got" in said


@pytest.mark.usefixtures("printer")
def test_its_failures_are_tried_again_and_count_against_its_target(workflow: str) -> None:
    label = {"kind": "print-label", "printer": "out-of-paper", "text_from": "customer_id"}
    save_workflow(name="orders", definition=with_action(label), actor=ACTOR)
    decide(workflow="orders", facts_in=FACTS, actor=ACTOR)
    action = Action.objects.get()
    deliver_action(action.pk)
    action.refresh_from_db()
    assert (action.state, action.attempts.get().detail) == ("pending", "there is no paper")
    assert DeliveryTarget.objects.get(name="print-label:out-of-paper").failure_count == 1


GIBBERISH = """
from inferhub.decisions.actions.base import ActionKind, DeliveryResult, settings_schema


class Gibberish(ActionKind):
    name = "gibberish"
    schema = settings_schema({})

    def target(self, settings):
        return TARGET

    def deliver(self, action):
        return RESULT
"""


@pytest.mark.parametrize(
    ("target", "result", "detail"),
    [
        ("''", "None", "the kind of action 'gibberish' gave null instead of a DeliveryResult"),
        ("''", "'done'", "the kind of action 'gibberish' gave the string 'done' instead of a DeliveryResult"),
        ("''", "DeliveryResult(is_success=False, detail=5)", "5"),
        ("''", "DeliveryResult(is_success=False, detail=None)", ""),
        ("''", r"DeliveryResult(is_success=False, detail='a\x00\ud800b')", "a??b"),
        ("''", "DeliveryResult(is_success=False, status_code='no', detail='x')", "x"),
        ("''", "DeliveryResult(is_success=False, status_code=-1, detail='x')", "x"),
        ("1 / 0", "None", "unforeseen ZeroDivisionError; see the worker's log"),
        ("'x' * 101", "None", "the kind of action 'gibberish' names a target of more than 100 characters"),
        ("7", "None", "the kind of action 'gibberish' names a target that is no text: 7"),
    ],
)
def test_a_kind_that_gives_gibberish_is_an_attempt_like_any_other(
    workflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, result: str, detail: str
) -> None:
    monkeypatch.delitem(sys.modules, "gibberish_actions", raising=False)
    program = GIBBERISH.replace("TARGET", target).replace("RESULT", result)
    install(tmp_path, monkeypatch, name="gibberish", program=program, entry="gibberish = gibberish_actions:Gibberish")
    save_workflow(name="orders", definition=with_action({"kind": "gibberish"}), actor=ACTOR)
    decide(workflow="orders", facts_in=FACTS, actor=ACTOR)
    action = Action.objects.get()
    deliver_action(action.pk)
    action.refresh_from_db()
    attempt = action.attempts.get()
    assert (action.state, attempt.is_success, attempt.detail, attempt.status_code) == ("pending", False, detail, None)


@pytest.mark.parametrize(
    "program",
    ["raise RuntimeError('no licence')", "def", "class Broken: pass", "class Broken:\n  def __init__(self): 1 / 0"],
)
def test_a_package_that_cannot_be_loaded_takes_no_other_kind_with_it(
    workflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.delitem(sys.modules, "broken_actions", raising=False)
    install(tmp_path, monkeypatch, name="broken", program=program, entry="broken = broken_actions:Broken")
    assert "webhook" in registry.names()
    assert "'broken', which cannot be loaded: broken_actions:Broken" in refusal(with_action({"kind": "broken"}))


def test_an_unknown_kind_is_named_with_those_that_there_are(workflow: str) -> None:
    said = refusal(with_action({"kind": "fax"}))
    assert "/actions/accept/0/kind: expected one of the kinds of action" in said
    assert "webhook" in said
    assert "the string 'fax'" in said


def test_two_packages_that_claim_a_kind_do_not_get_it(
    workflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, name="evil", program="", entry="webhook = evil_actions:Webhook")
    assert "'webhook', which 2 packages claim" in refusal(with_action({"kind": "webhook", "endpoint": "shop"}))


def use_and_remove_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workflow has an action of a package that is not installed any more."""
    with monkeypatch.context() as installed:
        install(tmp_path, installed, name="labels", program=LABELS, entry="print-label = labels_actions:PrintLabel")
        label = {"kind": "print-label", "printer": "dock-2", "text_from": "customer_id"}
        save_workflow(name="orders", definition=with_action(label), actor=ACTOR)
    registry.forget()


def test_a_package_that_was_removed_leaves_dead_letters_and_decisions_go_on(
    workflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_and_remove_labels(tmp_path, monkeypatch)
    decide(workflow="orders", facts_in=FACTS, actor=ACTOR)
    action = Action.objects.get()
    deliver_action(action.pk)
    action.refresh_from_db()
    assert action.state == "dead"
    assert action.attempts.get().detail == "no installed package offers the kind of action 'print-label'"


def test_what_models_said_is_explained_where_the_package_of_an_action_was_removed(
    workflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_and_remove_labels(tmp_path, monkeypatch)
    decision, _ = decide(workflow="orders", facts_in=FACTS, actor=ACTOR)
    assert explain_predictions(decision) == {}  # the model of this workflow has nothing to tell


def test_what_the_input_lacks_is_the_actions_own_fault_and_for_good(
    workflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "labels_actions", raising=False)
    install(tmp_path, monkeypatch, name="labels", program=LABELS, entry="print-label = labels_actions:PrintLabel")
    label = {"kind": "print-label", "printer": "dock-2", "text_from": "price"}
    save_workflow(
        name="orders", definition=with_action(label) | {"predictions": [], "rule_set": _always_accept()}, actor=ACTOR
    )
    decide(workflow="orders", facts_in={"customer_id": "ann", "total": 20, "price": None}, actor=ACTOR)
    action = Action.objects.get()
    deliver_action(action.pk)
    action.refresh_from_db()
    assert action.state == "dead"
    assert "/input/price: expected a text or a number, got null" in action.attempts.get().detail
    assert not DeliveryTarget.objects.filter(name="print-label:dock-2").exists()


def _always_accept() -> str:
    rules = {
        "hit_policy": "first",
        "inputs": [{"field": "input.total", "type": "number", "label": "Total"}],
        "outputs": [{"field": "outcome", "type": "string", "label": "Outcome"}],
        "rules": [{"when": [""], "then": ['"accept"'], "note": "all"}],
    }
    save_rule_set(name="all", definition=rules, actor=ACTOR, approval="direct")
    return "all"


def test_order_needs_a_subject(workflow: str) -> None:
    ordered = with_action({"kind": "webhook", "endpoint": "shop", "ordered": True})
    without = {key: value for key, value in ordered.items() if key != "subject"}
    assert "/actions/accept/0/ordered: expected a workflow that names its subject" in refusal(without)


def test_every_kind_of_the_hub_loads() -> None:
    assert set(registry.names()) >= {"review", "webhook"}
