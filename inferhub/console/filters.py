"""Filters of lists that may be very long."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter

from inferhub.audit.queries import list_actions
from inferhub.decisions.models import Decision
from inferhub.decisions.queries import list_outcomes


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


class OpenFilter(DropdownFilter):  # type: ignore[misc]
    """Reviews that wait, or that are settled."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "open"), ("approved", "approved"), ("rejected", "rejected")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        state = self.value()
        return queryset.filter(verdict="" if state == "open" else state) if state else queryset
