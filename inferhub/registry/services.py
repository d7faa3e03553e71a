"""Register model versions, and hand their artifacts out."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.errors import Conflict, FieldError, InvalidInput, NotFound, TooLarge, Unavailable
from inferhub.lib.describe import describe
from inferhub.lib.slug import SLUG_EXPECTED, is_slug
from inferhub.lib.snapshots import Snapshots
from inferhub.registry.aliases import move_alias
from inferhub.registry.lifecycle import LEASE, reject_version
from inferhub.registry.models import CHAMPION, Approval, ModelVersion, RegisteredModel, Task, VersionState
from inferhub.registry.policies import check_about, check_policy
from inferhub.registry.storage import read_artifact, write_artifact
from inferhub.runtime.check import ModelReport, check_model, in_turn
from inferhub.runtime.pipeline import parse_pipeline
from inferhub.runtime.pool import artifact_digest

_MOST_CARD = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """What a version carries beside its artifact; all of it optional.

    `steps` are declared pre- and postprocess steps, `model_card` is Markdown.
    """

    certificate: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    lineage: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Any] = field(default_factory=dict)
    model_card: str = ""
    notes: str = ""


def register_version(  # noqa: PLR0913 - each is a field of the form
    *,
    name: str,
    task: str,
    data: bytes,
    actor: str,
    alias: str = "",
    description: str = "",
    approval: str = "",
    provenance: Provenance | None = None,
    golden: bytes = b"",
) -> ModelVersion:
    """Check `data`, keep it, and make it the next version of the model `name`; point `alias` at it where one is given.

    The version stands as validating while its file is checked in a process of its own, and as rejected, with the
    reason, where it does not pass. A new model is there once its first file is good: of one that is refused only the
    audit log tells, so that a mistyped name does not stay. `task`, `description` and `approval` are for a new model:
    empty, its aliases take four eyes, so that the first one waits for approval as well. `golden` is a file of golden
    rows, which must come out as they say. A LightGBM text model is kept as the ONNX file that the check made of it,
    with the certificate of that conversion.

    Raises InvalidInput (name, task, alias, approval), TooLarge, InvalidModel (with what is wrong where) and Conflict
    (the same artifact is a version already, the model is another than described, or the alias did not move: the
    version is registered then), Unavailable (too many checks at once).
    """
    provenance = provenance or Provenance()
    _check_words(name=name, task=task, alias=alias, card=provenance.model_card)
    check_about(description=description)
    check_policy(approval=approval or None)
    _check_size(data)
    described = RegisteredModel(name=name, task=task, description=description, approval=approval)
    with in_turn():  # first of all: who is sent away for now leaves nothing behind
        begun = _begin(described, data, actor) if RegisteredModel.objects.filter(name=name).exists() else None
        try:
            report = _inspect(data, golden)
            parse_pipeline(provenance.steps, report.signature, at="/steps")
            with transaction.atomic():
                version = begun or _begin(described, data, actor)
                _finish(version, report, data, provenance, actor)
        except (InvalidInput, TooLarge, Unavailable, Conflict) as exc:
            _refuse(begun, name, data, str(exc), actor)
            raise
    if alias:
        _place(version, alias, actor)
    Snapshots.forget_all()
    return version


def fetch_artifact(*, version: ModelVersion, actor: str) -> bytes:
    """The bytes of a version, re-hashed, for somebody who takes them away.

    Raises NotFound where none were kept, Unavailable where they are missing, ArtifactChanged where they are not what
    was registered.
    """
    if version.state not in (VersionState.READY, VersionState.ARCHIVED):
        raise NotFound(f"{version} is {version.state}: no artifact of it is kept.")
    data = read_artifact(version.digest)
    with transaction.atomic():
        record_event("model_version.downloaded", actor=actor, subject=_subject(version))
    return data


def _check_words(*, name: str, task: str, alias: str, card: str) -> None:
    errors = [
        FieldError(pointer=f"/{field}", expected=SLUG_EXPECTED, got=describe(value))
        for field, value in (("name", name), ("alias", alias or CHAMPION))
        if not is_slug(value)
    ]
    if task not in Task.values:
        errors.append(FieldError(pointer="/task", expected=f"one of {', '.join(Task.values)}", got=describe(task)))
    if len(card) > _MOST_CARD or "\x00" in card:
        expected = f"at most {_MOST_CARD} characters without NUL"
        errors.append(FieldError(pointer="/model_card", expected=expected, got=f"{len(card)} characters"))
    if errors:
        raise InvalidInput(errors=errors)


def _check_size(data: bytes) -> None:
    limit = settings.CONFIG.max_model_bytes
    if len(data) > limit:
        raise TooLarge(f"The file has {len(data)} bytes; at most {limit} are accepted (INFERHUB_MAX_MODEL_BYTES).")


def _begin(described: RegisteredModel, data: bytes, actor: str) -> ModelVersion:
    """The row of a version that is going to be validated, committed, so that a lost process leaves a trace."""
    digest = artifact_digest(data)
    with transaction.atomic():
        model = _model_to_extend(described, actor)
        _refuse_same(model, digest)
        latest = model.versions.order_by("-number").first()
        return ModelVersion.objects.create(
            model=model,
            number=latest.number + 1 if latest else 1,
            digest=digest,
            source_digest=digest,
            size=len(data),
            state=VersionState.VALIDATING,
            created_by=actor,
        )


def _model_to_extend(described: RegisteredModel, actor: str) -> RegisteredModel:
    """The model's row, locked, so that two registrations number one after the other."""
    name, task, approval = described.name, described.task, described.approval
    defaults = {"task": task, "description": described.description, "approval": approval or Approval.FOUR_EYES}
    made, is_new = RegisteredModel.objects.get_or_create(name=name, defaults=defaults)
    if is_new:
        details = {"task": task, "approval": made.approval}
        record_event("model.registered", actor=actor, subject=f"model:{name}", details=details)
    model = RegisteredModel.objects.select_for_update(no_key=True).get(name=name)
    if model.task != task:
        raise Conflict(f"The model {name} is registered for the task {model.task}, not {task}.")
    if approval and model.approval != approval:
        raise Conflict(f"The aliases of {name} move by {model.approval}, not {approval}; change its policy instead.")
    return model


