"""Starters: a gallery of working examples, and what was installed of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from inferhub.console import fields, html
from inferhub.console.base import RecordAdmin, deed, time_column
from inferhub.console.pages import Done, FormPage, ServiceForm, sent, show_form
from inferhub.console.sections import Facts, Flow, Requests, Section, Table, Text
from inferhub.decisions.models import Workflow
from inferhub.errors import FieldError
from inferhub.jobs.models import State
from inferhub.recommendations.models import Scenario
from inferhub.registry.models import RegisteredModel
from inferhub.rulesets.models import RuleSet
from inferhub.starters.catalogue import STARTERS
from inferhub.starters.models import Installation
from inferhub.starters.paste import curl_line
from inferhub.starters.queries import installations_by_starter, try_path
from inferhub.starters.services import request_installation
from inferhub.starters.starter import ALONE, Sample, Starter

_OPEN = (State.QUEUED, State.RUNNING)
_ADD = "starters.add_installation"
_MADE: tuple[tuple[str, type[Any]], ...] = (
    ("Workflow", Workflow),
    ("Scenario", Scenario),
    ("Rules", RuleSet),
    ("Model", RegisteredModel),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One starter in the gallery; `links` lead to where it is installed."""

    starter: Starter
    flow: Flow
    links: Sequence[SafeString]
    install_url: str


class InstallForm(ServiceForm):
    """Which starter, and what all that it makes is called."""

    starter = fields.choice("Starter", [(starter.name, starter.title) for starter in STARTERS.values()])
    name = fields.slug("Name", help_text="Its model, its rules and its workflow or scenario will be called so.")

    def save(self, *, actor: str) -> Done:
        installation = request_installation(**self.cleaned_data, actor=actor)
        return Done(message="The installation has begun.", url=html.url_of(installation))


class AgainForm(ServiceForm):
    """Nothing to fill in: a deed to confirm."""

    def __init__(self, *args: Any, installation: Installation, **options: Any) -> None:
        super().__init__(*args, **options)
        self._installation = installation

    def save(self, *, actor: str) -> Done:
        found = self._installation
        request_installation(starter=found.starter, name=found.name, actor=actor)
        return Done(message="The installation goes on.", url=html.url_of(found))

    def _place(self, error: FieldError) -> tuple[str | None, str]:
        return None, error.sentence


@admin.register(Installation)
class InstallationAdmin(RecordAdmin):
    audit_subject = "starter:{0.name}"
    empty_sentence = "No starter is installed yet: choose one above."
    change_list_template = "console/refreshing_list.html"
    list_before_template = "console/starters.html"
    list_display = (
        "name",
        "title",
        "current_state",
        "how_far",
        time_column("created_at", "Asked for"),
        "requested_by",
    )
    ordering = ("-id",)
    add_form = InstallForm
    deeds = {"try_again": lambda found: found.state == State.FAILED}
    actions_detail = ("try_again",)

    @admin.display(description="Starter", ordering="starter")
    def title(self, found: Installation) -> str:
        return STARTERS[found.starter].title if found.starter in STARTERS else found.starter

    @admin.display(description="State", ordering="state")
    def current_state(self, found: Installation) -> SafeString:
        return html.badge(found.state)

    @admin.display(description="Steps")
    def how_far(self, found: Installation) -> SafeString:
        return html.progress(found.done, len(STARTERS[found.starter].work) if found.starter in STARTERS else 0)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        is_busy = Installation.objects.filter(state__in=_OPEN).exists()
        installed = installations_by_starter()
        may_install = request.user.has_perm(_ADD)
        shown = {
            "title": "Starters",
            "cards": [_card(starter, installed[name], may_install=may_install) for name, starter in STARTERS.items()],
            "refresh_seconds": 2 if is_busy else None,
        }
        return super().changelist_view(request, shown | (extra_context or {}))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What a person should know before installing stands above the form."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        starter = STARTERS.get((sent(request) or request.GET).get("starter", ""))
        form = InstallForm(sent(request), initial=self.add_initial(request))
        return show_form(request, self, form, _install_page(starter))

    def refresh_seconds(self, found: Installation) -> int | None:
        return 1 if found.state in _OPEN else None

    def sections(self, request: HttpRequest, found: Installation) -> Sequence[Section]:
        starter = STARTERS.get(found.starter)
        if starter is None:
            return (_facts(self, found, None),)
        problem = (Text(title="Why it failed", text=found.problem),) if found.problem else ()
        shown = (_facts(self, found, starter), *problem, *_caution(starter), _flow(starter))
        if found.state != State.SUCCEEDED:
            return (*shown, _step_table(found, starter))
        return (*shown, _requests(request, found, starter), _made_table(found.name))

    @deed("Go on", icon="replay", permission=_ADD)
    def try_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = self.find(request, object_id)
        page = FormPage(
            title=f"Go on with {found}",
            submit="Go on",
            found=found,
            intro="The installation goes on with the step that failed; what is done already stays as it is.",
        )
        return show_form(request, self, AgainForm(sent(request), installation=found), page)


