"""Jobs: bulk runs and how far they are; and REST calls that run on a worker."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from inferhub.console import html
from inferhub.console.base import RecordAdmin, link_column, time_column
from inferhub.console.sections import Facts, Section, Table, Text
from inferhub.jobs.models import DeferredCall, Job, State
from inferhub.recommendations.models import Scenario

_OPEN = (State.QUEUED, State.RUNNING)
_MOST_CHUNKS = 200


@admin.register(Job)
class JobAdmin(RecordAdmin):
    audit_subject = "job:{0.pk}"
    empty_leads_to = Scenario
    empty_sentence = "Start one on the page of a scenario, or by a schedule."
    change_list_template = "console/refreshing_list.html"
    list_display = (
        "__str__",
        "current_state",
        "how_far",
        link_column("scenario", "Scenario", ordering="scenario__name"),
        time_column("created_at", "Asked for"),
        time_column("finished_at", "Finished"),
        "requested_by",
    )
    list_filter = (("state", ChoicesDropdownFilter), ("scenario", RelatedDropdownFilter))
    list_select_related = ("scenario",)
    ordering = ("-id",)

    @admin.display(description="State", ordering="state")
    def current_state(self, job: Job) -> SafeString:
        return html.badge(job.state)

    @admin.display(description="Users")
    def how_far(self, job: Job) -> SafeString:
        return html.progress(job.done, job.total)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return super().get_queryset(request).select_related("scenario", "generation__version__model")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        is_busy = Job.objects.filter(state__in=_OPEN).exists()
        return super().changelist_view(request, {"refresh_seconds": 2 if is_busy else None} | (extra_context or {}))

    def refresh_seconds(self, found: Job) -> int | None:
        return 1 if found.state in _OPEN else None

    def sections(self, request: HttpRequest, found: Job) -> Sequence[Section]:
        problem = (Text(title="Why it failed", text=found.problem),) if found.problem else ()
        return (
            Facts(
                title="Bulk job",
                pairs=(
                    ("State", self.current_state(found)),
                    ("Users", self.how_far(found)),
                    ("Scenario", html.link_to(found.scenario)),
                    ("Model version", html.link_to(found.generation.version) if found.generation else None),
                    ("Asked for", html.moment(found.created_at)),
                    ("Asked for by", found.requested_by),
                    ("Started", html.moment(found.started_at)),
                    ("Finished", html.moment(found.finished_at)),
                    ("Took", _duration(found)),
                ),
            ),
            *problem,
            _chunk_table(found),
        )


@admin.register(DeferredCall)
class DeferredCallAdmin(RecordAdmin):
    empty_sentence = "REST calls with the header 'Prefer: respond-async' run on a worker and appear here."
    list_display = (
        "__str__",
        "current_state",
        "actor",
        "attempt_count",
        time_column("created_at", "Asked for"),
        time_column("finished_at", "Finished"),
    )
    list_filter = (("state", ChoicesDropdownFilter),)
    ordering = ("-id",)

    @admin.display(description="State", ordering="state")
    def current_state(self, call: DeferredCall) -> SafeString:
        return html.badge(call.state)

    def refresh_seconds(self, found: DeferredCall) -> int | None:
        return 2 if found.state in _OPEN else None

    def sections(self, request: HttpRequest, found: DeferredCall) -> Sequence[Section]:
        answer = found.problem if found.state == State.FAILED else found.answer
        return (
            Facts(
                title="Deferred call",
                pairs=(
                    ("Kind", found.kind),
                    ("Target", found.target),
                    ("State", self.current_state(found)),
                    ("Asked for by", found.actor),
                    ("Attempts", found.attempt_count),
                    ("Asked for", html.moment(found.created_at)),
                    ("Finished", html.moment(found.finished_at)),
                    ("Id", html.code(found.pk)),
                ),
            ),
            Text(title="Body", text=html.json_text(found.body), is_code=True),
            Text(title="Answer", text=html.json_text(answer) if answer else "None yet.", is_code=True),
        )


def _duration(job: Job) -> str | None:
    if job.started_at is None or job.finished_at is None:
        return None
    return f"{(job.finished_at - job.started_at).total_seconds():,.1f} seconds"


def _chunk_table(job: Job) -> Table:
    """The chunks that are not done come first: they are what a person looks for."""
    chunks = job.chunks.order_by("is_done", "number")[:_MOST_CHUNKS]
    rows = [
        (
            chunk.number,
            html.badge(_chunk_word(chunk.is_done, chunk.leased_until is not None)),
            chunk.users,
            chunk.attempt_count,
        )
        for chunk in chunks
    ]
    note = f"The first {_MOST_CHUNKS} are shown, unfinished ones first." if len(rows) == _MOST_CHUNKS else ""
    columns = ("#", "State", "Users", "Attempts")
    return Table(title="Chunks", columns=columns, rows=rows, note=note, empty="No user has a purchase: nothing to do.")


def _chunk_word(is_done: bool, is_held: bool) -> str:
    if is_done:
        return "succeeded"
    return "running" if is_held else "queued"
