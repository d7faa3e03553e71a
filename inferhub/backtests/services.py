"""Ask for a back-test, work on it, cancel it."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog
from django.db import transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Least
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.backtests.erasure import forget_amounts, pack_rows, unpack_rows
from inferhub.backtests.models import OPEN_STATES, Backtest, BacktestChange, BacktestFile, BacktestState
from inferhub.backtests.question import Question, resolve
from inferhub.backtests.rows import DecisionRows, FileRows, Source
from inferhub.backtests.run import Found, Plan, run_backtest
from inferhub.backtests.sides import read_side
from inferhub.celery import bell
from inferhub.errors import Conflict, InferhubError
from inferhub.lib.canonical import digest_of

log = structlog.get_logger(__name__)

_LEASE = timedelta(minutes=2)  # longer than a chunk takes
_MOST_ATTEMPTS = 3
_AT_ONCE = 1000


class _Stopped(Exception):
    """The back-test was cancelled, or another worker has taken it over."""


class _RowsErased(Exception):
    """Its file lost rows meanwhile: what was found holds some of what is to be forgotten."""


def start_backtest(question: Question, *, actor: str) -> Backtest:
    """Queue a comparison. Nothing is decided for real and nothing is done.

    Raises NotFound, InvalidInput (pointers into the question) and Conflict (no rows).
    """
    asked = resolve(question)
    with transaction.atomic():
        backtest = Backtest.objects.create(
            workflow=asked.workflow, options=asked.options, total=asked.total, requested_by=actor
        )
        if question.rows is not None:
            BacktestFile.objects.create(backtest=backtest, rows=pack_rows(map(orjson.dumps, question.rows)))
        details = asked.options | {"rows": asked.total}
        record_event("backtest.started", actor=actor, subject=f"backtest:{backtest.pk}", details=details)
        transaction.on_commit(lambda: ring(backtest.pk))
    return backtest


def cancel_backtest(*, backtest: Backtest, actor: str) -> None:
    """Stop it; what it found so far is not kept. Raises Conflict where it is finished."""
    with transaction.atomic():
        open_one = Backtest.objects.filter(pk=backtest.pk, state__in=OPEN_STATES)
        if not open_one.update(state=BacktestState.CANCELLED, finished_at=timezone.now(), leased_until=None):
            raise Conflict("The back-test is finished already.")
        BacktestFile.objects.filter(backtest=backtest).delete()
        record_event("backtest.cancelled", actor=actor, subject=f"backtest:{backtest.pk}")


def work_on_backtest(backtest_id: uuid.UUID | str) -> None:
    """Run a back-test to its end; does nothing where another worker has it or it is finished."""
    backtest = _claim(backtest_id)
    if backtest is None:
        return
    while True:
        try:
            _work(backtest)
        except _RowsErased:
            log.info("begun again, since rows of its file were erased", backtest=str(backtest_id))
        else:
            return


def open_backtests() -> list[uuid.UUID]:
    """Those that wait for a worker, or whose worker was lost."""
    return list(Backtest.objects.filter(_free()).order_by("id").values_list("pk", flat=True))


def ring(backtest_id: uuid.UUID) -> None:
    bell.ring("inferhub.backtests.tasks.run_backtest", str(backtest_id))


def _free() -> Q:
    lost = Q(state=BacktestState.RUNNING, leased_until__lt=timezone.now())
    return Q(state=BacktestState.QUEUED) | lost


def _claim(backtest_id: uuid.UUID | str) -> Backtest | None:
    now = timezone.now()
    claimed = Backtest.objects.filter(_free(), pk=backtest_id).update(
        state=BacktestState.RUNNING,
        leased_until=now + _LEASE,
        attempt_count=F("attempt_count") + 1,
        started_at=now,
        done=0,
    )
    return Backtest.objects.select_related("workflow").get(pk=backtest_id) if claimed else None


def _work(backtest: Backtest) -> None:
    """One run, and its end. Raises _RowsErased where it is to begin again, on the rows that are left."""
    file_id = BacktestFile.objects.filter(backtest=backtest).values_list("pk", flat=True).first()
    try:
        found = _run(backtest, file_id)
        _finish(backtest, state=BacktestState.SUCCEEDED, found=found, file_id=file_id)
    except _RowsErased:
        raise
    except _Stopped:
        return
    except InferhubError as exc:
        _finish(backtest, state=BacktestState.FAILED, problem=str(exc))
    except Exception as exc:  # the worker's boundary: a fault of ours ends the back-test with its name
        log.exception("unforeseen error in a back-test", backtest=str(backtest.pk))
        _finish(backtest, state=BacktestState.FAILED, problem=f"unforeseen {type(exc).__name__}; see the worker's log")


def _run(backtest: Backtest, file_id: int | None) -> Found:
    if backtest.attempt_count > _MOST_ATTEMPTS:  # it took a worker down each time
        raise Conflict(f"No worker finished the back-test in {_MOST_ATTEMPTS} attempts.")
    options = backtest.options
    plan = Plan(
        candidate=read_side(options["candidate"]),
        baseline=read_side(options["baseline"]) if options["baseline"] else None,
        amount=options["amount"],
        segment=options["segment"],
        checks_input=options["checks_input"],
    )

    def progress(done: int) -> None:
        lease = timezone.now() + _LEASE
        if file_id is not None and not BacktestFile.objects.filter(pk=file_id).exists():
            _check_not_stopped(backtest)
            raise _RowsErased
        if not _mine(backtest).update(done=Least(Value(done), F("total")), leased_until=lease):
            raise _Stopped

    return run_backtest(plan, _source(backtest, file_id), progress)


def _check_not_stopped(backtest: Backtest) -> None:
    if not _mine(backtest).exists():
        raise _Stopped


def _source(backtest: Backtest, file_id: int | None) -> Source:
    options = backtest.options
    if options["source"] == "file":
        if file_id is None:
            raise Conflict("The rows of the file are gone.")
        file = BacktestFile.objects.filter(pk=file_id).first()
        if file is None:
            _check_not_stopped(backtest)
            raise _RowsErased
        inputs = [orjson.loads(line) if line else None for line in unpack_rows(file.rows)]
        if not any(row is not None for row in inputs):
            raise Conflict("Every row of the file was about somebody whose data was erased: nothing is left to decide.")
        return FileRows(inputs=inputs)
    return DecisionRows(
        workflow_id=backtest.workflow_id,
        since=options["since"] and datetime.fromisoformat(options["since"]),
        until=options["until"] and datetime.fromisoformat(options["until"]),
    )


def _mine(backtest: Backtest) -> Any:
    return Backtest.objects.filter(pk=backtest.pk, state=BacktestState.RUNNING, attempt_count=backtest.attempt_count)


def _finish(
    backtest: Backtest,
    *,
    state: BacktestState,
    problem: str = "",
    found: Found | None = None,
    file_id: int | None = None,
) -> None:
    """Store how it ended. Raises _RowsErased where `found` comes from a file that lost rows meanwhile."""
    values: dict[str, Any] = {"state": state, "problem": problem, "leased_until": None, "finished_at": timezone.now()}
    if found is not None:
        # Decisions may have been erased, or come in, since it was asked for.
        values |= {"report": found.report, "digest": digest_of(found.report), "timings": found.seconds}
        values |= {"total": found.report["rows"], "done": found.report["rows"]}
    details = {"workflow": backtest.workflow.name} | ({"problem": problem} if problem else {})
    if found is not None:
        details |= {"digest": values["digest"], "rows": values["total"], "changed": found.report["changed"]}
    with transaction.atomic():
        if not _mine(backtest).update(**values):
            return
        if found is not None and file_id is not None and not BacktestFile.objects.filter(pk=file_id).exists():
            raise _RowsErased
        BacktestFile.objects.filter(backtest=backtest).delete()
        if found is not None:
            changes = [BacktestChange(backtest=backtest, **_values(change)) for change in found.changes]
            BacktestChange.objects.bulk_create(changes, batch_size=_AT_ONCE)
            forget_amounts(backtest)
        record_event(f"backtest.{state}", actor="system:worker", subject=f"backtest:{backtest.pk}", details=details)


def _values(change: Any) -> dict[str, Any]:
    return {name: getattr(change, name) for name in ("row", "decision_id", "baseline", "candidate", "amount")}
