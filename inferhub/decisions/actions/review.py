"""Action `review`: ask a person."""

from typing import Any, ClassVar

from inferhub.decisions.actions.base import ActionKind, DeliveryResult, settings_schema
from inferhub.decisions.models import Action, Review


class ReviewAction(ActionKind):
    """Opens a review of the decision, once."""

    name: ClassVar[str] = "review"
    schema: ClassVar[dict[str, Any]] = settings_schema({"title": {"type": "string", "minLength": 1, "maxLength": 200}})

    def deliver(self, action: Action) -> DeliveryResult:
        Review.objects.get_or_create(
            action=action, defaults={"decision": action.decision, "title": action.settings["title"]}
        )
        return DeliveryResult(is_success=True)
