"""Back-tests over the decision log and over files: the outcomes that would be, counted, and nothing else changed."""

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from django.db import Error, transaction
from django.utils import timezone

from inferhub.audit.models import AuditEvent
from inferhub.backtests import rows as rows_module
from inferhub.backtests import services
from inferhub.backtests.models import Backtest, BacktestChange, BacktestFile, BacktestState
from inferhub.backtests.question import Question
from inferhub.backtests.services import cancel_backtest, open_backtests, start_backtest, work_on_backtest
from inferhub.backtests.sides import Asked
from inferhub.decisions.models import Action, Decision
from inferhub.decisions.services import Request, decide_all, save_workflow
from inferhub.erasure.services import erase_person
from inferhub.errors import Conflict, InvalidInput, NotFound
from inferhub.registry.models import ModelVersion
from inferhub.rulesets.services import save_rule_set
from tests.hub_fixtures import ACTOR, RULES, WORKFLOW, register_direct
from tests.models import linear_model

pytestmark = pytest.mark.django_db

ORDERS: list[dict[str, Any]] = [
    {"customer_id": "ann", "total": 20, "price": 10},  # accept
    {"customer_id": "ben", "total": 600, "price": 60.5},  # fast
    {"customer_id": "cid", "total": 1001, "price": 1},  # hold
    {"customer_id": "dan", "total": 700, "price": 2},  # accept
    {"customer_id": "eve", "total": None, "price": 3},  # review: no total
    {"customer_id": "fay", "total": 5},  # review: no price
]


def rules(limit: int = 1000, worth: int = 100) -> dict[str, Any]:
    changed = deepcopy(RULES)
    changed["rules"][0]["when"][0] = f"> {limit}"
    changed["rules"][1]["when"][1] = f">= {worth}"
    return changed


def decide(orders: list[dict[str, Any]] = ORDERS) -> list[str]:
    found = decide_all(workflow="orders", requests=[Request(facts=order) for order in orders], actor=ACTOR)
    assert not [one for one in found if isinstance(one, Exception)]
    return [decision.outcome for decision in Decision.objects.order_by("id")]


def ran(**question: Any) -> Backtest:
    asked = {"workflow": "orders", "candidate": Asked()} | question
    backtest = start_backtest(Question(**asked), actor=ACTOR)
    work_on_backtest(backtest.pk)
    backtest.refresh_from_db()
    assert backtest.problem == ""
    return backtest


def moves(backtest: Backtest) -> dict[tuple[str, str], int]:
    return {(entry["baseline"], entry["candidate"]): entry["rows"] for entry in backtest.report["transitions"]}


def test_the_same_versions_change_nothing(workflow: str) -> None:
    decide()
    backtest = ran()
    assert (backtest.state, backtest.report["rows"], backtest.report["changed"]) == ("succeeded", 6, 0)
    assert moves(backtest) == {("accept",) * 2: 2, ("fast",) * 2: 1, ("hold",) * 2: 1, ("review",) * 2: 2}


def test_a_new_rule_set_version_is_told_by_outcome_in_rows_and_money(workflow: str) -> None:
    decide()
    save_rule_set(name="screening", definition=rules(limit=500), actor=ACTOR)
    backtest = ran(amount="total")
    assert moves(backtest)["accept", "hold"] == 1
    assert moves(backtest)["fast", "hold"] == 1
    hold = next(entry for entry in backtest.report["outcomes"] if entry["outcome"] == "hold")
    assert (hold["baseline"], hold["candidate"]) == ({"rows": 1, "amount": 1001}, {"rows": 3, "amount": 2301})
    assert hold["amount_difference"]["value"] == 1300
    assert hold["p_value"] == 0.5  # two rows came, none left
    assert (backtest.report["changed"], backtest.report["changed_amount"]) == (2, 1300)
    assert backtest.report["amounts_missing"] == 1
    assert backtest.report["rules"] == [{"index": 0, "rows": 3}, {"index": 2, "rows": 1}]
    assert backtest.report["undecided"] == {"/input/total": 1, "/prediction": 1}


