"""Workflows: what they take, predict, apply and do; their versions; and a form to try one."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.contrib.filters.admin import RelatedDropdownFilter

from inferhub.console import fields, html
from inferhub.console.authored import (
    authored_facts,
    case_table,
    publication_table,
    saved_message,
    version_facts,
    version_table,
    version_to_edit,
)
from inferhub.console.authored_admin import OWNER_DEEDS, AuthoredAdmin, AuthoredVersionAdmin
from inferhub.console.authored_forms import SaveForm, approval_field, empty_case, published, time_field
from inferhub.console.backtest_forms import BacktestForm, ChallengerForm
from inferhub.console.base import code_column, deed, link_column, time_column
from inferhub.console.history_sections import duration_sections, history_sections
from inferhub.console.inputs import field_names
from inferhub.console.kinds import kinds_table
from inferhub.console.pages import Done, FormPage, ServiceForm, sent, sent_with_files
from inferhub.console.sections import Section, Table, Text
from inferhub.console.workflow_choices import workflow_choices
from inferhub.decisions.models import Decision, Workflow, WorkflowVersion
from inferhub.decisions.services import KIND, decide, save_workflow
from inferhub.decisions.testing import remove_workflow_test, run_workflow_tests, save_workflow_test
from inferhub.errors import FieldError
from inferhub.lib.digits import read_digits
from inferhub.registry.models import RegisteredModel
from inferhub.rulesets.authored import AuthoredQuerySet
from inferhub.rulesets.models import RuleSet
from inferhub.rulesets.publishing import publish_version

_EXAMPLE: dict[str, Any] = {
    "input": {
        "type": "object",
        "properties": {"order_id": {"type": "string"}, "total": {"type": "number", "minimum": 0}},
        "required": ["order_id", "total"],
    },
    "subject": "order_id",
    "predictions": [],
    "rule_set": "order-screening",
    "actions": {
        "review": [
            {"kind": "review", "title": "May it ship?", "approve": "accept", "reject": "decline", "due_in_hours": 4}
        ],
        "decline": [],
    },
}
_MOST_OF_AN_EXAMPLE = 60
_NO_CASES = "None yet. Add one, or make one of a decision from its page."
_INTRO = (
    "What comes in, which models are asked, which rules decide, and what is done for each outcome. Everything is "
    "checked when you save; what a definition names (models, rule set, webhook endpoints, lists) must be there then."
)


class SaveWorkflowForm(SaveForm):
    """The next version of a workflow; `workflow.js` shows its definition as a form.

    With a time it is published for that time, or where that takes four eyes, asked for.
    """

    class Media:
        js = ("console/editing.js", "console/cells.js", "console/workflow.js")

    fallback = "definition"
    description = fields.prose("Description", required=False, help_text="What it decides, and who owns it.")
    definition = fields.JsonField(label="Definition", help_text="JSON. Everything is checked when you save.")
    note = fields.prose("What changed, and why", required=False, help_text="Kept with the version.")
    effective_from = time_field("In force from", "Date and time (UTC). Empty: from when it is published.")
    effective_until = time_field("In force until", "Date and time (UTC). Empty: until a later publication begins.")
    is_draft = fields.switch("Only save a draft", help_text="Where versions are published directly: not yet.")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["definition"].widget.attrs["data-choices"] = json.dumps(workflow_choices())

    def clean(self) -> dict[str, Any]:
        """The times are checked before anything is saved."""
        start, end = (self.cleaned_data.get(name) for name in ("effective_from", "effective_until"))
        if self.cleaned_data.get("is_draft") and (start or end):
            self.add_error("is_draft", "A draft is not in force: choose a time or this.")
        if end and end <= max(start or timezone.now(), timezone.now()):
            self.add_error("effective_until", "Expected a time that is still to come, after 'In force from'.")
        return super().clean()

    def save(self, *, actor: str) -> Done:
        words = self.cleaned_data
        times = {name: words[name] for name in ("effective_from", "effective_until")}
        has_time = any(times.values())
        version = save_workflow(
            name=self._owner.name if self._owner else words["name"],
            definition=words["definition"],
            description=words["description"],
            note=words["note"],
            approval=words.get("approval", ""),
            is_draft=words["is_draft"] or has_time,
            actor=actor,
        )
        if has_time:
            outcome = publish_version(KIND, version=version, actor=actor, reason=words["note"] or "saved", **times)
            return published(outcome, f"{version} is saved and published for its time.")
        return Done(message=saved_message(KIND, version), url=html.url_of(version.workflow))


class AddWorkflowForm(SaveWorkflowForm):
    name = fields.slug("Name", help_text="For example order-screening.")
    approval = approval_field()
    field_order = ("name", "description", "definition", "note", "approval")


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
class WorkflowAdmin(AuthoredAdmin):
    kind = KIND
    author_permission = "decisions.change_workflow"
    keep_case = save_workflow_test
    delete_case = remove_workflow_test
    run_all = run_workflow_tests
    audit_subject = "workflow:{0.name}"
    empty_sentence = "A workflow joins models and a rule set, and says what each outcome causes."
    list_display = ("name", "about", link_column("current", "In force"), "rule_set", time_column("created_at", "Made"))
    search_fields = ("name", "description")
    add_form = AddWorkflowForm
    add_page = FormPage(title="Add a workflow", submit="Check and save", intro=_INTRO)
    actions_detail = ("edit", "try_it", "back_test", "challenge", *OWNER_DEEDS)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workflow]:
        return cast("AuthoredQuerySet", super().get_queryset(request)).with_current()

    @admin.display(description="Description")
    def about(self, workflow: Workflow) -> str:
        return html.shortened(workflow.description)

    @admin.display(description="Rule set")
    def rule_set(self, workflow: Workflow) -> str:
        return str(workflow.current.definition["rule_set"]) if workflow.current else html.NOTHING

    def add_initial(self, request: HttpRequest) -> dict[str, Any]:
        return {"definition": _EXAMPLE} | super().add_initial(request)

    def sections(self, request: HttpRequest, found: Workflow) -> Sequence[Section]:
        shown = found.current or found.versions.first()
        return (
            authored_facts("Workflow", found, self.deed_links(request, found, "set_policy")),
            *_decided(request, found),
            *(workflow_sections(shown.definition) if shown else ()),
            case_table(found, self.deed_links(request, found, "run_cases", "change_case"), _NO_CASES),
            version_table(KIND, found, may_publish=self.has_author_permission(request)),
            publication_table(found),
        )

    def new_case(self, found: Workflow) -> dict[str, Any]:
        shown = found.current or found.versions.first()
        return empty_case({"input": example_of(shown.definition["input"]) if shown else {}})

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
        given = _given_input(request.GET.get("input", ""))
        form = TryForm(sent(request), initial={"input": given or example_of(schema)}, workflow=workflow)
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

    @deed("Edit", icon="edit", permission="decisions.change_workflow", is_main=True)
    def edit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        workflow = self.find(request, object_id)
        version = workflow.versions.filter(number=read_digits(request.GET.get("version", ""))).first()
        shown = version or version_to_edit(KIND, workflow)
        initial = {"description": workflow.description, "definition": shown.definition if shown else _EXAMPLE}
        if version:
            initial["note"] = f"As in version {version.number}."
        page = FormPage(
            title=f"Edit {workflow}",
            submit="Check and save as a new version",
            found=workflow,
            intro=f"It starts from version {shown.number}. {_INTRO}" if shown else _INTRO,
            sections=(kinds_table(),),
        )
        form = SaveWorkflowForm(sent(request), initial=initial, owner=workflow)
        return self.show_deed(request, form, page)


@admin.register(WorkflowVersion)
class WorkflowVersionAdmin(AuthoredVersionAdmin):
    kind = KIND
    author_permission = "decisions.change_workflow"
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

    @admin.display(description="Note")
    def remark(self, version: WorkflowVersion) -> str:
        return html.shortened(version.note)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkflowVersion]:
        return super().get_queryset(request).select_related("workflow")

    def sections(self, request: HttpRequest, found: WorkflowVersion) -> Sequence[Section]:
        return (version_facts(KIND, "Workflow", found), *workflow_sections(found.definition))


def _decided(request: HttpRequest, workflow: Workflow) -> tuple[Section, ...]:
    """What came of it so far, for those who may see decisions."""
    if not request.user.has_perm("decisions.view_decision"):
        return ()
    made = Decision.objects.filter(workflow=workflow)
    return (*history_sections(made, by="outcome", title="Decisions by outcome"), *duration_sections(made))


def workflow_sections(definition: Mapping[str, Any]) -> tuple[Section, ...]:
    """The definition in tables, in the order in which a request passes through it, and as JSON."""
    return (
        _input_table(definition),
        _prediction_table(definition["predictions"]),
        _rules_table(definition),
        _action_table(definition["actions"]),
        Text(title="As JSON", text=html.json_text(definition), is_code=True, is_folded=True),
    )


def _given_input(text: str) -> dict[str, Any] | None:
    """The input that a link fills the form with; None where it is none."""
    try:
        given = json.loads(text)
    except ValueError:
        return None
    return given if isinstance(given, dict) else None


def example_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """An input to start from: the schema's own examples and defaults, else the simplest value of each type."""
    if schema.get("examples"):
        example = dict(schema["examples"][0])
        return {name: example[name] for name in field_names(schema) if name in example} | example
    properties = schema.get("properties", {})
    return {name: _example_value(properties[name]) for name in field_names(schema)}


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
    for name in field_names(schema):
        entry = schema["properties"][name]
        rows.append(
            (
                html.code(name),
                _type_in_words(entry.get("type", "anything")),
                "yes" if name in required else "no",
                _limits(entry),
                _described(entry),
            )
        )
    subject = definition.get("subject")
    note = f"The field '{subject}' tells whom or what a decision is about." if subject else ""
    columns = ("Field", "Type", "Required", "Limits", "Description")
    return Table(title="Input", columns=columns, rows=rows, note=note, empty="The workflow takes no fields.")


