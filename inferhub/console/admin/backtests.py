"""Back-tests: how far they are, and their reports."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from inferhub.backtests.models import OPEN_STATES, Backtest
from inferhub.backtests.queries import changes_csv
from inferhub.backtests.services import cancel_backtest
from inferhub.console import html
from inferhub.console.backtest_sections import backtest_sections
from inferhub.console.base import RecordAdmin, deed, link_column, time_column
from inferhub.console.pages import Done, FormPage, ServiceForm, sent
from inferhub.console.sections import Section
from inferhub.decisions.models import Workflow
from inferhub.lib.digits import read_digits

RUN = "backtests.run_backtest"


class CancelForm(ServiceForm):
    """Nothing to fill in."""

    def __init__(self, *args: Any, backtest: Backtest, **options: Any) -> None:
        super().__init__(*args, **options)
        self._backtest = backtest

    def save(self, *, actor: str) -> Done:
        cancel_backtest(backtest=self._backtest, actor=actor)
        return Done(message="The back-test is cancelled.", url=html.url_of(self._backtest))


@admin.register(Backtest)
class BacktestAdmin(RecordAdmin):
    audit_subject = "backtest:{0.pk}"
    empty_leads_to = Workflow
    empty_sentence = "Start one on the page of a workflow: it shows what other versions would have decided."
    change_list_template = "console/refreshing_list.html"
    list_display = (
        "__str__",
        "current_state",
        "how_far",
        "changed",
        link_column("workflow", "Workflow", ordering="workflow__name"),
        time_column("created_at", "Asked for"),
        "requested_by",
    )
    list_filter = (("state", ChoicesDropdownFilter), ("workflow", RelatedDropdownFilter))
    list_select_related = ("workflow",)
    ordering = ("-id",)
    actions_detail = ("download", "cancel")
    deeds = {
        "cancel": lambda found: found.state in OPEN_STATES,
        "download": lambda found: found.report is not None,
    }

    @admin.display(description="State", ordering="state")
    def current_state(self, backtest: Backtest) -> SafeString:
        return html.badge(backtest.state)

    @admin.display(description="Rows")
    def how_far(self, backtest: Backtest) -> SafeString:
        return html.progress(backtest.done, backtest.total)

    @admin.display(description="Changed")
    def changed(self, backtest: Backtest) -> str:
        return f"{backtest.report['changed']:,}" if backtest.report else html.NOTHING

    def get_queryset(self, request: HttpRequest) -> QuerySet[Backtest]:
        return super().get_queryset(request).select_related("workflow")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        is_busy = Backtest.objects.filter(state__in=OPEN_STATES).exists()
        return super().changelist_view(request, {"refresh_seconds": 2 if is_busy else None} | (extra_context or {}))

    def refresh_seconds(self, found: Backtest) -> int | None:
        return 1 if found.state in OPEN_STATES else None

    def sections(self, request: HttpRequest, found: Backtest) -> Sequence[Section]:
        return backtest_sections(found, read_digits(request.GET.get("page", "")) or 1, request.user.has_perm)

    @deed("Changed rows as CSV", icon="download", permission="backtests.view_backtest")
    def download(self, request: HttpRequest, object_id: str) -> HttpResponse:
        backtest = self.find(request, object_id)
        response = HttpResponse("".join(changes_csv(backtest)), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="backtest-{backtest.pk}.csv"'
        return response

    @deed("Cancel", icon="stop", permission=RUN)
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        backtest = self.find(request, object_id)
        intro = "What it found so far is not kept."
        page = FormPage(title=f"Cancel the {backtest}", submit="Stop it", found=backtest, intro=intro, is_danger=True)
        return self.show_deed(request, CancelForm(sent(request), backtest=backtest), page)
