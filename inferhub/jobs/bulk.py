"""Bulk recommendations: cut into chunks, claimed by workers, stored by COPY, published when the last chunk is in."""

import math
import time
import uuid
from dataclasses import replace
from datetime import timedelta

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.catalog.queries import find_histories, list_user_ids, users_with_history
from inferhub.catalog.services import hold_off_erasures
from inferhub.celery import bell
from inferhub.errors import Conflict, InferhubError, NotFound
from inferhub.jobs.models import Chunk, Job, State
from inferhub.lib.retry import backoff
from inferhub.recommendations.models import Generation, Scenario
from inferhub.recommendations.queries import find_scenario
from inferhub.recommendations.services import (
    HISTORY_LIMIT,
    open_generation,
    publish_generation,
    recommend_many,
    store_recommendations,
)
from inferhub.registry.models import Alias
from inferhub.registry.queries import find_version_by_id

log = structlog.get_logger(__name__)

CHUNK_USERS = 256  # about a second of work: little is lost when a worker dies, and progress moves
_LEASE = timedelta(seconds=60)
_FIRST_WAIT = timedelta(seconds=2)
_MOST_ATTEMPTS = 5
_TURN_SECONDS = 2.0
_UNHEARD = timedelta(seconds=15)  # longer than a job usually waits for its next turn
_WORKERS_RUNG = 4
_NO_USERS = {"first_user_id": "", "last_user_id": ""}  # a chunk that nobody works on any more tells of nobody


def start_bulk_job(*, scenario: str, actor: str, action_id: uuid.UUID | None = None) -> Job:
    """Queue the recommendations of every user with a purchase. Raises NotFound, and Conflict where one runs already.

    The same `action_id` (of a decision's action) starts one job, however often it comes.
    """
    if action_id is not None and (started := Job.objects.filter(action_id=action_id).first()) is not None:
        return started
    found = Scenario.objects.select_related("boosts").filter(name=scenario).first()
    if found is None:
        raise NotFound(f"There is no scenario '{scenario}'.")
    alias = Alias.objects.filter(model_id=found.model_id, name=found.alias).first()
    if alias is None:
        raise Conflict(f"The model of the scenario '{scenario}' has no alias '{found.alias}' yet.")
    user_ids = list_user_ids()
    try:
        with transaction.atomic():
            generation = open_generation(scenario=found, version_id=alias.version_id)
            job = Job.objects.create(
                scenario=found,
                generation=generation,
                options={
                    "k": found.k,
                    "exclude_purchased": found.exclude_purchased,
                    "boosts": found.boosts.name if found.boosts else "",
                },
                total=len(user_ids),
                requested_by=actor,
                action_id=action_id,
            )
            Chunk.objects.bulk_create(_chunks(job, user_ids))
            record_event("job.started", actor=actor, subject=f"job:{job.pk}", details={"scenario": scenario})
            transaction.on_commit(lambda: _ring(job.pk))
    except IntegrityError as exc:
        raise Conflict(f"A job for the scenario '{scenario}' is running already.") from exc
    return job


def run_job(job_id: uuid.UUID | str) -> None:
    """Work on a job's chunks until none is left to claim. Any number of workers may do so at once."""
    work_on_job(job_id, seconds=math.inf)


def take_turn(job_id: uuid.UUID | str) -> None:
    """Work on a job for a moment, then queue up again behind whatever else waits: webhooks, reviews, deferred calls."""
    if work_on_job(job_id, seconds=_TURN_SECONDS):
        bell.ring("inferhub.jobs.tasks.run_job", str(job_id))


def work_on_job(job_id: uuid.UUID | str, *, seconds: float) -> bool:
    """Claim and run chunks for about `seconds`. Returns whether there may be more to do."""
    ends = time.monotonic() + seconds
    while (chunk := _claim_chunk(job_id)) is not None:
        if not _try_chunk(chunk):
            return False
        if time.monotonic() > ends:
            return True
    _finish_job(job_id)
    return False


def _try_chunk(chunk: Chunk) -> bool:
    """Whether the job goes on with its next chunk now."""
    where = {"job": str(chunk.job_id), "chunk": chunk.number}
    try:
        _run_chunk(chunk)
    except InferhubError as exc:
        if exc.is_permanent or chunk.attempt_count >= _MOST_ATTEMPTS:
            _fail_job(chunk.job, str(exc))
            return False
        log.warning("chunk failed, will be tried again", error=str(exc), **where)
        wait = backoff(chunk.attempt_count, first=_FIRST_WAIT, longest=_LEASE)
        mine = Chunk.objects.filter(pk=chunk.pk, is_done=False, attempt_count=chunk.attempt_count)
        mine.update(leased_until=timezone.now() + wait)
        return False  # the sweeper comes back
    except Exception as exc:  # the worker's boundary: a fault of ours ends the job with its name
        log.exception("unforeseen error in a chunk", **where)
        _fail_job(chunk.job, f"unforeseen {type(exc).__name__}; see the worker's log")
        return False
    return True


