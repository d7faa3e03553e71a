from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.utils import timezone

from inferhub.accounts.services import create_api_key
from inferhub.catalog.models import Event
from inferhub.errors import Conflict, InvalidInput, ModelFailed, NotFound
from inferhub.jobs import bulk, deferred, tasks
from inferhub.jobs.bulk import open_jobs, run_job, start_bulk_job, work_on_job
from inferhub.jobs.deferred import defer_call, open_calls, run_deferred_call
from inferhub.jobs.models import Chunk, DeferredCall, Job, State
from inferhub.jobs.tasks import start_bulk_recommendations, sweep_jobs
from inferhub.lib.snapshots import Snapshots
from inferhub.recommendations.models import Generation, Recommendation
from inferhub.recommendations.queries import find_stored
from inferhub.recommendations.services import save_scenario
from inferhub.registry.models import ModelVersion
from tests.hub_fixtures import ACTOR, Api

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _impatient_sweeper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_UNHEARD", timedelta(0))


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "CHUNK_USERS", 1)


def test_a_job_stores_a_list_for_every_customer_and_publishes_it(scenario: str, small_chunks: None) -> None:
    job = start_bulk_job(scenario=scenario, actor=ACTOR)
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.state, job.done, job.total) == (State.SUCCEEDED, 3, 3)
    assert sorted(Recommendation.objects.values_list("user_id", flat=True)) == ["ann", "ben", "cid"]
    assert find_stored(scenario, "ann").items == ["a", "b", "c"]


def test_what_another_process_published_is_read_at_once(scenario: str) -> None:
    run_job(start_bulk_job(scenario=scenario, actor=ACTOR).pk)
    with patch.object(Snapshots, "get", side_effect=AssertionError("a remembered answer")):
        assert find_stored(scenario, "ann").generation == Generation.objects.latest("id")


def test_nothing_is_visible_before_the_last_chunk_is_in(
    scenario: str, small_chunks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = start_bulk_job(scenario=scenario, actor=ACTOR)
    for _ in range(2):
        chunk = bulk._claim_chunk(job.pk)
        assert chunk is not None
        bulk._run_chunk(chunk)
    with pytest.raises(NotFound, match="No bulk job has published"):
        find_stored(scenario, "ann")


def test_a_chunk_whose_worker_died_is_done_again_without_a_double(scenario: str, small_chunks: None) -> None:
    job = start_bulk_job(scenario=scenario, actor=ACTOR)
    lost = bulk._claim_chunk(job.pk)  # this worker dies here
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.state, job.done) == (State.RUNNING, 2)
    assert open_jobs() == []
    Chunk.objects.filter(leased_until__isnull=False).update(leased_until=timezone.now() - timedelta(seconds=1))
    assert open_jobs() == [job.pk]
    sweep_jobs()
    assert lost is not None
    bulk._run_chunk(lost)  # the dead worker was only slow: what it brings now is not stored again
    job.refresh_from_db()
    assert (job.state, job.done, Recommendation.objects.count()) == (State.SUCCEEDED, 3, 3)


def test_a_worker_that_died_before_publishing_is_replaced(scenario: str) -> None:
    job = start_bulk_job(scenario=scenario, actor=ACTOR)
    chunk = bulk._claim_chunk(job.pk)
    assert chunk is not None
    bulk._run_chunk(chunk)
    sweep_jobs()
    job.refresh_from_db()
    assert job.state == State.SUCCEEDED


def test_of_one_scenario_one_job_runs_at_a_time(scenario: str) -> None:
    start_bulk_job(scenario=scenario, actor=ACTOR)
    with pytest.raises(Conflict, match="running already"):
        start_bulk_job(scenario=scenario, actor=ACTOR)
    start_bulk_recommendations(scenario)
    assert Job.objects.count() == 1
    assert Generation.objects.count() == 1


def test_a_job_without_customers_succeeds_at_once(scenario: str) -> None:
    Event.objects.all().delete()
    job = start_bulk_job(scenario=scenario, actor=ACTOR)
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.state, job.total) == (State.SUCCEEDED, 0)


def test_a_model_that_fails_ends_the_job_with_its_reason(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ModelFailed("no usable answer")

    monkeypatch.setattr(bulk, "recommend_many", fail)
    job = start_bulk_job(scenario=scenario, actor=ACTOR)
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.state, job.problem) == (State.FAILED, "no usable answer")
    start_bulk_job(scenario=scenario, actor=ACTOR)


def test_readers_keep_the_old_lists_until_the_new_ones_are_whole(scenario: str) -> None:
    for _ in range(4):
        run_job(start_bulk_job(scenario=scenario, actor=ACTOR).pk)
    assert Generation.objects.count() == 2
    assert find_stored(scenario, "ann").generation == Generation.objects.latest("id")


