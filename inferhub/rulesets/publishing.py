"""The life of a version: saved as a draft, tested, approved by another person, published for a time, rolled back.

Rule sets and workflows share it; each says once what its versions, test cases and publications are (`AuthoredKind`).
Where the policy of a rule set or workflow is `direct`, saving publishes at once; else a change request waits for
another person's approval. Nothing is published while a test case fails.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from inferhub.approvals.models import ChangeRequest
from inferhub.approvals.services import Evidence, register_kind, request_change
from inferhub.audit.services import record_event
from inferhub.errors import Conflict, FieldError, InvalidInput
from inferhub.lib.canonical import digest_of
from inferhub.lib.describe import describe
from inferhub.lib.snapshots import Snapshots
from inferhub.rulesets.authored import Approval, AuthoredPublication, AuthoredVersion
from inferhub.rulesets.cases import CaseReport, CaseResult, record_run

_MOST_TOLD = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthoredKind:
    """What rule sets and workflows do each in their own way.

    `check` raises InvalidDefinition where a version cannot be in force now; `run_cases` runs what has to pass before
    that. Both read the database as it is.
    """

    versions: Any
    publications: Any
    check: Callable[[Any], None]
    run_cases: Callable[[Any], Sequence[CaseResult]]

    @property
    def name(self) -> str:
        return str(self.versions.OWNER)

    @property
    def owners(self) -> Any:
        return self.versions._meta.get_field(self.name).related_model

    @property
    def publish(self) -> str:
        """The kind of its change requests."""
        return f"{self.name}.publish"

    @property
    def policy(self) -> str:
        return f"{self.name}.policy"


class TestsFailed(Conflict):
    """A version does not do what the test cases say; the message names each that fails, expected and got."""

    __test__ = False  # no class of tests

    def __init__(self, version: AuthoredVersion, results: Sequence[CaseResult]) -> None:
        self.version, self.results = version, tuple(results)
        self.failures = tuple(result for result in results if not result.passed)
        told = " ".join(failure.sentence for failure in self.failures[:_MOST_TOLD])
        more = f" And {len(self.failures) - _MOST_TOLD} more." if len(self.failures) > _MOST_TOLD else ""
        super().__init__(f"{version} is saved but cannot be published while a test case fails. {told}{more}")


def save_version(
    kind: AuthoredKind,
    *,
    name: str,
    definition: dict[str, Any],
    actor: str,
    description: str | None = None,
    note: str = "",
    approval: str = "",
    is_draft: bool = False,
) -> Any:
    """Keep a checked `definition` as the next version of the thing called `name`; publish it where that is direct.

    `approval` is for a new one: empty, it takes four eyes, so that the first version waits for approval as well.
    `is_draft` only saves. The definition that is in force, or the newest one again, makes no version; where nothing
    is published either, the version says that it `is_unchanged`. Raises
    InvalidInput, TestsFailed (the version is saved then) and Conflict (another policy than it has).
    """
    _check_approval(approval)
    with transaction.atomic():
        owner = _owner_to_extend(kind, name, approval, actor)
        if description is not None and owner.description != description:
            owner.description = description
            owner.save(update_fields=["description"])
        version, is_new = _find_or_make(kind, owner, definition, actor=actor, note=note)
    is_published = owner.approval == Approval.DIRECT and not is_draft and owner.current_id != version.pk
    if is_published:
        publish_version(kind, version=version, actor=actor, reason=note or "saved")
    version.is_unchanged = not (is_new or is_published)
    Snapshots.forget_all()
    return version


def publish_version(
    kind: AuthoredKind,
    *,
    version: Any,
    actor: str,
    reason: str,
    effective_from: datetime | None = None,
    effective_until: datetime | None = None,
) -> Any:
    """Put `version` in force, or ask for it: the publication where it is made, the change request where that waits.

    It is in force from `effective_from` on (None: from the moment at which it is published) until `effective_until`
    (None: until a later publication begins); every process changes over by itself. Raises InvalidInput,
    InvalidDefinition, TestsFailed, and Conflict where it is in force already or a request waits.
    """
    _check_reason(reason)
    _check_times(effective_from, effective_until)
    try:
        with transaction.atomic():
            owner = _locked(kind, version)
            if effective_from is None and effective_until is None:
                _refuse_same(kind, owner, version)
            evidence = _checked(kind, version)
            times = {"effective_from": _text(effective_from), "effective_until": _text(effective_until)}
            if owner.approval == Approval.FOUR_EYES:
                return _ask(kind, owner, version, times, reason, actor, evidence)
            made = _publish(kind, version, actor=actor, reason=reason, times=times)
    except TestsFailed as exc:
        record_refusal(kind, exc, actor)
        raise
    Snapshots.forget_all()
    return made


def roll_back(kind: AuthoredKind, *, owner: Any, actor: str, reason: str, from_version: int | None = None) -> Any:
    """Put the version that was in force before in force again, at once: it was approved then. The new publication.

    `from_version` is the number that the caller saw in force, so that two people who roll back at the same moment do
    not undo each other. Raises Conflict where another is, or where there is nothing to go back to.
    """
    _check_reason(reason)
    with transaction.atomic():
        found = kind.owners.objects.select_for_update(no_key=True, of=("self",)).get(pk=owner.pk)
        former, present = former_publication(found)
        if from_version is not None and (present is None or present.version.number != from_version):
            now = f"version {present.version.number}" if present else "no version"
            raise Conflict(f"Of {found} {now} is in force now, not version {from_version}.")
        if present is None or former is None:
            raise Conflict(f"There is no version of {found} to go back to.")
        values = {"reason": reason, "is_rollback": True, "published_by": actor}
        made = kind.publications.objects.create(**{kind.name: found}, version=former.version, **values)
        made.refresh_from_db()
        details = {"from": present.version.number, "to": former.version.number, "reason": reason}
        record_event(f"{kind.name}.rolled_back", actor=actor, subject=found.audit_subject, details=details)
    Snapshots.forget_all()
    return made


def former_publication(owner: Any) -> tuple[Any, Any]:
    """Where a rollback leads, and what is in force now; None where there is none."""
    made = owner.publications.select_related("version").newest_first()
    present = made.in_force().first()
    if present is None:
        return None, None
    earlier = [
        one
        for one in made.filter(cancelled_at=None, effective_from__lte=present.effective_from).exclude(
            version=present.version
        )
        if (one.effective_from, one.pk) < (present.effective_from, present.pk)
    ]
    return (earlier[0] if earlier else None), present


def cancel_publication(kind: AuthoredKind, *, publication: Any, actor: str, reason: str) -> Any:
    """Take back a publication that has not begun: what is in force stays so. Raises Conflict where it has begun."""
    _check_reason(reason)
    with transaction.atomic():
        waiting = kind.publications.objects.filter(
            pk=publication.pk, cancelled_at=None, effective_from__gt=timezone.now()
        )
        values = {"cancelled_at": timezone.now(), "cancelled_by": actor, "cancel_reason": reason}
        if not waiting.update(**values):
            raise Conflict(f"{publication} has begun or is cancelled already.")
        found = kind.publications.objects.select_related("version", kind.name).get(pk=publication.pk)
        details = {"version": found.version.number, "effective_from": _text(found.effective_from), "reason": reason}
        owner = getattr(found, kind.name)
        record_event(f"{kind.name}.publication_cancelled", actor=actor, subject=owner.audit_subject, details=details)
    Snapshots.forget_all()
    return found


def set_approval(kind: AuthoredKind, *, owner: Any, approval: str, actor: str, reason: str) -> Any:
    """Change how versions are published: the owner where it is done, the change request where it waits.

    Under four eyes that takes four eyes as well. Raises InvalidInput, and Conflict where a request waits already.
    """
    _check_approval(approval or "nothing")
    _check_reason(reason)
    with transaction.atomic():
        found = kind.owners.objects.select_for_update(no_key=True).get(pk=owner.pk)
        if found.approval == approval:
            return found
        if found.approval == Approval.FOUR_EYES:
            payload = {"name": found.name, "approval": approval, "from": found.approval}
            return request_change(
                kind=kind.policy, subject=found.audit_subject, payload=payload, reason=reason, actor=actor
            )
        _save_approval(kind, found, approval, actor, reason)
    return found


def record_refusal(kind: AuthoredKind, error: TestsFailed, actor: str) -> None:
    """Put a publication that the test cases refused into the audit log, after its transaction was undone.

    The run is noted, so that the version is known to fail, be it only by the test cases of those who use it.
    """
    version, owner = error.version, error.version.owner
    details = {"version": version.number, "failed": [failure.name for failure in error.failures]}
    runs: Any = kind.versions._meta.get_field("test_runs").related_model
    report = CaseReport(name=owner.name, version=version.number, results=error.results)
    with transaction.atomic():
        record_run(runs, version.pk, [test.document for test in owner.tests.all()], report, actor)
        record_event(f"{kind.name}.publication_refused", actor=actor, subject=owner.audit_subject, details=details)


def _owner_to_extend(kind: AuthoredKind, name: str, approval: str, actor: str) -> Any:
    """The owner's row, locked, so that two saves number one after the other. Decisions, which refer to it, go on."""
    wanted = {"approval": approval or Approval.FOUR_EYES}
    made, is_new = kind.owners.objects.get_or_create(name=name, defaults=wanted)
    if is_new:
        record_event(
            f"{kind.name}.created", actor=actor, subject=made.audit_subject, details={"approval": made.approval}
        )
    owner = kind.owners.objects.select_for_update(no_key=True).get(name=name)
    if approval and owner.approval != approval:
        raise Conflict(f"{name} is published by {owner.approval}, not {approval}; change its policy instead.")
    return owner