def test_an_amount_that_is_too_large_to_be_summed_counts_as_none(workflow: str) -> None:
    decide([{"customer_id": "ann", "total": total, "price": 10} for total in (20, 1e308, 1.7e308, -1e200, 2**53)])
    save_rule_set(name="screening", definition=rules(limit=10), actor=ACTOR)
    report = ran(amount="total").report
    assert (report["rows"], report["amounts_missing"]) == (5, 3)
    assert report["changed_amount"] == 20


def test_the_rows_that_change_are_kept_with_their_decisions(workflow: str) -> None:
    decide()
    save_rule_set(name="screening", definition=rules(limit=500), actor=ACTOR)
    backtest = ran(amount="total")
    kept = list(backtest.changes.values_list("row", "baseline", "candidate", "amount"))
    assert kept == [(2, "fast", "hold", 600), (4, "accept", "hold", 700)]
    ids = list(Decision.objects.order_by("id").values_list("pk", flat=True))
    assert list(backtest.changes.values_list("decision_id", flat=True)) == [ids[1], ids[3]]


def test_another_model_version_runs_again_and_rows_that_it_refuses_are_reviews(workflow: str) -> None:
    decide()
    register_direct(name="price-model", task="regression", data=linear_model(50.0))
    backtest = ran(candidate=Asked(models={"value": 2}))
    assert moves(backtest) == {
        ("accept", "fast"): 2,
        ("fast", "fast"): 1,
        ("hold", "hold"): 1,
        ("review", "review"): 2,
    }
    assert backtest.options["candidate"]["models"]["value"]["version"] == 2


def test_what_the_candidate_does_not_name_stays_as_it_is_recorded(workflow: str) -> None:
    decide()
    register_direct(name="price-model", task="regression", data=linear_model(50.0), alias="champion")
    backtest = ran()
    assert backtest.options["candidate"]["models"] == {}
    assert backtest.report["changed"] == 0


def test_another_workflow_version_with_another_question_to_the_model_is_asked_anew(workflow: str) -> None:
    decide()
    register_direct(name="price-model", task="regression", data=linear_model(50.0))
    definition = deepcopy(WORKFLOW)
    definition["predictions"][0]["version"] = 2
    save_workflow(name="orders", definition=definition, actor=ACTOR)
    assert moves(ran())["accept", "fast"] == 2
    assert moves(ran(candidate=Asked(workflow_version=1)))["accept", "accept"] == 2


def with_failure(on_failure: Any) -> dict[str, Any]:
    definition = deepcopy(WORKFLOW)
    definition["predictions"][0]["on_failure"] = on_failure
    return definition


@pytest.mark.parametrize(
    ("recorded", "candidate", "move"),
    [
        ("review", {"fallback": {"value": 500}}, ("review", "fast")),
        ("review", {"fallback": {"value": 5}}, ("review", "accept")),
        ("review", "error", ("review", "(input refused)")),
        ({"fallback": {"value": 500}}, "review", ("fast", "review")),
        ({"fallback": {"value": 500}}, {"fallback": {"value": 5}}, ("fast", "accept")),
        ({"fallback": {"value": 500}}, {"fallback": {"value": 500}}, ("fast", "fast")),
    ],
)
def test_where_a_recorded_prediction_failed_the_candidate_does_as_it_says(
    workflow: str, recorded: Any, candidate: Any, move: tuple[str, str]
) -> None:
    save_workflow(name="orders", definition=with_failure(recorded), actor=ACTOR)
    failed = {"customer_id": "fay", "total": 5}
    decide([ORDERS[0], failed, ORDERS[1], failed])
    register_direct(name="price-model", task="regression", data=linear_model(50.0), alias="champion")
    save_workflow(name="orders", definition=with_failure(candidate), actor=ACTOR)
    backtest = ran()
    assert backtest.options["candidate"]["models"] == {}  # what the model said is recorded
    expected = {("accept", "accept"): 1, ("fast", "fast"): 1}
    assert moves(backtest) == expected | {move: 2 + expected.get(move, 0)}
    report = backtest.report
    assert report["undecided"] == ({"/prediction": 2} if move[1] == "review" else {})


