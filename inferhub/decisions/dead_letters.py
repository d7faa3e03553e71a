"""Dead letters: actions that were given up, and that a person lets try again once the cause is removed."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from inferhub.audit.services import record_events
from inferhub.decisions.delivery import ring_bell
from inferhub.decisions.models import Action, ActionState
from inferhub.errors import Conflict

MOST_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetters:
    """Which dead letters are meant; what is empty narrows nothing. `target` is such as `webhook:shop`."""

    kind: str = ""
    target: str = ""
    workflow: str = ""
    died_from: datetime | None = None
    died_until: datetime | None = None

    def find(self) -> QuerySet[Action]:
        wanted: Mapping[str, Any] = {
            "kind": self.kind,
            "target": self.target,
            "decision__workflow__name": self.workflow,
            "finished_at__gte": self.died_from,
            "finished_at__lt": self.died_until,
        }
        return Action.objects.filter(state=ActionState.DEAD, **{name: value for name, value in wanted.items() if value})


def redrive_action(*, action: Action, actor: str) -> None:
    """Try a dead letter again, with waits as from the first attempt on. Raises Conflict where it is not dead."""
    if not _redrive([action.pk], actor):
        raise Conflict(f"Only a dead letter can be driven again; the action {action.pk} is {action.state}.")


def redrive_actions(*, letters: DeadLetters, actor: str) -> int:
    """Try many again: the oldest of `letters`, at most `MOST_AT_ONCE`. Gives their number."""
    ids = list(letters.find().order_by("pk").values_list("pk", flat=True)[:MOST_AT_ONCE])
    return len(_redrive(ids, actor))


def _redrive(ids: list[uuid.UUID], actor: str) -> list[uuid.UUID]:
    with transaction.atomic():
        dead = Action.objects.filter(pk__in=ids, state=ActionState.DEAD)
        found = list(dead.select_for_update().order_by("pk").values_list("pk", flat=True))
        Action.objects.filter(pk__in=found).update(
            state=ActionState.PENDING,
            next_attempt_at=timezone.now(),
            finished_at=None,
            attempts_before=F("attempt_count"),
        )
        record_events("action.redriven", actor=actor, about=[(f"action:{action_id}", {}) for action_id in found])
        transaction.on_commit(lambda: ring_bell(found), robust=True)
    return found
