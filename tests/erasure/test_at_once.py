"""An erasure while something else is under way: what was erased does not come back, and nothing is erased by half."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import Error, connection, transaction

from inferhub.audit.models import AuditEvent
from inferhub.audit.sealing import seal_all
from inferhub.backtests import services as backtests
from inferhub.backtests.models import Backtest, BacktestFile
from inferhub.backtests.question import Question
from inferhub.backtests.run import Found, Plan
from inferhub.backtests.sides import Asked
from inferhub.catalog.models import ErasedUser, Event
from inferhub.catalog.services import replace_events
from inferhub.decisions.log import DirectLog, GroupLog, connect, use_log
from inferhub.decisions.models import Action, ActionState, Decision, Review
from inferhub.decisions.review_queue import open_review
from inferhub.decisions.services import decide
from inferhub.erasure import services as erasing
from inferhub.erasure.services import Erased, erase_person
from inferhub.jobs import bulk, deferred
from inferhub.jobs.bulk import run_job, start_bulk_job
from inferhub.jobs.deferred import defer_call, run_deferred_call
from inferhub.jobs.models import DeferredCall, Job
from inferhub.jobs.proving import record_verification
from inferhub.recommendations.models import Recommendation
from inferhub.rulesets.services import save_rule_set
from tests.hub_fixtures import ACTOR, RULES

pytestmark = pytest.mark.django_db(transaction=True)

ANN = {"customer_id": "ann", "total": 20, "price": 10}
BEN = ANN | {"customer_id": "ben"}


def erase() -> Erased:
    return erase_person(subject="ann", reason="asked", actor=ACTOR)


def in_thread(work: Callable[[], Any]) -> "Future[Any]":
    """Work on a connection of its own, which ends with it."""

    def run() -> Any:
        try:
            return work()
        finally:
            connection.close()

    pool = ThreadPoolExecutor(1)
    found = pool.submit(run)
    pool.shutdown(wait=False)
    return found


def is_waiting(found: "Future[Any]") -> bool:
    """Whether the other thread stands at a lock: it has had time enough to be done."""
    time.sleep(0.5)
    return not found.done()


@pytest.fixture
def group_log(workflow: str) -> Iterator[None]:
    made = GroupLog(connect)
    use_log(made)
    yield
    use_log(DirectLog())
    made.close()


def test_decisions_made_during_an_erasure_are_whole_or_erased(workflow: str, group_log: None) -> None:
    stop = threading.Event()

    def keep_deciding() -> int:
        count = 0
        while not stop.is_set():
            decide(workflow="orders", facts_in=ANN, actor=ACTOR)
            count += 1
        return count

    deciding = [in_thread(keep_deciding) for _ in range(2)]
    try:
        counts = [erase().counts["decisions"] for _ in range(5)]
    finally:
        stop.set()
    made = sum(one.result(20) for one in deciding)
    assert sum(counts) + erase().counts["decisions"] == made
    assert not Decision.objects.filter(erased_at=None).exists()
    assert not Decision.objects.exclude(subject="", input={}, trace={}, salt="").exists()
    seal_all()
    assert record_verification(copies=(), actor=ACTOR).state == "passed"


def test_a_worker_that_opens_a_review_meanwhile_need_not_wait(workflow: str) -> None:
    """It holds the action, for which the erasure waits: where each waited for the other, one would fail."""
    decide(workflow="orders", facts_in=ANN | {"total": None}, actor=ACTOR)
    action = Action.objects.select_related("decision").get(kind="review")
    with transaction.atomic():
        assert erase().counts["actions"] == 1
        assert in_thread(lambda: open_review(action)).result(5).title
    assert Action.objects.get().state == ActionState.CANCELLED
    assert Review.objects.count() == 1


def test_two_erasures_of_one_subject_share_what_there_is(workflow: str) -> None:
    for _ in range(20):
        decide(workflow="orders", facts_in=ANN, actor=ACTOR)
    found = [in_thread(erase) for _ in range(3)]
    assert sum(one.result(20).counts["decisions"] for one in found) == 20
    assert AuditEvent.objects.filter(action="decision.erased").count() == 20


def test_whoever_dies_in_the_middle_has_erased_nothing(
    workflow: str, scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(workflow="orders", facts_in=ANN, actor=ACTOR)

    def die(*_: Any) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return 0

    with monkeypatch.context() as patch:
        patch.setattr(erasing, "_forget_answers", die)
        with pytest.raises(Error):
            in_thread(erase).result(20)
    assert Decision.objects.get().subject == "ann"
    assert (Event.objects.filter(user_id="ann").count(), ErasedUser.objects.count()) == (2, 0)
    assert not AuditEvent.objects.filter(action__endswith="erased").exists()
    assert erase().counts["decisions"] == 1


def test_a_bulk_job_that_has_read_the_history_does_not_publish_the_person(
    scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recommend = bulk.recommend_many

    def erase_meanwhile(*given: Any) -> Any:
        lists = recommend(*given)
        assert "ann" in lists
        in_thread(erase).result(20)
        return lists

    monkeypatch.setattr(bulk, "recommend_many", erase_meanwhile)
    job = start_bulk_job(scenario=scenario, actor=ACTOR)
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.state, job.done) == ("succeeded", 3)
    assert sorted(Recommendation.objects.values_list("user_id", flat=True)) == ["ben", "cid"]


def test_an_erasure_waits_for_lists_that_are_being_stored_and_takes_them(
    scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, erasures = bulk.store_recommendations, []

    def store_slowly(**given: Any) -> None:
        store(**given)
        erasures.append(in_thread(erase))
        assert is_waiting(erasures[0])

    monkeypatch.setattr(bulk, "store_recommendations", store_slowly)
    run_job(start_bulk_job(scenario=scenario, actor=ACTOR).pk)
    assert erasures[0].result(20).counts["recommendations"] == 1
    assert sorted(Recommendation.objects.values_list("user_id", flat=True)) == ["ben", "cid"]


def test_a_job_between_its_chunks_is_none_the_worse_for_an_erasure(
    scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "CHUNK_USERS", 1)
    job = start_bulk_job(scenario=scenario, actor=ACTOR)
    erase()
    run_job(job.pk)
    assert Job.objects.get().state == "succeeded"
    assert sorted(Recommendation.objects.values_list("user_id", flat=True)) == ["ben", "cid"]


def test_an_erasure_waits_for_an_import_and_takes_what_it_brought(scenario: str) -> None:
    erasures = []

    def rows() -> Iterator[tuple[str, str, str, float, datetime]]:
        yield ("ann", "a", "purchase", 1.0, datetime(2026, 1, 1, tzinfo=UTC))
        erasures.append(in_thread(erase))
        assert is_waiting(erasures[0])
        yield ("ben", "a", "purchase", 1.0, datetime(2026, 1, 1, tzinfo=UTC))

    replace_events(rows(), actor=ACTOR)
    assert erasures[0].result(20).counts["events"] == 1
    assert list(Event.objects.values_list("user_id", flat=True)) == ["ben"]


def queued() -> Backtest:
    save_rule_set(name="screening", definition=RULES, actor=ACTOR)
    question = Question(workflow="orders", candidate=Asked(), rows=[ANN, BEN, ANN, BEN], amount="total")
    return backtests.start_backtest(question, actor=ACTOR)


@pytest.mark.parametrize("is_at_the_end", [False, True])
def test_a_back_test_that_has_read_its_file_begins_again_without_the_person(
    workflow: str, monkeypatch: pytest.MonkeyPatch, is_at_the_end: bool
) -> None:
    run, runs = backtests.run_backtest, []

    def erase_meanwhile(plan: Plan, source: Any, progress: Callable[[int], None]) -> Found:
        runs.append(sum(row is not None for row in source.inputs))
        if not is_at_the_end and len(runs) == 1:
            in_thread(erase).result(20)
        found = run(plan, source, progress)
        if is_at_the_end and len(runs) == 1:
            in_thread(erase).result(20)
        return found

    monkeypatch.setattr(backtests, "run_backtest", erase_meanwhile)
    backtest = queued()
    backtests.work_on_backtest(backtest.pk)
    backtest.refresh_from_db()
    assert runs == [4, 2]
    assert (backtest.state, backtest.total, backtest.done, backtest.attempt_count) == ("succeeded", 2, 2, 1)
    assert backtest.report["rows"] == 2
    assert not BacktestFile.objects.exists()


def test_a_back_test_that_is_cancelled_while_rows_are_erased_ends(
    workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = backtests.run_backtest

    def end_meanwhile(*given: Any) -> Found:
        erase()
        backtests.cancel_backtest(backtest=backtest, actor=ACTOR)
        return run(*given)

    monkeypatch.setattr(backtests, "run_backtest", end_meanwhile)
    backtest = queued()
    backtests.work_on_backtest(backtest.pk)
    backtest.refresh_from_db()
    assert backtest.state == "cancelled"


def test_a_back_test_of_decisions_forgets_the_amounts_of_those_erased_while_it_ran(
    workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for facts in (ANN, BEN):
        decide(workflow="orders", facts_in=facts, actor=ACTOR)
    stricter = RULES | {"rules": [{"when": ["", ""], "then": ['"hold"'], "note": "all"}]}
    save_rule_set(name="screening", definition=stricter, actor=ACTOR)
    run = backtests.run_backtest

    def erase_at_the_end(*given: Any) -> Found:
        found = run(*given)
        in_thread(erase).result(20)
        return found

    monkeypatch.setattr(backtests, "run_backtest", erase_at_the_end)
    question = Question(workflow="orders", candidate=Asked(), amount="total")
    backtest = backtests.start_backtest(question, actor=ACTOR)
    backtests.work_on_backtest(backtest.pk)
    assert list(backtest.changes.order_by("row").values_list("amount", flat=True)) == [None, 20.0]


def test_an_erasure_waits_for_a_deferred_call_and_takes_the_decision_that_it_made(
    workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, erasures = deferred.run_call, []

    def answer_slowly(*given: Any) -> Any:
        erasures.append(in_thread(erase))
        assert is_waiting(erasures[0])
        return answer(*given)

    monkeypatch.setattr(deferred, "run_call", answer_slowly)
    run_deferred_call(defer_call(kind="decide", target="orders", body={"input": ANN}, actor=ACTOR).pk)
    counts = erasures[0].result(20).counts
    assert (counts["calls"], counts["decisions"]) == (1, 1)
    assert not DeferredCall.objects.exists()
    assert not Decision.objects.filter(erased_at=None).exists()
