"""Challengers: candidates that decide beside a workflow, and how they differ from it."""

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RelatedDropdownFilter

from inferhub.backtests.challengers import end_challenger
from inferhub.backtests.models import Challenger
from inferhub.console import html
from inferhub.console.admin.backtests import RUN
from inferhub.console.base import RecordAdmin, deed, link_column, time_column
from inferhub.console.challenger_sections import challenger_sections
from inferhub.console.pages import Done, FormPage, ServiceForm, sent
from inferhub.console.sections import Section
from inferhub.decisions.models import Workflow


class EndForm(ServiceForm):
    """Nothing to fill in."""

    def __init__(self, *args: object, challenger: Challenger, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self._challenger = challenger

    def save(self, *, actor: str) -> Done:
        end_challenger(challenger=self._challenger, actor=actor)
        return Done(message="The challenger is ended.", url=html.url_of(self._challenger))


@admin.register(Challenger)
class ChallengerAdmin(RecordAdmin):
    audit_subject = "challenger:{0.pk}"
    empty_leads_to = Workflow
    empty_sentence = "Start one on the page of a workflow: other versions then decide beside it, without actions."
    list_display = (
        "__str__",
        "current_state",
        "rows",
        link_column("workflow", "Workflow", ordering="workflow__name"),
        time_column("started_at", "Started"),
        time_column("ended_at", "Ended"),
        "started_by",
    )
    list_filter = (("workflow", RelatedDropdownFilter),)
    list_select_related = ("workflow",)
    ordering = ("-id",)
    actions_detail = ("end",)
    deeds = {"end": lambda found: found.ended_at is None}

    @admin.display(description="State")
    def current_state(self, challenger: Challenger) -> SafeString:
        return html.badge("ended" if challenger.ended_at else "failed" if challenger.problem else "running")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Challenger]:
        return super().get_queryset(request).select_related("workflow")

    def refresh_seconds(self, found: Challenger) -> int | None:
        return 5 if found.ended_at is None else None

    def sections(self, request: HttpRequest, found: Challenger) -> Sequence[Section]:
        return challenger_sections(found, self.current_state(found), request.user.has_perm)

    @deed("End", icon="stop", permission=RUN)
    def end(self, request: HttpRequest, object_id: str) -> HttpResponse:
        challenger = self.find(request, object_id)
        page = FormPage(
            title=f"End the {challenger}",
            submit="End it",
            found=challenger,
            intro="What it found stays.",
            is_danger=True,
        )
        return self.show_deed(request, EndForm(sent(request), challenger=challenger), page)
