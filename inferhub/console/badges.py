"""The small numbers beside the sidebar's entries: what waits for a person."""

from django.http import HttpRequest

from inferhub.approvals.models import ChangeRequest, ChangeState
from inferhub.audit.models import Verification, VerificationState
from inferhub.decisions.models import Action, ActionState, DeliveryTarget, Review

_MOST = 100


def pending_changes(request: HttpRequest) -> str:
    return _short(ChangeRequest.objects.filter(state=ChangeState.PENDING).order_by()[:_MOST].count())


def open_reviews(request: HttpRequest) -> str:
    return _short(Review.objects.filter(verdict="").order_by()[:_MOST].count())


def dead_letters(request: HttpRequest) -> str:
    return _short(Action.objects.filter(state=ActionState.DEAD).order_by()[:_MOST].count())


def open_breakers(request: HttpRequest) -> str:
    return _short(DeliveryTarget.objects.filter(open_until__isnull=False).order_by()[:_MOST].count())


def failed_verification(request: HttpRequest) -> str:
    """A mark where the last verification found that something was changed."""
    last = Verification.objects.exclude(finished_at=None).only("state").first()
    return "!" if last and last.state == VerificationState.FAILED else ""


def _short(count: int) -> str:
    """Nothing where nothing waits; counting stops at a hundred."""
    if count == 0:
        return ""
    return "99+" if count == _MOST else str(count)
