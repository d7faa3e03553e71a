"""Actions `hold` and `release`: raise or lower a flag of the subject, which other systems ask for before they go on."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import transaction

from inferhub.decisions.actions.base import SLUG, ActionKind, DeliveryResult, lock_decision, settings_schema
from inferhub.decisions.flags import change_flag
from inferhub.decisions.models import Action
from inferhub.errors import FieldError, InvalidInput


class Hold(ActionKind):
    """Holds the decision's subject under the name of a flag, such as `shipping`."""

    name: ClassVar[str] = "hold"
    schema: ClassVar[dict[str, Any]] = settings_schema({"flag": SLUG})
    needs_subject: ClassVar[bool] = True
    is_held: ClassVar[bool] = True

    def lane(self, settings: Mapping[str, Any]) -> str:
        return f"flag:{settings['flag']}"

    def deliver(self, action: Action) -> DeliveryResult:
        with transaction.atomic():
            decision = lock_decision(action)
            if not decision.subject:
                expected = FieldError(pointer="/subject", expected="a subject", got="nothing")
                raise InvalidInput(errors=[expected])
            change = change_flag(
                change_id=action.pk,
                subject=decision.subject,
                name=action.settings["flag"],
                is_held=self.is_held,
                actor=f"workflow:{decision.workflow.name}",
                reason=decision.outcome,
                decision_id=decision.pk,
            )
        return DeliveryResult(is_success=True, detail="" if change.is_applied else "a later change stands")


class Release(Hold):
    """Takes the hold off again."""

    name: ClassVar[str] = "release"
    is_held: ClassVar[bool] = False
