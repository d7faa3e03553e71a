"""Actions `add-to-list` and `remove-from-list`: block a card, clear a customer, by what an outcome says."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import transaction

from inferhub.decisions.actions.base import (
    FIELD,
    SLUG,
    ActionKind,
    DeliveryResult,
    lock_decision,
    settings_schema,
    text_of_input,
)
from inferhub.decisions.models import Action
from inferhub.errors import FieldError
from inferhub.lists.models import LookupList
from inferhub.lists.services import set_membership


class AddToList(ActionKind):
    """Puts the value of an input field on a look-up list; one that is there already stays as it is.

    `ordered` keeps a value that one decision adds and a later one removes from ending up the wrong way round.
    """

    name: ClassVar[str] = "add-to-list"
    schema: ClassVar[dict[str, Any]] = settings_schema({"list": SLUG, "value_from": FIELD})
    input_fields: ClassVar[tuple[str, ...]] = ("value_from",)
    is_member: ClassVar[bool] = True

    def lane(self, settings: Mapping[str, Any]) -> str:
        return f"list:{settings['list']}"

    def check_references(self, settings: Mapping[str, Any]) -> list[FieldError]:
        name = settings["list"]
        if LookupList.objects.filter(name=name).exists():
            return []
        return [FieldError(pointer="/list", expected="the name of a look-up list", got=name)]

    def deliver(self, action: Action) -> DeliveryResult:
        with transaction.atomic():
            decision = lock_decision(action)
            has_changed = set_membership(
                name=action.settings["list"],
                value=text_of_input(action, action.settings["value_from"]),
                is_member=self.is_member,
                actor=f"workflow:{decision.workflow.name}",
                reason=f"decision {decision.pk}: {decision.outcome}",
                request_id=str(action.pk),
            )
        return DeliveryResult(is_success=True, detail="" if has_changed else "it was so already")


class RemoveFromList(AddToList):
    """Takes the value off the list."""

    name: ClassVar[str] = "remove-from-list"
    is_member: ClassVar[bool] = False
