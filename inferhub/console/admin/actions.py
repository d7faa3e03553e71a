"""Actions: what is to be done, what was tried, and dead letters to drive again."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from inferhub.console import fields, html
from inferhub.console.base import RecordAdmin, as_uuid, deed, link_column, time_column
from inferhub.console.pages import Done, FormPage, ServiceForm, sent
from inferhub.console.sections import Facts, Section
from inferhub.console.trace import attempt_table, values_table
from inferhub.decisions.dead_letters import MOST_AT_ONCE, DeadLetters, redrive_action, redrive_actions
from inferhub.decisions.models import Action, ActionState, DeliveryTarget, Workflow


class RedriveForm(ServiceForm):
    """Nothing to fill in: a deed to confirm."""

    def __init__(self, *args: Any, action: Action, **options: Any) -> None:
        super().__init__(*args, **options)
        self._action = action

    def save(self, *, actor: str) -> Done:
        redrive_action(action=self._action, actor=actor)
        return Done(message="The action is pending again; a worker tries it now.", url=html.url_of(self._action))


_PLACES = ("endpoint", "title", "queue", "list", "flag", "scenario", "to_field", "to")
_MADE = time_column("created_at", "Made")


def _target_link(action: Action) -> SafeString | None:
    target = DeliveryTarget.objects.filter(name=action.target).first() if action.target else None
    return html.link_to(target) if target else None


def _earlier_link(action: Action) -> SafeString | None:
    """The action before which an ordered one may not be delivered."""
    if action.lane is None:
        return None
    earlier = Action.objects.filter(lane=action.lane, state=ActionState.PENDING, pk__lt=action.pk).order_by("pk")
    first = earlier.first()
    return html.link_to(first, "an earlier action about the same subject") if first else None


class RedriveManyForm(ServiceForm):
    """Which dead letters; what is left empty narrows nothing."""

    kind = fields.text("Kind", required=False, help_text="For example webhook; empty: all.")
    target = fields.text("Delivery target", required=False, help_text="For example webhook:shop; empty: all.")
    workflow = fields.text("Workflow", required=False, help_text="Empty: all.")

    def save(self, *, actor: str) -> Done:
        letters = DeadLetters(**self.cleaned_data)
        count = redrive_actions(letters=letters, actor=actor)
        message = f"{count:,} dead letters are pending again; {letters.find().count():,} of these are left."
        return Done(message=message, url=html.list_url(Action))


@admin.register(Action)
class ActionAdmin(RecordAdmin):
    audit_subject = "action:{0.pk}"
    empty_leads_to = Workflow
    empty_sentence = "Outcomes cause actions where the workflow says so."
    list_display = (
        _MADE,
        "what",
        "current_state",
        "attempt_count",
        link_column("decision", "Decision"),
        time_column("finished_at", "Finished"),
    )
    list_display_links = (_MADE, "what")
    list_filter = (("state", ChoicesDropdownFilter),)
    list_select_related = ("decision__workflow",)
    search_fields = ("id",)
    search_help_text = "Action id or decision id"
    ordering = ("-id",)
    sortable_by = ()
    actions_list = ("redrive_many",)
    actions_detail = ("redrive",)
    deeds = {"redrive": lambda found: found.state == ActionState.DEAD}

    @admin.display(description="Action")
    def what(self, found: Action) -> str:
        place = next((found.settings[name] for name in _PLACES if name in found.settings), "")
        return f"{found.kind}: {place}" if place else found.kind

    @admin.display(description="State")
    def current_state(self, found: Action) -> SafeString:
        return html.badge(found.get_state_display().lower(), state=found.state)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Action]:
        return super().get_queryset(request).select_related("decision__workflow")

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str
    ) -> tuple["QuerySet[Any]", bool]:
        if not search_term.strip():
            return queryset, False
        found = as_uuid(search_term)
        return queryset.filter(Q(pk=found) | Q(decision_id=found)) if found else queryset.none(), False

    def refresh_seconds(self, found: Action) -> int | None:
        return 2 if found.state == ActionState.PENDING else None

    def sections(self, request: HttpRequest, found: Action) -> Sequence[Section]:
        is_pending = found.state == ActionState.PENDING
        return (
            Facts(
                title="Action",
                pairs=(
                    ("Kind", found.kind),
                    ("State", self.current_state(found)),
                    ("Decision", html.link_to(found.decision)),
                    ("Made", html.moment(found.created_at)),
                    ("Next attempt", html.moment(found.next_attempt_at) if is_pending else None),
                    ("Finished", html.moment(found.finished_at)),
                    ("Delivery target", _target_link(found)),
                    ("Waits for", _earlier_link(found) if is_pending else None),
                    ("Idempotency key", html.code(found.pk)),
                ),
            ),
            values_table("Settings", found.settings, "None."),
            attempt_table(found),
        )

    @deed("Drive again", icon="replay", permission="decisions.change_action")
    def redrive(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = self.find(request, object_id)
        page = FormPage(
            title=f"Drive {found.kind} again",
            submit="Drive again",
            found=found,
            intro="The receiver gets the same action with the same idempotency key. Do this once the cause is removed.",
            sections=(attempt_table(found),),
        )
        return self.show_deed(request, RedriveForm(sent(request), action=found), page)

    @deed("Drive dead letters again", icon="replay", permission="decisions.change_action")
    def redrive_many(self, request: HttpRequest) -> HttpResponse:
        page = FormPage(
            title="Drive dead letters again",
            submit="Drive again",
            intro=f"At most {MOST_AT_ONCE:,} at once, the oldest first, each by the id that its receiver may know.",
        )
        return self.show_deed(request, RedriveManyForm(sent(request)), page)
