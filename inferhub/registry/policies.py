"""What a registered model says of itself, and the policy by which its aliases move."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from inferhub.approvals.models import ChangeRequest
from inferhub.approvals.services import Evidence, register_kind, request_change
from inferhub.audit.services import record_event
from inferhub.errors import Conflict, FieldError, InvalidInput
from inferhub.lib.describe import describe, pointer
from inferhub.lib.slug import SLUG_EXPECTED, is_slug
from inferhub.lib.snapshots import Snapshots
from inferhub.registry.gates import POLICY
from inferhub.registry.models import Approval, RegisteredModel

POLICY_CHANGE = "model.policy"
_MOST_TAGS = 20
_MOST_DESCRIPTION = 5000
_MOST_OWNER = 200


def edit_model(
    *,
    model: RegisteredModel,
    actor: str,
    description: str | None = None,
    owner: str | None = None,
    tags: Sequence[str] | None = None,
) -> RegisteredModel:
    """Change what a model says of itself; None leaves a field as it is. Raises InvalidInput."""
    unique_tags = None if tags is None else list(dict.fromkeys(tags))
    given: dict[str, Any] = {"description": description, "owner": owner, "tags": unique_tags}
    wanted = {name: value for name, value in given.items() if value is not None}
    check_about(**wanted)
    with transaction.atomic():
        found = RegisteredModel.objects.select_for_update(no_key=True).get(pk=model.pk)
        changed = {name: value for name, value in wanted.items() if getattr(found, name) != value}
        if changed:
            before = {name: getattr(found, name) for name in changed}
            for name, value in changed.items():
                setattr(found, name, value)
            found.save(update_fields=list(changed))
            details = {"from": before, "to": changed}
            record_event("model.changed", actor=actor, subject=f"model:{found.name}", details=details)
    return found


def set_policy(
    *,
    model: RegisteredModel,
    actor: str,
    reason: str,
    approval: str | None = None,
    gates: Mapping[str, Any] | None = None,
) -> RegisteredModel | ChangeRequest:
    """Change how a model's aliases move: the model where it is done, the change request where it waits.

    Under four eyes this takes four eyes as well, be the new policy weaker or stricter. Raises InvalidInput, and
    Conflict where a change of the policy waits for approval already.
    """
    check_policy(approval=approval, gates=gates)
    if not reason.strip():
        raise InvalidInput(errors=[FieldError(pointer="/reason", expected="a reason", got="nothing")])
    with transaction.atomic():
        found = RegisteredModel.objects.select_for_update(no_key=True).get(pk=model.pk)
        policy = {
            "approval": found.approval if approval is None else approval,
            "gates": found.gates if gates is None else dict(gates),
        }
        if policy == _policy_of(found):
            return found
        if found.approval == Approval.FOUR_EYES:
            payload = policy | {"model": found.name, "from": _policy_of(found)}
            return request_change(
                kind=POLICY_CHANGE, subject=f"model:{found.name}", payload=payload, reason=reason, actor=actor
            )
        _save(found, policy, actor, reason)
    Snapshots.forget_all()
    return found


def check_about(*, description: str = "", owner: str = "", tags: Sequence[str] = ()) -> None:
    """Raises InvalidInput that names each field."""
    errors = [
        FieldError(pointer=f"/{name}", expected=f"at most {most} characters", got=f"{len(value)} characters")
        for name, value, most in (("description", description, _MOST_DESCRIPTION), ("owner", owner, _MOST_OWNER))
        if len(value) > most
    ]
    errors += [
        FieldError(pointer=pointer("tags", place), expected=SLUG_EXPECTED, got=describe(tag))
        for place, tag in enumerate(tags)
        if not is_slug(tag)
    ]
    if len(tags) > _MOST_TAGS:
        errors.append(FieldError(pointer="/tags", expected=f"at most {_MOST_TAGS} tags", got=f"{len(tags)}"))
    if errors:
        raise InvalidInput(errors=errors)


def check_policy(*, approval: str | None = None, gates: Mapping[str, Any] | None = None) -> None:
    """Raises InvalidInput that names each field."""
    if approval is not None and approval not in Approval.values:
        expected = f"one of {', '.join(Approval.values)}"
        raise InvalidInput(errors=[FieldError(pointer="/approval", expected=expected, got=describe(approval))])
    if gates is not None:
        POLICY.check(dict(gates), at="/gates")


def _policy_of(model: RegisteredModel) -> dict[str, Any]:
    return {"approval": model.approval, "gates": model.gates}


def _save(
    model: RegisteredModel, policy: Mapping[str, Any], actor: str, reason: str, change: int | None = None
) -> None:
    details: dict[str, Any] = {"from": _policy_of(model), "to": dict(policy), "reason": reason}
    model.approval, model.gates = policy["approval"], policy["gates"]
    model.approval_change_id = change or model.approval_change_id
    model.save(update_fields=["approval", "gates", "approval_change"])
    details |= {"change": change} if change else {}
    record_event("model.policy_changed", actor=actor, subject=f"model:{model.name}", details=details)


def _check_change(change: ChangeRequest) -> Evidence:
    model = RegisteredModel.objects.select_for_update(no_key=True).get(name=change.payload["model"])
    if _policy_of(model) == {key: change.payload[key] for key in ("approval", "gates")}:
        raise Conflict(f"The policy of {model} is this one already.")
    return {"now": _policy_of(model)}


def _apply(change: ChangeRequest, actor: str) -> None:
    model = RegisteredModel.objects.get(name=change.payload["model"])
    _save(model, {key: change.payload[key] for key in ("approval", "gates")}, actor, change.reason, change.pk)


def register_kinds() -> None:
    """Tell the approvals what changes of a policy are; once per process."""
    register_kind(POLICY_CHANGE, check=_check_change, apply=_apply)
