"""Register models and move aliases."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.errors import Conflict, FieldError, InvalidInput, InvalidModel, TooLarge
from inferhub.lib.describe import describe
from inferhub.lib.slug import SLUG_EXPECTED, is_slug
from inferhub.lib.snapshots import Snapshots
from inferhub.registry.models import Alias, Approval, ModelVersion, RegisteredModel, Task
from inferhub.registry.storage import read_artifact, write_artifact
from inferhub.runtime.check import ModelReport, check_model

CHAMPION = "champion"


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """What a version carries beside its artifact; all of it optional."""

    certificate: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    lineage: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""


def register_version(
    *,
    name: str,
    task: str,
    data: bytes,
    actor: str,
    alias: str = "",
    description: str = "",
    provenance: Provenance | None = None,
    golden: bytes = b"",
) -> ModelVersion:
    """Check `data`, keep it, and make it the next version of the model `name`; point `alias` at it where one is given.

    `golden` is a file of golden rows, which must come out as they say. A LightGBM text model is kept as the ONNX file
    that the check made of it, with the certificate of that conversion.

    Raises InvalidInput (name, task, alias), TooLarge, InvalidModel (with what is wrong and where), Conflict (the same
    artifact is a version already, or the model has another task) and Unavailable (too many checks at once).
    """
    _check_words(name=name, task=task, alias=alias)
    report = _checked(name, data, golden, actor)
    provenance = provenance or Provenance()
    with transaction.atomic():
        model = _model_to_extend(name, task, description, actor)
        version = ModelVersion.objects.create(
            model=model,
            number=_next_number(model, report.digest),
            digest=report.digest,
            source_digest=report.source_digest,
            size=report.size,
            memory_bytes=report.memory_bytes,
            signature=report.signature.to_dict(),
            labels=list(report.labels),
            certificate=dict(report.certificate or provenance.certificate),
            golden=dict(report.golden or {}),
            metrics=dict(provenance.metrics),
            lineage=dict(provenance.lineage),
            notes=provenance.notes,
            created_by=actor,
        )
        # Inside the transaction: a version never points at a file that could not be written.
        write_artifact(report.digest, data if report.rewritten is None else report.rewritten)
        record_event(
            "model_version.registered", actor=actor, subject=_subject(version), details={"digest": version.digest}
        )
        if alias:
            _move_alias(version, alias, actor, reason="named at registration")
    Snapshots.forget_all()
    return version


def move_alias(*, version: ModelVersion, alias: str, actor: str, reason: str) -> Alias:
    """Point `alias` at `version`; every process serves it within a second. Raises InvalidInput."""
    if not is_slug(alias):
        raise InvalidInput(errors=[FieldError(pointer="/alias", expected=SLUG_EXPECTED, got=describe(alias))])
    with transaction.atomic():
        moved = _move_alias(version, alias, actor, reason)
    Snapshots.forget_all()
    return moved


def fetch_artifact(*, version: ModelVersion, actor: str) -> bytes:
    """The bytes of a version, re-hashed, for somebody who takes them away.

    Raises Unavailable where they are missing, ArtifactChanged where they are not what was registered.
    """
    data = read_artifact(version.digest)
    with transaction.atomic():
        record_event("model_version.downloaded", actor=actor, subject=_subject(version))
    return data


def _check_words(*, name: str, task: str, alias: str) -> None:
    errors = [
        FieldError(pointer=f"/{field}", expected=SLUG_EXPECTED, got=describe(value))
        for field, value in (("name", name), ("alias", alias or CHAMPION))
        if not is_slug(value)
    ]
    if task not in Task.values:
        errors.append(FieldError(pointer="/task", expected=f"one of {', '.join(Task.values)}", got=describe(task)))
    if errors:
        raise InvalidInput(errors=errors)


def _checked(name: str, data: bytes, golden: bytes, actor: str) -> ModelReport:
    limit = settings.CONFIG.max_model_bytes
    if len(data) > limit:
        raise TooLarge(f"The file has {len(data)} bytes; at most {limit} are accepted (INFERHUB_MAX_MODEL_BYTES).")
    with tempfile.TemporaryDirectory(prefix="inferhub-check-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(data)
        try:
            operators = settings.CONFIG.model_operators
            return check_model(path, golden=golden, max_bytes=limit, more_operators=operators)
        except InvalidModel as exc:
            with transaction.atomic():
                record_event("model_version.refused", actor=actor, subject=f"model:{name}", details={"why": str(exc)})
            raise


def _model_to_extend(name: str, task: str, description: str, actor: str) -> RegisteredModel:
    """The model's row, locked, so that two registrations number one after the other."""
    defaults = {"task": task, "description": description, "approval": Approval.DIRECT}
    _, is_new = RegisteredModel.objects.get_or_create(name=name, defaults=defaults)
    if is_new:
        record_event("model.registered", actor=actor, subject=f"model:{name}", details={"task": task})
    model = RegisteredModel.objects.select_for_update().get(name=name)
    if model.task != task:
        raise Conflict(f"The model {name} is registered for the task {model.task}, not {task}.")
    return model


def _next_number(model: RegisteredModel, digest: str) -> int:
    same = model.versions.filter(digest=digest).first()
    if same is not None:
        raise Conflict(f"This file is version {same.number} of {model.name} already (digest {digest[:12]}).")
    latest = model.versions.order_by("-number").first()
    return latest.number + 1 if latest else 1


def _move_alias(version: ModelVersion, alias: str, actor: str, reason: str) -> Alias:
    before = Alias.objects.select_related("version").filter(model=version.model, name=alias).first()
    moved = Alias(model=version.model, name=alias) if before is None else before
    if before is not None and before.version_id != version.pk:
        moved.previous_version = before.version
    number_before = before.version.number if before else None
    moved.version, moved.moved_at = version, timezone.now()
    moved.save()
    record_event(
        "alias.moved",
        actor=actor,
        subject=f"model:{version.model.name}@{alias}",
        details={"from": number_before, "to": version.number, "reason": reason},
    )
    return moved


def _subject(version: ModelVersion) -> str:
    return f"model:{version.model.name}/{version.number}"
