"""What the hot path needs to know of a version, remembered for a second."""

from dataclasses import dataclass

from inferhub.approvals.models import ChangeRequest, ChangeState
from inferhub.errors import Conflict, InvalidDefinition, ModelFailed, NotFound
from inferhub.lib.snapshots import Snapshots
from inferhub.registry.models import Alias, ModelVersion, Tuning, VersionState
from inferhub.runtime.pipeline import Pipeline, parse_pipeline
from inferhub.runtime.session import SessionSettings
from inferhub.runtime.signature import Signature


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionPlan:
    """One version, ready to be run."""

    model: str
    task: str
    number: int
    digest: str
    memory_bytes: int
    signature: Signature
    pipeline: Pipeline
    labels: tuple[str, ...]


def find_version(model: str, *, alias: str = "champion", number: int | None = None) -> VersionPlan:
    """The version that `alias` (or, where given, `number`) of `model` means now.

    Raises NotFound, and Conflict where the version is not ready.
    """
    version_id = _version_ids.get((model, alias if number is None else "", number))
    return _plans.get(version_id)


def find_version_by_id(version_id: int) -> VersionPlan:
    return _plans.get(version_id)


def find_champions() -> list[VersionPlan]:
    """Every version that the alias `champion` points at."""
    ids = Alias.objects.filter(name="champion").values_list("version_id", flat=True)
    return [_plans.get(version_id) for version_id in ids]


def pending_move(version: ModelVersion) -> ChangeRequest | None:
    """The newest change request by which an alias waits to be pointed at `version`."""
    pending = ChangeRequest.objects.filter(kind="alias.move", state=ChangeState.PENDING)
    return pending.filter(payload__version_id=version.pk).order_by("-id").first()


def find_champion_digests() -> list[str]:
    """The artifacts of every champion."""
    return list(Alias.objects.filter(name="champion").values_list("version__digest", flat=True))


def find_session_settings(plan: VersionPlan) -> SessionSettings:
    """What `inferhub tune` found to be the best for a version, the defaults where nobody asked."""
    tuned = Tuning.objects.filter(version__model__name=plan.model, version__number=plan.number)
    settings = tuned.order_by("-id").values_list("settings", flat=True).first()
    return SessionSettings() if settings is None else SessionSettings.from_dict(settings)


def _read_version_id(key: tuple[str, str, int | None]) -> int:
    model, alias, number = key
    if number is not None:
        found = _ready_id(model, number)
        what = f"no version {number}"
    else:
        found = Alias.objects.filter(model__name=model, name=alias).values_list("version_id", flat=True).first()
        what = f"no alias '{alias}'"
    if found is not None:
        return found
    if ModelVersion.objects.filter(model__name=model).exists():
        raise NotFound(f"The model '{model}' has {what}.")
    raise NotFound(f"There is no registered model '{model}'.")


def _ready_id(model: str, number: int) -> int | None:
    version = (
        ModelVersion.objects.filter(model__name=model, number=number).values("pk", "state", "state_reason").first()
    )
    if version is None:
        return None
    if version["state"] != VersionState.READY:
        why = f": {version['state_reason']}" if version["state_reason"] else ""
        raise Conflict(f"Version {number} of the model '{model}' is {version['state']} and is not served{why}")
    return int(version["pk"])


def _read_plan(version_id: int) -> VersionPlan:
    version = ModelVersion.objects.select_related("model").get(pk=version_id)
    signature = Signature.from_dict(version.signature)
    return VersionPlan(
        model=version.model.name,
        task=version.model.task,
        number=version.number,
        digest=version.digest,
        memory_bytes=version.memory_bytes,
        signature=signature,
        pipeline=_pipeline(version, signature),
        labels=tuple(version.labels),
    )


def _pipeline(version: ModelVersion, signature: Signature) -> Pipeline:
    """Steps were good when they were registered; a package that one of them came from may be gone since."""
    try:
        return parse_pipeline(version.steps, signature)
    except InvalidDefinition as exc:
        raise ModelFailed(f"The steps of {version} cannot be run here: {exc}") from exc


_version_ids: Snapshots[tuple[str, str, int | None], int] = Snapshots(_read_version_id, seconds=1.0)
_plans: Snapshots[int, VersionPlan] = Snapshots(_read_plan, seconds=3600.0)  # a version never changes
