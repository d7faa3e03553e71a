"""Action `review`: ask a person."""

from typing import Any, ClassVar

from inferhub.decisions.actions.base import ActionKind, DeliveryResult, settings_schema
from inferhub.decisions.definition import APPROVED, OUTCOME, REJECTED
from inferhub.decisions.models import Action
from inferhub.decisions.review_queue import open_review


class ReviewAction(ActionKind):
    """Opens a review of the decision, once."""

    name: ClassVar[str] = "review"
    schema: ClassVar[dict[str, Any]] = settings_schema(
        {"title": {"type": "string", "minLength": 1, "maxLength": 200}},
        approve=OUTCOME | {"description": f"The outcome when a person approves; '{APPROVED}' by default."},
        reject=OUTCOME | {"description": f"The outcome when a person rejects; '{REJECTED}' by default."},
        priority={"enum": ["low", "normal", "high"]},
        due_in_hours={
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 8760,
            "description": "How long after the decision a person must have settled it.",
        },
    )

    def deliver(self, action: Action) -> DeliveryResult:
        open_review(action)
        return DeliveryResult(is_success=True)