def open_jobs() -> list[uuid.UUID]:
    """Jobs that nobody works on, and on which nobody began for a while: not heard of, or their workers were lost."""
    now = timezone.now()
    held = Chunk.objects.filter(job_id=OuterRef("pk"), is_done=False, leased_until__gte=now)
    is_new = Q(worked_on_at__gte=now - _UNHEARD) | Q(worked_on_at=None, created_at__gte=now - _UNHEARD)
    jobs = Job.objects.filter(~Exists(held), state__in=[State.QUEUED, State.RUNNING]).exclude(is_new)
    return list(jobs.values_list("pk", flat=True))


def forget_lost_generations() -> None:
    """Delete the unpublished lists of jobs that ended without anybody to clean up after them."""
    busy = Job.objects.filter(generation_id=OuterRef("pk"), state__in=[State.QUEUED, State.RUNNING])
    made_before = timezone.now() - timedelta(days=1)
    Generation.objects.filter(~Exists(busy), published_at=None, created_at__lt=made_before).delete()


def _chunks(job: Job, user_ids: list[str]) -> list[Chunk]:
    pieces = [user_ids[start : start + CHUNK_USERS] for start in range(0, len(user_ids), CHUNK_USERS)]
    return [
        Chunk(job=job, number=number, first_user_id=piece[0], last_user_id=piece[-1], users=len(piece))
        for number, piece in enumerate(pieces, start=1)
    ]


def _claim_chunk(job_id: uuid.UUID | str) -> Chunk | None:
    """Lease the first chunk that is neither done nor held."""
    now = timezone.now()
    with transaction.atomic():
        chunk = (
            Chunk.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("job__scenario", "job__generation")
            .filter(job_id=job_id, job__state__in=[State.QUEUED, State.RUNNING], is_done=False)
            .filter(Q(leased_until=None) | Q(leased_until__lt=now))
            .order_by("number")
            .first()
        )
        if chunk is None:
            return None
        chunk.leased_until = now + _LEASE
        chunk.attempt_count += 1
        chunk.save(update_fields=["leased_until", "attempt_count"])
        Job.objects.filter(pk=job_id, state=State.QUEUED).update(state=State.RUNNING, started_at=now)
        Job.objects.filter(pk=job_id).update(worked_on_at=now)
    return chunk


def _run_chunk(chunk: Chunk) -> None:
    if chunk.attempt_count > _MOST_ATTEMPTS:  # it took a worker down each time
        raise Conflict(f"No worker finished chunk {chunk.number} in {_MOST_ATTEMPTS} attempts.")
    job = chunk.job
    generation = job.generation
    if generation is None:
        raise Conflict("The generation of this job was deleted.")
    histories = find_histories(chunk.first_user_id, chunk.last_user_id, limit=HISTORY_LIMIT)
    # As the scenario was at the start: one saved meanwhile must not mix two kinds of lists.
    plan = replace(find_scenario(job.scenario.name), **job.options)
    lists = recommend_many(plan, find_version_by_id(generation.version_id), histories)
    with transaction.atomic():
        hold_off_erasures()
        # Compare-and-set first: of several workers that computed a chunk, since a lease ran out, one stores it.
        if not Chunk.objects.filter(pk=chunk.pk, is_done=False).update(is_done=True, leased_until=None, **_NO_USERS):
            return
        if not Job.objects.filter(pk=job.pk, state=State.RUNNING).update(done=F("done") + chunk.users):
            transaction.set_rollback(True)  # the job failed meanwhile
            return
        # Not for those whose events were erased since they were read.
        present = users_with_history(list(lists))
        lists = {user_id: items for user_id, items in lists.items() if user_id in present}
        store_recommendations(generation_id=generation.pk, lists=lists)


def _finish_job(job_id: uuid.UUID | str) -> None:
    """Publish once every chunk is in; of several workers that come here one does it."""
    with transaction.atomic():
        job = Job.objects.select_for_update(of=("self",)).filter(pk=job_id, state=State.RUNNING).first()
        if job is None and not Chunk.objects.filter(job_id=job_id).exists():
            job = Job.objects.select_for_update(of=("self",)).filter(pk=job_id, state=State.QUEUED).first()
        if job is None or job.done < job.total:
            return
        if job.generation_id is not None:
            publish_generation(generation_id=job.generation_id, actor="system:worker")
        job.state, job.finished_at = State.SUCCEEDED, timezone.now()
        job.save(update_fields=["state", "finished_at"])
        details = {"scenario": job.scenario.name, "users": job.total}
        record_event("job.succeeded", actor="system:worker", subject=f"job:{job.pk}", details=details)


def _fail_job(job: Job, problem: str) -> None:
    with transaction.atomic():
        if Job.objects.filter(pk=job.pk, state=State.RUNNING).update(
            state=State.FAILED, problem=problem, finished_at=timezone.now()
        ):
            if job.generation is not None:
                job.generation.delete()
            job.chunks.update(**_NO_USERS)
            details = {"scenario": job.scenario.name, "problem": problem}
            record_event("job.failed", actor="system:worker", subject=f"job:{job.pk}", details=details)


def _ring(job_id: uuid.UUID) -> None:
    for _ in range(_WORKERS_RUNG):
        bell.ring("inferhub.jobs.tasks.run_job", str(job_id))