def test_inputs_that_another_workflow_version_refuses_are_counted_and_told(workflow: str) -> None:
    decide()
    definition = deepcopy(WORKFLOW)
    definition["input"]["required"].append("price")
    save_workflow(name="orders", definition=definition, actor=ACTOR)
    backtest = ran()
    assert moves(backtest)["review", "(input refused)"] == 1
    (refused,) = backtest.report["refused"]
    assert refused["row"] == 6
    assert "/input/price" in refused["problem"]


def test_two_named_sides_are_compared_over_the_same_decisions(workflow: str) -> None:
    decide()
    for limit in (500, 10):
        save_rule_set(name="screening", definition=rules(limit=limit), actor=ACTOR)
    backtest = ran(baseline=Asked(rule_set_version=2), candidate=Asked(rule_set_version=3))
    assert moves(backtest)["accept", "hold"] == 1  # 20 and 600, of which the second was held already
    assert backtest.report["changed"] == 1


def test_a_file_is_decided_by_the_versions_in_use_and_by_the_candidate(workflow: str) -> None:
    save_rule_set(name="screening", definition=rules(limit=500), actor=ACTOR)
    more = [*ORDERS, {"customer_id": "gus", "total": "much", "price": 1}]
    backtest = ran(rows=more, candidate=Asked(rule_set_version=1))
    assert moves(backtest)["hold", "accept"] == 1
    assert moves(backtest)["hold", "fast"] == 1
    assert moves(backtest)["(input refused)", "(input refused)"] == 1
    assert not BacktestFile.objects.exists()
    assert set(backtest.changes.values_list("decision_id", flat=True)) == {None}


def test_segments_are_told_apart_by_size(workflow: str) -> None:
    decide([*ORDERS, {"customer_id": "gus", "total": 700, "price": 2}])
    save_rule_set(name="screening", definition=rules(limit=500), actor=ACTOR)
    first, *_ = ran(segment="price").report["segments"]
    assert first == {
        "segment": "2",
        "rows": 2,
        "changed": 2,
        "baseline": {"accept": 2},
        "candidate": {"hold": 2},
    }


def test_a_back_test_decides_nothing_for_real(workflow: str) -> None:
    decide()
    before = (Decision.objects.count(), Action.objects.count())
    register_direct(name="price-model", task="regression", data=linear_model(50.0))
    ran(candidate=Asked(models={"value": 2}))
    assert (Decision.objects.count(), Action.objects.count()) == before


def test_erased_decisions_are_no_part_of_it(workflow: str) -> None:
    decide()
    erase_person(subject="ann", reason="asked", actor=ACTOR)
    assert ran().report["rows"] == 5


