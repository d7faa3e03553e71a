"""Settle reviews: a person's verdict, the decision that it makes, and the actions of that decision.

The reviewed decision stays as it was made. The verdict makes another one, linked to it: the same input, predictions and
versions, the outcome that the person chose, and that outcome's actions in the workflow version of the first decision,
except reviews, so that nothing goes round in circles. Approving leads to the outcome that the review's settings call
`approve` ("approved" where they say nothing), rejecting to `reject` ("rejected"), and `changed` to any outcome that
the workflow has.
"""

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.decisions.actions.registry import lane_of
from inferhub.decisions.delivery import ring_bell
from inferhub.decisions.digests import commitment_of, content_of, digest_of_decision, new_salt
from inferhub.decisions.lanes import lane_number
from inferhub.decisions.models import Action, Decision, DecisionKey, Review, Verdict
from inferhub.decisions.outcomes import Answers, answers_to, deciding_table
from inferhub.decisions.partitions import make_partitions
from inferhub.decisions.review_queue import LONGEST_TEXT, refusal
from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.canonical import canonical_json
from inferhub.lib.describe import describe, listed
from inferhub.lib.ids import uuid7


def answers_of(review: Review) -> Answers:
    """What a person may answer to this review."""
    decision = review.decision
    return answers_to(review.action.settings, decision.version.definition["actions"], deciding_table(decision))


def actions_of_outcome(decision: Decision, outcome: str) -> list[dict[str, Any]]:
    """What is done where a review of `decision` leads to `outcome`; nothing once there is nothing left to tell."""
    if decision.erased_at is not None:
        return []
    actions = decision.version.definition["actions"].get(outcome, ())
    return [settings for settings in actions if settings["kind"] != "review"]


def settle_review(*, review: Review, verdict: str, reason: str, actor: str, outcome: str = "") -> Decision:
    """Settle a review that `actor` has, or that nobody has; gives the decision that this makes, committed with it.

    `outcome` is for the verdict `changed`. The reason is kept with the review and in the new decision, where it is
    erased with the person's data; the audit event has none. Raises InvalidInput and, where somebody else works on it
    or was quicker, Conflict.
    """
    chosen = _chosen_outcome(review, verdict, outcome, reason)
    with transaction.atomic():
        # Locked, so that an erasure comes before this or after it.
        first = Decision.objects.select_for_update(of=("self",)).select_related("version").get(pk=review.decision_id)
        made = _make_decision(review, first, verdict=verdict, outcome=chosen, reason=reason.strip(), actor=actor)
        settled = Review.objects.filter(pk=review.pk, verdict="", assigned_to__in=["", actor]).update(
            verdict=verdict,
            outcome=chosen,
            new_decision_id=made.pk,
            reason=reason.strip(),
            settled_at=made.created_at,
            settled_by=actor,
        )
        if not settled:
            raise refusal(review)
        actions = _write_decision(made, actions_of_outcome(first, chosen))
        details = {"review": review.pk, "verdict": verdict, "outcome": chosen, "decision": str(made.pk)}
        record_event("review.settled", actor=actor, subject=f"decision:{first.pk}", details=details)
        ids = [action.pk for action in actions]
        transaction.on_commit(lambda: ring_bell(ids), robust=True)
    return made


def _chosen_outcome(review: Review, verdict: str, outcome: str, reason: str) -> str:
    answers = answers_of(review)
    errors = []
    if verdict not in Verdict.values:
        errors.append(_error("verdict", f"one of {listed(Verdict.values)}", describe(verdict)))
    elif verdict == Verdict.CHANGED and outcome not in answers.outcomes:
        errors.append(_error("outcome", f"one of {listed(answers.outcomes)}", describe(outcome)))
    elif verdict != Verdict.CHANGED and outcome:
        errors.append(_error("outcome", f"nothing, unless the verdict is '{Verdict.CHANGED}'", describe(outcome)))
    if not 1 <= len(reason.strip()) <= LONGEST_TEXT:
        got = f"{len(reason.strip())} characters"
        errors.append(_error("reason", f"a reason of 1 to {LONGEST_TEXT} characters", got))
    if errors:
        raise InvalidInput(errors=errors)
    return {Verdict.APPROVED.value: answers.approve, Verdict.REJECTED.value: answers.reject}.get(verdict, outcome)


def _error(field: str, expected: str, got: str) -> FieldError:
    return FieldError(pointer=f"/{field}", expected=expected, got=got)


def _make_decision(review: Review, first: Decision, *, verdict: str, outcome: str, reason: str, actor: str) -> Decision:
    """The decision that a person makes, not yet written. Its trace says which one was reviewed, by whom and why."""
    made = Decision(
        id=uuid7(),
        workflow_id=first.workflow_id,
        version=first.version,
        rule_set_version_id=first.rule_set_version_id,
        request_id=f"review-{review.pk}-{uuid7()}",
        reviewed_decision_id=first.pk,
        subject=first.subject,
        input=first.input,
        predictions=first.predictions,
        outcome=outcome,
        outputs={"outcome": outcome},
        trace={
            "review": {
                "review_id": review.pk,
                "decision_id": str(first.pk),
                "request_id": first.request_id,
                "outcome": first.outcome,
                "verdict": verdict,
                "reason": reason,
                "reviewer": actor,
            }
        },
        timings={},
        actor=actor,
        salt=new_salt(),
        created_at=timezone.now(),
    )
    made.commitment = commitment_of(made.salt, canonical_json(content_of(made)))
    made.digest = digest_of_decision(made)
    return made


def _write_decision(made: Decision, settings: list[dict[str, Any]]) -> list[Action]:
    """Decision, key, pending actions and audit event, in the present transaction."""
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError as exc:
        if "no partition" not in str(exc):
            raise
        make_partitions()  # the hub was off when they should have been made
        made.save(force_insert=True)
    DecisionKey.objects.create(workflow_id=made.workflow_id, request_id=made.request_id, decision_id=made.pk)
    now = made.created_at
    actions = Action.objects.bulk_create(
        Action(
            decision=made,
            kind=entry["kind"],
            settings=entry,
            next_attempt_at=now,
            created_at=now,
            lane=lane_number(lane_of(entry), made.subject),
        )
        for entry in settings
    )
    details = {"outcome": made.outcome, "digest": made.digest, "actions": len(actions)}
    record_event("decision.made", actor=made.actor, subject=f"decision:{made.pk}", details=details)
    return actions
