"""Registered models, their versions and aliases."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Count, Max, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from inferhub.console import html
from inferhub.console.alias_forms import CanaryForm, MoveAliasForm, PointAliasForm, RollBackForm, ShadowForm
from inferhub.console.base import RecordAdmin, code_column, deed, link_column, time_column
from inferhub.console.model_forms import (
    MOVE,
    ArchiveForm,
    EditModelForm,
    NewVersionForm,
    PolicyForm,
    RegisterForm,
    UnarchiveForm,
)
from inferhub.console.model_requests import AskForm, request_sections
from inferhub.console.model_sections import (
    alias_table,
    canary_of,
    card_section,
    champion_of,
    comparison_sections,
    document,
    label_section,
    model_facts,
    signature_table,
    trade_off,
    use_table,
    version_table,
)
from inferhub.console.pages import FormPage, given, sent, sent_with_files
from inferhub.console.sections import Facts, Section, Text
from inferhub.console.shadow import shadow_sections
from inferhub.registry.models import CHAMPION, Alias, Approval, ModelVersion, RegisteredModel, VersionState
from inferhub.registry.queries import find_request

_EDIT = "registry.change_registeredmodel"
_ARCHIVE = "registry.change_modelversion"
_WITHIN_A_SECOND = "Every process serves the new version within a second."


@admin.register(RegisteredModel)
class RegisteredModelAdmin(RecordAdmin):
    audit_subject = "model:{0.name}"
    empty_sentence = "Register a model file to predict, decide and recommend with it."
    list_display = ("name", "task", "about", "version_count", "alias_names", time_column("latest_at", "Latest version"))
    list_filter = (("task", ChoicesDropdownFilter), ("approval", ChoicesDropdownFilter))
    search_fields = ("name", "description", "owner", "tags__icontains")
    add_form = RegisterForm
    add_page = FormPage(
        title="Register a model",
        submit="Check and register",
        intro="The file is scanned, loaded and run once in a separate, limited process before it is accepted.",
    )
    actions_detail = ("new_version", "edit", "set_policy")

    def get_queryset(self, request: HttpRequest) -> QuerySet[RegisteredModel]:
        aliases = Prefetch("aliases", Alias.objects.select_related("version").order_by("name"))
        found = super().get_queryset(request).prefetch_related(aliases)
        counts = {"version_count": Count("versions"), "latest_at": Max("versions__created_at")}
        counted: QuerySet[RegisteredModel] = found.annotate(**counts)
        return counted

    @admin.display(description="Description")
    def about(self, model: Any) -> str:
        return html.shortened(str(model.description))

    @admin.display(description="Versions", ordering="version_count")
    def version_count(self, model: Any) -> int:
        return int(model.version_count)

    @admin.display(description="Aliases")
    def alias_names(self, model: Any) -> SafeString:
        aliases = [(html.badge(f"{alias.name} → {alias.version.number}"),) for alias in model.aliases.all()]
        return format_html_join(" ", "{}", aliases)

    def add_initial(self, request: HttpRequest) -> dict[str, Any]:
        return {"alias": CHAMPION} | super().add_initial(request)

    def sections(self, request: HttpRequest, found: RegisteredModel) -> Sequence[Section]:
        card = card_section(champion_of(found), "Model card of the champion")
        champion = champion_of(found)
        origin = request.build_absolute_uri("/")
        asked = request_sections(champion, origin, is_pinned=False) if champion else ()
        tables = (alias_table(found), version_table(found), *trade_off(found), use_table(found))
        return (model_facts(found), *tables, *asked, *card)

    @deed("New version", icon="upload", permission="registry.add_modelversion")
    def new_version(self, request: HttpRequest, object_id: str) -> HttpResponse:
        model = self.find(request, object_id)
        form = NewVersionForm(*sent_with_files(request), model=model)
        page = FormPage(title=f"New version of {model}", submit="Check and register", found=model)
        return self.show_deed(request, form, page)

    @deed("Edit", icon="edit", permission=_EDIT)
    def edit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        model = self.find(request, object_id)
        page = FormPage(title=f"Edit {model}", submit="Save", found=model)
        return self.show_deed(request, EditModelForm(sent(request), model=model), page)

    @deed("Policy", icon="policy", permission=_EDIT)
    def set_policy(self, request: HttpRequest, object_id: str) -> HttpResponse:
        model = self.find(request, object_id)
        intro = "A change of this policy takes effect at once."
        if model.approval == Approval.FOUR_EYES:
            intro = "A change of this policy waits for another person's approval, be it stricter or weaker."
        page = FormPage(title=f"How the aliases of {model} move", submit="Save", found=model, intro=intro)
        return self.show_deed(request, PolicyForm(sent(request), model=model), page)


@admin.register(ModelVersion)
class ModelVersionAdmin(RecordAdmin):
    audit_subject = "model:{0.model.name}/{0.number}"
    empty_sentence = "They come with registered models."
    list_display = (
        "__str__",
        "current_state",
        link_column("model", "Model", ordering="model__name"),
        code_column("digest", "Digest"),
        "file_size",
        "alias_names",
        time_column("created_at", "Registered"),
        "created_by",
    )
    list_filter = (
        ("model", RelatedDropdownFilter),
        ("model__task", ChoicesDropdownFilter),
        ("state", ChoicesDropdownFilter),
    )
    list_select_related = ("model",)
    search_fields = ("model__name", "digest__startswith", "notes")
    search_help_text = "Model, digest (its first characters) or notes"
    ordering = ("-id",)
    actions_detail = ("try_it", "point_alias", "archive", "unarchive")
    deeds = {
        "try_it": lambda version: version.state == VersionState.READY,
        "point_alias": lambda version: version.state == VersionState.READY,
        "archive": lambda version: version.state == VersionState.READY,
        "unarchive": lambda version: version.state == VersionState.ARCHIVED,
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelVersion]:
        return super().get_queryset(request).select_related("model").prefetch_related("aliases")

    @admin.display(description="State", ordering="state")
    def current_state(self, version: ModelVersion) -> SafeString:
        return html.badge(version.state)

    @admin.display(description="Size", ordering="size")
    def file_size(self, version: ModelVersion) -> str:
        return html.file_size(version.size)

    @admin.display(description="Aliases")
    def alias_names(self, version: ModelVersion) -> SafeString:
        return format_html_join(" ", "{}", [(html.badge(alias.name),) for alias in version.aliases.all()])

    def sections(self, request: HttpRequest, found: ModelVersion) -> Sequence[Section]:
        notes = (Text(title="Notes", text=found.notes),) if found.notes else ()
        champion = champion_of(found.model)
        beside = () if champion is None or champion == found else comparison_sections(champion, found)
        asked = request_sections(found, request.build_absolute_uri("/"), is_pinned=True)
        graph = [signature_table(f"Graph: {side}", found.signature.get(side, ())) for side in ("inputs", "outputs")]
        return (
            self._facts(found),
            *notes,
            *card_section(found),
            *asked,
            *(graph if found.steps or not asked else ()),
            *label_section(found.labels),
            document("Metrics", found.metrics, "No metrics were given at registration."),
            document("Measured by the check", found.measured, "Nothing was measured."),
            document("Certificate", found.certificate, "No certificate: nobody compared this file with its source."),
            document("Steps", found.steps, "No steps: rows go to the model as they come."),
            document("Lineage", found.lineage, "Nothing is recorded of the data and the code."),
            *beside,
        )

    def _facts(self, found: ModelVersion) -> Facts:
        return Facts(
            title="Model version",
            pairs=(
                ("Model", html.link_to(found.model)),
                ("Version", found.number),
                ("State", self.current_state(found)),
                *((("Why", found.state_reason),) if found.state_reason else ()),
                ("Task", found.model.get_task_display()),
                ("Aliases", self.alias_names(found)),
                ("Size", html.file_size(found.size)),
                ("Memory when loaded", html.file_size(found.memory_bytes)),
                ("Golden rows", "yes" if found.golden else "none"),
                ("Registered", html.moment(found.created_at)),
                ("Registered by", found.created_by),
                ("Digest (sha256)", html.code(found.digest)),
                ("Digest of the file as given", html.code(found.source_digest)),
            ),
        )

    @deed("Try it", icon="play_arrow", permission=MOVE)
    def try_it(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version = self.find(request, object_id)
        found = find_request(version)
        page = FormPage(
            title=f"Try {version}",
            submit="Predict",
            found=version,
            intro="It is answered as any system would be; nothing is recorded.",
        )
        form = AskForm(sent(request), initial={"request": found and found["example"]}, version=version)
        return self.show_deed(request, form, page)

    @deed("Point an alias here", icon="label", permission=MOVE)
    def point_alias(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version = self.find(request, object_id)
        page = FormPage(
            title=f"Point an alias at {version}",
            submit=_submit(version.model, "Point it here"),
            found=version,
            intro=_how_it_moves(version.model),
            sections=(alias_table(version.model),),
        )
        return self.show_deed(request, PointAliasForm(sent(request), version=version), page)

    @deed("Archive", icon="archive", permission=_ARCHIVE)
    def archive(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version = self.find(request, object_id)
        intro = "It is kept and can be taken out again, but serves no more and no alias can point at it."
        page = FormPage(title=f"Archive {version}", submit="Archive it", found=version, intro=intro)
        return self.show_deed(request, ArchiveForm(sent(request), version=version), page)

    @deed("Make ready again", icon="unarchive", permission=_ARCHIVE)
    def unarchive(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version = self.find(request, object_id)
        page = FormPage(title=f"Take {version} out of the archive", submit="Make it ready", found=version)
        return self.show_deed(request, UnarchiveForm(sent(request), version=version), page)


@admin.register(Alias)
class AliasAdmin(RecordAdmin):
    audit_subject = "model:{0.model.name}@{0.name}"
    empty_sentence = "Give one when a model is registered, or on the page of a version."
    list_display = (
        "__str__",
        link_column("model", "Model", ordering="model__name"),
        link_column("version", "Version"),
        "canary",
        link_column("shadow_version", "Shadow"),
        time_column("moved_at", "Moved"),
    )
    list_filter = (("model", RelatedDropdownFilter),)
    search_fields = ("model__name", "name")
    actions_detail = ("move", "roll_back", "set_canary", "set_shadow")
    deeds = {"roll_back": lambda alias: alias.previous_version_id is not None}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alias]:
        versions = (f"{name}version__model" for name in ("", "previous_", "canary_", "shadow_"))
        return super().get_queryset(request).select_related("model", "change", *versions)

    @admin.display(description="Canary")
    def canary(self, alias: Alias) -> SafeString | str:
        return canary_of(alias) or html.NOTHING

    def sections(self, request: HttpRequest, found: Alias) -> Sequence[Section]:
        previous, shadow, change = found.previous_version, found.shadow_version, found.change
        return (
            Facts(
                title="Alias",
                pairs=(
                    ("Model", html.link_to(found.model)),
                    ("Alias", found.name),
                    ("Points at", html.link_to(found.version)),
                    ("Pointed before at", html.link_to(previous) if previous else None),
                    ("Canary", canary_of(found)),
                    ("Shadow", html.link_to(shadow) if shadow else None),
                    ("Moved", html.moment(found.moved_at)),
                    ("Allowed by", html.link_to(change, f"change request {change.pk}") if change else None),
                ),
            ),
            *shadow_sections(found),
            version_table(found.model),
        )

    @deed("Move", icon="swap_horiz", permission=MOVE)
    def move(self, request: HttpRequest, object_id: str) -> HttpResponse:
        alias = self.find(request, object_id)
        page = FormPage(
            title=f"Move {alias}",
            submit=_submit(alias.model, "Move the alias"),
            found=alias,
            intro=f"It points at version {alias.version.number} now. {_how_it_moves(alias.model)}",
        )
        return self.show_deed(
            request, MoveAliasForm(sent(request), initial=given(request, "version", "reason"), alias=alias), page
        )

    @deed("Roll back", icon="undo", permission=MOVE)
    def roll_back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        alias = self.find(request, object_id)
        where = f"version {alias.previous_version.number}" if alias.previous_version else "nowhere: it never moved"
        page = FormPage(
            title=f"Roll {alias} back",
            submit="Roll back at once",
            found=alias,
            intro=f"From version {alias.version.number} back to {where}. It was served before, so that nobody has to "
            f"approve it. {_WITHIN_A_SECOND}",
            is_danger=True,
        )
        return self.show_deed(request, RollBackForm(sent(request), alias=alias), page)

    @deed("Canary", icon="percent", permission=MOVE)
    def set_canary(self, request: HttpRequest, object_id: str) -> HttpResponse:
        alias = self.find(request, object_id)
        intro = "A share of the requests is answered by another version. Less of it, and its end, happen at once. "
        page = FormPage(
            title=f"Canary of {alias}", submit="Set the canary", found=alias, intro=intro + _how_it_moves(alias.model)
        )
        return self.show_deed(request, CanaryForm(sent(request), alias=alias), page)

    @deed("Shadow", icon="contrast", permission=MOVE)
    def set_shadow(self, request: HttpRequest, object_id: str) -> HttpResponse:
        alias = self.find(request, object_id)
        intro = "Another version runs beside every request, to be compared. The answers stay as they are."
        page = FormPage(title=f"Shadow of {alias}", submit="Set the shadow", found=alias, intro=intro)
        return self.show_deed(request, ShadowForm(sent(request), alias=alias), page)


def _how_it_moves(model: RegisteredModel) -> str:
    if model.approval == Approval.FOUR_EYES:
        return f"It waits for another person's approval. Then {_WITHIN_A_SECOND[0].lower()}{_WITHIN_A_SECOND[1:]}"
    return _WITHIN_A_SECOND


def _submit(model: RegisteredModel, direct: str) -> str:
    return "Ask for approval" if model.approval == Approval.FOUR_EYES else direct
