"""Registered models, their versions and aliases."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from django.contrib import admin
from django.db.models import Count, Max, Prefetch, QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from inferhub.console import fields, html
from inferhub.console.base import RecordAdmin, code_column, deed, link_column, time_column
from inferhub.console.pages import Done, FormPage, ServiceForm, sent, sent_with_files
from inferhub.console.sections import Facts, Section, Table, Text
from inferhub.console.shadow import shadow_sections
from inferhub.decisions.models import Workflow
from inferhub.errors import InferhubError, InvalidModel, TooLarge
from inferhub.recommendations.models import Scenario
from inferhub.registry.models import Alias, ModelVersion, RegisteredModel, Task
from inferhub.registry.services import CHAMPION, Provenance, move_alias, register_version

_MOST_ROWS = 100
_MOVE = "registry.change_alias"


class NewVersionForm(ServiceForm):
    """The next version of a model that is registered already."""

    file = fields.ModelField(
        label="Model file",
        help_text="ONNX, or what LightGBM's save_model wrote. It is checked in a separate process first.",
    )
    golden = fields.golden_rows(
        "Golden rows",
        required=False,
        help_text="JSON or .npz: inputs with the outputs that the model must give. Checked now and before an alias "
        "moves.",
    )
    notes = fields.prose("Notes", required=False, help_text="What is new in this version.")
    alias = fields.slug(
        "Alias",
        required=False,
        help_text="Points at the new version at once; requests use champion by default. Empty: none.",
    )

    def __init__(self, *args: Any, model: RegisteredModel | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._model = model

    def restrict_to(self, user: Any) -> None:
        """Whoever may not move aliases cannot do so by registering either."""
        if not user.has_perm(_MOVE):
            del self.fields["alias"]

    def save(self, *, actor: str) -> Done:
        words = self.cleaned_data
        version = register_version(
            name=self._model.name if self._model else words["name"],
            task=self._model.task if self._model else words["task"],
            data=words["file"].read(),
            alias=words.get("alias", ""),
            description=words.get("description", ""),
            provenance=Provenance(notes=words["notes"]),
            golden=words["golden"].read() if words["golden"] else b"",
            actor=actor,
        )
        return Done(message=f"{version} is registered.", url=html.url_of(version))

    def add_service_error(self, error: InferhubError) -> None:
        if isinstance(error, InvalidModel | TooLarge):
            self.add_error("golden" if _is_about_golden_rows(error) else "file", str(error))
        else:
            super().add_service_error(error)


def _is_about_golden_rows(error: InferhubError) -> bool:
    return any(field.pointer.startswith("/golden") for field in getattr(error, "errors", ()))


class RegisterForm(NewVersionForm):
    """A model and its first version (or, where the name is known, its next)."""

    name = fields.slug("Name", help_text="For example order-value: lower-case letters, digits and hyphens.")
    task = fields.choice("Task", [("", "Choose one"), *Task.choices])
    description = fields.prose("Description", required=False, help_text="What the model is for, and who owns it.")
    field_order = ("name", "task", "description", "file", "golden", "notes", "alias")


class PointAliasForm(ServiceForm):
    """Point an alias at a given version."""

    alias = fields.slug("Alias", initial=CHAMPION)
    reason = fields.prose("Reason", help_text="Kept in the audit log.")

    def __init__(self, *args: Any, version: ModelVersion, **options: Any) -> None:
        super().__init__(*args, **options)
        self._version = version

    def save(self, *, actor: str) -> Done:
        alias, reason = self.cleaned_data["alias"], self.cleaned_data["reason"]
        moved = move_alias(version=self._version, alias=alias, actor=actor, reason=reason)
        return Done(message=f"{moved} now points at version {self._version.number}.", url=html.url_of(moved))


class MoveAliasForm(ServiceForm):
    """Point a given alias at another version."""

    version = fields.model_choice("New version", ModelVersion.objects.none())
    reason = fields.prose("Reason", help_text="Kept in the audit log.")

    def __init__(self, *args: Any, alias: Alias, **options: Any) -> None:
        super().__init__(*args, **options)
        self._alias = alias
        others = ModelVersion.objects.select_related("model").filter(model_id=alias.model_id)
        cast("ModelChoiceField[ModelVersion]", self.fields["version"]).queryset = others.exclude(pk=alias.version_id)

    def save(self, *, actor: str) -> Done:
        version, reason = self.cleaned_data["version"], self.cleaned_data["reason"]
        moved = move_alias(version=version, alias=self._alias.name, actor=actor, reason=reason)
        return Done(message=f"{moved} now points at version {version.number}.", url=html.url_of(moved))


@admin.register(RegisteredModel)
class RegisteredModelAdmin(RecordAdmin):
    audit_subject = "model:{0.name}"
    empty_sentence = "Register an ONNX file to predict, decide and recommend with it."
    list_display = ("name", "task", "about", "version_count", "alias_names", time_column("latest_at", "Latest version"))
    list_filter = (("task", ChoicesDropdownFilter),)
    search_fields = ("name", "description")
    add_form = RegisterForm
    add_page = FormPage(
        title="Register a model",
        submit="Check and register",
        intro="The file is scanned, loaded and run once in a separate, limited process before it is accepted.",
    )
    actions_detail = ("new_version",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[RegisteredModel]:
        aliases = Prefetch("aliases", Alias.objects.select_related("version").order_by("name"))
        found = super().get_queryset(request).prefetch_related(aliases)
        counts = {"version_count": Count("versions"), "latest_at": Max("versions__created_at")}
        counted: QuerySet[RegisteredModel] = found.annotate(**counts)
        return counted

    @admin.display(description="Description")
    def about(self, model: Any) -> str:
        return str(model.description)[:100]

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
        return (
            Facts(
                title="Registered model",
                pairs=(
                    ("Name", found.name),
                    ("Task", found.get_task_display()),
                    ("Registered", html.moment(found.created_at)),
                    ("Description", found.description),
                ),
            ),
            _alias_table(found),
            _version_table(found),
            _use_table(found),
        )

    @deed("New version", icon="upload", permission="registry.add_modelversion")
    def new_version(self, request: HttpRequest, object_id: str) -> HttpResponse:
        model = self.find(request, object_id)
        form = NewVersionForm(*sent_with_files(request), model=model)
        page = FormPage(title=f"New version of {model}", submit="Check and register", found=model)
        return self.show_deed(request, form, page)


@admin.register(ModelVersion)
class ModelVersionAdmin(RecordAdmin):
    audit_subject = "model:{0.model.name}/{0.number}"
    empty_sentence = "They come with registered models."
    list_display = (
        "__str__",
        link_column("model", "Model", ordering="model__name"),
        code_column("digest", "Digest"),
        "file_size",
        "alias_names",
        time_column("created_at", "Registered"),
        "created_by",
    )
    list_filter = (("model", RelatedDropdownFilter), ("model__task", ChoicesDropdownFilter))
    list_select_related = ("model",)
    search_fields = ("model__name", "digest__startswith", "notes")
    search_help_text = "Model, digest (its first characters) or notes"
    ordering = ("-id",)
    actions_detail = ("point_alias",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelVersion]:
        return super().get_queryset(request).select_related("model").prefetch_related("aliases")

    @admin.display(description="Size", ordering="size")
    def file_size(self, version: ModelVersion) -> str:
        return html.file_size(version.size)

    @admin.display(description="Aliases")
    def alias_names(self, version: ModelVersion) -> SafeString:
        return format_html_join(" ", "{}", [(html.badge(alias.name),) for alias in version.aliases.all()])

    def sections(self, request: HttpRequest, found: ModelVersion) -> Sequence[Section]:
        notes = (Text(title="Notes", text=found.notes),) if found.notes else ()
        return (
            Facts(
                title="Model version",
                pairs=(
                    ("Model", html.link_to(found.model)),
                    ("Version", found.number),
                    ("Task", found.model.get_task_display()),
                    ("Aliases", self.alias_names(found)),
                    ("Size", html.file_size(found.size)),
                    ("Registered", html.moment(found.created_at)),
                    ("Registered by", found.created_by),
                    ("Digest (sha256)", html.code(found.digest)),
                    ("Digest of the file as given", html.code(found.source_digest)),
                ),
            ),
            *notes,
            _signature_table("Inputs", found.signature["inputs"]),
            _signature_table("Outputs", found.signature["outputs"]),
            *_labels(found.labels),
            _document("Metrics", found.metrics, "No metrics were given at registration."),
            _document("Certificate", found.certificate, "No certificate: nobody compared this file with its source."),
            _document("Lineage", found.lineage, "Nothing is recorded of the data and the code."),
        )

    @deed("Point an alias here", icon="label", permission=_MOVE)
    def point_alias(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version = self.find(request, object_id)
        form = PointAliasForm(sent(request), version=version)
        page = FormPage(
            title=f"Point an alias at {version}",
            submit="Point it here",
            found=version,
            intro="Every process serves the new version within a second.",
            sections=(_alias_table(version.model),),
        )
        return self.show_deed(request, form, page)


@admin.register(Alias)
class AliasAdmin(RecordAdmin):
    audit_subject = "model:{0.model.name}@{0.name}"
    empty_sentence = "Give one when a model is registered, or on the page of a version."
    list_display = (
        "__str__",
        link_column("model", "Model", ordering="model__name"),
        link_column("version", "Version"),
        time_column("moved_at", "Moved"),
    )
    list_filter = (("model", RelatedDropdownFilter),)
    list_select_related = ("model", "version__model")
    search_fields = ("model__name", "name")
    actions_detail = ("move",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alias]:
        return super().get_queryset(request).select_related("model", "version__model")

    def sections(self, request: HttpRequest, found: Alias) -> Sequence[Section]:
        return (
            Facts(
                title="Alias",
                pairs=(
                    ("Model", html.link_to(found.model)),
                    ("Alias", found.name),
                    ("Points at", html.link_to(found.version)),
                    ("Moved", html.moment(found.moved_at)),
                ),
            ),
            *shadow_sections(found),
            _version_table(found.model),
        )

    @deed("Move", icon="swap_horiz", permission=_MOVE)
    def move(self, request: HttpRequest, object_id: str) -> HttpResponse:
        alias = self.find(request, object_id)
        form = MoveAliasForm(sent(request), alias=alias)
        page = FormPage(
            title=f"Move {alias}",
            submit="Move the alias",
            found=alias,
            intro=f"It points at version {alias.version.number} now. "
            "Every process serves the new version within a second.",
        )
        return self.show_deed(request, form, page)


def _alias_table(model: RegisteredModel) -> Table:
    aliases = model.aliases.select_related("model", "version__model").order_by("name")
    rows = [
        (html.link_to(entry, entry.name), html.link_to(entry.version), html.moment(entry.moved_at)) for entry in aliases
    ]
    empty = "No alias points at this model: requests that do not name a version number find nothing."
    return Table(title="Aliases", columns=("Alias", "Points at", "Moved"), rows=rows, empty=empty)


def _version_table(model: RegisteredModel) -> Table:
    versions = model.versions.select_related("model").order_by("-number")[:_MOST_ROWS]
    rows = [
        (
            html.link_to(version, f"version {version.number}"),
            html.digest(version.digest),
            html.file_size(version.size),
            html.moment(version.created_at),
            version.created_by,
            version.notes[:100],
        )
        for version in versions
    ]
    columns = ("Version", "Digest", "Size", "Registered", "By", "Notes")
    return Table(title="Versions", columns=columns, rows=rows, empty="No version yet.")


def _use_table(model: RegisteredModel) -> Table:
    """Where the model is used now: scenarios, and workflows whose current version names it."""
    workflows = Workflow.objects.filter(current__definition__predictions__contains=[{"model": model.name}])
    rows = [("workflow", html.link_to(workflow)) for workflow in workflows]
    rows += [("scenario", html.link_to(scenario)) for scenario in Scenario.objects.filter(model=model)]
    empty = "No workflow and no scenario uses this model; systems may still call it directly."
    return Table(title="Used by", columns=("Kind", "Name"), rows=rows, empty=empty)


def _signature_table(title: str, tensors: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            html.code(tensor["name"]),
            tensor["datatype"],
            " × ".join("any" if size is None else str(size) for size in tensor["shape"]) or "one value",
            ", ".join(_qualities(tensor)) or None,
        )
        for tensor in tensors
    ]
    return Table(title=title, columns=("Name", "Datatype", "Shape", "Notes"), rows=rows, empty="None.")


def _qualities(tensor: Mapping[str, Any]) -> list[str]:
    words = (("is_optional", "optional"), ("allows_nan", "may be missing (null)"))
    return [word for key, word in words if tensor.get(key)]


def _labels(labels: Sequence[Any]) -> tuple[Section, ...]:
    if not labels:
        return ()
    rows = [(position, html.plain(label)) for position, label in enumerate(labels)]
    return (Table(title="Classes", columns=("Position", "Label"), rows=rows),)


def _document(title: str, document: Mapping[str, Any], empty: str) -> Section:
    """A flat view of a JSON document: nested values stay JSON."""
    rows = [
        (name, html.json_block(value) if isinstance(value, dict | list) else html.plain(value))
        for name, value in document.items()
    ]
    return Table(title=title, columns=("Name", "Value"), rows=rows, empty=empty)