def _refuse_same(model: RegisteredModel, digest: str, *, but: int = 0) -> None:
    present = model.versions.exclude(state=VersionState.REJECTED).exclude(pk=but)
    same = present.filter(Q(digest=digest) | Q(source_digest=digest)).first()
    if same is None:
        return
    if same.state == VersionState.VALIDATING:
        raise Conflict(
            f"This file is being checked already, as version {same.number} of {model.name}. "
            f"A check that was cut off is given up after {LEASE.seconds // 60} minutes."
        )
    raise Conflict(f"This file is version {same.number} of {model.name} already (digest {digest[:12]}).")


def _inspect(data: bytes, golden: bytes) -> ModelReport:
    config = settings.CONFIG
    with tempfile.TemporaryFile() as file:  # without a name, so that it is gone when this process is
        file.write(data)
        file.flush()
        path = Path(f"/dev/fd/{file.fileno()}")
        operators = config.model_operators
        return check_model(path, golden=golden, max_bytes=config.max_model_bytes, more_operators=operators)


def _finish(version: ModelVersion, report: ModelReport, data: bytes, provenance: Provenance, actor: str) -> None:
    values = {
        "state": VersionState.READY,
        "state_changed_at": timezone.now(),
        "digest": report.digest,
        "size": report.size,
        "memory_bytes": report.memory_bytes,
        "measured": dict(report.measured),
        "signature": report.signature.to_dict(),
        "labels": list(report.labels),
        "certificate": dict(report.certificate or provenance.certificate),
        "golden": dict(report.golden or {}),
        "metrics": dict(provenance.metrics),
        "lineage": dict(provenance.lineage),
        "steps": dict(provenance.steps),
        "model_card": provenance.model_card,
        "notes": provenance.notes,
    }
    with transaction.atomic():
        model = RegisteredModel.objects.select_for_update(no_key=True).get(pk=version.model_id)
        _refuse_same(model, report.digest, but=version.pk)
        if not ModelVersion.objects.filter(pk=version.pk, state=VersionState.VALIDATING).update(**values):
            raise Conflict(f"The check of {version} took too long: it was given up meanwhile. Send the file again.")
        # Inside the transaction: a version never points at a file that could not be written.
        write_artifact(report.digest, data if report.rewritten is None else report.rewritten)
        details = {"digest": report.digest}
        record_event("model_version.registered", actor=actor, subject=_subject(version), details=details)
    version.refresh_from_db(fields=list(values))


def _refuse(begun: ModelVersion | None, name: str, data: bytes, why: str, actor: str) -> None:
    if begun is not None:
        reject_version(version=begun, why=why, actor=actor)
        return
    with transaction.atomic():
        details = {"why": why, "digest": artifact_digest(data)}
        record_event("model_version.refused", actor=actor, subject=f"model:{name}", details=details)


def _place(version: ModelVersion, alias: str, actor: str) -> None:
    try:
        move_alias(version=version, alias=alias, actor=actor, reason="named at registration")
    except Conflict as exc:
        raise Conflict(f"{version} is registered, but the alias {alias} did not move: {exc}") from exc


def _subject(version: ModelVersion) -> str:
    return f"model:{version.model.name}/{version.number}"