_TOLD_ELSEWHERE = frozenset({"type", "title", "description", "examples"})
_TYPES: Mapping[str, str] = {
    "string": "text",
    "integer": "whole number",
    "boolean": "yes or no",
    "array": "list",
    "null": "nothing",
}


def _type_in_words(kind: Any) -> str:
    kinds = kind if isinstance(kind, list) else [kind]
    return " or ".join(_TYPES.get(one, str(one)) for one in kinds)


def _limits(entry: Mapping[str, Any]) -> Any:
    """What a field's value must keep to, in words where there are some."""
    rest = {key: value for key, value in entry.items() if key not in _TOLD_ELSEWHERE}
    words = {
        "one of": rest.pop("enum", None),
        "": _range(rest.pop("minimum", None), rest.pop("maximum", None)),
        "characters:": _range(rest.pop("minLength", None), rest.pop("maxLength", None)),
    }
    shown = {key: _listed(value) for key, value in words.items() if value is not None} | rest
    return html.lines(shown) if shown else None


def _listed(value: Any) -> str:
    return ", ".join(html.plain(one) for one in value) if isinstance(value, list) else html.plain(value)


def _range(low: Any, high: Any) -> str | None:
    """
    >>> _range(0, 23), _range(0, None), _range(None, None)
    ('from 0 to 23', 'at least 0', None)
    """
    if low is None:
        return None if high is None else f"at most {html.plain(high)}"
    return f"at least {html.plain(low)}" if high is None else f"from {html.plain(low)} to {html.plain(high)}"