def _find_or_make(
    kind: AuthoredKind, owner: Any, definition: dict[str, Any], *, actor: str, note: str
) -> tuple[Any, bool]:
    digest = digest_of(definition)
    current, latest = owner.current, owner.versions.order_by("-number").first()
    for known in (current, latest):
        if known is not None and known.digest == digest:
            return known, False
    values = {"definition": definition, "digest": digest, "note": note, "created_by": actor}
    version = owner.versions.create(number=latest.number + 1 if latest else 1, **values)
    details = {"version": version.number, "digest": digest, "note": note}
    record_event(f"{kind.name}.saved", actor=actor, subject=owner.audit_subject, details=details)
    return version, True


def _locked(kind: AuthoredKind, version: Any) -> Any:
    """The owner's row, locked: its policy holds still until the end of the transaction."""
    return kind.owners.objects.select_for_update(no_key=True).get(pk=version.owner.pk)


def _refuse_same(kind: AuthoredKind, owner: Any, version: Any) -> None:
    present = owner.publications.in_force().newest_first().first()
    if present is not None and present.version_id == version.pk and present.effective_until is None:
        raise Conflict(f"{version} is in force already.")


def _checked(kind: AuthoredKind, version: Any) -> Evidence:
    """What speaks for a version: every test case, run now. Raises InvalidDefinition and TestsFailed."""
    kind.check(version)
    results = kind.run_cases(version)
    if any(not result.passed for result in results):
        raise TestsFailed(version, results)
    gates = [{"name": f"test: {result.name}", "passed": True, "sentence": result.sentence} for result in results]
    return {"gates": gates or [{"name": "test cases", "passed": True, "sentence": "There are none."}]}


