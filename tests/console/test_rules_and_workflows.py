"""Write rule sets and workflows, as a person does it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from inferhub.decisions.models import Decision, Workflow
from inferhub.rulesets.files import export_rules
from inferhub.rulesets.models import RuleSet
from inferhub.rulesets.services import save_rule_set
from tests.console.conftest import rules, workflow_definition
from tests.console.pages import add_to, page_of, post, text_of

pytestmark = pytest.mark.django_db


def save_rules(console: Client, definition: Any, name: str = "order-rules") -> str:
    text = definition if isinstance(definition, str) else json.dumps(definition)
    return text_of(post(console, add_to(RuleSet), name=name, definition=text, approval="direct"))


def test_a_rule_set_is_shown_as_a_table(console: Client) -> None:
    text = save_rules(console, rules())
    assert "order-rules version 1 is saved and in force." in text
    assert '# If: Order total (input.total) Then: Outcome (outcome) Note 1 > 100 "review" a large order' in text


def test_a_bad_cell_is_named_at_the_definition(console: Client) -> None:
    definition = rules()
    definition["rules"][0]["when"] = ["> lots"]
    text = save_rules(console, definition)
    assert "/rules/0/when/0: expected" in text
    assert not RuleSet.objects.exists()


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("{\n  oops", "Line 2, column 3: this is not JSON"),
        ("[1]", "Expected a JSON object"),
        ('{"a": 1, "a": 2}', "The key 'a' comes twice"),
        ('{"a": NaN}', "NaN is not JSON"),
        ("[" * 200_000, "nested too deeply"),
    ],
    ids=["syntax", "list", "twice", "nan", "deep"],
)
def test_bad_json_is_explained(console: Client, written: str, complaint: str) -> None:
    assert complaint in save_rules(console, written)


def test_what_a_person_typed_is_still_there_after_an_error(console: Client) -> None:
    assert "{ my half-written" in save_rules(console, "{ my half-written")


def test_an_edit_makes_a_new_version_and_keeps_the_old(console: Client) -> None:
    save_rules(console, rules(100))
    rule_set = RuleSet.objects.get()
    definition = json.dumps(rules(200))
    response = post(console, page_of(rule_set, "edit"), definition=definition, description="", note="fewer reviews")
    assert "order-rules version 2 is saved and in force." in text_of(response)
    assert [version.note for version in rule_set.versions.order_by("number")] == ["", "fewer reviews"]
    assert rule_set.versions.latest("number").created_by == "user:alice"


def test_saving_what_is_in_use_says_that_nothing_changed(console: Client) -> None:
    save_rules(console, rules())
    edit = page_of(RuleSet.objects.get(), "edit")
    text = text_of(post(console, edit, definition=json.dumps(rules()), description="", note=""))
    assert "Nothing changed: order-rules version 1 stays in force." in text


def test_a_file_that_changes_nothing_says_so(console: Client) -> None:
    save_rules(console, rules())
    file = SimpleUploadedFile("rules.csv", export_rules(rules(), "csv"))
    text = text_of(post(console, page_of(RuleSet.objects.get(), "edit"), file=file, description="", note=""))
    assert "Nothing changed: order-rules version 1 stays in force." in text


def test_a_draft_that_is_the_newest_one_already_says_so(console: Client) -> None:
    save_rules(console, rules())
    edit = page_of(RuleSet.objects.get(), "edit")
    draft = {"definition": json.dumps(rules(200)), "description": "", "note": "", "is_draft": "on"}
    assert "order-rules version 2 is saved (draft). Publish it from its page." in text_of(post(console, edit, **draft))
    assert "Nothing changed: order-rules version 2 is the same already." in text_of(post(console, edit, **draft))


@pytest.mark.parametrize("kind", [RuleSet, Workflow])
def test_what_somebody_saved_meanwhile_is_not_left_out_unseen(
    console: Client, workflow: Workflow, kind: type[RuleSet | Workflow]
) -> None:
    found = kind.objects.get()
    edit = page_of(found, "edit")
    newest = console.get(edit).context["form"]["newest"].value()
    definition = found.versions.get().definition

    def save(note: str, newest: int) -> HttpResponse:
        written = json.dumps({**definition, "missing_facts": note} if kind is Workflow else rules(len(note)))
        return post(console, edit, definition=written, description="", note=note, newest=newest)

    assert "version 2 is saved" in text_of(save("theirs", newest))
    refused = save("mine-too", newest)
    assert f"alice saved {found} version 2 meanwhile. Who saves again leaves out" in text_of(refused)
    assert found.versions.count() == 2
    assert "version 3 is saved" in text_of(save("mine-too", refused.context["form"]["newest"].value()))


def test_a_draft_has_a_link_to_publish_it_for_those_who_may(console: Client, person: Callable[..., Client]) -> None:
    save_rules(console, rules())
    rule_set = RuleSet.objects.get()
    save_rule_set(name="order-rules", definition=rules(200), actor="user:alice", is_draft=True)
    links = [f'href="{page_of(version, "publish")}"' for version in rule_set.versions.order_by("number")]
    page = console.get(page_of(rule_set)).content.decode()
    assert [link in page for link in links] == [False, True]
    assert links[1] not in person("rulesets.view_ruleset").get(page_of(rule_set)).content.decode()


def test_overlaps_that_the_order_decides_are_notes_and_no_faults(console: Client) -> None:
    definition = rules()
    definition["rules"].insert(1, {"when": ["> 50"], "then": ['"accept"'], "note": "a middling order"})
    save_rules(console, definition)
    text = text_of(console.get(page_of(RuleSet.objects.get())))
    assert "What the check found No faults." in text
    assert "Worth knowing 2 notes: which row decides" in text
    assert "the order decides 1, 2 Rows 1 and 2 both match facts such as input.total = 101, where row 1" in text


def test_a_row_that_never_decides_is_a_fault(console: Client) -> None:
    definition = rules()
    definition["rules"].insert(1, {"when": ["> 200"], "then": ['"accept"'], "note": "never"})
    save_rules(console, definition)
    text = text_of(console.get(page_of(RuleSet.objects.get())))
    assert "What the check found Kind Rows Finding row that never decides 1, 2 Row 2 can never decide" in text


def test_a_large_table_is_folded(console: Client) -> None:
    definition = rules()
    definition["rules"][:0] = [{"when": [f"== {price}"], "then": ['"accept"']} for price in range(200)]
    save_rules(console, definition)
    assert (
        f'<summary class="ih-summary">{len(definition["rules"])} rows</summary>'
        in console.get(page_of(RuleSet.objects.get())).content.decode()
    )


def test_deeds_stand_beside_what_they_concern(console: Client) -> None:
    save_rules(console, rules())
    rule_set = RuleSet.objects.get()
    response = console.get(page_of(rule_set))
    assert [deed["title"] for deed in response.context["actions_detail"]] == ["Edit"]
    assert (
        f'<a class="ih-deed" href="{page_of(rule_set, "change_case")}">Add a test case</a>' in response.content.decode()
    )


def test_an_old_version_can_be_taken_up_again(console: Client) -> None:
    save_rules(console, rules(100))
    rule_set = RuleSet.objects.get()
    post(console, page_of(rule_set, "edit"), definition=json.dumps(rules(200)), description="", note="")
    response = console.get(page_of(rule_set.versions.get(number=1), "use_again"), follow=True)
    assert response.context["form"].initial["definition"] == rules(100)


def test_a_workflow_is_saved_and_shown_in_tables(console: Client, workflow: Workflow) -> None:
    definition = json.dumps(workflow_definition("order-rules"))
    text = text_of(post(console, add_to(Workflow), name="other", definition=definition, approval="direct"))
    assert "other version 1 is saved and in force." in text
    assert "The field 'order_id' tells whom or what a decision is about." in text


def test_a_workflow_that_names_what_is_not_there_is_refused_at_the_definition(console: Client, db: None) -> None:
    definition = json.dumps(workflow_definition("missing"))
    response = post(console, add_to(Workflow), name="other", definition=definition, approval="direct")
    assert response.context["form"].errors["definition"] == ["/rule_set: expected the name of a rule set, got missing"]


def test_a_workflow_can_be_tried_and_leads_to_the_decision(console: Client, workflow: Workflow) -> None:
    response = post(console, page_of(workflow, "try_it"), input='{"order_id": "A-1", "total": 500}', request_id="")
    assert "Decided: review." in text_of(response)
    assert (Decision.objects.get().subject, Decision.objects.get().actor) == ("A-1", "user:alice")
    assert "order total" in text_of(response).lower()


def test_a_wrong_input_is_explained_at_the_input(console: Client, workflow: Workflow) -> None:
    response = post(console, page_of(workflow, "try_it"), input='{"order_id": 1}', request_id="")
    assert sorted(response.context["form"].errors["input"]) == [
        "/input/order_id: expected a string, got 1",
        "/input/total: expected this field, got nothing",
    ]
