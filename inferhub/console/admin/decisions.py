"""Decisions: to find, to read, never to change."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RelatedDropdownFilter

from inferhub.console import html
from inferhub.console.authored_forms import CaseForm
from inferhub.console.base import RecordAdmin, as_uuid, deed, link_column, time_column
from inferhub.console.erasing import EraseForm, EraseSubjectForm, what_would_go
from inferhub.console.filters import DayFilter, OutcomeFilter
from inferhub.console.pages import FormPage, sent
from inferhub.console.proving import download_proof
from inferhub.console.replay import replay_sections
from inferhub.console.sections import Section
from inferhub.console.trace import decision_facts, decision_sections
from inferhub.decisions.models import Decision, DecisionKey, Workflow, WorkflowTest
from inferhub.decisions.testing import case_of, save_workflow_test

_DECIDED = time_column("created_at", "Decided")
_ERASE = "decisions.erase_decision"
_ERASURE = (
    "What the hub holds about the subject goes for good, and actions that are not delivered are cancelled. That "
    "decisions were made, their outcomes, request ids and digests stay."
)


@admin.register(Decision)
class DecisionAdmin(RecordAdmin):
    audit_subject = "decision:{0.pk}"
    empty_leads_to = Workflow
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
    actions_list = ("erase_subject",)
    actions_detail = ("replay", "proof", "make_case", "erase")
    beside = ("make_case",)
    deeds = {
        "erase": lambda found: bool(found.subject),
        "make_case": lambda found: found.erased_at is None,
        "replay": lambda found: found.erased_at is None and found.reviewed_decision_id is None,
    }

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
        keys = DecisionKey.objects.filter(workflow_id__in=list(workflow_ids), request_id=term)
        matches = Q(subject=term) | Q(pk__in=list(keys.values_list("decision_id", flat=True)))
        return queryset.filter(Q(pk=decision_id) | matches if decision_id else matches), False

    def sections(self, request: HttpRequest, found: Decision) -> Sequence[Section]:
        return decision_sections(found, self.deed_links(request, found, "make_case"))

    @deed("Make a test case", icon="add_task", permission="decisions.change_workflow")
    def make_case(self, request: HttpRequest, object_id: str) -> HttpResponse:
        decision = self.find(request, object_id)

        def keep(case: dict[str, Any], actor: str) -> WorkflowTest:
            return save_workflow_test(workflow=decision.workflow.name, case=case, actor=actor, decision_id=decision.pk)

        form = CaseForm(sent(request), initial={"case": case_of(decision)}, owner=decision.workflow, keep=keep)
        page = FormPage(
            title=f"A test case for {decision.workflow}",
            submit="Check and save",
            found=decision,
            back=html.url_of(decision),
            intro="This input has to come out so from now on. It is removed when the decision is erased.",
        )
        return self.show_deed(request, form, page)

    @deed("Replay", icon="replay", permission="decisions.view_decision")
    def replay(self, request: HttpRequest, object_id: str) -> HttpResponse:
        decision = self.find(request, object_id)
        return self.show_sections(request, decision, f"Replay of {decision}", replay_sections(decision))

    @deed("Proof", icon="verified", permission="audit.view_seal")
    def proof(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return download_proof(request, "decision", self.find(request, object_id))

    @deed("Erase the subject's data", icon="person_off", permission=_ERASE)
    def erase(self, request: HttpRequest, object_id: str) -> HttpResponse:
        decision = self.find(request, object_id)
        if not decision.subject:
            raise Http404("The decision is about nobody.")
        page = FormPage(
            title=f"Erase the data of {decision.subject}",
            submit="Erase for good",
            found=decision,
            back=html.url_of(decision),
            intro=f"{_ERASURE} Here it reaches this workflow alone, or everything.",
            sections=(decision_facts(decision), *(() if sent(request) else (what_would_go(decision),))),
            is_danger=True,
        )
        return self.show_deed(request, EraseForm(sent(request), decision=decision), page)

    @deed("Erase a person's data", icon="person_off", permission=_ERASE)
    def erase_subject(self, request: HttpRequest) -> HttpResponse:
        page = FormPage(title="Erase a person's data", submit="Go on", intro=_ERASURE, is_danger=True)
        return self.show_deed(request, EraseSubjectForm(sent(request)), page)
