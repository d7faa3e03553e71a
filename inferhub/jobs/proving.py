"""The work that keeps and checks the proof: seal, write the newest seal outside, verify, prove."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from inferhub.audit.chain import header_as_json
from inferhub.audit.copies import Target, copy_newest_seal, file_target, lost_copies, read_copies
from inferhub.audit.findings import Head, Report
from inferhub.audit.guards import EVENT_GUARDS, Guards
from inferhub.audit.models import Seal, Verification, VerificationState
from inferhub.audit.proofs import make_proof
from inferhub.audit.sealing import seal_all
from inferhub.audit.services import record_event
from inferhub.audit.streams import EVENTS, Stream, snapshot
from inferhub.audit.verification import Progress, verify_log
from inferhub.celery import bell
from inferhub.decisions.actions.webhook import send_webhook
from inferhub.decisions.models import WebhookEndpoint
from inferhub.decisions.proof import DECISION_GUARDS, DECISIONS
from inferhub.errors import FieldError, InferhubError, InvalidInput, NotFound, Unavailable
from inferhub.lib.describe import describe, listed

log = structlog.get_logger(__name__)

STREAMS: Sequence[Stream] = (EVENTS, DECISIONS)
GUARDS: Sequence[Guards] = (*EVENT_GUARDS, *DECISION_GUARDS)

_LEASE = timedelta(seconds=120)
_MOST_ATTEMPTS = 3


def seal_and_copy() -> list[Seal]:
    """Seal what is committed, and write the newest seal where it is wanted; gives the new seals."""
    made = seal_all()
    copy_newest_seal(seal_targets())
    return made


def seal_targets() -> list[Target]:
    """Where the newest seal goes (INFERHUB_SEAL_FILE, INFERHUB_SEAL_WEBHOOK)."""
    path, endpoint = settings.CONFIG.seal_file, settings.CONFIG.seal_webhook
    targets = [file_target(path)] if path else []
    if endpoint:
        targets.append(Target(name=f"webhook:{endpoint}", send=lambda seal: _send(endpoint, seal)))
    return targets


def _send(name: str, seal: Seal) -> None:
    endpoint = WebhookEndpoint.objects.filter(name=name).first()
    if endpoint is None:
        raise NotFound(f"INFERHUB_SEAL_WEBHOOK: there is no webhook endpoint '{name}'.")
    if not endpoint.is_active:
        raise Unavailable(f"The webhook endpoint '{name}' is switched off.")
    said = header_as_json(seal.header) | {"digest": seal.digest}
    body = {"type": "log.sealed", "timestamp": seal.sealed_at, "data": said}
    # A repeat has the same id: it is a part of the digest.
    result = send_webhook(endpoint, orjson.dumps(body), message_id=uuid.UUID(hex=seal.digest[:32]))
    if not result.is_success:
        raise Unavailable(result.detail)


def prove(name: str, id_text: str, *, head: int | None = None) -> dict[str, Any]:
    """The proof of one row of the stream `name` (`inferhub.audit.proofs`). Raises InvalidInput, NotFound, Conflict."""
    by_name = {stream.name: stream for stream in STREAMS}
    if name not in by_name:
        expected = f"one of {listed(sorted(by_name))}"
        raise InvalidInput(errors=[FieldError(pointer="/stream", expected=expected, got=describe(name))])
    with snapshot() as view:
        return make_proof(view, by_name[name], id_text, head=head)


def request_verification(*, since_seal: int = 0, actor: str) -> Verification:
    """Have a worker verify the log; rows of seals after `since_seal`, and the whole chain. Raises InvalidInput."""
    _check_since(since_seal)
    with transaction.atomic():
        asked = Verification.objects.create(since_seal=since_seal, requested_by=actor)
        transaction.on_commit(lambda: bell.ring("inferhub.jobs.tasks.run_verification", str(asked.pk)))
    return asked


def record_verification(
    *,
    since_seal: int = 0,
    copies: Sequence[Head] | None = None,
    actor: str,
    tell: Progress = lambda done, total: None,
) -> Verification:
    """Verify the log here and now, recorded as any other verification.

    `copies` are seals as they were written outside; where none are given, those of INFERHUB_SEAL_FILE. Raises
    InvalidInput where that file cannot be understood, or there is no seal `since_seal`.
    """
    _check_since(since_seal)
    asked = Verification.objects.create(
        since_seal=since_seal,
        requested_by=actor,
        state=VerificationState.RUNNING,
        started_at=timezone.now(),
        leased_until=timezone.now() + _LEASE,
        attempt_count=1,
    )
    return _verify(asked, copies, tell)


def _check_since(number: int) -> None:
    """Behind the newest seal there is nothing to check: all would seem well."""
    newest = Seal.objects.values_list("number", flat=True).first() or 0
    if not 0 <= number <= newest:
        expected = f"the number of a seal, up to {newest}, the newest, or 0"
        raise InvalidInput(errors=[FieldError(pointer="/since_seal", expected=expected, got=describe(number))])


def run_verification(verification_id: uuid.UUID | str) -> None:
    """Do a verification that was asked for; nothing where another worker has it or it is done."""
    if not _claim(verification_id):
        return
    asked = Verification.objects.get(pk=verification_id)
    if asked.attempt_count > _MOST_ATTEMPTS:  # it took a worker down each time
        _give_up(asked, f"No worker finished it in {_MOST_ATTEMPTS} attempts.")
        return
    try:
        _verify(asked, None, lambda done, total: None)
    except InferhubError as exc:
        log.warning("a verification could not be done", verification=str(asked.pk), why=str(exc))


def _verify(asked: Verification, copies: Sequence[Head] | None, tell: Progress) -> Verification:
    mine = Verification.objects.filter(pk=asked.pk, attempt_count=asked.attempt_count)

    def progress(done: int, total: int) -> None:
        mine.update(rows=done, total=total, leased_until=timezone.now() + _LEASE)
        tell(done, total)

    try:
        known = _own_copies() if copies is None else copies
        with snapshot() as view:
            report = verify_log(
                view, STREAMS, since_seal=asked.since_seal, copies=known, guards=GUARDS, progress=progress
            )
        for finding in lost_copies(seal_targets()) if copies is None else ():
            report.add(finding)
    except InferhubError as exc:
        _give_up(asked, str(exc))
        raise
    _finish(asked, report)
    asked.refresh_from_db()
    return asked


def _own_copies() -> Sequence[Head]:
    """What this machine has of INFERHUB_SEAL_FILE: other workers may write it elsewhere."""
    path = settings.CONFIG.seal_file
    return read_copies(path) if path and path.exists() else ()


def _give_up(asked: Verification, problem: str) -> None:
    mine = Verification.objects.filter(pk=asked.pk, attempt_count=asked.attempt_count)
    mine.update(state=VerificationState.BROKEN, problem=problem, finished_at=timezone.now(), leased_until=None)


def _finish(asked: Verification, report: Report) -> None:
    state = VerificationState.PASSED if report.is_clean else VerificationState.FAILED
    with transaction.atomic():
        finished = Verification.objects.filter(pk=asked.pk, attempt_count=asked.attempt_count).update(
            state=state,
            head=report.head,
            rows=sum(report.rows.values()),
            report=report.as_json(),
            finished_at=timezone.now(),
            leased_until=None,
        )
        if finished:
            details = {"state": state.value, "seal": report.head, "digest": report.head_digest}
            details |= {"rows": report.rows, "findings": dict(report.counts)}
            record_event("log.verified", actor=asked.requested_by, subject="log", details=details)
    if not report.is_clean:
        log.error("the log is not as it was written", findings=[one.sentence for one in report.findings[:10]])


def ring_for_open_verifications() -> None:
    """Tell the workers again of those that wait, or whose worker was lost. Each takes as long as the log is."""
    for pk in Verification.objects.filter(_free()).order_by("id").values_list("pk", flat=True):
        bell.ring("inferhub.jobs.tasks.run_verification", str(pk))


def _free() -> Q:
    lost = Q(state=VerificationState.RUNNING, leased_until__lt=timezone.now())
    return Q(state=VerificationState.QUEUED) | lost


def _claim(verification_id: uuid.UUID | str) -> bool:
    now = timezone.now()
    return bool(
        Verification.objects.filter(_free(), pk=verification_id).update(
            state=VerificationState.RUNNING,
            started_at=now,
            leased_until=now + _LEASE,
            attempt_count=F("attempt_count") + 1,
        )
    )
