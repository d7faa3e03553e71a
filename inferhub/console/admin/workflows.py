"""Workflows: what they take, predict, apply and do; their versions; and a form to try one."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.contrib.filters.admin import RelatedDropdownFilter

from inferhub.console import fields, html
from inferhub.console.authored import authored_facts, saved_message, version_facts, version_table
from inferhub.console.backtest_forms import BacktestForm, ChallengerForm
from inferhub.console.base import RecordAdmin, code_column, deed, link_column, time_column
from inferhub.console.pages import Done, FormPage, ServiceForm, sent, sent_with_files
from inferhub.console.sections import Section, Table, Text
from inferhub.decisions.models import Workflow, WorkflowVersion
from inferhub.decisions.services import decide, save_workflow
from inferhub.errors import FieldError
from inferhub.registry.models import RegisteredModel
from inferhub.rulesets.models import RuleSet

_EXAMPLE: dict[str, Any] = {
    "input": {
        "type": "object",
        "properties": {"order_id": {"type": "string"}, "total": {"type": "number", "minimum": 0}},
        "required": ["order_id", "total"],
    },
    "subject": "order_id",
    "predictions": [],
    "rule_set": "order-screening",
    "actions": {"review": [{"kind": "review", "title": "Look at this order before it ships"}]},
}
_INTRO = (
    "Input schema, predictions, rule set and the actions of each outcome. What a definition names (models, rule set, "
    "webhook endpoints) must be there when you save."
)


class SaveWorkflowForm(ServiceForm):
    """The next version of a workflow."""

    fallback = "definition"
    description = fields.prose("Description", required=False, help_text="What it decides, and who owns it.")
    definition = fields.JsonField(label="Definition", help_text="JSON. Everything is checked when you save.")
    note = fields.prose("What changed, and why", required=False, help_text="Kept with the version.")

    def __init__(self, *args: Any, workflow: Workflow | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._workflow = workflow

    def save(self, *, actor: str) -> Done:
        words = self.cleaned_data
        before = self._workflow.current_id if self._workflow else None
        version = save_workflow(
            name=self._workflow.name if self._workflow else words["name"],
            definition=words["definition"],
            description=words["description"],
            note=words["note"],
            actor=actor,
        )
        return Done(message=saved_message(version, before), url=html.url_of(version.workflow))


class AddWorkflowForm(SaveWorkflowForm):
    name = fields.slug("Name", help_text="For example order-screening.")
    field_order = ("name", "description", "definition", "note")


class TryForm(ServiceForm):
    """One input, sent through the workflow as a retail system would send it."""

    fallback = "input"
    input = fields.JsonField(label="Input", rows=14, help_text="JSON, as the workflow's input schema declares it.")
    request_id = fields.text("Request id", required=False, help_text="Empty: a new one. The same id decides only once.")

    def __init__(self, *args: Any, workflow: Workflow, **options: Any) -> None:
        super().__init__(*args, **options)
        self._workflow = workflow

    def save(self, *, actor: str) -> Done:
        words = self.cleaned_data
        decision, is_new = decide(
            workflow=self._workflow.name, facts_in=words["input"], request_id=words["request_id"], actor=actor
        )
        message = f"Decided: {decision.outcome}." if is_new else "Decided before: this is the first decision again."
        return Done(message=message, url=html.url_of(decision))

    def _place(self, error: FieldError) -> tuple[str | None, str]:
        return self.fallback, error.sentence


@admin.register(Workflow)
class WorkflowAdmin(RecordAdmin):
    audit_subject = "workflow:{0.name}"
    empty_sentence = "A workflow joins models and a rule set, and says what each outcome causes."
    list_display = ("name", "about", link_column("current", "In use"), "rule_set", time_column("created_at", "Made"))
    list_select_related = ("current__workflow",)
    search_fields = ("name", "description")
    add_form = AddWorkflowForm
    add_page = FormPage(title="Add a workflow", submit="Check and save", intro=_INTRO)
    actions_detail = ("try_it", "back_test", "challenge", "edit")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workflow]:
        return super().get_queryset(request).select_related("current__workflow")

    @admin.display(description="Description")
    def about(self, workflow: Workflow) -> str:
        return workflow.description[:100]

    @admin.display(description="Rule set")
    def rule_set(self, workflow: Workflow) -> str:
        return str(workflow.current.definition["rule_set"]) if workflow.current else html.NOTHING

    def add_initial(self, request: HttpRequest) -> dict[str, Any]:
        return {"definition": _EXAMPLE} | super().add_initial(request)

    def sections(self, request: HttpRequest, found: Workflow) -> Sequence[Section]:
        shown = workflow_sections(found.current.definition) if found.current else ()
        return (authored_facts("Workflow", found), *shown, version_table(found))

    @deed("Try it", icon="play_arrow", permission="decisions.add_decision")
    def try_it(self, request: HttpRequest, object_id: str) -> HttpResponse:
        workflow = self.find(request, object_id)
        schema = workflow.current.definition["input"] if workflow.current else {}
        page = FormPage(
            title=f"Try {workflow}",
            submit="Decide",
            found=workflow,
            intro="This makes a decision as any system would: it is recorded for good, and its actions are done.",
        )
        form = TryForm(sent(request), initial={"input": example_of(schema)}, workflow=workflow)
        return self.show_deed(request, form, page)

    @deed("Back-test", icon="compare_arrows", permission="backtests.run_backtest")
    def back_test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        workflow = self.find(request, object_id)
        page = FormPage(
            title=f"Back-test {workflow}",
            submit="Start",
            found=workflow,
            intro="What would the candidate have decided? It is held against what was decided; for a file, against the "
            "versions in use. Nothing is decided for real, and nothing is done.",
        )
        return self.show_deed(request, BacktestForm(*sent_with_files(request), workflow=workflow), page)

    @deed("Challenge", icon="swords", permission="backtests.run_backtest")
    def challenge(self, request: HttpRequest, object_id: str) -> HttpResponse:
        workflow = self.find(request, object_id)
        page = FormPage(
            title=f"Challenge {workflow}",
            submit="Start",
            found=workflow,
            intro="The candidate decides beside the live traffic, some seconds behind it and without actions.",
        )
        return self.show_deed(request, ChallengerForm(sent(request), workflow=workflow), page)

    @deed("Edit", icon="edit", permission="decisions.change_workflow")
    def edit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        workflow = self.find(request, object_id)
        start = request.GET.get("version", "")
        version = workflow.versions.filter(number=start).first() if start.isdecimal() else None
        shown = version or workflow.current
        initial = {"description": workflow.description, "definition": shown.definition if shown else _EXAMPLE}
        if version:
            initial["note"] = f"As in version {version.number}."
        page = FormPage(
            title=f"Edit {workflow}",
            submit="Check and save as a new version",
            found=workflow,
            intro=_INTRO,
        )
        form = SaveWorkflowForm(sent(request), initial=initial, workflow=workflow)
        return self.show_deed(request, form, page)


@admin.register(WorkflowVersion)
class WorkflowVersionAdmin(RecordAdmin):
    empty_sentence = "Each save of a workflow makes one."
    list_display = (
        "__str__",
        link_column("workflow", "Workflow", ordering="workflow__name"),
        code_column("digest", "Digest"),
        "remark",
        time_column("created_at", "Saved"),
        "created_by",
    )
    list_filter = (("workflow", RelatedDropdownFilter),)
    list_select_related = ("workflow",)
    search_fields = ("workflow__name", "digest__startswith", "note")
    ordering = ("-id",)
    actions_detail = ("use_again",)

    @admin.display(description="Note")
    def remark(self, version: WorkflowVersion) -> str:
        return version.note[:100]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkflowVersion]:
        return super().get_queryset(request).select_related("workflow")

    def sections(self, request: HttpRequest, found: WorkflowVersion) -> Sequence[Section]:
        return (version_facts("Workflow", found, found.workflow), *workflow_sections(found.definition))

    @deed("Edit from this version", icon="restore", permission="decisions.change_workflow")
    def use_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version = self.find(request, object_id)
        return HttpResponseRedirect(f"{html.deed_url(version.workflow, 'edit')}?version={version.number}")


def workflow_sections(definition: Mapping[str, Any]) -> tuple[Section, ...]:
    """The definition in tables, in the order in which a request passes through it, and as JSON."""
    return (
        _input_table(definition),
        _prediction_table(definition["predictions"]),
        _rules_table(definition["rule_set"]),
        _action_table(definition["actions"]),
        Text(title="As JSON", text=html.json_text(definition), is_code=True, is_folded=True),
    )


def example_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """An input to start from: the schema's own examples and defaults, else the simplest value of each type."""
    return {name: _example_value(entry) for name, entry in schema.get("properties", {}).items()}


