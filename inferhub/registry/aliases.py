"""Move aliases: at once where the model's policy is direct, else by a change request that another person approves."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from inferhub.approvals.models import ChangeRequest
from inferhub.approvals.services import Evidence, register_kind, request_change
from inferhub.audit.services import record_event
from inferhub.errors import Conflict, FieldError, InvalidInput
from inferhub.lib.describe import describe
from inferhub.lib.slug import SLUG_EXPECTED, is_slug
from inferhub.lib.snapshots import Snapshots
from inferhub.registry.evidence import GatesFailed, pass_gates
from inferhub.registry.models import Alias, Approval, ModelVersion, RegisteredModel, VersionState

MOVE, CANARY = "alias.move", "alias.canary"
_SHARES = range(1, 100)


def move_alias(*, version: ModelVersion, alias: str, actor: str, reason: str) -> Alias | ChangeRequest:
    """Point `alias` at `version`, or ask for it: the alias where it has moved, the change request where it waits.

    Every process serves the new version within a second. A move ends a canary and a shadow: they were set beside the
    version that the alias pointed at before. Raises InvalidInput, and Conflict where the version is not ready, where it
    fails a gate (GatesFailed) or where a move of the alias waits for approval already.
    """
    if not is_slug(alias):
        raise InvalidInput(errors=[FieldError(pointer="/alias", expected=SLUG_EXPECTED, got=describe(alias))])
    _check_reason(reason)
    try:
        with transaction.atomic():
            model = _locked(version.model_id)
            before = _find(model, alias)
            if before is not None and before.version_id == version.pk:
                return before
            evidence = _checked(model, version)
            if model.approval == Approval.FOUR_EYES:
                payload = {"from": before.version.number if before else None}
                return _ask(MOVE, version, alias, payload, reason, actor, evidence)
            moved = _move(version, alias, actor, reason)
    except GatesFailed as exc:
        _record_refusal(exc, alias, actor)
        raise
    Snapshots.forget_all()
    return moved


def rollback_alias(*, alias: Alias, actor: str, reason: str, from_version: int | None = None) -> Alias:
    """Point `alias` at where it pointed before, at once: that version was approved then.

    `from_version` is the number that the caller saw in place, so that two people who roll back at the same moment do
    not undo each other. Raises Conflict where the alias has moved since, or where there is nothing to go back to.
    """
    _check_reason(reason)
    with transaction.atomic():
        _locked(alias.model_id)
        found = _refreshed(alias)
        previous = found.previous_version
        if from_version is not None and found.version.number != from_version:
            raise Conflict(f"{found} points at version {found.version.number} now, not at {from_version}.")
        if previous is None:
            raise Conflict(f"{found} has never pointed at another version.")
        _check_ready(previous)
        number = found.version.number
        _point(found, previous)
        details = {"from": number, "to": previous.number, "reason": reason}
        record_event("alias.rolled_back", actor=actor, subject=_subject(found), details=details)
    Snapshots.forget_all()
    return found


def set_canary(
    *, alias: Alias, version: ModelVersion | None, percent: int, actor: str, reason: str
) -> Alias | ChangeRequest:
    """Send `percent` (1 to 99) of the alias's requests to `version`, or none any more where it is None.

    More traffic for a version takes what moving the alias takes: gates, and approval where the policy says so. Less of
    it happens at once. Raises InvalidInput and Conflict.
    """
    _check_reason(reason)
    try:
        with transaction.atomic():
            model = _locked(alias.model_id)
            found = _refreshed(alias)
            if version is None:
                _save_canary(found, None, 0, actor, reason)
            else:
                _check_share(found, version, percent)
                is_less = found.canary_version_id == version.pk and percent <= found.canary_percent
                evidence = {} if is_less else _checked(model, version)
                if model.approval == Approval.FOUR_EYES and not is_less:
                    return _ask(CANARY, version, alias.name, {"percent": percent}, reason, actor, evidence)
                _save_canary(found, version, percent, actor, reason)
    except GatesFailed as exc:
        _record_refusal(exc, alias.name, actor)
        raise
    Snapshots.forget_all()
    return found


def set_shadow(*, alias: Alias, version: ModelVersion | None, actor: str, reason: str) -> Alias:
    """Let `version` run beside the alias's requests, or nothing any more where it is None.

    Its answers go to nobody, so that no approval is needed. Raises InvalidInput and Conflict.
    """
    _check_reason(reason)
    with transaction.atomic():
        _locked(alias.model_id)
        found = _refreshed(alias)
        if version is not None:
            _check_other(found, version)
            _check_ready(version)
        found.shadow_version = version
        found.save(update_fields=["shadow_version"])
        details = {"shadow": version.number if version else None, "reason": reason}
        record_event("alias.shadow_set", actor=actor, subject=_subject(found), details=details)
    Snapshots.forget_all()
    return found


def _ask(
    kind: str,
    version: ModelVersion,
    alias: str,
    payload: dict[str, Any],
    reason: str,
    actor: str,
    evidence: Evidence,
) -> ChangeRequest:
    name = version.model.name
    whole = {"model": name, "alias": alias, "version": version.number, "version_id": version.pk} | payload
    subject = f"model:{name}@{alias}"
    return request_change(kind=kind, subject=subject, payload=whole, reason=reason, actor=actor, evidence=evidence)


def _checked(model: RegisteredModel, version: ModelVersion) -> Evidence:
    _check_ready(version)
    return pass_gates(model, version)


def _locked(model_id: int) -> RegisteredModel:
    """The model's row, locked: what its aliases mean, and its policy, hold still until the end of the transaction."""
    return RegisteredModel.objects.select_for_update(no_key=True).get(pk=model_id)


