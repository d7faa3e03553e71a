"""Make actions, and let time pass for them."""

from typing import Any

from django.utils import timezone

from inferhub.decisions.delivery import deliver_action
from inferhub.decisions.models import Action, DeliveryTarget
from inferhub.decisions.services import decide, save_workflow
from tests.hub_fixtures import ACTOR, WORKFLOW

ACCEPTED = {"customer_id": "ann", "total": 20, "price": 10}


def cause(*actions: dict[str, Any], **changes: Any) -> None:
    """Let every accepted order cause `actions` from now on; `changes` are other parts of the definition."""
    save_workflow(name="orders", definition=WORKFLOW | {"actions": {"accept": list(actions)}} | changes, actor=ACTOR)


def act(**facts: Any) -> Action:
    """Decide about an order that is accepted, and give its only action."""
    decision, _ = decide(workflow="orders", facts_in=ACCEPTED | facts, actor=ACTOR)
    action: Action = decision.actions.get()
    return action


def try_now(action: Action) -> Action:
    """One attempt, as if the wait before it were over."""
    Action.objects.filter(pk=action.pk, state="pending").update(next_attempt_at=timezone.now())
    deliver_action(action.pk)
    action.refresh_from_db()
    return action


def end_rest(target: str) -> None:
    """As if the time until the next probe had passed."""
    changed = DeliveryTarget.objects.filter(name=target, open_until__isnull=False).update(open_until=timezone.now())
    assert changed
