"""Scenarios: named uses of a recommendation model, and what a user gets."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RelatedDropdownFilter

from inferhub.catalog.queries import names_of_items
from inferhub.console import fields, html
from inferhub.console.base import RecordAdmin, deed, link_column
from inferhub.console.pages import Done, FormPage, ServiceForm, sent
from inferhub.console.sections import Facts, Section, Table
from inferhub.errors import InferhubError
from inferhub.jobs.bulk import start_bulk_job
from inferhub.jobs.models import Job
from inferhub.recommendations.models import Generation, Scenario
from inferhub.recommendations.queries import find_stored
from inferhub.recommendations.services import recommend, save_scenario
from inferhub.registry.models import RegisteredModel, Task
from inferhub.rulesets.models import RuleSet

_LATEST = 10
_RUN = "jobs.run_job"


class ScenarioForm(ServiceForm):
    """A scenario; saving the same name changes it."""

    model = fields.model_choice("Model", RegisteredModel.objects.filter(task=Task.RECOMMENDATION), to_field_name="name")
    alias = fields.slug("Alias", initial="champion", help_text="Which version of the model serves.")
    k = fields.whole_number("Items", initial=10, min_value=1, max_value=1000, help_text="Where a request does not say.")
    exclude_purchased = fields.switch(
        "Leave out what the user bought before", help_text="People often buy again, so this is off by default."
    )
    boosts = fields.model_choice(
        "Boosts",
        RuleSet.objects.all(),
        to_field_name="name",
        required=False,
        empty_label="None",
        help_text="A rule set that looks at item.category, item.price, item.name or item.item_id and gives a number "
        "named factor: 2 moves an item up to half its place, 0.5 back to twice its place, 0 takes it off the list.",
    )
    description = fields.prose("Description", required=False, help_text="Where the shop shows it.")

    def __init__(self, *args: Any, scenario: Scenario | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._scenario = scenario

    def save(self, *, actor: str) -> Done:
        words = dict(self.cleaned_data)
        name = self._scenario.name if self._scenario else words.pop("name")
        model, boosts = words.pop("model").name, words.pop("boosts")
        scenario = save_scenario(name=name, model=model, boosts=boosts.name if boosts else "", actor=actor, **words)
        return Done(message=f"The scenario {scenario} is saved.", url=html.url_of(scenario))


class AddScenarioForm(ScenarioForm):
    name = fields.slug("Name", help_text="For example home-page.")
    field_order = ("name", "model", "alias", "k", "exclude_purchased", "boosts", "description")

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if Scenario.objects.filter(name=name).exists():
            self.add_error("name", f"There is a scenario '{name}' already; open it to change it.")
        return name


class StartJobForm(ServiceForm):
    """Nothing to fill in: a deed to confirm."""

    def __init__(self, *args: Any, scenario: Scenario, **options: Any) -> None:
        super().__init__(*args, **options)
        self._scenario = scenario

    def save(self, *, actor: str) -> Done:
        job = start_bulk_job(scenario=self._scenario.name, actor=actor)
        return Done(message=f"The job for {job.total:,} users is queued.", url=html.url_of(job))


@admin.register(Scenario)
class ScenarioAdmin(RecordAdmin):
    audit_subject = "scenario:{0.name}"
    empty_sentence = "A scenario is one place of the shop that shows recommendations."
    list_display = (
        "name",
        "about",
        link_column("model", "Model", ordering="model__name"),
        "alias",
        "k",
        "exclude_purchased",
        "published",
    )
    list_filter = (("model", RelatedDropdownFilter),)
    list_select_related = ("model", "current")
    search_fields = ("name", "description")
    add_form = AddScenarioForm
    add_page = FormPage(title="Add a scenario", submit="Save")
    actions_detail = ("recommend_now", "start_job", "edit")

    @admin.display(description="Description")
    def about(self, scenario: Scenario) -> str:
        return html.shortened(scenario.description)

    @admin.display(description="Lists published")
    def published(self, scenario: Scenario) -> SafeString | str:
        return html.moment(scenario.current.published_at) if scenario.current else html.NOTHING

    def get_queryset(self, request: HttpRequest) -> QuerySet[Scenario]:
        return super().get_queryset(request).select_related("model", "current", "boosts")

    def sections(self, request: HttpRequest, found: Scenario) -> Sequence[Section]:
        return (
            Facts(
                title="Scenario",
                pairs=(
                    ("Name", found.name),
                    ("Model", html.link_to(found.model)),
                    ("Alias", found.alias),
                    ("Items, where a request does not say", found.k),
                    ("Leaves out what the user bought before", "yes" if found.exclude_purchased else "no"),
                    ("Boosts", html.link_to(found.boosts) if found.boosts else None),
                    ("Lists published", self.published(found)),
                    ("Description", found.description),
                ),
            ),
            _job_table(found),
            _generation_table(found),
        )

    @deed("Look up a user", icon="person_search", permission="recommendations.view_scenario")
    def recommend_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        scenario = self.find(request, object_id)
        user_id, item_ids = (request.GET.get(name, "").strip() for name in ("user_id", "items"))
        history = [item.strip() for item in item_ids.split(",") if item.strip()]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": scenario,
            "title": "What a user gets",
            "scenario": scenario,
            "user_id": user_id,
            "item_ids": item_ids,
            "sections": _lists_of(scenario, user_id, history) if request.GET else (),
            "back": html.url_of(scenario),
        }
        return TemplateResponse(request, "console/lookup.html", context)

    @deed("Start a bulk job", icon="play_arrow", permission=_RUN)
    def start_job(self, request: HttpRequest, object_id: str) -> HttpResponse:
        scenario = self.find(request, object_id)
        page = FormPage(
            title=f"Start a bulk job for {scenario}",
            submit="Start",
            found=scenario,
            intro="Computes the lists of every user with a purchase. Readers see the present lists until the last new "
            "one is in; then all change at once.",
        )
        return self.show_deed(request, StartJobForm(sent(request), scenario=scenario), page)

    @deed("Edit", icon="edit", permission="recommendations.change_scenario")
    def edit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        scenario = self.find(request, object_id)
        names = ("alias", "k", "exclude_purchased", "description")
        boosts = scenario.boosts.name if scenario.boosts else None
        initial = {"model": scenario.model.name, "boosts": boosts} | {name: getattr(scenario, name) for name in names}
        page = FormPage(title=f"Edit {scenario}", submit="Save", found=scenario)
        form = ScenarioForm(sent(request), initial=initial, scenario=scenario)
        return self.show_deed(request, form, page)


def _job_table(scenario: Scenario) -> Table:
    jobs = Job.objects.filter(scenario=scenario).order_by("-id")[:_LATEST]
    rows = [
        (
            html.link_to(job, "open"),
            html.badge(job.state),
            html.progress(job.done, job.total),
            html.moment(job.created_at),
            job.requested_by,
        )
        for job in jobs
    ]
    columns = ("Job", "State", "Users", "Started", "By")
    return Table(title="Latest jobs", columns=columns, rows=rows, empty="No bulk job has run yet.")


def _generation_table(scenario: Scenario) -> Table:
    generations = Generation.objects.filter(scenario=scenario).exclude(published_at=None)
    rows = [
        (
            f"generation {entry.pk}",
            html.badge("read now", state="active") if entry.pk == scenario.current_id else "",
            html.link_to(entry.version),
            html.moment(entry.published_at),
        )
        for entry in generations.select_related("version__model").order_by("-id")[:_LATEST]
    ]
    columns = ("Lists", "", "Model version", "Published")
    return Table(title="Published lists", columns=columns, rows=rows, empty="Nothing is published yet.")


def _lists_of(scenario: Scenario, user_id: str, history: Sequence[str]) -> tuple[Section, ...]:
    """What a user gets from the last bulk job and what the model says now; or what it says of a history of items."""
    if not user_id:
        return (_live_table(scenario, history=history),)
    return (_stored_table(scenario, user_id), _live_table(scenario, user_id=user_id))


def _stored_table(scenario: Scenario, user_id: str) -> Table:
    try:
        stored = find_stored(scenario.name, user_id)
    except InferhubError as exc:
        return _item_table("Stored by the last bulk job", (), empty=str(exc))
    entries = [
        {"item_id": item, "score": score, "reason": reason}
        for item, score, reason in zip(stored.items, stored.scores, stored.reasons, strict=True)
    ]
    return _item_table("Stored by the last bulk job", entries, note=f"By {stored.generation.version}.")


def _live_table(scenario: Scenario, **whom: Any) -> Table:
    try:
        answer = recommend(scenario=scenario.name, **whom)
    except InferhubError as exc:
        return _item_table("Computed now", (), empty=str(exc))
    return _item_table("Computed now", answer.items, note=f"By {answer.model} version {answer.version}.")


def _item_table(title: str, entries: Sequence[Mapping[str, Any]], *, note: str = "", empty: str = "") -> Table:
    names = names_of_items([entry[name] for entry in entries for name in ("item_id", "reason") if entry[name]])
    rows = [
        (
            place,
            html.code(entry["item_id"]),
            names.get(entry["item_id"], ""),
            f"{entry['score']:.4g}",
            _reason(entry["reason"], names),
            _boost(entry.get("boost")),
        )
        for place, entry in enumerate(entries, start=1)
    ]
    columns = ("#", "Item", "Name", "Score", "Because of", "Boost")
    return Table(title=title, columns=columns, rows=rows, note=note, empty=empty or "No items.")


def _boost(boost: Mapping[str, Any] | None) -> str | None:
    """What moved an item, in the lists that are computed now."""
    return f"{boost['factor']:g}: {boost.get('problem') or boost['rule']}" if boost else None


def _reason(item: str, names: Mapping[str, str]) -> str | None:
    return f"{names.get(item, '')} ({item})".strip() if item else None
