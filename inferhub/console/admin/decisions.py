"""Decisions: to find, to read, never to change."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RelatedDropdownFilter

from inferhub.console import html
from inferhub.console.base import RecordAdmin, as_uuid, link_column, time_column
from inferhub.console.filters import DayFilter, OutcomeFilter
from inferhub.console.sections import Section
from inferhub.console.trace import decision_sections
from inferhub.decisions.models import Decision, Workflow

_DECIDED = time_column("created_at", "Decided")


@admin.register(Decision)
class DecisionAdmin(RecordAdmin):
    audit_subject = "decision:{0.pk}"
    empty_sentence = "Each request to a workflow makes one. Try a workflow from its page, or call it over REST."
    list_display = (
        _DECIDED,
        "result",
        link_column("workflow", "Workflow"),
        "subject",
        "request_id",
        "actor",
    )
    list_display_links = (_DECIDED, "result")
    list_filter = (("workflow", RelatedDropdownFilter), OutcomeFilter, ("created_at", DayFilter))
    list_select_related = ("workflow",)
    search_fields = ("request_id",)
    search_help_text = "Request id, subject or decision id, exactly as sent"
    ordering = ("-id",)
    sortable_by = ()

    @admin.display(description="Outcome")
    def result(self, decision: Decision) -> SafeString:
        return html.badge(decision.outcome)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Decision]:
        return (
            super().get_queryset(request).select_related("workflow", "version__workflow", "rule_set_version__rule_set")
        )

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str
    ) -> tuple["QuerySet[Any]", bool]:
        """Exact matches, so that an index answers; a request id is unique within a workflow."""
        term = search_term.strip()
        if not term:
            return queryset, False
        decision_id = as_uuid(term)
        workflow_ids = Workflow.objects.values_list("pk", flat=True)
        matches = Q(subject=term) | Q(workflow_id__in=list(workflow_ids), request_id=term)
        return queryset.filter(Q(pk=decision_id) | matches if decision_id else matches), False

    def sections(self, request: HttpRequest, found: Decision) -> Sequence[Section]:
        return decision_sections(found)