def test_a_report_that_cannot_be_stored_ends_the_back_test_with_its_name(
    workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide()
    monkeypatch.setattr(services, "forget_amounts", lambda _: 1 / 0)
    backtest = start_backtest(Question(workflow=workflow, candidate=Asked()), actor=ACTOR)
    work_on_backtest(backtest.pk)
    backtest.refresh_from_db()
    assert (backtest.state, backtest.problem) == ("failed", "unforeseen ZeroDivisionError; see the worker's log")
    assert backtest.report is None
    assert not backtest.changes.exists()


def test_chunks_make_no_difference(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decide()
    save_rule_set(name="screening", definition=rules(limit=500), actor=ACTOR)
    whole = ran(amount="total", segment="price")
    monkeypatch.setattr(rows_module, "_MOST_AT_ONCE", 2)
    pieces = ran(amount="total", segment="price")
    assert pieces.report == whole.report
    assert pieces.digest == whole.digest


@pytest.mark.parametrize(
    ("question", "pointer"),
    [
        ({"candidate": Asked(workflow_version=9)}, "/candidate/workflow_version"),
        ({"candidate": Asked(rule_set_version=9)}, "/candidate/rule_set_version"),
        ({"candidate": Asked(models={"other": 1})}, "/candidate/models/other"),
        ({"candidate": Asked(models={"value": 9})}, "/candidate/models/value"),
        ({"baseline": Asked(workflow_version=9)}, "/baseline/workflow_version"),
        ({"amount": "customer_id"}, "/amount"),
        ({"segment": "nothing"}, "/segment"),
        ({"segment": "customer_id"}, "/segment"),  # the subject: a report must not name people
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_by_field(
    workflow: str, question: dict[str, Any], pointer: str
) -> None:
    decide()
    with pytest.raises(InvalidInput) as caught:
        ran(**question)
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_a_period_without_decisions_is_refused(workflow: str) -> None:
    decide()
    with pytest.raises(Conflict, match="nothing to decide again"):
        ran(until=timezone.now() - timedelta(days=1))
    with pytest.raises(NotFound):
        ran(workflow="nothing")


def test_a_finished_back_test_stands(workflow: str) -> None:
    decide()
    save_rule_set(name="screening", definition=rules(limit=500), actor=ACTOR)
    backtest = ran()
    for deed in (
        lambda: Backtest.objects.filter(pk=backtest.pk).update(report={}),
        lambda: BacktestChange.objects.update(candidate="accept"),
        lambda: BacktestChange.objects.all().delete(),
        backtest.delete,
    ):
        with pytest.raises(Error), transaction.atomic():
            deed()
    details = AuditEvent.objects.get(action="backtest.succeeded").details
    assert details["digest"] == backtest.digest
    assert details["changed"] == 2


def test_a_back_test_can_be_cancelled_once(workflow: str) -> None:
    decide()
    backtest = start_backtest(Question(workflow="orders", candidate=Asked()), actor=ACTOR)
    cancel_backtest(backtest=backtest, actor=ACTOR)
    work_on_backtest(backtest.pk)
    backtest.refresh_from_db()
    assert (backtest.state, backtest.report) == (BacktestState.CANCELLED, None)
    with pytest.raises(Conflict):
        cancel_backtest(backtest=backtest, actor=ACTOR)


def test_one_whose_worker_was_lost_is_taken_up_again_and_begins_anew(workflow: str) -> None:
    decide()
    backtest = start_backtest(Question(workflow="orders", candidate=Asked()), actor=ACTOR)
    lost = timezone.now() - timedelta(seconds=1)
    running = {"state": "running", "attempt_count": 1, "done": 3}
    Backtest.objects.filter(pk=backtest.pk).update(leased_until=timezone.now() + timedelta(minutes=1), **running)
    assert open_backtests() == []
    Backtest.objects.filter(pk=backtest.pk).update(leased_until=lost)
    assert open_backtests() == [backtest.pk]
    work_on_backtest(backtest.pk)
    backtest.refresh_from_db()
    assert (backtest.state, backtest.report["rows"]) == ("succeeded", 6)


def test_a_model_that_does_not_load_ends_it_and_is_said(workflow: str, price_model: ModelVersion) -> None:
    decide()
    ModelVersion.objects.create(
        model=price_model.model,
        number=2,
        digest="0" * 64,
        source_digest="0" * 64,
        size=1,
        signature=price_model.signature,
        created_by=ACTOR,
    )
    question = Question(workflow="orders", candidate=Asked(models={"value": 2}))
    backtest = start_backtest(question, actor=ACTOR)
    work_on_backtest(backtest.pk)
    backtest.refresh_from_db()
    assert backtest.state == "failed"
    assert "The artifact 000000000000 could not be read" in backtest.problem
