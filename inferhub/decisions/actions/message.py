"""What other systems are told of a decision: the same JSON by webhook and by queue."""

import uuid
from datetime import datetime

import orjson

from inferhub.decisions.models import Action
from inferhub.lib.canonical import stored_json


def decision_message(action: Action) -> bytes:
    """The decision, and the action that it caused."""
    decision = action.decision
    return stored_json(
        {
            "type": "decision.made",
            "timestamp": decision.created_at,
            "data": {
                "action_id": str(action.pk),
                "decision_id": str(decision.pk),
                "workflow": decision.workflow.name,
                "request_id": decision.request_id,
                "subject": decision.subject,
                "outcome": decision.outcome,
                "outputs": decision.outputs,
                "input": decision.input,
                **({"review": decision.trace.get("review", {})} if decision.reviewed_decision_id else {}),
            },
        }
    )


def trial_message(message_id: uuid.UUID, *, target: str, sent_at: datetime) -> bytes:
    """What a person sends to see whether a target works; receivers answer it and do nothing else."""
    return orjson.dumps(
        {"type": "target.test", "timestamp": sent_at, "data": {"message_id": str(message_id), "target": target}}
    )
