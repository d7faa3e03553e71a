"""Filters of lists that may be very long."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter

from inferhub.audit.queries import list_actions
from inferhub.console.pages import actor_of
from inferhub.decisions.models import Decision, Verdict
from inferhub.decisions.queries import list_outcomes
from inferhub.decisions.review_queue import overdue_at


class OutcomeFilter(DropdownFilter):  # type: ignore[misc]
    """By outcome. The choices come from the index, not from a walk through every decision."""

    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(outcome, outcome) for outcome in list_outcomes()]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Decision]") -> "QuerySet[Decision]":
        return queryset.filter(outcome=self.value()) if self.value() else queryset


class AuditActionFilter(DropdownFilter):  # type: ignore[misc]
    """By what was done."""

    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(action, action) for action in list_actions()]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        return queryset.filter(action=self.value()) if self.value() else queryset


class DayFilter(RangeDateFilter):  # type: ignore[misc]
    """From a day to a day, both included, in the server's time zone (UTC)."""

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        first, last = (_day(self.used_parameters.get(f"{self.parameter_name}_{end}")) for end in ("from", "to"))
        if first is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": first})
        if last is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": last + timedelta(days=1)})
        return queryset


def _day(written: Any) -> datetime | None:
    """The day's first moment; None where nothing, or no date, was written."""
    try:
        day = date.fromisoformat(written or "")
    except ValueError:
        return None
    return timezone.make_aware(datetime.combine(day, time.min))


class ReviewOutcomeFilter(OutcomeFilter):
    """By what the rules said."""

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        return queryset.filter(decision__outcome=self.value()) if self.value() else queryset


class ReviewStateFilter(DropdownFilter):  # type: ignore[misc]
    """Reviews that wait, where nothing else is said; or all, or those that are settled, by verdict."""

    title = "state"
    parameter_name = "state"
    all_option = None

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, word) for word in ("open", "overdue", "settled", *Verdict.values, "all")]

    def value(self) -> str:
        return super().value() or "open"

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        state = self.value()
        conditions = {
            "open": Q(verdict=""),
            "overdue": overdue_at(timezone.now()),
            "settled": ~Q(verdict=""),
            "all": Q(),
        }
        return queryset.filter(conditions.get(state, Q(verdict=state)))


class AssignedFilter(DropdownFilter):  # type: ignore[misc]
    """By who works on a review."""

    title = "reviewer"
    parameter_name = "with"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("me", "me"), ("nobody", "nobody"), ("others", "others")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        me = actor_of(request)
        conditions = {
            "me": Q(assigned_to=me),
            "nobody": Q(assigned_to=""),
            "others": ~Q(assigned_to__in=["", me]),
        }
        return queryset.filter(conditions.get(self.value() or "", Q()))
