"""Reviews: decisions that wait for a person."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.widgets import UnfoldAdminRadioSelectWidget

from inferhub.console import fields, html
from inferhub.console.base import RecordAdmin, deed, link_column, time_column
from inferhub.console.filters import OpenFilter
from inferhub.console.pages import Done, FormPage, ServiceForm, sent
from inferhub.console.sections import Facts, Section
from inferhub.console.trace import decision_facts, evidence_sections
from inferhub.decisions.models import Review, Verdict
from inferhub.decisions.reviews import settle_review

_SETTLE = "decisions.settle_review"


class SettleForm(ServiceForm):
    """A person's verdict, with the reason."""

    verdict = forms.ChoiceField(
        label="Verdict",
        choices=[(Verdict.APPROVED, "Approve"), (Verdict.REJECTED, "Reject")],
        widget=UnfoldAdminRadioSelectWidget(),
    )
    reason = fields.prose("Reason", help_text="Kept with the review and in the audit log.")

    def __init__(self, *args: Any, review: Review, back: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self._review, self._back = review, back

    def save(self, *, actor: str) -> Done:
        verdict, reason = self.cleaned_data["verdict"], self.cleaned_data["reason"]
        settle_review(review=self._review, verdict=verdict, reason=reason, actor=actor)
        return Done(message=f"{self._review.title}: {verdict}.", url=self._back)


@admin.register(Review)
class ReviewAdmin(RecordAdmin):
    audit_subject = "decision:{0.decision_id}"
    empty_sentence = "Decisions that a person has to look at appear here."
    list_display = (
        "title",
        "current_state",
        link_column("decision.workflow", "Workflow"),
        "subject",
        time_column("created_at", "Waiting since"),
        time_column("settled_at", "Settled"),
        "settled_by",
    )
    list_filter = (OpenFilter, ("decision__workflow", RelatedDropdownFilter))
    list_select_related = ("decision__workflow",)
    search_fields = ("title", "decision__subject", "decision__request_id")
    ordering = (F("settled_at").desc(nulls_first=True), "-id")
    actions_detail = ("settle",)
    deeds = {"settle": lambda found: not found.verdict}

    @admin.display(description="State")
    def current_state(self, review: Review) -> SafeString:
        return html.badge(review.verdict or "open")

    @admin.display(description="Subject")
    def subject(self, review: Review) -> str:
        return review.decision.subject or html.NOTHING

    def get_queryset(self, request: HttpRequest) -> QuerySet[Review]:
        related = ("decision__workflow", "decision__version__workflow", "decision__rule_set_version__rule_set")
        return super().get_queryset(request).select_related(*related)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """An open review is answered where it is read."""
        is_open = Review.objects.filter(pk=object_id, verdict="").exists() if object_id.isdecimal() else False
        if is_open and request.user.has_perm(_SETTLE):
            return self.settle(request, object_id=object_id)
        return super().change_view(request, object_id, form_url, extra_context)

    def sections(self, request: HttpRequest, found: Review) -> Sequence[Section]:
        facts = Facts(
            title="Review",
            pairs=(
                ("State", self.current_state(found)),
                ("Decision", html.link_to(found.decision)),
                ("Waiting since", html.moment(found.created_at)),
                *(_settlement(found) if found.verdict else ()),
            ),
        )
        return (facts, decision_facts(found.decision), *evidence_sections(found.decision))

    @deed("Settle", icon="gavel", permission=_SETTLE)
    def settle(self, request: HttpRequest, object_id: str) -> HttpResponse:
        review = self.find(request, object_id)
        page = FormPage(
            title=review.title,
            submit="Settle",
            found=review,
            back=html.list_url(Review),
            sections=self.sections(request, review),
        )
        form = SettleForm(sent(request), review=review, back=html.list_url(Review))
        return self.show_deed(request, form, page)


def _settlement(review: Review) -> tuple[tuple[str, Any], ...]:
    return (
        ("Settled", html.moment(review.settled_at)),
        ("Settled by", review.settled_by),
        ("Reason", review.reason),
    )