def _ask(
    kind: AuthoredKind, owner: Any, version: Any, times: dict[str, Any], reason: str, actor: str, evidence: Evidence
) -> ChangeRequest:
    current = owner.current
    payload = {
        "name": owner.name,
        "version": version.number,
        "version_id": version.pk,
        "from": current.number if current else None,
    }
    return request_change(
        kind=kind.publish,
        subject=owner.audit_subject,
        payload=payload | times,
        reason=reason,
        actor=actor,
        evidence=evidence,
    )


def _publish(
    kind: AuthoredKind,
    version: Any,
    *,
    actor: str,
    reason: str,
    times: dict[str, str | None],
    change: ChangeRequest | None = None,
) -> AuthoredPublication:
    given = {name: datetime.fromisoformat(value) for name, value in times.items() if value is not None}
    owner = version.owner
    before = owner.current
    values = {"reason": reason, "published_by": actor, "change": change}
    made = kind.publications.objects.create(**{kind.name: owner}, version=version, **values, **given)
    made.refresh_from_db()
    details = {
        "version": version.number,
        "from": before.number if before else None,
        "effective_from": _text(made.effective_from),
        "effective_until": _text(made.effective_until),
        "reason": reason,
    }
    details |= {"change": change.pk} if change else {}
    record_event(f"{kind.name}.published", actor=actor, subject=owner.audit_subject, details=details)
    published: AuthoredPublication = made
    return published


