"""Delivery targets: the systems that actions go to, whether they take them, and what waits for them."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from inferhub.console import html
from inferhub.console.base import RecordAdmin, deed, time_column
from inferhub.console.pages import Done, FormPage, ServiceForm, sent
from inferhub.console.sections import Facts, Section, Table
from inferhub.decisions.breakers import FAILURES_TO_OPEN, state_of
from inferhub.decisions.dead_letters import MOST_AT_ONCE, DeadLetters, redrive_actions
from inferhub.decisions.models import Action, ActionState, DeliveryTarget, WebhookEndpoint
from inferhub.decisions.targets import targets_with_counts, try_target
from inferhub.errors import Unavailable

_CHANGE = "decisions.change_deliverytarget"
_SHOWN = 20
_COLOURS = {"closed": "active", "open": "failed", "half-open": "pending"}


class TryForm(ServiceForm):
    """Nothing to fill in: a deed to confirm."""

    def __init__(self, *args: Any, target: DeliveryTarget, **options: Any) -> None:
        super().__init__(*args, **options)
        self._target = target

    def save(self, *, actor: str) -> Done:
        result = try_target(name=self._target.name, actor=actor)
        if not result.is_success:
            raise Unavailable(f"The test message was not taken: {result.detail}.")
        said = result.detail or f"HTTP status {result.status_code}"
        return Done(message=f"{self._target} took the test message ({said}).", url=html.url_of(self._target))


class RedriveForm(ServiceForm):
    """The dead letters of a target: nothing to fill in, a deed to confirm."""

    def __init__(self, *args: Any, target: DeliveryTarget, **options: Any) -> None:
        super().__init__(*args, **options)
        self._target = target

    def save(self, *, actor: str) -> Done:
        count = redrive_actions(letters=DeadLetters(target=self._target.name), actor=actor)
        return Done(message=f"{count:,} dead letters are pending again.", url=html.url_of(self._target))


def breaker_badge(target: DeliveryTarget) -> SafeString:
    """`closed` where all is well, as electricians say it."""
    state = state_of(target, now=timezone.now())
    return html.badge(state, state=_COLOURS[state])


@admin.register(DeliveryTarget)
class DeliveryTargetAdmin(RecordAdmin):
    audit_subject = "target:{0.name}"
    empty_sentence = "Webhook endpoints, configured queues and the mail server appear here."
    list_display = (
        "name",
        "breaker",
        "failures",
        "waiting",
        "dead",
        time_column("failed_at", "Last failure"),
        "what_it_was",
    )
    search_fields = ("name",)
    actions_detail = ("try_it", "drive_again")
    deeds = {"drive_again": lambda found: found.dead > 0}

    @admin.display(description="Breaker")
    def breaker(self, target: DeliveryTarget) -> SafeString:
        return breaker_badge(target)

    @admin.display(description="Failures in a row")
    def failures(self, target: DeliveryTarget) -> int:
        return target.failure_count

    @admin.display(description="Waiting")
    def waiting(self, target: Any) -> str:
        return f"{target.waiting:,}"

    @admin.display(description="What it was")
    def what_it_was(self, target: DeliveryTarget) -> str:
        return target.problem or html.NOTHING

    @admin.display(description="Dead letters")
    def dead(self, target: Any) -> str:
        return f"{target.dead:,}"

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        return targets_with_counts()

    def refresh_seconds(self, found: Any) -> int | None:
        return 5 if found.open_until or found.waiting else None

    def sections(self, request: HttpRequest, found: Any) -> Sequence[Section]:
        facts = Facts(
            title="Delivery target",
            pairs=(
                ("Name", html.code(found.name)),
                ("Circuit breaker", breaker_badge(found)),
                ("Failures in a row", found.failure_count),
                ("Open since", html.moment(found.opened_at)),
                ("Next probe", html.moment(found.open_until)),
                ("Last failure", html.moment(found.failed_at)),
                ("What it was", found.problem),
                ("Actions that wait for it", f"{found.waiting:,}"),
                ("Dead letters", f"{found.dead:,}"),
                *_endpoint_pair(found),
            ),
        )
        return facts, _waiting_table(found), dead_table(found.name)

    @deed("Send a test message", icon="send", permission=_CHANGE)
    def try_it(self, request: HttpRequest, object_id: str) -> HttpResponse:
        target = self.find(request, object_id)
        page = FormPage(title=f"Try {target}", submit="Send a test message", found=target, intro=_TRY)
        return self.show_deed(request, TryForm(sent(request), target=target), page)

    @deed("Drive dead letters again", icon="replay", permission="decisions.change_action")
    def drive_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        target = self.find(request, object_id)
        page = FormPage(
            title=f"Drive the dead letters of {target} again",
            submit="Drive again",
            found=target,
            intro=f"{min(target.dead, MOST_AT_ONCE):,} actions are sent again, the oldest first, each by the id that "
            "its receiver may know. Do this once the cause is removed.",
            sections=(dead_table(target.name),),
        )
        return self.show_deed(request, RedriveForm(sent(request), target=target), page)


_TRY = (
    "A webhook or a queue gets a message of the type target.test, signed and sent as any other; a mail server is only "
    "asked whether it lets us in. A message that arrives closes the circuit breaker, and what waits goes out."
)
_WAITING = f"After {FAILURES_TO_OPEN} failures in a row actions wait and use up no attempts; a probe goes now and then."


def dead_table(target: str) -> Table:
    """The latest dead letters of a target."""
    dead = Action.objects.filter(state=ActionState.DEAD, target=target).order_by("-id")[:_SHOWN]
    return _action_table("Latest dead letters", dead, "None.")


def _waiting_table(target: DeliveryTarget) -> Table:
    waiting = Action.objects.filter(state=ActionState.PENDING, target=target.name).order_by("id")[:_SHOWN]
    return _action_table("Waiting longest", waiting, "Nothing waits for it.", note=_WAITING)


def _action_table(title: str, actions: "QuerySet[Action]", empty: str, *, note: str = "") -> Table:
    rows = [
        (
            html.link_to(action, html.moment_text(action.created_at)),
            html.link_to(action.decision.workflow),
            action.decision.subject,
            action.attempt_count,
            html.moment(action.next_attempt_at) if action.state == ActionState.PENDING else None,
        )
        for action in actions.select_related("decision__workflow")
    ]
    columns = ("Made", "Workflow", "Subject", "Attempts", "Next attempt")
    return Table(title=title, columns=columns, rows=rows, empty=empty, note=note)


def _endpoint_pair(target: DeliveryTarget) -> tuple[tuple[str, Any], ...]:
    kind, _, name = target.name.partition(":")
    endpoint = WebhookEndpoint.objects.filter(name=name).first() if kind == "webhook" else None
    return (("Webhook endpoint", html.link_to(endpoint)),) if endpoint else ()