def _find(model: RegisteredModel, alias: str) -> Alias | None:
    return Alias.objects.select_related("version", "model").filter(model=model, name=alias).first()


def _refreshed(alias: Alias) -> Alias:
    related = ("model", "version__model", "previous_version__model", "canary_version", "shadow_version")
    return Alias.objects.select_related(*related).get(pk=alias.pk)


def _move(version: ModelVersion, alias: str, actor: str, reason: str, change: ChangeRequest | None = None) -> Alias:
    found = _find(version.model, alias)
    number = found.version.number if found else None
    if found is None:
        found = Alias(model=version.model, name=alias, version=version, moved_at=timezone.now(), change=change)
        found.save(force_insert=True)
    else:
        _point(found, version, change)
    details = {"from": number, "to": version.number, "reason": reason} | ({"change": change.pk} if change else {})
    record_event("alias.moved", actor=actor, subject=_subject(found), details=details)
    return found


def _point(alias: Alias, version: ModelVersion, change: ChangeRequest | None = None) -> None:
    alias.previous_version, alias.version, alias.moved_at = alias.version, version, timezone.now()
    alias.canary_version, alias.canary_percent, alias.shadow_version = None, 0, None
    alias.change = change
    alias.save()


def _save_canary(
    alias: Alias,
    version: ModelVersion | None,
    percent: int,
    actor: str,
    reason: str,
    change: ChangeRequest | None = None,
) -> None:
    alias.canary_version, alias.canary_percent = version, percent if version else 0
    alias.change = change or alias.change
    alias.save(update_fields=["canary_version", "canary_percent", "change"])
    details = {"canary": version.number if version else None, "percent": alias.canary_percent, "reason": reason}
    record_event("alias.canary_set", actor=actor, subject=_subject(alias), details=details)


def _check_share(alias: Alias, version: ModelVersion, percent: int) -> None:
    _check_other(alias, version)
    if percent not in _SHARES:
        errors = [FieldError(pointer="/percent", expected="a whole number from 1 to 99", got=describe(percent))]
        raise InvalidInput(errors=errors)


def _check_other(alias: Alias, version: ModelVersion) -> None:
    if version.model_id != alias.model_id or version.pk == alias.version_id:
        expected = f"another version of {alias.model.name} than {alias.version.number}, which it points at"
        raise InvalidInput(errors=[FieldError(pointer="/version", expected=expected, got=str(version))])


def _check_ready(version: ModelVersion) -> None:
    state = ModelVersion.objects.values_list("state", flat=True).get(pk=version.pk)
    if state != VersionState.READY:
        raise Conflict(f"{version} is {state}; an alias points only at versions that are ready.")


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise InvalidInput(errors=[FieldError(pointer="/reason", expected="a reason", got="nothing")])


def _record_refusal(error: GatesFailed, alias: str, actor: str) -> None:
    gates = [gate.to_dict() for gate in error.gates]
    details = {"version": error.version.number, "why": str(error), "gates": gates}
    subject = f"model:{error.version.model.name}@{alias}"
    with transaction.atomic():
        record_event("alias.move_refused", actor=actor, subject=subject, details=details)


def _subject(alias: Alias) -> str:
    return f"model:{alias.model.name}@{alias.name}"


def _check_change(change: ChangeRequest) -> Evidence:
    version = _version_of(change)
    evidence = _checked(_locked(version.model_id), version)
    found = _find(version.model, change.payload["alias"])
    if found is not None and found.version_id == version.pk:
        raise Conflict(f"{found} points at version {version.number} already.")
    if found is None and change.kind == CANARY:
        raise Conflict(f"There is no alias {change.payload['alias']} any more.")
    return evidence | {"now": found.version.number if found else None}


def _apply_move(change: ChangeRequest, actor: str) -> None:
    _move(_version_of(change), change.payload["alias"], actor, change.reason, change)


def _apply_canary(change: ChangeRequest, actor: str) -> None:
    version = _version_of(change)
    found = Alias.objects.select_related("model").get(model=version.model, name=change.payload["alias"])
    _save_canary(found, version, change.payload["percent"], actor, change.reason, change)


def _version_of(change: ChangeRequest) -> ModelVersion:
    return ModelVersion.objects.select_related("model").get(pk=change.payload["version_id"])


def register_kinds() -> None:
    """Tell the approvals what moves of aliases are; once per process."""
    register_kind(MOVE, check=_check_change, apply=_apply_move)
    register_kind(CANARY, check=_check_change, apply=_apply_canary)
