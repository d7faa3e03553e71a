"""Rule sets: the decision table in use, its versions, and a new one as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
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
from inferhub.console.authored_forms import SaveForm, approval_field, empty_case
from inferhub.console.base import code_column, deed, link_column, time_column
from inferhub.console.pages import Done, FormPage, sent_with_files
from inferhub.console.rule_tables import rule_count, rule_sections
from inferhub.console.sections import Facts, Section, Table
from inferhub.decisions.models import Workflow
from inferhub.lib.digits import read_digits
from inferhub.rulesets.authored import AuthoredQuerySet
from inferhub.rulesets.files import FORMATS, export_rules, format_of, import_rules
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
_NO_CASES = "None of its own yet. Those of the workflows that use it run as well."
_INTRO = (
    "A decision table, or several in sequence under 'tables', where later ones see what earlier ones say. An empty "
    "cell under 'If' (in JSON 'when') holds for everything; texts stand in quotes of their own. Who prefers a "
    "spreadsheet exports, edits and uploads a file."
)


class SaveRuleSetForm(SaveForm):
    """The next version of a rule set; `rules.js` shows its tables so that they can be edited."""

    class Media:
        js = ("console/editing.js", "console/rules.js")

    fallback = "definition"
    description = fields.prose("Description", required=False, help_text="What the rules decide, and who owns them.")
    definition = fields.JsonField(
        label="Definition", required=False, help_text="JSON. Every cell is checked when you save."
    )
    file = fields.rule_file(
        "Or a file",
        required=False,
        help_text="XLSX, CSV or JDM (JSON), as an export looks. It takes the place of the JSON.",
    )
    note = fields.prose("What changed, and why", required=False, help_text="Kept with the version.")
    is_draft = fields.switch("Only save a draft", help_text="Where versions are published directly: not yet.")

    def clean(self) -> dict[str, Any]:
        if "definition" not in self.errors and not (
            self.cleaned_data.get("definition") or self.cleaned_data.get("file")
        ):
            self.add_error("definition", "Expected a definition or a file.")
        return super().clean()

    def _definition(self) -> dict[str, Any]:
        file = self.cleaned_data["file"]
        if file is None:
            written: dict[str, Any] = self.cleaned_data["definition"]
            return written
        return import_rules(file.read(), format_of(file.name).name)

    def save(self, *, actor: str) -> Done:
        words = self.cleaned_data
        version = save_rule_set(
            name=self._owner.name if self._owner else words["name"],
            definition=self._definition(),
            description=words["description"],
            note=words["note"],
            approval=words.get("approval", ""),
            is_draft=words["is_draft"],
            actor=actor,
        )
        return Done(message=saved_message(KIND, version), url=html.url_of(version.rule_set))


class AddRuleSetForm(SaveRuleSetForm):
    name = fields.slug("Name", help_text="For example order-screening.")
    approval = approval_field()
    field_order = ("name", "description", "definition", "file", "note", "approval")


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
    actions_detail = ("edit", *OWNER_DEEDS)

    def get_queryset(self, request: HttpRequest) -> QuerySet[RuleSet]:
        return cast("AuthoredQuerySet", super().get_queryset(request)).with_current()

    @admin.display(description="Description")
    def about(self, rule_set: RuleSet) -> str:
        return html.shortened(rule_set.description)

    @admin.display(description="Rules")
    def rule_count(self, rule_set: RuleSet) -> int:
        return rule_count(rule_set.current.definition) if rule_set.current else 0

    @admin.display(description="Changed")
    def changed(self, rule_set: RuleSet) -> Any:
        return html.moment(rule_set.current.created_at) if rule_set.current else html.NOTHING

    def add_initial(self, request: HttpRequest) -> dict[str, Any]:
        return {"definition": _EXAMPLE} | super().add_initial(request)

    def sections(self, request: HttpRequest, found: RuleSet) -> Sequence[Section]:
        shown = found.current or found.versions.first()
        return (
            authored_facts("Rule set", found, self.deed_links(request, found, "set_policy")),
            *((*rule_sections(shown.definition), file_facts(shown)) if shown else ()),
            _use_table(found),
            case_table(found, self.deed_links(request, found, "run_cases", "change_case"), _NO_CASES),
            version_table(KIND, found, may_publish=self.has_author_permission(request)),
            publication_table(found),
        )

    def new_case(self, found: RuleSet) -> dict[str, Any]:
        shown = found.current or found.versions.first()
        return empty_case({"facts": _example_facts(shown.definition) if shown else {}})

    @deed("Edit", icon="edit", permission="rulesets.change_ruleset", is_main=True)
    def edit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        rule_set = self.find(request, object_id)
        version = rule_set.versions.filter(number=read_digits(request.GET.get("version", ""))).first()
        shown = version or version_to_edit(KIND, rule_set)
        initial = {"description": rule_set.description, "definition": shown.definition if shown else _EXAMPLE}
        if version:
            initial["note"] = f"As in version {version.number}."
        page = FormPage(
            title=f"Edit {rule_set}",
            submit="Check and save as a new version",
            found=rule_set,
            intro=f"It starts from version {shown.number}. {_INTRO}" if shown else _INTRO,
        )
        form = SaveRuleSetForm(*sent_with_files(request), initial=initial, owner=rule_set)
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
        return html.shortened(version.note)

    def get_queryset(self, request: HttpRequest) -> QuerySet[RuleSetVersion]:
        return super().get_queryset(request).select_related("rule_set")

    def sections(self, request: HttpRequest, found: RuleSetVersion) -> Sequence[Section]:
        return (version_facts(KIND, "Rule set", found), *rule_sections(found.definition), file_facts(found))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export)
        return [path("<path:object_id>/export/<str:kind>/", view), *super().get_urls()]

    def export(self, request: HttpRequest, object_id: str, kind: str) -> HttpResponse:
        """The version as a file."""
        version = self.find(request, object_id)
        if kind not in FORMATS:
            raise Http404(f"There is no format {kind}.")
        known = FORMATS[kind]
        response = HttpResponse(export_rules(version.definition, kind), content_type=known.media_type)
        name = f"{version.rule_set.name}-{version.number}{known.suffix}"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response


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


def file_facts(version: RuleSetVersion) -> Facts:
    """Where a version can be had as a file."""
    links = [
        format_html('<a class="text-link" href="{}">{}</a>', html.deed_url(version, f"export/{kind}"), kind.upper())
        for kind in FORMATS
    ]
    return Facts(title="As a file", pairs=(("Export", format_html_join(", ", "{}", ((link,) for link in links))),))


def _use_table(rule_set: RuleSet) -> Table:
    workflows = Workflow.objects.where_current(definition__rule_set=rule_set.name)
    rows = [(html.link_to(workflow), workflow.description) for workflow in workflows]
    return Table(
        title="Used by", columns=("Workflow", "Description"), rows=rows, empty="No workflow uses these rules yet."
    )
