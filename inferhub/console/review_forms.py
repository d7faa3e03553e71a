"""What a person can do with a case, as forms."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.http import StreamingHttpResponse
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminRadioSelectWidget, UnfoldAdminSelectWidget

from inferhub.console import fields, html
from inferhub.console.pages import Done, ServiceForm
from inferhub.decisions.labels import FORMATS, LabelQuery, export_labels
from inferhub.decisions.models import Review, Verdict, Workflow
from inferhub.decisions.outcomes import Answers
from inferhub.decisions.review_queue import (
    LONGEST_TEXT,
    assign_review,
    claim_review,
    comment_on_review,
    put_off_review,
    release_review,
    reviewers,
)
from inferhub.decisions.reviews import actions_of_outcome, answers_of, settle_review


class _CaseForm(ServiceForm):
    """A form about one review, which leads back to it."""

    def __init__(self, *args: Any, review: Review, **options: Any) -> None:
        super().__init__(*args, **options)
        self.review = review

    def done(self, message: str) -> Done:
        return Done(message=message, url=html.url_of(self.review))


class SettleForm(_CaseForm):
    """A person's verdict, with the reason."""

    verdict = forms.ChoiceField(label="Verdict", choices=Verdict.choices, widget=UnfoldAdminRadioSelectWidget())
    outcome = forms.ChoiceField(label="Outcome", required=False, widget=UnfoldAdminSelectWidget())
    reason = fields.prose("Reason", max_length=LONGEST_TEXT, help_text="Kept with the case and its new decision.")

    def __init__(self, *args: Any, review: Review, **options: Any) -> None:
        super().__init__(*args, review=review, **options)
        self.answers: Answers = answers_of(review)
        outcomes = [("", "Choose one"), *((name, name) for name in self.answers.outcomes)]
        self.fields["outcome"].choices = outcomes  # type: ignore[attr-defined]

    @property
    def ways(self) -> Sequence[dict[str, Any]]:
        """The verdicts as the page offers them: where each leads, what is done then, and its key."""
        answers = self.answers
        ways = (
            (Verdict.APPROVED, "Approve", answers.approve, "a"),
            (Verdict.REJECTED, "Reject", answers.reject, "r"),
            (Verdict.CHANGED, "Another outcome", "", "c"),
        )
        chosen = self["verdict"].value()
        return [
            {
                "value": verdict.value,
                "label": label,
                "outcome": outcome,
                "actions": self._actions(outcome) if outcome else "",
                "key": key,
                "is_chosen": chosen == verdict,
            }
            for verdict, label, outcome, key in ways
        ]

    def save(self, *, actor: str) -> Done:
        words = self.cleaned_data
        made = settle_review(
            review=self.review,
            verdict=words["verdict"],
            outcome=words["outcome"] if words["verdict"] == Verdict.CHANGED else "",
            reason=words["reason"],
            actor=actor,
        )
        title = self.review.title.rstrip(".")  # a sentence is a usual title
        return self.done(f"{title}: {words['verdict']}, the outcome is {made.outcome}.")

    def _actions(self, outcome: str) -> str:
        actions = actions_of_outcome(self.review.decision, outcome)
        named = (f"{entry['kind']} {entry.get('endpoint', '')}".strip() for entry in actions)
        return ", ".join(named) or "no action"


class ClaimForm(_CaseForm):
    """Nothing to fill in: a deed to confirm."""

    def save(self, *, actor: str) -> Done:
        claim_review(review=self.review, actor=actor)
        return self.done("The case is yours.")


class ReleaseForm(_CaseForm):
    """Nothing to fill in."""

    def save(self, *, actor: str) -> Done:
        release_review(review=self.review, actor=actor)
        return self.done("The case waits for somebody else.")


class PutOffForm(_CaseForm):
    """Nothing to fill in."""

    def save(self, *, actor: str) -> Done:
        put_off_review(review=self.review, actor=actor)
        return self.done("The case stays yours, after all others.")


class AssignForm(_CaseForm):
    """Whom to give a case to."""

    to = forms.ChoiceField(label="Reviewer", required=False, widget=UnfoldAdminSelectWidget())

    def __init__(self, *args: Any, review: Review, **options: Any) -> None:
        super().__init__(*args, review=review, **options)
        names = [(user.username, user.get_full_name() or user.username) for user in reviewers()]
        self.fields["to"].choices = [("", "Nobody: back to the queue"), *names]  # type: ignore[attr-defined]

    def save(self, *, actor: str) -> Done:
        to = self.cleaned_data["to"]
        assign_review(review=self.review, to=to, actor=actor)
        return self.done(f"The case is with {to}." if to else "The case is with nobody.")


class CommentForm(_CaseForm):
    """A note for whoever looks at the case later."""

    text = fields.prose("Comment", rows=2, max_length=LONGEST_TEXT, help_text="Stays as it is; not part of the reason.")

    def save(self, *, actor: str) -> Done:
        comment_on_review(review=self.review, text=self.cleaned_data["text"], actor=actor)
        return self.done("Your comment is kept.")


class ExportForm(ServiceForm):
    """Which settled reviews, and in which form."""

    workflow = fields.model_choice("Workflow", Workflow.objects.order_by("name"))
    format = fields.choice("Format", [("csv", "CSV, for spreadsheets"), ("jsonl", "JSON lines, for programs")])
    since = forms.DateField(
        label="Settled since",
        required=False,
        widget=UnfoldAdminDateWidget(),
        help_text="A day (UTC). Empty: from the first one on.",
    )

    def file(self, *, actor: str) -> StreamingHttpResponse:
        """What the browser saves. Raises InferhubError."""
        words = self.cleaned_data
        since = words["since"] and datetime.combine(words["since"], time.min, tzinfo=UTC)
        query = LabelQuery(workflow=words["workflow"].name, since=since)
        blocks = export_labels(query, form=words["format"], actor=actor)
        name = f"{query.workflow}-reviews.{words['format']}"
        disposition = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return StreamingHttpResponse(blocks, content_type=FORMATS[words["format"]], headers=disposition)