def _card(starter: Starter, installations: Sequence[Installation], *, may_install: bool) -> Card:
    links = [
        html.link_to(found, f"Open {found}" if found.state == State.SUCCEEDED else f"{found}: {found.state}")
        for found in installations
    ]
    words = {"starter": starter.name} | ({} if installations else {"name": starter.name})
    url = f"{html.add_url(Installation)}?{urlencode(words)}" if may_install else ""
    return Card(starter=starter, flow=_flow(starter), links=links, install_url=url)


def _install_page(starter: Starter | None) -> FormPage:
    if starter is None:
        return FormPage(title="Install a starter", submit="Install", intro=ALONE)
    story = Text(title="What it does", text=starter.story)
    note = f"It takes some seconds, on a busy machine a minute. {ALONE}"
    work = Text(title="What happens now", text="\n".join([*starter.work, "", note]))
    return FormPage(
        title=f"Install: {starter.title}",
        submit="Install",
        sections=(*_caution(starter), _flow(starter), story, work),
        back=html.list_url(Installation),
    )


def _caution(starter: Starter) -> tuple[Section, ...]:
    return (Text(title="Not to be overlooked", text=starter.caution, is_warning=True),) if starter.caution else ()


def _flow(starter: Starter) -> Flow:
    parts = starter.parts
    boxes = (("Input", parts.input), ("Model", parts.model), ("Rules", parts.rules), ("Actions", parts.actions))
    return Flow(title="How it works", boxes=boxes)


def _facts(page: InstallationAdmin, found: Installation, starter: Starter | None) -> Facts:
    return Facts(
        title="Installed starter",
        pairs=(
            ("Starter", starter.title if starter else found.starter),
            ("Name", found.name),
            ("State", page.current_state(found)),
            ("Steps", page.how_far(found)),
            ("Asked for", html.moment(found.created_at)),
            ("Asked for by", found.requested_by),
            ("Finished", html.moment(found.finished_at)),
        ),
    )


def _step_table(found: Installation, starter: Starter) -> Table:
    words = {found.done: "failed" if found.state == State.FAILED else "running"}
    rows = [
        (number + 1, step, html.badge("succeeded" if number < found.done else words.get(number, "queued")))
        for number, step in enumerate(starter.work)
    ]
    return Table(title="What it does", columns=("#", "Step", "State"), rows=rows)


def _made_table(name: str) -> Table:
    rows = []
    for title, model in _MADE:
        found = model.objects.filter(name=name).first()
        if found is not None:
            rows.append((title, html.link_to(found), getattr(found, "description", "")))
    return Table(title="What it made", columns=("What", "Name", "Description"), rows=rows)


def _requests(request: HttpRequest, found: Installation, starter: Starter) -> Requests:
    address = request.build_absolute_uri("/").rstrip("/")
    path = try_path(starter, found.name)
    requests = []
    for sample in starter.samples:
        body = {"input": sample.body} if starter.workflow else sample.body
        line = curl_line(address, "$KEY", path, body)
        requests.append((sample.title, html.json_text(sample.body), line, _page_of(found.name, starter, sample)))
    return Requests(
        title="Try it",
        note="Here in the console, or as any system would: put an API key (Administration, API keys) into the shell's "
        "variable KEY, and paste a line.",
        requests=requests,
    )


def _page_of(name: str, starter: Starter, sample: Sample) -> str:
    """The console's form for such a request, filled in."""
    if starter.workflow:
        workflow = Workflow.objects.filter(name=name).first()
        query = {"input": html.json_text(sample.body)}
        return f"{html.deed_url(workflow, 'try_it')}?{urlencode(query)}" if workflow else ""
    scenario = Scenario.objects.filter(name=name).first()
    query = {"user_id": sample.body.get("user_id", ""), "items": ", ".join(sample.body.get("history", ()))}
    return f"{html.deed_url(scenario, 'recommend_now')}?{urlencode(query)}" if scenario else ""