def test_a_job_takes_turns_with_other_work(scenario: str, small_chunks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[str] = []
    monkeypatch.setattr(bulk, "_TURN_SECONDS", 0.0)
    monkeypatch.setattr(bulk.bell, "ring", lambda task, argument: rung.append(argument))
    job = start_bulk_job(scenario=scenario, actor=ACTOR)
    tasks.run_job(str(job.pk))
    job.refresh_from_db()
    assert (job.done, rung) == (1, [str(job.pk)])
    for _ in range(3):
        tasks.run_job(str(job.pk))
    job.refresh_from_db()
    assert job.state == State.SUCCEEDED


def test_a_healthy_job_is_left_alone_by_the_sweeper_also_between_its_turns(
    scenario: str, small_chunks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_UNHEARD", timedelta(seconds=15))
    job = start_bulk_job(scenario=scenario, actor=ACTOR)
    assert open_jobs() == []  # the workers have been told
    work_on_job(job.pk, seconds=0)
    assert open_jobs() == []
    Job.objects.update(worked_on_at=timezone.now() - timedelta(seconds=16))
    assert open_jobs() == [job.pk]


def test_a_chunk_that_comes_after_its_job_failed_stores_nothing(scenario: str, small_chunks: None) -> None:
    job = start_bulk_job(scenario=scenario, actor=ACTOR)
    chunk = bulk._claim_chunk(job.pk)
    assert chunk is not None
    Job.objects.update(state=State.FAILED)
    bulk._run_chunk(chunk)
    assert not Recommendation.objects.exists()
    assert not Chunk.objects.filter(is_done=True).exists()


def test_a_fault_of_our_own_ends_a_job_and_a_call_with_its_name(
    scenario: str, price_model: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr(bulk, "recommend_many", fail)
    monkeypatch.setattr(deferred, "run_call", fail)
    job = start_bulk_job(scenario=scenario, actor=ACTOR)
    call = defer_call(kind="predict", target="price-model", body={"rows": [{"price": 1}]}, actor=ACTOR)
    sweep_jobs()
    job.refresh_from_db()
    call.refresh_from_db()
    assert (job.state, job.problem) == (State.FAILED, "unforeseen KeyError; see the worker's log")
    assert call.problem is not None
    assert "unforeseen KeyError" in call.problem["message"]


def test_a_deferred_call_answers_what_the_call_at_once_answers(api: Api, price_model: ModelVersion) -> None:
    body = {"rows": [{"price": 10}]}
    at_once = api.post("models/price-model/predictions", body).json()
    accepted = api.post("models/price-model/predictions", body, Prefer="respond-async, wait=5")
    assert (accepted.status_code, accepted["Preference-Applied"]) == (202, "respond-async")
    call_id = accepted.json()["call_id"]
    assert api.get(f"calls/{call_id}").json()["state"] == "queued"
    run_deferred_call(call_id)
    later = api.get(f"calls/{call_id}").json()
    assert later["state"] == "succeeded"
    assert later["answer"] | {"duration_ms": 0} == at_once | {"duration_ms": 0}


def test_a_deferred_call_that_fails_tells_the_same_problem(api: Api, price_model: ModelVersion) -> None:
    body = {"rows": [{"price": "x"}]}
    problem = api.post("models/price-model/predictions", body).json()
    call_id = api.post("models/price-model/predictions", body, Prefer="respond-async").json()["call_id"]
    run_deferred_call(call_id)
    later = api.get(f"calls/{call_id}").json()
    assert later["state"] == "failed"
    assert later["problem"]["errors"] == problem["errors"]


def test_another_key_does_not_see_a_deferred_call(api: Api, price_model: ModelVersion) -> None:
    call_id = api.post("models/price-model/predictions", {"rows": [{"price": 1}]}, Prefer="respond-async").json()[
        "call_id"
    ]
    other = Api(create_api_key(name="other", scopes=["predict", "read"], actor=ACTOR)[1])
    assert other.get(f"calls/{call_id}").status_code == 404


def test_a_deferred_call_whose_worker_died_is_run_again(price_model: ModelVersion) -> None:
    call = defer_call(kind="predict", target="price-model", body={"rows": [{"price": 1}]}, actor=ACTOR)
    DeferredCall.objects.update(state=State.RUNNING, leased_until=timezone.now() + timedelta(seconds=9))
    assert open_calls() == []
    DeferredCall.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    sweep_jobs()
    call.refresh_from_db()
    assert call.state == State.SUCCEEDED


def test_a_deferred_decision_that_runs_twice_decides_once(workflow: str) -> None:
    body = {"input": {"customer_id": "ann", "total": 20, "price": 10}}
    call = defer_call(kind="decide", target="orders", body=body, actor=ACTOR)
    run_deferred_call(call.pk)
    first = DeferredCall.objects.get().answer
    DeferredCall.objects.update(state=State.RUNNING, leased_until=timezone.now() - timedelta(seconds=1))
    run_deferred_call(call.pk)
    again = DeferredCall.objects.get().answer
    assert first is not None
    assert again is not None
    assert (again["decision_id"], again["is_repeat"]) == (first["decision_id"], True)


def test_a_deferred_call_that_takes_every_worker_down_is_given_up(price_model: ModelVersion) -> None:
    call = defer_call(kind="predict", target="price-model", body={"rows": [{"price": 1}]}, actor=ACTOR)
    DeferredCall.objects.update(attempt_count=3, state=State.RUNNING, leased_until=timezone.now())
    run_deferred_call(call.pk)
    call.refresh_from_db()
    assert call.state == State.FAILED
    assert call.problem is not None
    assert "3 attempts" in call.problem["message"]


def test_a_chunk_that_takes_every_worker_down_ends_the_job(scenario: str) -> None:
    job = start_bulk_job(scenario=scenario, actor=ACTOR)
    Chunk.objects.update(attempt_count=5, leased_until=timezone.now())
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.state, job.problem) == (State.FAILED, "No worker finished chunk 1 in 5 attempts.")


def test_a_scenario_saved_during_a_job_does_not_mix_two_kinds_of_lists(scenario: str, small_chunks: None) -> None:
    job = start_bulk_job(scenario=scenario, actor=ACTOR)
    work_on_job(job.pk, seconds=0)
    save_scenario(name=scenario, model="items", k=1, actor=ACTOR)
    run_job(job.pk)
    assert {len(found.items) for found in Recommendation.objects.all()} == {3}


def test_a_sweep_goes_on_after_work_that_breaks(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(job_id: object) -> None:
        raise RuntimeError(str(job_id))

    start_bulk_job(scenario=scenario, actor=ACTOR)
    call = defer_call(kind="recommend", target=scenario, body={"user_id": "ann"}, actor=ACTOR)
    broken = defer_call(kind="recommend", target=scenario, body={"user_id": "ben"}, actor=ACTOR)
    real = deferred.run_deferred_call
    monkeypatch.setattr(deferred, "run_deferred_call", lambda pk: break_down(pk) if pk == broken.pk else real(pk))
    monkeypatch.setattr(bulk, "take_turn", break_down)
    sweep_jobs()
    call.refresh_from_db()
    assert call.state == State.SUCCEEDED


def test_answers_of_deferred_calls_are_kept_for_a_while_only(scenario: str) -> None:
    old, new = (
        defer_call(kind="recommend", target=scenario, body={"user_id": user}, actor=ACTOR) for user in ("ann", "ben")
    )
    waiting = defer_call(kind="recommend", target=scenario, body={"user_id": "cid"}, actor=ACTOR)
    for call, days in ((old, 31), (new, 29)):
        run_deferred_call(call.pk)
        DeferredCall.objects.filter(pk=call.pk).update(finished_at=timezone.now() - timedelta(days=days))
    tasks.forget_old_work()
    assert {call.pk for call in DeferredCall.objects.all()} == {new.pk, waiting.pk}


def test_lists_that_no_job_will_ever_publish_are_dropped(scenario: str) -> None:
    run_job(start_bulk_job(scenario=scenario, actor=ACTOR).pk)
    busy = start_bulk_job(scenario=scenario, actor=ACTOR)
    published = Generation.objects.exclude(published_at=None).get()
    lost = Generation.objects.create(scenario=published.scenario, version=published.version)
    Generation.objects.update(created_at=timezone.now() - timedelta(days=2))
    tasks.forget_old_work()
    assert {found.pk for found in Generation.objects.all()} == {published.pk, busy.generation_id}
    assert lost.pk not in {found.pk for found in Generation.objects.all()}


@pytest.mark.parametrize(
    ("words", "pointer"),
    [({"k": 0}, "/k"), ({"k": 201}, "/k"), ({"alias": "No Alias"}, "/alias"), ({"name": "../x"}, "/name")],
)
def test_a_scenario_that_no_request_could_use_is_not_saved(scenario: str, words: dict[str, Any], pointer: str) -> None:
    given: dict[str, Any] = {"name": "other", "model": "items", "actor": ACTOR}
    with pytest.raises(InvalidInput) as refused:
        save_scenario(**given | words)
    assert [error.pointer for error in refused.value.errors] == [pointer]