def _described(entry: Mapping[str, Any]) -> str:
    """Title and description of a field, and the first example."""
    words = [text for key in ("title", "description") if (text := entry.get(key))]
    if entry.get("examples"):
        words.append(f"For example {_short(html.plain(entry['examples'][0]))}")
    return ". ".join(text.removesuffix(".") for text in words)


def _short(text: str) -> str:
    return text if len(text) <= _MOST_OF_AN_EXAMPLE else text[:_MOST_OF_AN_EXAMPLE] + "…"


def _prediction_table(predictions: Sequence[Mapping[str, Any]]) -> Table:
    models = {model.name: model for model in RegisteredModel.objects.filter(name__in=[p["model"] for p in predictions])}
    rows = [
        (
            html.code(f"prediction.{entry['name']}"),
            html.link_to(models[entry["model"]]) if entry["model"] in models else entry["model"],
            f"version {entry['version']}" if "version" in entry else entry.get("alias", "champion"),
            html.lines(entry["inputs"]),
            f"{entry['timeout_ms']} ms" if "timeout_ms" in entry else None,
            html.plain(entry.get("on_failure", "review")),
        )
        for entry in predictions
    ]
    columns = (
        "Rules see it as",
        "Model",
        "Version",
        "Model input, and the field that feeds it",
        "At most",
        "If it fails",
    )
    return Table(
        title="Predictions", columns=columns, rows=rows, empty="No model is asked: the rules see the input only."
    )


def _rules_table(definition: Mapping[str, Any]) -> Table:
    name = definition["rule_set"]
    found = RuleSet.objects.filter(name=name).first()
    rows = [(html.link_to(found) if found else name, found.description if found else "")]
    missing = definition.get("missing_facts", "review")
    note = f"Where a fact is missing, null or of another type: {missing}."
    return Table(title="Rules", columns=("Rule set", "Description"), rows=rows, note=note)


def _action_table(actions: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    rows = [
        (html.badge(outcome), entry["kind"], html.lines({k: v for k, v in entry.items() if k != "kind"}))
        for outcome, entries in actions.items()
        for entry in entries
    ]
    return Table(
        title="Actions", columns=("Outcome", "Kind", "Settings"), rows=rows, empty="No outcome causes an action."
    )
