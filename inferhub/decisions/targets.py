"""The systems that actions go to: those that are known, and a message to see whether one works."""

from typing import Any

from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from inferhub.audit.services import record_event
from inferhub.decisions import breakers
from inferhub.decisions.actions import registry
from inferhub.decisions.actions.base import DeliveryResult
from inferhub.decisions.models import Action, ActionState, DeliveryTarget
from inferhub.errors import NotFound


def remember_configured(**_: Any) -> None:
    """Make a row for each target that the configuration names. Django calls it after `migrate`."""
    kinds = [kind for name in registry.names() if (kind := registry.find_kind(name)) is not None]
    names = {name for kind in kinds for name in kind.configured_targets()}
    DeliveryTarget.objects.bulk_create([DeliveryTarget(name=name) for name in sorted(names)], ignore_conflicts=True)


def targets_with_counts() -> "QuerySet[Any]":
    """Every target, with the number of its actions that had to wait (`waiting`) and that were given up (`dead`)."""
    return DeliveryTarget.objects.annotate(waiting=_count(ActionState.PENDING), dead=_count(ActionState.DEAD))


def _count(state: ActionState) -> Coalesce:
    actions = Action.objects.filter(target=OuterRef("name"), state=state).order_by().values("target")
    return Coalesce(Subquery(actions.annotate(count=Count("pk")).values("count")), 0)


def try_target(*, name: str, actor: str) -> DeliveryResult:
    """Send a test message to `name` now. One that arrives closes the target's breaker: what waits goes out.

    Raises NotFound, and the InferhubError that kept the message from going out.
    """
    if not DeliveryTarget.objects.filter(name=name).exists():
        raise NotFound(f"There is no delivery target '{name}'.")
    prefix, _, rest = name.partition(":")
    kind = registry.find_kind(prefix)
    if kind is None:
        raise NotFound(f"No installed package offers the kind of action '{prefix}'.")
    result = kind.try_target(rest)
    with transaction.atomic():
        details = {"success": result.is_success, "detail": result.detail}
        record_event("delivery_target.tried", actor=actor, subject=f"target:{name}", details=details)
        if result.is_success:
            breakers.close(name, actor=actor)
    return result
