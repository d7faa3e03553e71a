"""Where each version stands: draft, failing, tested, waiting, approved, published, retired."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from inferhub.approvals.models import ChangeRequest, ChangeState
from inferhub.lib.canonical import digest_of
from inferhub.rulesets.publishing import AuthoredKind

STATES: Mapping[str, str] = {
    "draft": "saved, and not tested as the test cases are now",
    "failing": "a test case fails",
    "tested": "every test case passes",
    "waiting": "another person has to approve it",
    "approved": "it will be in force from a time on",
    "published": "in force",
    "retired": "was in force",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionState:
    """`name` is one of STATES; `since` is when it began to be in force, or will."""

    name: str
    since: datetime | None = None
    until: datetime | None = None


def describe_versions(kind: AuthoredKind, owner: Any) -> dict[int, VersionState]:
    """The state of each version of a rule set or workflow, by the version's id; in a handful of queries."""
    published = _published(owner)
    waiting = _waiting(kind, owner)
    tested = _tested(owner)
    return {
        version_id: published.get(version_id)
        or (VersionState(name="waiting") if version_id == waiting else None)
        or tested.get(version_id, VersionState(name="draft"))
        for version_id in owner.versions.values_list("pk", flat=True)
    }


def describe_save(kind: AuthoredKind, version: Any) -> str:
    """What a save did that returned `version`, in a sentence."""
    is_in_force = version.owner.current_id == version.pk
    if version.is_unchanged:
        return f"Nothing changed: {version} " + ("stays in force." if is_in_force else "is the same already.")
    if is_in_force:
        return f"{version} is saved and in force."
    return f"{version} is saved ({describe_versions(kind, version.owner)[version.pk].name})."


def likely_next(kind: AuthoredKind, owner: Any) -> int | None:
    """The number of the version that would come into force next; None where there is no version.

    That is the one that waits for approval, or is approved for later; else the newest one that no test case is known
    to fail, which may be in force already.
    """
    states = describe_versions(kind, owner)
    numbers = dict(owner.versions.values_list("pk", "number"))
    order = sorted(states, key=lambda pk: (_NEARNESS.get(states[pk].name, 1), numbers[pk]), reverse=True)
    return numbers[order[0]] if order else None


_NEARNESS = {"waiting": 3, "approved": 2, "failing": 0}


def _published(owner: Any) -> dict[int, VersionState]:
    """Later publications of a version count more; that it is in force counts most, then that it will be."""
    now, current_id = timezone.now(), owner.current_id
    states: dict[int, VersionState] = {}
    for one in owner.publications.filter(cancelled_at=None).order_by("effective_from", "id"):
        name = "approved" if one.effective_from > now else "published" if one.version_id == current_id else "retired"
        known = states.get(one.version_id)
        if known is None or known.name != "published" or name == "published":
            states[one.version_id] = VersionState(name=name, since=one.effective_from, until=one.effective_until)
    return states


def _waiting(kind: AuthoredKind, owner: Any) -> int | None:
    pending = ChangeRequest.objects.filter(kind=kind.publish, subject=owner.audit_subject, state=ChangeState.PENDING)
    change = pending.first()
    return change.payload["version_id"] if change else None


def _tested(owner: Any) -> dict[int, VersionState]:
    """By the last run of each version, where the test cases are as they were."""
    digest = digest_of([test.document for test in owner.tests.all()])
    runs = owner.versions.model._meta.get_field("test_runs").related_model.objects
    last = runs.filter(version__in=owner.versions.all()).order_by("version_id", "-id").distinct("version_id")
    return {
        run.version_id: VersionState(name="failing" if run.failed else "tested")
        for run in last
        if run.cases_digest == digest and run.count
    }
