"""Reviews: the queue, the page of a case, and the way from one case to the next."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import RelatedDropdownFilter

from inferhub.console import html
from inferhub.console.base import RecordAdmin, deed, link_column, time_column
from inferhub.console.case import case_sections, priority_text
from inferhub.console.filters import AssignedFilter, ReviewOutcomeFilter, ReviewStateFilter
from inferhub.console.pages import Done, FormPage, actor_of, finish, saved, sent, show_form
from inferhub.console.review_forms import (
    AssignForm,
    ClaimForm,
    CommentForm,
    ExportForm,
    PutOffForm,
    ReleaseForm,
    SettleForm,
)
from inferhub.console.sections import Facts
from inferhub.console.trace import find_linked
from inferhub.decisions.models import Review, Workflow
from inferhub.decisions.review_queue import (
    ASSIGN,
    QUEUE_ORDER,
    SETTLE,
    claim_next_review,
    count_open,
    reviews_with_names,
)
from inferhub.errors import InferhubError
from inferhub.lib.digits import read_digits

_EXPORT = "decisions.export_review"
_EXPORT_PAGE = FormPage(
    title="Export settled reviews as labelled data",
    submit="Export",
    intro="One row for each settled review: the input, the predictions, what the rules said and what a person decided. "
    "Decisions whose data was erased are left out. The audit log says who exported what.",
)
_QUEUE = "queue"
"""The parameter that carries the one workflow whose cases a person works through."""


@admin.register(Review)
class ReviewAdmin(RecordAdmin):
    audit_subject = "decision:{0.decision_id}"
    empty_title = "Nothing waits"
    empty_sentence = "Decisions that a person has to look at appear here. The filter shows those that are settled."
    list_before_template = "console/review_tools.html"
    list_display = (
        "title",
        "current_state",
        "priority_word",
        "due",
        link_column("decision.workflow", "Workflow"),
        "rules_said",
        "subject",
        time_column("created_at", "Waiting since"),
        "reviewer",
    )
    list_filter = (
        ReviewStateFilter,
        AssignedFilter,
        ("decision__workflow", RelatedDropdownFilter),
        ReviewOutcomeFilter,
    )
    list_select_related = ("decision__workflow",)
    search_fields = ("title", "decision__subject", "decision__request_id")
    sortable_by = ()
    actions_detail = ("settle", "claim", "release", "put_off", "assign", "comment")

    @admin.display(description="State")
    def current_state(self, review: Any) -> SafeString:
        if review.verdict:
            return html.badge(review.verdict)
        return html.badge("overdue") if review.is_overdue else html.badge("open")

    @admin.display(description="Priority")
    def priority_word(self, review: Review) -> SafeString | str:
        return priority_text(review)

    @admin.display(description="Due")
    def due(self, review: Review) -> SafeString | str:
        return html.moment(review.due_at)

    @admin.display(description="The rules said")
    def rules_said(self, review: Review) -> SafeString:
        return html.badge(review.decision.outcome)

    @admin.display(description="Subject")
    def subject(self, review: Review) -> str:
        return review.decision.subject or html.NOTHING

    @admin.display(description="Reviewer")
    def reviewer(self, review: Review) -> str:
        return (review.settled_by or review.assigned_to).removeprefix("user:") or html.NOTHING

    def get_queryset(self, request: HttpRequest) -> QuerySet[Review]:
        return reviews_with_names()

    def get_ordering(self, request: HttpRequest) -> tuple[Any, ...]:
        """Open ones as the queue has them; settled ones, which may be many, as the index has them."""
        state = request.GET.get("state") or "open"
        return QUEUE_ORDER if state in ("open", "overdue") else ("-pk",)

    def get_urls(self) -> list[Any]:
        shown = self.admin_site.admin_view
        return [
            path("next/", shown(require_POST(self.next_view)), name="reviews_next"),
            path("export/", shown(self.export_view), name="reviews_export"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        chosen = read_digits(request.GET.get("decision__workflow__id__exact", ""))
        workflow = Workflow.objects.filter(pk=chosen).first() if chosen else None
        tools = {"counts": count_open(), "may_settle": request.user.has_perm(SETTLE), _QUEUE: workflow}
        return super().changelist_view(request, {**tools, **(extra_context or {})})

    def next_view(self, request: HttpRequest) -> HttpResponse:
        """Take the next case, and go to it."""
        if not request.user.has_perm(SETTLE):
            raise PermissionDenied
        return self._go_on(request)

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Choose what to export, and get it."""
        if not request.user.has_perm(_EXPORT):
            raise PermissionDenied
        form = ExportForm(sent(request))
        if request.method == "POST" and form.is_valid():
            try:
                return form.file(actor=actor_of(request))
            except InferhubError as exc:
                form.add_service_error(exc)
        return show_form(request, self, form, _EXPORT_PAGE)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A case is settled where it is read."""
        if request.method == "POST":
            return self.settle(request, object_id=object_id)
        return self._case_page(request, self.find(request, object_id))

    @deed("Settle", icon="gavel", permission=SETTLE)
    def settle(self, request: HttpRequest, object_id: str) -> HttpResponse:
        form = SettleForm(sent(request), review=self.find(request, object_id))
        outcome = saved(request, form)
        if not isinstance(outcome, Done):
            return self._case_page(request, self.find(request, object_id), form)
        if "next" not in request.POST:
            return finish(request, self, outcome)
        messages.success(request, outcome.message)
        return self._go_on(request)

    @deed("Take", icon="back_hand", permission=SETTLE)
    def claim(self, request: HttpRequest, object_id: str) -> HttpResponse:
        form = ClaimForm(sent(request), review=self.find(request, object_id))
        return self._small_deed(request, form, "Take this case", "Nobody else can work on it then.")

    @deed("Give back", icon="undo", permission=SETTLE)
    def release(self, request: HttpRequest, object_id: str) -> HttpResponse:
        form = ReleaseForm(sent(request), review=self.find(request, object_id))
        return self._small_deed(request, form, "Give this case back", "Others get it before it comes to you again.")

    @deed("Later", icon="schedule", permission=SETTLE)
    def put_off(self, request: HttpRequest, object_id: str) -> HttpResponse:
        form = PutOffForm(sent(request), review=self.find(request, object_id))
        if saved(request, form) is not None:
            return self._go_on(request)
        return self._small_deed(request, form, "Leave this case for later", "It stays yours, after all others.")

    @deed("Assign", icon="person_add", permission=ASSIGN)
    def assign(self, request: HttpRequest, object_id: str) -> HttpResponse:
        form = AssignForm(sent(request), review=self.find(request, object_id))
        return self._small_deed(request, form, "Assign", "Whoever has the case now no longer has it then.")

    @deed("Comment", icon="comment", permission=SETTLE)
    def comment(self, request: HttpRequest, object_id: str) -> HttpResponse:
        form = CommentForm(sent(request), review=self.find(request, object_id))
        return self._small_deed(request, form, "Comment", "")

    def _small_deed(self, request: HttpRequest, form: Any, submit: str, intro: str) -> HttpResponse:
        found: Review = form.review
        return self.show_deed(request, form, FormPage(title=found.title, submit=submit, found=found, intro=intro))

    def _go_on(self, request: HttpRequest) -> HttpResponse:
        """To the next case of the queue that the person works through, or to the list where nothing is left."""
        queue = request.POST.get(_QUEUE) or request.GET.get(_QUEUE, "")
        review = claim_next_review(actor=actor_of(request), workflow=queue)
        if review is None:
            messages.info(request, "Nothing else waits for you.")
            return HttpResponseRedirect(html.list_url(Review))
        return HttpResponseRedirect(html.url_of(review) + (f"?{urlencode({_QUEUE: queue})}" if queue else ""))

    def _case_page(self, request: HttpRequest, review: Any, form: SettleForm | None = None) -> HttpResponse:
        may = request.user.has_perm
        is_mine = review.assigned_to == actor_of(request)
        offered = not review.verdict and may(SETTLE)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": review,
            "title": review.title,
            "media": self.media,
            "review": review,
            "state": self.current_state(review),
            "sections": case_sections(review, with_history=may("decisions.view_decision")),
            "settlement": _settlement(review) if review.verdict else None,
            "form": (form or SettleForm(review=review)) if offered and is_mine else form,
            "may_claim": offered and not review.assigned_to,
            "may_settle": may(SETTLE),
            "assign_form": AssignForm(review=review) if not review.verdict and may(ASSIGN) else None,
            "comments": review.comments.all(),
            "comment_form": CommentForm(review=review, auto_id="comment_%s") if may(SETTLE) else None,
            "urls": {name: html.deed_url(review, name) for name in self.actions_detail},
            _QUEUE: request.GET.get(_QUEUE, ""),
            "audit_url": self._audit_url(request, review),
        }
        return TemplateResponse(request, "console/case.html", context)


def _settlement(review: Review) -> Facts:
    made = find_linked(review.new_decision_id)
    return Facts(
        title="Settled",
        pairs=(
            ("Verdict", html.badge(review.verdict)),
            ("Outcome", html.link_to(made, made.outcome) if made else review.outcome),
            ("Settled by", review.settled_by),
            ("Settled", html.moment(review.settled_at)),
            ("Reason", review.reason),
        ),
    )
