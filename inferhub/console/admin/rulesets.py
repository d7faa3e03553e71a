"""Rule sets: the decision table in use, its versions, and a new one as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import RelatedDropdownFilter

from inferhub.console import fields, html
from inferhub.console.authored import (
    authored_facts,
    case_table,
    publication_table,
    saved_message,
    version_facts,
    version_table,
)
from inferhub.console.authored_admin import OWNER_DEEDS, AuthoredAdmin, AuthoredVersionAdmin
from inferhub.console.authored_forms import approval_field, empty_case
from inferhub.console.base import code_column, deed, link_column, time_column
from inferhub.console.pages import Done, FormPage, ServiceForm, sent
from inferhub.console.sections import Section, Table, Text
from inferhub.decisions.models import Workflow
from inferhub.rules.analysis import analyse_table
from inferhub.rules.table import parse_decision_table
from inferhub.rulesets.authored import AuthoredQuerySet
from inferhub.rulesets.models import RuleSet, RuleSetVersion
from inferhub.rulesets.services import KIND, save_rule_set
from inferhub.rulesets.testing import remove_rule_set_test, run_rule_set_tests, save_rule_set_test

_EXAMPLE: dict[str, Any] = {
    "hit_policy": "first",
    "inputs": [{"field": "input.total", "type": "number", "label": "Order total"}],
    "outputs": [{"field": "outcome", "type": "string", "label": "Outcome"}],
    "rules": [
        {"when": ["> 1000"], "then": ['"review"'], "note": "a person looks at large orders"},
        {"when": [""], "then": ['"accept"'], "note": "all others"},
    ],
}
_INTRO = (
    "A decision table. Each rule has one cell under 'when' for every input and one under 'then' for every output; "
    "an empty cell under 'when' holds for everything. Texts stand in quotes of their own."
)


class SaveRuleSetForm(ServiceForm):
    """The next version of a rule set."""

    fallback = "definition"
    description = fields.prose("Description", required=False, help_text="What the rules decide, and who owns them.")
    definition = fields.JsonField(label="Definition", help_text="JSON. Every cell is checked when you save.")
    note = fields.prose("What changed, and why", required=False, help_text="Kept with the version.")
    is_draft = fields.switch("Only save a draft", help_text="Where versions are published directly: not yet.")

    def __init__(self, *args: Any, rule_set: RuleSet | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._rule_set = rule_set

    def save(self, *, actor: str) -> Done:
        words = self.cleaned_data
        before = self._rule_set.current_id if self._rule_set else None
        version = save_rule_set(
            name=self._rule_set.name if self._rule_set else words["name"],
            definition=words["definition"],
            description=words["description"],
            note=words["note"],
            approval=words.get("approval", ""),
            is_draft=words["is_draft"],
            actor=actor,
        )
        return Done(message=saved_message(KIND, version, before), url=html.url_of(version.rule_set))


class AddRuleSetForm(SaveRuleSetForm):
    name = fields.slug("Name", help_text="For example order-screening.")
    approval = approval_field()
    field_order = ("name", "description", "definition", "note", "approval")


@admin.register(RuleSet)
class RuleSetAdmin(AuthoredAdmin):
    kind = KIND
    author_permission = "rulesets.change_ruleset"
    keep_case = save_rule_set_test
    delete_case = remove_rule_set_test
    run_all = run_rule_set_tests
    audit_subject = "rule-set:{0.name}"
    empty_sentence = "A rule set is a decision table that workflows apply."
    list_display = (
        "name",
        "about",
        link_column("current", "In force"),
        "rule_count",
        "changed",
    )
    search_fields = ("name", "description")
    add_form = AddRuleSetForm
    add_page = FormPage(title="Add a rule set", submit="Check and save", intro=_INTRO)
    actions_detail = OWNER_DEEDS

    def get_queryset(self, request: HttpRequest) -> QuerySet[RuleSet]:
        return cast("AuthoredQuerySet", super().get_queryset(request)).with_current()

    @admin.display(description="Description")
    def about(self, rule_set: RuleSet) -> str:
        return rule_set.description[:100]

    @admin.display(description="Rules")
    def rule_count(self, rule_set: RuleSet) -> int:
        return len(rule_set.current.definition["rules"]) if rule_set.current else 0

    @admin.display(description="Changed")
    def changed(self, rule_set: RuleSet) -> Any:
        return html.moment(rule_set.current.created_at) if rule_set.current else html.NOTHING

    def add_initial(self, request: HttpRequest) -> dict[str, Any]:
        return {"definition": _EXAMPLE} | super().add_initial(request)

    def sections(self, request: HttpRequest, found: RuleSet) -> Sequence[Section]:
        shown = found.current or found.versions.first()
        return (
            authored_facts("Rule set", found),
            *(rule_sections(shown.definition) if shown else ()),
            _use_table(found),
            case_table(found),
            version_table(KIND, found),
            publication_table(found),
        )

    def new_case(self, found: RuleSet) -> dict[str, Any]:
        shown = found.current or found.versions.first()
        return empty_case({"facts": _example_facts(shown.definition) if shown else {}})

    @deed("Edit", icon="edit", permission="rulesets.change_ruleset")
    def edit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        rule_set = self.find(request, object_id)
        start = request.GET.get("version", "")
        version = rule_set.versions.filter(number=start).first() if start.isdecimal() else None
        shown = version or rule_set.versions.first()
        initial = {"description": rule_set.description, "definition": shown.definition if shown else _EXAMPLE}
        if version:
            initial["note"] = f"As in version {version.number}."
        page = FormPage(
            title=f"Edit {rule_set}",
            submit="Check and save as a new version",
            found=rule_set,
            intro=_INTRO,
            sections=rule_sections(shown.definition)[:1] if shown else (),
        )
        form = SaveRuleSetForm(sent(request), initial=initial, rule_set=rule_set)
        return self.show_deed(request, form, page)


@admin.register(RuleSetVersion)
class RuleSetVersionAdmin(AuthoredVersionAdmin):
    kind = KIND
    author_permission = "rulesets.change_ruleset"
    empty_sentence = "Each save of a rule set makes one."
    list_display = (
        "__str__",
        link_column("rule_set", "Rule set", ordering="rule_set__name"),
        code_column("digest", "Digest"),
        "remark",
        time_column("created_at", "Saved"),
        "created_by",
    )
    list_filter = (("rule_set", RelatedDropdownFilter),)
    list_select_related = ("rule_set",)
    search_fields = ("rule_set__name", "digest__startswith", "note")
    ordering = ("-id",)

    @admin.display(description="Note")
    def remark(self, version: RuleSetVersion) -> str:
        return version.note[:100]

    def get_queryset(self, request: HttpRequest) -> QuerySet[RuleSetVersion]:
        return super().get_queryset(request).select_related("rule_set")

    def sections(self, request: HttpRequest, found: RuleSetVersion) -> Sequence[Section]:
        return (version_facts(KIND, "Rule set", found), *rule_sections(found.definition))


def _example_facts(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Facts to start from: every field that the first table asks, with the simplest value of its type."""
    facts: dict[str, Any] = {}
    for column in definition.get("inputs", ()):
        *path, last = column["field"].split(".")
        place = facts
        for part in path:
            place = place.setdefault(part, {})
        place[last] = _SIMPLEST.get(column["type"])
    return facts


