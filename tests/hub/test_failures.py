"""What a workflow does where a prediction fails or a fact is missing, and how long it keeps what it decided."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from inferhub.audit.models import AuditEvent
from inferhub.decisions import services
from inferhub.decisions.definition import parse_workflow
from inferhub.decisions.digests import digest_of_decision
from inferhub.decisions.models import Action, Decision
from inferhub.decisions.retention import expire_content
from inferhub.decisions.services import decide, decide_all, save_workflow
from inferhub.decisions.testing import case_of, run_workflow_tests
from inferhub.errors import InvalidDefinition, InvalidInput, ModelFailed, TimedOut
from tests.hub_fixtures import ACTOR, WORKFLOW

pytestmark = pytest.mark.django_db

ORDER = {"customer_id": "ann", "total": 20, "price": 10}


def _save(**changes: Any) -> None:
    save_workflow(name="orders", definition=WORKFLOW | changes, actor=ACTOR)


def _predicted(**more: Any) -> dict[str, Any]:
    return {"predictions": [WORKFLOW["predictions"][0] | more]}


def _decide(**changes: Any) -> Decision:
    return decide(workflow="orders", facts_in=ORDER | changes, actor=ACTOR)[0]


@pytest.fixture
def _model_is_down(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ModelFailed("it is down")

    monkeypatch.setattr(services, "predict_by", fail)


@pytest.mark.usefixtures("_model_is_down")
def test_a_prediction_that_fails_has_a_fallback_and_the_decision_says_so() -> None:
    _save(**_predicted(on_failure={"fallback": {"value": 500}}))
    decision = _decide()
    assert decision.outcome == "fast"
    assert decision.predictions["value"] == {
        "model": "price-model",
        "error": "it is down",
        "fallback": True,
        "output": {"value": 500},
    }
    assert digest_of_decision(Decision.objects.get()) == decision.digest
    assert run_workflow_tests(workflow="orders", cases=[case_of(decision)]).passed


@pytest.mark.usefixtures("_model_is_down")
def test_a_prediction_that_fails_may_be_an_error_and_spoils_no_other_row() -> None:
    _save(**_predicted(on_failure="error"))
    with pytest.raises(ModelFailed, match="The prediction 'value' failed: it is down"):
        _decide()
    assert not Decision.objects.exists()


@pytest.mark.usefixtures("_model_is_down")
@pytest.mark.parametrize("more", [{}, {"on_failure": "review"}])
def test_a_prediction_that_fails_is_a_review_where_nothing_else_is_said(more: dict[str, Any]) -> None:
    _save(**_predicted(**more), missing_facts="decline", actions={"decline": []})
    assert _decide().outcome == "review"


def test_the_time_that_a_prediction_has_is_handed_to_the_model(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, timeout_ms: int | None, **__: Any) -> None:
        raise TimedOut(f"not within {timeout_ms} ms")

    monkeypatch.setattr(services, "predict_by", fail)
    _save(**_predicted(timeout_ms=7, on_failure="error"))
    with pytest.raises(TimedOut, match="not within 7 ms"):
        _decide()


def test_a_missing_fact_leads_where_the_workflow_says(workflow: str) -> None:
    _save(missing_facts="decline", actions={"decline": [{"kind": "webhook", "endpoint": "shop"}]})
    decision = _decide(total=None)
    assert (decision.outcome, decision.trace["missing_facts"]) == ("decline", "decline")
    assert decision.trace["undecided"][0]["pointer"] == "/input/total"
    assert [action.kind for action in decision.actions.all()] == ["webhook"]


def test_an_outcome_for_missing_facts_without_actions_asks_nobody(workflow: str) -> None:
    _save(missing_facts="decline", actions={})
    assert not _decide(total=None).actions.exists()


def test_a_missing_fact_may_be_an_error_of_its_row_alone(workflow: str) -> None:
    _save(missing_facts="error")
    requests = [services.Request(facts=ORDER | {"total": None}), services.Request(facts=ORDER)]
    refused, made = decide_all(workflow="orders", requests=requests, actor=ACTOR)
    assert isinstance(refused, InvalidInput)
    assert [error.pointer for error in refused.errors] == ["/input/total"]
    assert not isinstance(made, Exception)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        (_predicted(on_failure="retry"), "/predictions/0/on_failure"),
        (_predicted(on_failure={"fallback": {}}), "/predictions/0/on_failure"),
        (_predicted(on_failure={"fallback": {"valeu": 1}}), "/predictions/0/on_failure/fallback/valeu"),
        (_predicted(timeout_ms=0), "/predictions/0/timeout_ms"),
        ({"missing_facts": ""}, "/missing_facts"),
        ({"retention_months": 0}, "/retention_months"),
        ({"input": WORKFLOW["input"] | {"examples": [{"total": 1}]}}, "/input/examples/0/customer_id"),
    ],
)
def test_a_definition_that_cannot_work_is_refused_with_the_place(
    workflow: str, changes: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        _save(**changes)
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_examples_of_the_input_may_be_given() -> None:
    examples = [{"customer_id": "ann", "total": 1}]
    assert parse_workflow(WORKFLOW | {"input": WORKFLOW["input"] | {"examples": examples}})


def _age(months: int) -> Any:
    return timezone.now() + timedelta(days=31 * (months + 1))


def test_content_goes_once_the_workflow_keeps_it_no_longer(workflow: str) -> None:
    _save(retention_months=3)
    kept, waiting = _decide(price=60), _decide()
    assert expire_content(now=_age(1)) == 0
    assert expire_content(now=_age(3)) == 1  # the other one has a webhook to deliver
    gone = Decision.objects.get(pk=kept.pk)
    assert (gone.input, gone.subject, gone.outcome, gone.erased_at is not None) == ({}, "", "fast", True)
    assert digest_of_decision(gone) == kept.digest
    Action.objects.filter(decision_id=waiting.pk).update(state="delivered")
    assert expire_content(now=_age(3)) == 1
    assert AuditEvent.objects.filter(action="workflow.content_expired", subject="workflow:orders").count() == 2


def test_a_workflow_that_says_nothing_keeps_everything(workflow: str) -> None:
    _decide(price=60)
    assert expire_content(now=_age(900)) == 0
