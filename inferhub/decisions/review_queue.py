"""The queue of reviews: who works on what, what comes next, what people note meanwhile.

A review belongs to one person at a time. Every step is a compare-and-set, so that of two who want the same one the
second is told who has it.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import BooleanField, Case, Count, F, Q, QuerySet, Value, When
from django.utils import timezone

from inferhub.accounts.models import User
from inferhub.audit.services import record_event
from inferhub.decisions.models import Action, Priority, Review, ReviewComment
from inferhub.errors import Conflict, FieldError, InvalidInput, NotFound
from inferhub.lib.describe import describe

SETTLE, ASSIGN = "decisions.settle_review", "decisions.assign_review"
LONGEST_TEXT = 5000
_MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


def open_review(action: Action) -> Review:
    """The review that an action asks for; the same one however often it is asked."""
    settings, decision = action.settings, action.decision
    hours = settings.get("due_in_hours")
    review, _ = Review.objects.get_or_create(
        action=action,
        defaults={
            "decision": decision,
            "title": settings["title"],
            "priority": Priority[settings.get("priority", "normal").upper()],
            # Whom the decision is about has waited since it was made, whenever a worker came to it.
            "due_at": None if hours is None else decision.created_at + timedelta(hours=hours),
        },
    )
    return review


def find_review(review_id: int) -> Review:
    """Raises NotFound."""
    review = reviews_with_names().filter(pk=review_id).first()
    if review is None:
        raise NotFound(f"There is no review {review_id}.")
    return review


def reviews_with_names() -> QuerySet[Review]:
    """Reviews with everything that a page or an answer names, and whether they are overdue (`is_overdue`)."""
    related = ("action", "decision__workflow", "decision__version__workflow", "decision__rule_set_version__rule_set")
    return with_overdue(Review.objects.select_related(*related))


def with_overdue(reviews: QuerySet[Review]) -> QuerySet[Review]:
    late = When(overdue_at(timezone.now()), then=Value(True))
    return reviews.annotate(is_overdue=Case(late, default=Value(False), output_field=BooleanField()))


def overdue_at(now: datetime) -> Q:
    """Open reviews that somebody should have settled before `now`."""
    return Q(verdict="", due_at__lt=now)


QUEUE_ORDER: tuple[Any, ...] = ("-is_overdue", "-priority", F("due_at").asc(nulls_last=True), "pk")
"""Of open reviews: what is overdue first, then by priority, then what is due first, then what waits longest."""


def count_open() -> dict[str, int]:
    """How many reviews wait: `unassigned`, `assigned`, and of both together `overdue`."""
    late = Count("pk", filter=overdue_at(timezone.now()))
    free = Count("pk", filter=Q(assigned_to=""))
    found = Review.objects.filter(verdict="").aggregate(unassigned=free, all=Count("pk"), overdue=late)
    total = found.pop("all")
    return {**found, "assigned": total - found["unassigned"]}


def claim_review(*, review: Review, actor: str) -> None:
    """Take a review that nobody has; what `actor` has already stays so. Raises Conflict."""
    with transaction.atomic():
        if not _claim(review, actor) and not _is_with(review, actor):
            raise refusal(review)


def claim_next_review(*, actor: str, workflow: str = "") -> Review | None:
    """The next review for `actor`, of one workflow or of all, taken for them; None where nothing waits.

    The queue is what `actor` has and what nobody has; what `actor` put off comes last. Two who ask at once get two.
    """
    mine = Review.objects.filter(verdict="", assigned_to__in=["", actor])
    if workflow:
        mine = mine.filter(decision__workflow__name=workflow)
    put_off = Case(When(passed_by__contains=[actor], then=1), default=0)
    with transaction.atomic():
        queue = with_overdue(mine).order_by(put_off, *QUEUE_ORDER)
        review = queue.select_for_update(of=("self",), skip_locked=True).first()
        if review is not None:
            _claim(review, actor)
    return review


def put_off_review(*, review: Review, actor: str) -> None:
    """Leave a review for later: it stays with `actor`, after all others. Raises Conflict."""
    if not _passed(review, actor):
        raise refusal(review)


def release_review(*, review: Review, actor: str) -> None:
    """Give a review back, so that others get it. Raises Conflict where `actor` does not have it."""
    with transaction.atomic():
        if not _passed(review, actor, assigned_to="", assigned_at=None):
            raise refusal(review)
        _record("released", review, actor)


def assign_review(*, review: Review, to: str, actor: str) -> None:
    """Give an open review to the person called `to`, whoever has it now; empty: to nobody.

    Raises InvalidInput where there is no such reviewer, and Conflict where the review is settled.
    """
    to = to.strip().removeprefix("user:")
    if to and not reviewers().filter(username=to).exists():
        expected = "the user name of a person who may settle reviews"
        raise InvalidInput(errors=[FieldError(pointer="/to", expected=expected, got=describe(to))])
    with transaction.atomic():
        assigned = (
            {"assigned_to": f"user:{to}", "assigned_at": timezone.now()}
            if to
            else {"assigned_to": "", "assigned_at": None}
        )
        if not Review.objects.filter(pk=review.pk, verdict="").update(**assigned, passed_by=[]):
            raise refusal(review)
        _record("assigned", review, actor, to=assigned["assigned_to"])


def reviewers() -> QuerySet[User]:
    """The people who may settle reviews."""
    people: QuerySet[User] = User.objects.with_perm(SETTLE, backend=_MODEL_BACKEND)
    return people.filter(is_active=True).order_by("username")


def comment_on_review(*, review: Review, text: str, actor: str) -> ReviewComment:
    """Note something, on a settled review too. The text is not in the audit log, so that it can be erased.

    Raises InvalidInput.
    """
    clean = text.strip()
    if not 1 <= len(clean) <= LONGEST_TEXT:
        expected, got = f"a text of 1 to {LONGEST_TEXT} characters", f"{len(clean)} characters"
        raise InvalidInput(errors=[FieldError(pointer="/text", expected=expected, got=got)])
    with transaction.atomic():
        comment = ReviewComment.objects.create(review=review, text=clean, actor=actor)
        _record("commented", review, actor, comment=comment.pk)
    return comment


def refusal(review: Review) -> Conflict:
    """Why nobody but another may do something with a review now."""
    now = Review.objects.get(pk=review.pk)
    if now.verdict:
        return Conflict(f"This review was settled before: {now.verdict} by {now.settled_by}.")
    if now.assigned_to:
        return Conflict(f"{now.assigned_to} is working on this review since {now.assigned_at:%Y-%m-%d %H:%M} UTC.")
    return Conflict("Nobody is working on this review: take it first.")


def _claim(review: Review, actor: str) -> bool:
    free = Review.objects.filter(pk=review.pk, verdict="", assigned_to="")
    if not free.update(assigned_to=actor, assigned_at=timezone.now()):
        return False
    review.refresh_from_db(fields=["assigned_to", "assigned_at"])
    _record("claimed", review, actor)
    return True


def _is_with(review: Review, actor: str) -> bool:
    return Review.objects.filter(pk=review.pk, verdict="", assigned_to=actor).exists()


def _passed(review: Review, actor: str, **changes: Any) -> bool:
    """Note that `actor` put the review off, if it is theirs."""
    with transaction.atomic():
        mine = Review.objects.select_for_update().filter(pk=review.pk, verdict="", assigned_to=actor).first()
        if mine is None:
            return False
        passed_by = [*(name for name in mine.passed_by if name != actor), actor]
        Review.objects.filter(pk=mine.pk).update(passed_by=passed_by, **changes)
        return True


def _record(deed: str, review: Review, actor: str, **details: Any) -> None:
    details = {"review": review.pk, **details}
    record_event(f"review.{deed}", actor=actor, subject=f"decision:{review.decision_id}", details=details)
