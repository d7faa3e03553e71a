"""Ask for a change that takes two people, and decide about it.

What a change does is known by those who ask for it: they register each kind with what speaks for it now (`check`) and
how it is carried out (`apply`). Approving carries it out at once, in the same transaction.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from inferhub.accounts.models import User
from inferhub.accounts.services import person_behind
from inferhub.approvals.models import ChangeRequest, ChangeState
from inferhub.audit.services import record_event
from inferhub.errors import Conflict, FieldError, InvalidInput, NotFound, NotPermitted
from inferhub.lib.snapshots import Snapshots

APPROVE = "approvals.approve_changerequest"
_MOST_REASON = 5000

Evidence = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kind:
    check: Callable[[ChangeRequest], Evidence]
    apply: Callable[[ChangeRequest, str], None]


Witness = Callable[[str, Mapping[str, Any]], Evidence]
"""Tells of a kind of change and its payload what else speaks for it or against it, such as back-tests."""

_kinds: dict[str, _Kind] = {}
_witnesses: list[Witness] = []


def register_kind(
    kind: str, *, check: Callable[[ChangeRequest], Evidence], apply: Callable[[ChangeRequest, str], None]
) -> None:
    """Say what changes of a kind are, once per process.

    `check` gives the evidence as it is now and raises Conflict where the change may not be carried out any more;
    `apply` gets the approved request and the approver as an actor. Both run in the transaction of the approval.
    """
    _kinds[kind] = _Kind(check=check, apply=apply)


def register_witness(witness: Witness) -> None:
    """Have `witness` add to the evidence of every change that is asked for, once per process."""
    _witnesses.append(witness)


def request_change(
    *,
    kind: str,
    subject: str,
    payload: Mapping[str, Any],
    reason: str,
    actor: str,
    evidence: Mapping[str, Any] | None = None,
) -> ChangeRequest:
    """Ask for a change, in the present transaction. Raises InvalidInput (no reason), Conflict (one is pending)."""
    _check_reason(reason)
    gathered = dict(evidence or {})
    for witness in _witnesses:
        gathered |= witness(kind, payload)
    try:
        with transaction.atomic():
            change = ChangeRequest.objects.create(
                kind=kind,
                subject=subject,
                payload=dict(payload),
                reason=reason,
                evidence=gathered,
                requested_by=actor,
                requested_person=person_behind(actor),
            )
    except IntegrityError as exc:
        raise _pending_already(kind, subject) from exc
    _record("change.requested", change, actor, reason=reason, payload=change.payload)
    return change


def find_change(change_id: int) -> ChangeRequest:
    """Raises NotFound."""
    change = ChangeRequest.objects.filter(pk=change_id).first()
    if change is None:
        raise NotFound(f"There is no change request {change_id}.")
    return change


def review_change(change: ChangeRequest) -> Evidence | None:
    """What speaks for a pending request at this moment, or `refused`: why it cannot be carried out any more.

    None where it is decided already.
    """
    if change.state != ChangeState.PENDING:
        return None
    try:
        with transaction.atomic():
            return _kinds[change.kind].check(change)
    except Conflict as exc:
        return {"refused": str(exc)}


def approve_change(*, change_id: int, actor: str, reason: str = "") -> ChangeRequest:
    """Allow a change that somebody else asked for, and carry it out.

    Raises NotPermitted (not an approver, or the same person), Conflict (decided already, or what spoke for it speaks
    for it no more); a refused approval is in the audit log as well.
    """
    with _refusal_recorded("change.approval_refused", change_id, actor), transaction.atomic():
        change = _locked_pending(change_id)
        person = _other_person(change, actor, "approve")
        evidence = _kinds[change.kind].check(change)
        _decide(change, ChangeState.APPROVED, actor=actor, person=person, reason=reason)
        _record("change.approved", change, actor, reason=reason, evidence=evidence)
        _kinds[change.kind].apply(change, actor)
    Snapshots.forget_all()
    return find_change(change_id)


def reject_change(*, change_id: int, actor: str, reason: str) -> ChangeRequest:
    """Refuse a change that somebody else asked for. Raises InvalidInput (no reason), NotPermitted, Conflict."""
    _check_reason(reason)
    with _refusal_recorded("change.rejection_refused", change_id, actor), transaction.atomic():
        change = _locked_pending(change_id)
        person = _other_person(change, actor, "reject")
        _decide(change, ChangeState.REJECTED, actor=actor, person=person, reason=reason)
        _record("change.rejected", change, actor, reason=reason)
    return change


def withdraw_change(*, change_id: int, actor: str, reason: str = "") -> ChangeRequest:
    """Take one's own request back. Raises NotPermitted (somebody else's), Conflict (decided already)."""
    with _refusal_recorded("change.withdrawal_refused", change_id, actor), transaction.atomic():
        change = _locked_pending(change_id)
        person = person_behind(actor)
        if not _is_own(change, actor, person):
            raise NotPermitted(f"Only {change.requested_by} can withdraw the change request {change_id}; reject it.")
        _decide(change, ChangeState.WITHDRAWN, actor=actor, person=person, reason=reason)
        _record("change.withdrawn", change, actor, reason=reason)
    return change


def _locked_pending(change_id: int) -> ChangeRequest:
    change = ChangeRequest.objects.select_for_update().filter(pk=change_id).first()
    if change is None:
        raise NotFound(f"There is no change request {change_id}.")
    if change.state != ChangeState.PENDING:
        raise Conflict(f"The change request {change_id} is {change.state} already, by {change.decided_by}.")
    return change


def _other_person(change: ChangeRequest, actor: str, deed: str) -> User:
    """The person who decides: known, active, an approver, and not the one who asked."""
    person = person_behind(actor)
    if person is None:
        raise NotPermitted(
            f"To {deed} a change takes a person: {actor} is none. Use the console, or an API key that a person made."
        )
    if not person.is_active:
        raise NotPermitted(f"The account of {person.username} is switched off.")
    if not person.has_perm(APPROVE):
        raise NotPermitted(f"{person.username} may not {deed} changes: the role approver is missing.")
    if _is_own(change, actor, person):
        instead = "Another person has to approve it." if deed == "approve" else "It can be withdrawn."
        raise NotPermitted(f"{person.username} asked for this change and cannot {deed} it as well. {instead}")
    return person


def _is_own(change: ChangeRequest, actor: str, person: User | None) -> bool:
    return change.requested_by == actor or (person is not None and change.requested_person_id == person.pk)


def _decide(change: ChangeRequest, state: ChangeState, *, actor: str, person: User | None, reason: str) -> None:
    change.state, change.decided_by, change.decided_person = state, actor, person
    change.decided_at, change.decision_reason = timezone.now(), reason
    values = {name: getattr(change, name) for name in ("decided_by", "decided_person", "decided_at", "decision_reason")}
    if not ChangeRequest.objects.filter(pk=change.pk, state=ChangeState.PENDING).update(state=state, **values):
        raise Conflict(f"The change request {change.pk} was decided meanwhile.")


@contextmanager
def _refusal_recorded(action: str, change_id: int, actor: str) -> Iterator[None]:
    """Put a decision that is refused into the audit log, after its transaction was undone."""
    try:
        yield
    except (NotPermitted, Conflict) as exc:
        with transaction.atomic():
            _record(action, find_change(change_id), actor, why=str(exc))
        raise


def _record(action: str, change: ChangeRequest, actor: str, **details: Any) -> None:
    details = {"change": change.pk, "kind": change.kind} | details
    record_event(action, actor=actor, subject=change.subject, details=details)


def _pending_already(kind: str, subject: str) -> Conflict:
    pending = ChangeRequest.objects.filter(kind=kind, subject=subject, state=ChangeState.PENDING).first()
    which = f"request {pending.pk} by {pending.requested_by}" if pending else "a request"
    return Conflict(
        f"{kind} of {subject} waits for approval already: {which}. It has to be decided or withdrawn first."
    )


def _check_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > _MOST_REASON:
        expected = f"a reason of 1 to {_MOST_REASON} characters"
        raise InvalidInput(errors=[FieldError(pointer="/reason", expected=expected, got=f"{len(reason)} characters")])
