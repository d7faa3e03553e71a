"""Take a person's data out of the decisions, so that their digests can still be checked.

What goes: input, subject, predictions, outputs and trace, the salt with which they could be guessed, what people wrote
in reviews and what attempts to deliver told; test cases about the subject; its flags and the entries of look-up lists
that are the subject; actions that are not delivered yet, dead letters among them, are cancelled. What stays: that there
was a decision, when, by which versions, with which outcome, its request id and its digest; that there was a review, who
settled it, and how.

Entries go from block lists as well: whether a law lets one stay (a fraud that is before a court, a wish never to be
written to) the hub cannot know. What was erased names the lists and how many entries each lost, so that somebody who
may can put one back, with a reason of its own.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone

from inferhub.audit.services import record_events
from inferhub.decisions.digests import ERASED
from inferhub.decisions.flags import forget_flags
from inferhub.decisions.models import (
    Action,
    ActionAttempt,
    ActionState,
    Decision,
    Review,
    ReviewComment,
    WorkflowTest,
    WorkflowVersion,
)
from inferhub.lib.subjects import is_named, spellings
from inferhub.lists.services import erase_values
from inferhub.rulesets.authored import AuthoredTest
from inferhub.rulesets.models import RuleSetTest

ERASURE = "decision.erased"
"""The audit event without which no decision may be without its content."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ErasedContent:
    """What an erasure took: how much of each kind, and which decisions. `lists`: entries by name of the list."""

    decision_ids: tuple[uuid.UUID, ...] = ()
    actions: int = 0
    comments: int = 0
    test_cases: int = 0
    flags: int = 0
    lists: Mapping[str, int] = field(default_factory=dict)

    @property
    def decisions(self) -> int:
        return len(self.decision_ids)

    def counts(self) -> dict[str, int]:
        return {
            "decisions": self.decisions,
            "actions": self.actions,
            "comments": self.comments,
            "test_cases": self.test_cases,
            "flags": self.flags,
            "list_entries": sum(self.lists.values()),
        }


def erase_subject(*, subject: str, reason: str, actor: str, workflow: str = "") -> ErasedContent:
    """Erase the content of every decision about `subject`, of one workflow or of all, and what was made of it.

    The audit log gets an event for each decision and each cancelled action, which does not name the person. An attempt
    that a worker has begun may still arrive; no later one does. Flags of the subject and its entries of look-up lists
    go too, unless one workflow is named.
    """
    names = spellings(subject)
    decisions = Decision.objects.filter(subject__in=names, erased_at=None)
    if workflow:
        decisions = decisions.filter(workflow__name=workflow)
    # Workers may go on to refer to what is locked here: one of them that waited could hold what this waits for.
    wanted = decisions.order_by("id").select_for_update(of=("self",), no_key=True).values_list("pk", flat=True)
    rounds: list[ErasedContent] = []
    with transaction.atomic():
        while ids := list(wanted.all()):
            rounds.append(erase_content(ids, reason=reason, actor=actor))
            # Once more: a verdict that held the lock has made another decision about the subject meanwhile. What
            # systems ask for from now on comes after the erasure, however fast it comes.
            wanted = wanted.exclude(reviewed_decision_id=None)
        return ErasedContent(
            decision_ids=tuple(decision_id for one in rounds for decision_id in one.decision_ids),
            actions=sum(one.actions for one in rounds),
            comments=sum(one.comments for one in rounds),
            test_cases=sum(one.test_cases for one in rounds) + _erase_test_cases(names, workflow),
            flags=0 if workflow else forget_flags(names),
            lists={} if workflow else erase_values(values=names, reason=reason, actor=actor),
        )


def subject_fields() -> dict[str, set[str]]:
    """By workflow the fields of its input that tell, or once told, whom its decisions are about."""
    found: dict[str, set[str]] = {}
    for workflow, name in WorkflowVersion.objects.values_list("workflow__name", "definition__subject").distinct():
        if name:
            found.setdefault(workflow, set()).add(name)
    return found


def erase_content(ids: Sequence[uuid.UUID], *, reason: str, actor: str) -> ErasedContent:
    """Erase these decisions, which are locked, and what was made of their content; one audit event for each."""
    now = timezone.now()
    Decision.objects.filter(pk__in=ids).update(erased_at=now, **ERASED)
    test_cases, _ = WorkflowTest.objects.filter(decision_id__in=ids).delete()
    # What people wrote about the case; the decision that a review made has content of its own.
    Review.objects.filter(decision_id__in=ids).update(reason="")
    comments = ReviewComment.objects.filter(review__decision_id__in=ids).exclude(text="").update(text="")
    actions = _cancel_actions(ids, reason=reason, actor=actor)
    # An attempt may quote what it could not send; one that is under way will see that the action is cancelled.
    ActionAttempt.objects.filter(action__decision_id__in=ids).exclude(detail="").update(detail="")
    details = {"reason": reason, "erased_at": now.isoformat()}
    record_events(ERASURE, actor=actor, about=[(f"decision:{decision_id}", details) for decision_id in ids])
    return ErasedContent(
        decision_ids=tuple(ids),
        actions=actions,
        comments=comments,
        test_cases=test_cases,
    )


def _erase_test_cases(names: Collection[str], workflow: str) -> int:
    """Delete test cases that are typed or uploaded, and whose input is about the subject.

    Those of a rule set, which knows no subject, where a field is that has told one in some workflow.
    """
    fields = subject_fields()
    all_fields = {name for known in fields.values() for name in known}
    tests = WorkflowTest.objects.select_related("workflow")
    own = tests.filter(workflow__name=workflow) if workflow else tests
    found: list[AuthoredTest] = [test for test in own if _is_about(test, names, fields.get(test.workflow.name, ()))]
    if not workflow:
        found += [test for test in RuleSetTest.objects.all() if _is_about(test, names, all_fields)]
    for test in found:
        test.delete()
    return len(found)


def _is_about(test: AuthoredTest, names: Collection[str], fields: Collection[str]) -> bool:
    given = test.case.get("facts", test.case).get("input")
    return isinstance(given, Mapping) and any(is_named(given.get(field), names) for field in fields)


def _cancel_actions(ids: Sequence[uuid.UUID], *, reason: str, actor: str) -> int:
    """Let nobody try again what is not delivered: of the facts that it would tell, nothing is left."""
    undelivered = Action.objects.filter(decision_id__in=ids, state__in=[ActionState.PENDING, ActionState.DEAD])
    actions = list(undelivered.order_by("pk").select_for_update(no_key=True))
    Action.objects.filter(pk__in=[action.pk for action in actions]).update(
        state=ActionState.CANCELLED, finished_at=timezone.now()
    )
    about = [
        (f"action:{action.pk}", {"kind": action.kind, "decision": str(action.decision_id), "reason": reason})
        for action in actions
    ]
    record_events("action.cancelled", actor=actor, about=about)
    return len(actions)