def _save_approval(
    kind: AuthoredKind, owner: Any, approval: str, actor: str, reason: str, change: int | None = None
) -> None:
    details: dict[str, Any] = {"from": owner.approval, "to": approval, "reason": reason}
    owner.approval, owner.approval_change_id = approval, change or owner.approval_change_id
    owner.save(update_fields=["approval", "approval_change"])
    details |= {"change": change} if change else {}
    record_event(f"{kind.name}.policy_changed", actor=actor, subject=owner.audit_subject, details=details)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _check_times(effective_from: datetime | None, effective_until: datetime | None) -> None:
    if effective_until is None:
        return
    earliest = max(effective_from or timezone.now(), timezone.now())
    if effective_until <= earliest:
        expected = f"a time after {earliest.isoformat(timespec='seconds')}"
        got = effective_until.isoformat(timespec="seconds")
        raise InvalidInput(errors=[FieldError(pointer="/effective_until", expected=expected, got=got)])


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise InvalidInput(errors=[FieldError(pointer="/reason", expected="a reason", got="nothing")])


def _check_approval(approval: str) -> None:
    if approval and approval not in Approval.values:
        expected = f"one of {', '.join(Approval.values)}"
        raise InvalidInput(errors=[FieldError(pointer="/approval", expected=expected, got=describe(approval))])


def register_changes(kind: AuthoredKind) -> None:
    """Tell the approvals what publications and policies of a kind are; once per process."""
    register_kind(kind.publish, check=partial(_check_publication, kind), apply=partial(_apply_publication, kind))
    register_kind(kind.policy, check=partial(_check_policy, kind), apply=partial(_apply_policy, kind))


def _check_publication(kind: AuthoredKind, change: ChangeRequest) -> Evidence:
    version, times = _version_of(kind, change), _times_of(change)
    owner, until = _locked(kind, version), times["effective_until"]
    if until is not None and datetime.fromisoformat(until) <= timezone.now():
        raise Conflict(f"The time for which {version} was to be in force is over.")
    if not any(times.values()):
        _refuse_same(kind, owner, version)
    try:
        evidence = _checked(kind, version)
    except InvalidInput as exc:
        raise Conflict(f"{version} cannot be in force now: {exc}") from exc
    current = owner.current
    return evidence | {"now": current.number if current else None}


def _apply_publication(kind: AuthoredKind, change: ChangeRequest, actor: str) -> None:
    version, times = _version_of(kind, change), _times_of(change)
    _publish(kind, version, actor=actor, reason=change.reason, times=times, change=change)


def _check_policy(kind: AuthoredKind, change: ChangeRequest) -> Evidence:
    owner = kind.owners.objects.select_for_update(no_key=True).get(name=change.payload["name"])
    if owner.approval == change.payload["approval"]:
        raise Conflict(f"{owner} is published by {owner.approval} already.")
    return {"now": {"approval": owner.approval}}


def _apply_policy(kind: AuthoredKind, change: ChangeRequest, actor: str) -> None:
    owner = kind.owners.objects.get(name=change.payload["name"])
    _save_approval(kind, owner, change.payload["approval"], actor, change.reason, change.pk)


def _version_of(kind: AuthoredKind, change: ChangeRequest) -> Any:
    return kind.versions.objects.select_related(kind.name).get(pk=change.payload["version_id"])


def _times_of(change: ChangeRequest) -> dict[str, str | None]:
    return {name: change.payload[name] for name in ("effective_from", "effective_until")}
