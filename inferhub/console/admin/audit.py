"""The audit log: to find, to read, never to change."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.text import Truncator

from inferhub.audit.models import AuditEvent
from inferhub.console import html
from inferhub.console.base import RecordAdmin, deed, time_column
from inferhub.console.filters import AuditActionFilter, DayFilter
from inferhub.console.proving import download_proof
from inferhub.console.sections import Facts, Section
from inferhub.console.trace import values_table

_WHEN = time_column("occurred_at", "When")


@admin.register(AuditEvent)
class AuditEventAdmin(RecordAdmin):
    list_display = (_WHEN, "action", "actor", "subject", "summary")
    list_display_links = (_WHEN, "action")
    list_filter = (AuditActionFilter, ("occurred_at", DayFilter))
    search_fields = ("subject",)
    search_help_text = "Subject, actor or request id, exactly; for example workflow:order-screening or user:alice"
    ordering = ("-id",)
    sortable_by = ()
    actions_detail = ("proof",)

    @admin.display(description="Details")
    def summary(self, event: AuditEvent) -> str:
        said = {name: html.plain(value) for name, value in event.details.items() if value not in ("", None)}
        words = ", ".join(f"{name}: {value[:12] if name.endswith('digest') else value}" for name, value in said.items())
        return Truncator(words).chars(90)

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str
    ) -> tuple["QuerySet[Any]", bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(Q(subject=term) | Q(actor=term) | Q(request_id=term)), False

    def sections(self, request: HttpRequest, found: AuditEvent) -> Sequence[Section]:
        facts = Facts(
            title="Audit event",
            pairs=(
                ("What", found.action),
                ("When", html.moment(found.occurred_at)),
                ("Who", found.actor),
                ("To what", found.subject),
                ("Request id", html.code(found.request_id) if found.request_id else None),
                ("Number", found.pk),
                ("Digest (sha256)", html.code(found.digest)),
            ),
        )
        return (facts, values_table("Details", found.details, "None."))

    @deed("Proof", icon="verified", permission="audit.view_seal")
    def proof(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return download_proof(request, "audit-event", self.find(request, object_id))