_SIMPLEST: Mapping[str, Any] = {"number": 0, "string": "", "boolean": False, "date": "2026-01-31"}


def rule_sections(definition: Mapping[str, Any]) -> tuple[Section, ...]:
    """The decision table as a table, and as the JSON that it is kept as."""
    inputs, outputs = definition["inputs"], definition["outputs"]
    rows = [
        (
            number,
            *(_cell(cell) for cell in rule["when"]),
            *(html.code(cell) for cell in rule["then"]),
            rule.get("note", ""),
        )
        for number, rule in enumerate(definition["rules"], start=1)
    ]
    headings = [_heading("If", column) for column in inputs] + [_heading("Then", column) for column in outputs]
    table = Table(
        title="Decision table",
        columns=("#", *headings, "Note"),
        rows=rows,
        note=_POLICIES.get(definition["hit_policy"], definition["hit_policy"]),
    )
    as_json = Text(title="As JSON", text=html.json_text(definition), is_code=True, is_folded=True)
    return (table, _findings(definition), as_json)


def _findings(definition: Mapping[str, Any]) -> Table:
    """What is odd about the table, with facts that show it."""
    rows = [
        (
            _FINDINGS.get(finding.kind, finding.kind),
            ", ".join(str(row + 1) for row in finding.rows),
            finding.message,
            html.code(", ".join(f"{field} = {value}" for field, value in (finding.example or {}).items())),
        )
        for finding in analyse_table(parse_decision_table(definition))
    ]
    return Table(
        title="What the check found",
        columns=("Kind", "Rows", "Finding", "For example"),
        rows=rows,
        empty="Nothing odd: every row can decide, and no rows contradict each other.",
    )


_FINDINGS = {
    "dead_row": "row that never decides",
    "overlap": "rows that overlap",
    "gap": "left to the last row",
    "undetermined": "too complex to tell",
}
_POLICIES = {
    "first": "Hit policy first: the first rule from above that holds decides.",
    "collect": "Hit policy collect: every rule that holds adds its outputs.",
    "unique": "Hit policy unique: at most one rule may hold.",
}


def _heading(word: str, column: Mapping[str, Any]) -> str:
    label = column.get("label") or column["field"]
    return f"{word}: {label} ({column['field']})" if label != column["field"] else f"{word}: {label}"


def _cell(text: str) -> Any:
    return html.code(text) if text else "any"


def _use_table(rule_set: RuleSet) -> Table:
    workflows = Workflow.objects.where_current(definition__rule_set=rule_set.name)
    rows = [(html.link_to(workflow), workflow.description) for workflow in workflows]
    return Table(
        title="Used by", columns=("Workflow", "Description"), rows=rows, empty="No workflow uses these rules yet."
    )
