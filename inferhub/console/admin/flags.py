"""Flags: which subjects are held, since when and why; hold and release."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter

from inferhub.console import fields, html
from inferhub.console.base import RecordAdmin, deed, time_column
from inferhub.console.pages import Done, FormPage, ServiceForm, sent
from inferhub.console.sections import Facts, Section, Table
from inferhub.decisions.flags import LONGEST_SUBJECT, change_flag
from inferhub.decisions.models import Decision, Flag, FlagChange

_MOST_CHANGES = 100


class ChangeForm(ServiceForm):
    """Hold what is released, and release what is held, with the reason."""

    reason = fields.prose("Reason", max_length=500, help_text="Kept with the flag and in the audit log.")

    def __init__(self, *args: Any, flag: Flag, **options: Any) -> None:
        super().__init__(*args, **options)
        self._flag = flag

    def save(self, *, actor: str) -> Done:
        flag, reason = self._flag, self.cleaned_data["reason"]
        change_flag(subject=flag.subject, name=flag.name, is_held=not flag.is_held, actor=actor, reason=reason)
        word = "released" if flag.is_held else "held"
        return Done(message=f"{flag.subject} is {word} now ({flag.name}).", url=html.url_of(flag))


class HoldForm(ServiceForm):
    """Hold a subject by hand."""

    subject = fields.text("Subject", max_length=LONGEST_SUBJECT, help_text="Exactly as in the decisions.")
    name = fields.slug("Flag", help_text="What it is held for, for example shipping.")
    reason = fields.prose("Reason", max_length=500, help_text="Kept with the flag and in the audit log.")

    def save(self, *, actor: str) -> Done:
        words = self.cleaned_data
        held = {"subject": words["subject"], "name": words["name"], "is_held": True}
        flag = change_flag(**held, actor=actor, reason=words["reason"]).flag
        return Done(message=f"{flag.subject} is held now ({flag.name}).", url=html.url_of(flag))


@admin.register(Flag)
class FlagAdmin(RecordAdmin):
    audit_subject = "flag:{0.pk}"
    empty_sentence = "Workflows hold and release subjects, such as orders and customers; people do so here."
    list_display = ("subject", "name", "current_state", time_column("changed_at", "Since"))
    list_filter = (("is_held", BooleanRadioFilter),)
    search_fields = ("=subject", "=name")
    search_help_text = "Subject or flag, the whole of it"
    add_form = HoldForm
    add_page = FormPage(title="Hold a subject", submit="Hold")
    actions_detail = ("change_it",)

    @admin.display(description="State", ordering="is_held")
    def current_state(self, flag: Flag) -> SafeString:
        return html.badge("held", state="failed") if flag.is_held else html.badge("released")

    def sections(self, request: HttpRequest, found: Flag) -> Sequence[Section]:
        facts = Facts(
            title="Flag",
            pairs=(
                ("Subject", found.subject),
                ("Flag", found.name),
                ("State", self.current_state(found)),
                ("Since", html.moment(found.changed_at)),
            ),
        )
        return facts, _history(found)

    @deed("Hold or release", icon="front_hand", permission="decisions.change_flag")
    def change_it(self, request: HttpRequest, object_id: str) -> HttpResponse:
        flag = self.find(request, object_id)
        word = "Release" if flag.is_held else "Hold"
        page = FormPage(
            title=f"{word} {flag.subject} ({flag.name})",
            submit=word,
            found=flag,
            sections=(_history(flag),),
            is_danger=flag.is_held,
        )
        return self.show_deed(request, ChangeForm(sent(request), flag=flag), page)


def _history(flag: Flag) -> Table:
    changes = list(flag.changes.order_by("-id")[:_MOST_CHANGES])
    known = Decision.objects.select_related("workflow").in_bulk(
        [change.decision_id for change in changes if change.decision_id]
    )
    rows = [
        (
            html.moment(change.made_at),
            html.badge("held", state="failed") if change.is_held else html.badge("released"),
            change.actor,
            change.reason,
            _cause(change, known),
            "" if change.is_applied else "came late, a later change was in force",
        )
        for change in changes
    ]
    columns = ("When", "What", "By", "Reason", "Decision", "")
    return Table(title="History", columns=columns, rows=rows)


def _cause(change: FlagChange, known: dict[Any, Decision]) -> Any:
    decision = known.get(change.decision_id)
    return html.link_to(decision) if decision else None
