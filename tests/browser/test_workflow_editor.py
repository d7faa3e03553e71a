"""A workflow's definition is edited as a form, and loses nothing by it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page, expect

from inferhub.decisions.models import Workflow
from inferhub.rulesets.services import save_rule_set
from inferhub.starters.catalogue import STARTERS
from tests.hub_fixtures import ACTOR, RULES, WORKFLOW

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WITH_WORKFLOWS = [starter for starter in STARTERS.values() if starter.workflow is not None]
UNUSUAL: dict[str, Any] = {
    "field of any value": {"input": {"type": "object", "properties": {"a": True, "b": False, "c": {}, "d": None}}},
    "numbers that a double cannot hold": '{"input": {"type": "object", "properties": {"a": {"type": "integer", '
    '"maximum": 123456789012345678901234567890, "minimum": 1.0, "const": 1e2, "enum": [1.50, -0]}}}}',
    "types": {"input": {"properties": {"a": {"type": ["number", "string", "null"]}, "b": {"type": "text"}}}},
    "one type in a list": {"input": {"properties": {"a": {"type": ["string"], "enum": ["x"], "examples": ["x"]}}}},
    "keywords": {"input": {"properties": {"a": {"type": "string", "pattern": "^a", "if": {"minLength": 1}}}}},
    "examples": {"input": {"properties": {"a": {"type": "string", "examples": ["a", "b"]}, "b": {"examples": [[1]]}}}},
    "examples of another type": {"input": {"properties": {"a": {"type": "number", "examples": ["5"]}}}},
    "texts": {"input": {"properties": {"a": {"title": "", "description": "two\r\nlines", "enum": ["a\nb", " c", ""]}}}},
    "names": {
        "input": {"properties": {"constructor": {"type": "constructor"}, "a/b~c": {"type": "string"}, "": {}}},
        "actions": {"toString": [], "__proto__": [{"kind": "constructor"}], "a/b": [{"kind": "review", "title": " x"}]},
    },
    "unknown keys": {
        "input": {"type": "object", "properties": {}, "$defs": {"x": 1}, "additionalProperties": {"type": "string"}},
        "predictions": [{"name": "a", "model": "m", "alias": "x", "version": 3, "later": {"b": [1]}, "inputs": {}}],
        "actions": {"review": [{"kind": "review", "title": "T", "colour": "red", "ordered": "yes"}]},
        "shadow": True,
    },
    "closed input": {"input": {"properties": {"a": {}}, "required": ["gone", "a"], "additionalProperties": False}},
    "kinds that are gone": {"actions": {"review": [{"kind": "telegram", "to": ["x"]}, {"kind": 5}, {}]}},
    "settings of other types": {"actions": {"a": [{"kind": "email", "to": "x", "subject": 5, "text": ["y"]}]}},
    "other shapes": {"input": [], "predictions": {"a": 1}, "actions": {"a": {"kind": "b"}, "c": ["d"]}, "rule_set": 7},
    "settings": {"retention_months": "12", "missing_facts": ["review"], "subject": {"a": 1}},
    "failures": {
        "predictions": [
            {"name": "a", "model": "price-model", "on_failure": {"fallback": {"value": "1", "gone": [1]}}},
            {"name": "b", "model": "price-model", "on_failure": {"retry": 3}, "inputs": ["x"], "timeout_ms": "soon"},
            {"name": "c", "model": 5, "alias": ["a"], "version": "1", "inputs": {"price": 5}, "on_failure": "wait"},
        ]
    },
    "nothing": {},
}
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
_KEYWORDS = st.sampled_from(
    [
        "type",
        "title",
        "description",
        "enum",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "format",
        "examples",
        "pattern",
        "const",
    ]
)
_SCHEMAS = _JSON | st.dictionaries(_KEYWORDS, _JSON | st.sampled_from(["string", "number", "boolean"]), max_size=5)
_PREDICTION_KEYS = st.sampled_from(["name", "model", "alias", "version", "inputs", "timeout_ms", "on_failure", "odd"])
_ACTION_KEYS = st.sampled_from(["kind", "ordered", "title", "approve", "priority", "endpoint", "to", "odd"])
_WORDS = _JSON | st.sampled_from(["price-model", "review", "webhook", "email", "champion", "shop"])
_DEFINITIONS = st.fixed_dictionaries(
    {},
    optional={
        "input": _JSON
        | st.fixed_dictionaries({"properties": st.dictionaries(st.text(max_size=4), _SCHEMAS, max_size=3)}),
        "subject": _JSON,
        "predictions": _JSON | st.lists(st.dictionaries(_PREDICTION_KEYS, _WORDS, max_size=5), max_size=2),
        "rule_set": _WORDS,
        "actions": _JSON
        | st.dictionaries(
            st.text(max_size=4), st.lists(st.dictionaries(_ACTION_KEYS, _WORDS, max_size=4), max_size=2), max_size=2
        ),
        "missing_facts": _JSON,
        "odd": _JSON,
    },
)
_TOUCH_ALL = """() => {
    for (const control of document.querySelectorAll(".ih-sheet :is(input, select, textarea)")) {
        for (const name of ["focus", "input", "change"]) control.dispatchEvent(new Event(name));
    }
}"""


@pytest.fixture
def editor(console: Page, workflow: str) -> Iterator[Page]:
    console.goto(f"/decisions/workflow/{Workflow.objects.get(name=workflow).pk}/edit/")
    yield console
    console.once("dialog", lambda dialog: dialog.accept())


def exact(text: str) -> Any:
    """JSON with its numbers as they are written."""
    return json.loads(text, parse_int=lambda digits: ("number", digits), parse_float=lambda digits: ("number", digits))


def written(page: Page) -> Any:
    return exact(page.locator("#id_definition").input_value())


def show_as_form(page: Page, text: str) -> None:
    page.get_by_role("button", name="As JSON").click()
    page.locator("#id_definition").fill(text)
    page.get_by_role("button", name="As a form").click()
    expect(page.locator(".ih-sheet")).to_be_visible()


def check_that_nothing_is_lost(page: Page, text: str) -> None:
    """Shown as a form, every control touched, one change: the rest is as it was."""
    before = exact(text)
    show_as_form(page, text)
    page.evaluate(_TOUCH_ALL)
    assert written(page) == before
    if "retention_months" in before:
        return
    months = page.get_by_label("Keep the content of decisions")
    months.fill("24")
    assert written(page) == before | {"retention_months": ("number", "24")}
    months.fill("")
    assert written(page) == before


@pytest.mark.parametrize("starter", WITH_WORKFLOWS, ids=lambda starter: starter.name)
def test_every_starter_s_definition_passes_through_the_form(editor: Page, starter: Any) -> None:
    check_that_nothing_is_lost(editor, json.dumps(starter.workflow_named("shop")))


def test_unusual_definitions_pass_through_the_form(editor: Page) -> None:
    for definition in UNUSUAL.values():
        check_that_nothing_is_lost(editor, definition if isinstance(definition, str) else json.dumps(definition))


def test_any_definition_passes_through_the_form(editor: Page) -> None:
    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(_DEFINITIONS)
    def check(definition: dict[str, Any]) -> None:
        check_that_nothing_is_lost(editor, json.dumps(definition))

    check()


def test_a_workflow_is_made_with_the_form_alone(editor: Page) -> None:
    save_rule_set(name="other-rules", definition=RULES, actor=ACTOR, approval="direct")
    page = editor
    page.goto("/decisions/workflow/add/")
    page.locator("#id_name").fill("by-hand")
    page.get_by_label("Versions are published").select_option("direct")
    page.get_by_label("Field 1, name").fill("customer_id")
    page.get_by_role("button", name="Add a field").click()
    expect(page.get_by_label("Field 3, name")).to_be_focused()
    page.keyboard.type("price")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Field 3, type")).to_be_focused()
    page.get_by_label("Field 3, type").select_option(label="number, or null")
    page.get_by_label("Field 3, smallest value").fill("0.50")
    page.get_by_label("Field 3, required").uncheck()
    page.get_by_label("Field 3, example").fill("12.5")

    page.get_by_role("button", name="Add a prediction").click()
    page.get_by_label("Name", exact=True).last.fill("value")
    page.get_by_label("Model", exact=True).select_option("price-model")
    expect(page.get_by_label("Prediction 1, price is fed by")).to_have_value("price")
    page.get_by_label("Longest wait, in ms").fill("250")
    page.get_by_label("If it fails").select_option("fallback")
    page.get_by_label("Prediction 1, value instead").fill("0")

    page.get_by_label("Rule set", exact=True).select_option("other-rules")
    expect(page.get_by_text("Outcomes: hold, fast, accept.")).to_be_visible()
    for outcome in ("review", "decline"):
        page.get_by_role("button", name=f"Remove the outcome {outcome}").click()
    page.get_by_role("button", name="Add actions for hold").click()
    expect(page.get_by_label("Kind", exact=True)).to_be_focused()
    page.get_by_label("Kind", exact=True).select_option("webhook")
    page.get_by_label("Endpoint").select_option("shop")
    page.get_by_label("Keep the order").check()
    page.get_by_label("Keep the content of decisions").fill("12")
    page.get_by_role("button", name="Check and save").click()
    expect(page.get_by_text("by-hand version 1 is saved and in force.")).to_be_visible()
    assert Workflow.objects.get(name="by-hand").current.definition == {
        "input": {
            "type": "object",
            "properties": {
                "customer_id": {"type": "string"},
                "total": {"type": "number", "minimum": 0},
                "price": {"type": ["number", "null"], "minimum": 0.5, "examples": [12.5]},
            },
            "required": ["customer_id", "total"],
        },
        "subject": "customer_id",
        "predictions": [
            {
                "name": "value",
                "model": "price-model",
                "inputs": {"price": "price"},
                "timeout_ms": 250,
                "on_failure": {"fallback": {"value": 0}},
            }
        ],
        "rule_set": "other-rules",
        "actions": {"hold": [{"kind": "webhook", "endpoint": "shop", "ordered": True}]},
        "retention_months": 12,
    }


def test_a_field_that_gets_another_name_keeps_what_refers_to_it(editor: Page) -> None:
    name = editor.get_by_label("Field 1, name")
    name.fill("buyer")
    name.press("Tab")
    expect(editor.get_by_label("A decision is about")).to_have_value("buyer")
    assert written(editor)["input"]["required"] == ["buyer", "total"]
    editor.get_by_label("Field 2, name").fill("buyer")
    editor.get_by_label("Field 2, name").press("Tab")
    expect(editor.get_by_text("Another field has this name.")).to_be_visible()


def test_what_is_wrong_stands_beside_the_field_that_it_names(editor: Page) -> None:
    title = editor.locator('[data-at="/actions/hold/0/title"]')
    title.fill("")
    editor.get_by_role("button", name="Check and save").click()
    expect(editor.get_by_text("Please correct the error")).to_be_visible()
    expect(title).to_have_attribute("aria-invalid", "true")
    expect(title.locator("..")).to_contain_text("Expected this field, got nothing.")
    title.fill("Look at it")
    expect(title).not_to_have_attribute("aria-invalid", "true")
    editor.get_by_label("Prediction 1, price is fed by").select_option("")
    editor.get_by_label("Kind", exact=True).first.select_option("queue")
    editor.get_by_role("button", name="Check and save").click()
    expect(editor.locator('[data-at="/predictions/0/inputs"]')).to_contain_text("Expected at least 1 field")


def test_what_is_no_number_is_said_at_once_and_not_sent(editor: Page) -> None:
    before = written(editor)
    months = editor.get_by_label("Keep the content of decisions")
    months.fill("a year")
    expect(editor.get_by_text("Expected a number, for example 12.5.")).to_be_visible()
    editor.get_by_role("button", name="Check and save").click()
    expect(months).to_be_focused()
    assert written(editor) == before


def test_changes_are_undone_and_shown_as_json_and_back(editor: Page) -> None:
    before = written(editor)
    editor.get_by_role("button", name="Remove prediction 1").click()
    editor.get_by_label("If a fact is missing").fill("hold")
    editor.get_by_role("button", name="As JSON").click()
    expect(editor.locator("#id_definition")).to_be_visible()
    assert written(editor) == before | {"predictions": [], "missing_facts": "hold"}
    editor.locator("#id_definition").fill("{ half")
    editor.get_by_role("button", name="As a form").click()
    expect(editor.get_by_text("This is not a JSON object that a form could show")).to_be_visible()
    editor.locator("#id_definition").fill(json.dumps(WORKFLOW | {"rule_set": "gone"}))
    editor.get_by_role("button", name="As a form").click()
    expect(editor.get_by_label("Rule set", exact=True)).to_have_value("gone")
    for _ in range(3):
        editor.get_by_role("button", name="Undo").click()
    expect(editor.get_by_label("Prediction 1, price is fed by")).to_have_value("price")
    assert written(editor) == before
    expect(editor.get_by_role("button", name="Undo")).to_be_disabled()


def test_who_leaves_with_changes_is_asked(editor: Page) -> None:
    asked: list[str] = []
    editor.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    editor.get_by_label("Keep the content of decisions").fill("3")
    editor.get_by_role("link", name="Cancel").click()
    expect(editor.get_by_label("Keep the content of decisions")).to_have_value("3")
    assert asked == ["beforeunload"]
    editor.get_by_label("Keep the content of decisions").fill("")
    editor.get_by_role("link", name="Cancel").click()
    expect(editor.get_by_role("link", name="Try it")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 800, 400])
def test_the_editor_fits_the_screen(editor: Page, width: int) -> None:
    editor.set_viewport_size({"width": width, "height": 900})
    assert editor.evaluate("document.scrollingElement.scrollWidth") <= width
    for name in editor.locator(".ih-sheet button:visible").all():
        assert name.get_attribute("aria-label") or name.inner_text()