_SIMPLEST: Mapping[str, Any] = {"string": "", "number": 0, "integer": 0, "boolean": False, "array": [], "object": {}}


def _example_value(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return None
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    if "default" in schema or "const" in schema:
        return schema.get("default", schema.get("const"))
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    return max(schema.get("minimum", 0), 0) if kind in ("number", "integer") else _SIMPLEST.get(kind)


def _input_table(definition: Mapping[str, Any]) -> Table:
    schema = definition["input"]
    required = schema.get("required", [])
    rows = []
    for name, entry in schema["properties"].items():
        rest = {key: value for key, value in entry.items() if key not in ("type", "description")}
        kind = entry.get("type", "any")
        rows.append(
            (
                html.code(name),
                " or ".join(kind) if isinstance(kind, list) else kind,
                "yes" if name in required else "no",
                html.lines(rest) if rest else None,
                entry.get("description"),
            )
        )
    subject = definition.get("subject")
    note = f"The field '{subject}' tells whom or what a decision is about." if subject else ""
    columns = ("Field", "Type", "Required", "Limits", "Description")
    return Table(title="Input", columns=columns, rows=rows, note=note, empty="The workflow takes no fields.")


def _prediction_table(predictions: Sequence[Mapping[str, Any]]) -> Table:
    models = {model.name: model for model in RegisteredModel.objects.filter(name__in=[p["model"] for p in predictions])}
    rows = [
        (
            html.code(f"prediction.{entry['name']}"),
            html.link_to(models[entry["model"]]) if entry["model"] in models else entry["model"],
            f"version {entry['version']}" if "version" in entry else entry.get("alias", "champion"),
            html.lines(entry["inputs"]),
        )
        for entry in predictions
    ]
    columns = ("Rules see it as", "Model", "Version", "Model input, and the field that feeds it")
    return Table(
        title="Predictions", columns=columns, rows=rows, empty="No model is asked: the rules see the input only."
    )


def _rules_table(name: str) -> Table:
    found = RuleSet.objects.filter(name=name).first()
    rows = [(html.link_to(found) if found else name, found.description if found else "")]
    return Table(title="Rules", columns=("Rule set", "Description"), rows=rows)


def _action_table(actions: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    rows = [
        (html.badge(outcome), entry["kind"], html.lines({k: v for k, v in entry.items() if k != "kind"}))
        for outcome, entries in actions.items()
        for entry in entries
    ]
    return Table(
        title="Actions", columns=("Outcome", "Kind", "Settings"), rows=rows, empty="No outcome causes an action."
    )
