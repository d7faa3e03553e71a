"""The life of a version: validating, then ready or rejected; a ready one may be archived and taken out again."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.errors import Conflict, FieldError, InvalidInput
from inferhub.lib.snapshots import Snapshots
from inferhub.registry.models import Alias, ModelVersion, RegisteredModel, VersionState

LEASE = timedelta(minutes=5)  # more than any check of a file may take
_MOST_SWEPT = 100


def archive_version(*, version: ModelVersion, actor: str, reason: str) -> ModelVersion:
    """Put a version away: it is kept, and serves no more. Raises Conflict where an alias uses it or it is not ready."""
    if not reason.strip():
        raise InvalidInput(errors=[FieldError(pointer="/reason", expected="a reason", got="nothing")])
    with transaction.atomic():
        RegisteredModel.objects.select_for_update(no_key=True).get(pk=version.model_id)
        uses = Q(version=version) | Q(canary_version=version) | Q(shadow_version=version)
        used_by = [alias.name for alias in Alias.objects.filter(uses).order_by("name")]
        if used_by:
            raise Conflict(f"{version} is used by the alias {', '.join(used_by)}; move it to another version first.")
        _change_state(version, VersionState.READY, VersionState.ARCHIVED, actor, reason)
    Snapshots.forget_all()
    return version


def unarchive_version(*, version: ModelVersion, actor: str, reason: str = "") -> ModelVersion:
    """Make an archived version ready again. Raises Conflict where it is not archived."""
    with transaction.atomic():
        _change_state(version, VersionState.ARCHIVED, VersionState.READY, actor, reason)
    Snapshots.forget_all()
    return version


def reject_version(*, version: ModelVersion, why: str, actor: str) -> bool:
    """End the validation of a version, whose file is not kept. False where it has ended already."""
    with transaction.atomic():
        values = {"state": VersionState.REJECTED, "state_reason": why, "state_changed_at": timezone.now()}
        if not ModelVersion.objects.filter(pk=version.pk, state=VersionState.VALIDATING).update(**values):
            return False
        _record("refused", version, actor, why=why, digest=version.source_digest)
    return True


def sweep_validations() -> int:
    """Reject versions whose check was cut off: the process that held their file is gone. Returns how many."""
    late = ModelVersion.objects.filter(
        state=VersionState.VALIDATING, state_changed_at__lt=timezone.now() - LEASE
    ).select_related("model")[:_MOST_SWEPT]
    why = "The check was interrupted before it ended; send the file again."
    return sum(reject_version(version=version, why=why, actor="system:sweeper") for version in late)


def _change_state(version: ModelVersion, before: VersionState, after: VersionState, actor: str, reason: str) -> None:
    values = {"state": after, "state_reason": reason, "state_changed_at": timezone.now()}
    if not ModelVersion.objects.filter(pk=version.pk, state=before).update(**values):
        state = ModelVersion.objects.values_list("state", flat=True).get(pk=version.pk)
        raise Conflict(f"{version} is {state}, not {before}.")
    _record("archived" if after == VersionState.ARCHIVED else "unarchived", version, actor, reason=reason)
    version.refresh_from_db(fields=list(values))


def _record(deed: str, version: ModelVersion, actor: str, **details: Any) -> None:
    subject = f"model:{version.model.name}/{version.number}"
    record_event(f"model_version.{deed}", actor=actor, subject=subject, details=details)
