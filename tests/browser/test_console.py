"""A person does the whole job with the console, in a browser."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from inferhub.accounts.models import User
from inferhub.accounts.services import find_caller
from inferhub.backtests.models import Backtest
from inferhub.backtests.services import work_on_backtest
from inferhub.decisions.models import Review
from inferhub.decisions.services import decide
from inferhub.decisions.tasks import deliver_actions
from inferhub.jobs.bulk import run_job
from inferhub.jobs.models import Job
from inferhub.registry.models import ModelVersion
from tests.browser.conftest import sign_in
from tests.models import linear_model

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LARGE = {"customer_id": "anna", "total": 5000, "price": 10}


def go(page: Page, place: str) -> None:
    """Click an entry of the sidebar."""
    page.locator("#nav-sidebar-apps").get_by_role("link", name=place, exact=False).first.click()


def test_a_model_is_registered_by_upload_and_its_champion_moved(console: Page, tmp_path: Path) -> None:
    for factor in (2, 3):
        (tmp_path / f"{factor}.onnx").write_bytes(linear_model(factor))
    go(console, "Registered models")
    console.get_by_title("Add registered model").first.click()
    console.get_by_label("Name").fill("order-value")
    console.get_by_label("Task").select_option("regression")
    console.get_by_label("Description").fill("What an order will be worth.")
    console.get_by_label("How its aliases move").select_option("direct")
    console.locator("#id_file").set_input_files(tmp_path / "2.onnx")
    console.get_by_role("button", name="Check and register").click()
    expect(console.get_by_text("order-value version 1 is registered.")).to_be_visible()

    console.get_by_role("link", name="order-value", exact=True).first.click()
    console.get_by_role("link", name="New version").click()
    console.locator("#id_file").set_input_files(tmp_path / "3.onnx")
    console.get_by_role("button", name="Check and register").click()
    expect(console.get_by_text("order-value version 2 is registered.")).to_be_visible()

    go(console, "Aliases")

    console.get_by_role("link", name="order-value@champion").click()
    console.get_by_role("link", name="Move").click()
    console.get_by_label("Version", exact=False).select_option(label="order-value version 2")
    console.get_by_label("Reason").fill("Better on the holdout.")
    console.get_by_role("button", name="Move the alias").click()
    expect(console.get_by_text("order-value@champion now points at version 2.")).to_be_visible()


def test_a_version_is_tried_with_the_example_on_its_page(console: Page, price_model: ModelVersion) -> None:
    go(console, "Registered models")
    console.get_by_role("link", name="price-model", exact=True).first.click()
    console.get_by_role("link", name="version 1", exact=True).first.click()
    expect(console.get_by_text("/api/v1/models/price-model/predictions")).to_be_visible()
    console.get_by_role("link", name="Try it").click()
    console.get_by_role("button", name="Predict").click()
    expect(console.get_by_text('"predictions": [{"value": 1.0}]')).to_be_visible()
    console.get_by_label("Request").fill('{"rows": [{"price": "much"}]}')
    console.get_by_role("button", name="Predict").click()
    expect(console.get_by_text("/rows/0/price: expected a number or null")).to_be_visible()


def test_a_rule_is_edited_and_decides_and_the_trace_tells_why(console: Page, workflow: str) -> None:
    go(console, "Rule sets")
    console.get_by_role("link", name="screening", exact=True).click()
    console.get_by_role("link", name="Edit").click()
    cell = console.get_by_label("Row 1, if Total")
    expect(cell).to_have_value("> 1000")
    cell.fill("> nonsense")
    console.get_by_role("button", name="Check and save").click()
    expect(console.get_by_role("cell", name="expected a number")).to_be_visible()
    cell.fill("> 50")
    console.get_by_label("What changed, and why").fill("Hold more orders.")
    console.get_by_role("button", name="Check and save").click()
    expect(console.get_by_text("screening version 2 is saved and in force.")).to_be_visible()

    go(console, "Workflows")
    console.get_by_role("link", name="orders", exact=True).click()
    console.get_by_role("link", name="Try it").click()
    console.get_by_label("Input").fill('{"customer_id": "anna", "total": 60, "price": 10}')
    console.get_by_role("button", name="Decide").click()
    expect(console.get_by_text("Decided: hold.")).to_be_visible()
    matched = console.get_by_role("row").filter(has=console.get_by_text("matched", exact=True))
    expect(matched).to_contain_text("Total > 50")
    expect(console.get_by_role("row").filter(has_text="promising")).to_contain_text("it is 21")


def test_rows_of_a_rule_set_are_added_moved_and_removed_and_the_json_follows(console: Page, workflow: str) -> None:
    go(console, "Rule sets")
    console.get_by_role("link", name="screening", exact=True).click()
    console.get_by_role("link", name="Edit").click()
    definition = console.locator("#id_definition")
    before = json.loads(definition.input_value())

    def rules() -> Any:
        return json.loads(definition.input_value())["rules"]

    console.get_by_label("New row above row 1").click()
    console.get_by_label("Row 1, if Total").fill("> 9000")
    console.get_by_label("Row 1, note").fill("very large")
    console.keyboard.press("ArrowDown")
    expect(console.get_by_label("Row 2, note")).to_be_focused()
    assert (len(rules()), rules()[0]["when"][0], rules()[0]["note"]) == (
        len(before["rules"]) + 1,
        "> 9000",
        "very large",
    )
    console.get_by_label("Move row 1 down").click()
    assert (rules()[0], rules()[1]["note"]) == (before["rules"][0], "very large")
    console.get_by_label("Remove row 2").click()
    assert rules() == before["rules"]
    console.get_by_role("button", name="Undo").click()
    assert rules()[1]["note"] == "very large"

    console.get_by_text("As JSON, where columns").click()
    definition.fill(json.dumps(before | {"rules": before["rules"][-1:]}))
    expect(console.get_by_label("Row 1, if Total")).to_have_value("")
    expect(console.get_by_label("Row 2, if Total")).to_have_count(0)
    definition.fill("{ half")
    expect(console.get_by_text("no decision table that could be shown")).to_be_visible()


def test_a_decision_is_found_and_its_review_settled(console: Page, workflow: str) -> None:
    decision, _ = decide(workflow=workflow, facts_in=LARGE, actor="user:tester")
    for action in decision.actions.filter(kind="review"):
        deliver_actions([str(action.pk)])
    go(console, "Decisions")
    console.get_by_placeholder(re.compile("Request id")).fill("anna")
    console.keyboard.press("Enter")
    console.locator("#result_list").get_by_role("link", name="hold").click()
    expect(console.get_by_text("prediction.value", exact=True)).to_be_visible()

    go(console, "Reviews")
    console.get_by_role("link", name="Look at this order").click()
    expect(console.get_by_role("row", name="total 5000", exact=True)).to_be_visible()
    console.wait_for_load_state()
    console.keyboard.press("t")
    expect(console.get_by_text("The case is yours.")).to_be_visible()
    console.wait_for_load_state()
    console.keyboard.press("a")
    console.keyboard.type("A good customer.")
    console.keyboard.press("Control+Enter")
    expect(console.get_by_text("Look at this order: approved, the outcome is approved.")).to_be_visible()
    expect(console.get_by_text("Nothing else waits for you.")).to_be_visible()
    review = Review.objects.get()
    assert (review.verdict, review.reason, review.settled_by) == ("approved", "A good customer.", "user:alice")


def test_an_api_key_is_made_and_shown_once(console: Page) -> None:
    go(console, "API keys")
    console.get_by_title("Add API key").first.click()
    console.get_by_label("Name").fill("web shop")
    console.get_by_label("Ask for decisions").check()
    console.get_by_role("button", name="Make the key").click()
    secret = console.locator("#secret").inner_text()
    caller = find_caller(secret)
    assert caller is not None
    assert (caller.name, caller.scopes) == ("web shop", {"decide"})
    console.get_by_role("link", name="I have kept it").click()
    expect(console.get_by_text("ihk_")).to_be_visible()
    expect(console.get_by_text(secret)).to_have_count(0)


def test_a_job_is_started_and_watched_to_its_end_without_reloading(console: Page, scenario: str) -> None:
    go(console, "Scenarios")
    console.get_by_role("link", name=scenario, exact=True).click()
    console.get_by_role("link", name="Start a bulk job").click()
    console.get_by_role("button", name="Start").click()
    expect(console.get_by_text("0 of 3 (0%)")).to_be_visible()
    run_job(Job.objects.get().pk)
    expect(console.get_by_text("3 of 3 (100%)")).to_be_visible()
    go(console, "Scenarios")
    console.get_by_role("link", name=scenario, exact=True).click()
    console.get_by_role("link", name="Look up a user").click()
    console.get_by_label("User id").fill("ann")
    console.get_by_role("button", name="Look up").click()
    expect(console.get_by_role("heading", name="Stored by the last bulk job")).to_be_visible()
    expect(console.get_by_role("row")).to_have_count(8)


def test_a_back_test_that_ended_has_nothing_to_cancel_without_reloading(console: Page, workflow: str) -> None:
    decide(workflow=workflow, facts_in=LARGE, actor="user:tester")
    go(console, "Workflows")
    console.get_by_role("link", name="orders", exact=True).click()
    console.get_by_role("link", name=re.compile("Back-test$")).click()
    console.get_by_role("button", name="Start").click()
    expect(console.get_by_role("link", name="Cancel")).to_be_visible()
    work_on_backtest(Backtest.objects.get().pk)
    expect(console.get_by_role("link", name="Changed rows as CSV")).to_be_visible()
    expect(console.get_by_role("link", name="Cancel")).to_have_count(0)


def test_signing_out_ends_the_session(console: Page) -> None:
    console.get_by_text("Alice").click()
    console.get_by_role("button", name="Log out").click()
    console.goto("/")
    expect(console.get_by_label("Username")).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1440, "dark"), (400, "light")])
def test_every_kind_of_page_fits_the_screen(
    open_page: Callable[..., Page], alice: User, workflow: str, scenario: str, width: int, scheme: str
) -> None:
    decision, _ = decide(workflow=workflow, facts_in=LARGE, actor="user:tester")
    for action in decision.actions.filter(kind="review"):
        deliver_actions([str(action.pk)])
    page = open_page(width=width, scheme=scheme)
    sign_in(page)
    for place in (
        "/",
        "/decisions/decision/",
        f"/decisions/decision/{decision.pk}/change/",
        "/decisions/review/",
        f"/decisions/review/{decision.reviews.get().pk}/change/",
        "/rulesets/ruleset/",
        f"/rulesets/ruleset/{decision.rule_set_version.rule_set_id}/edit/",
        f"/decisions/workflow/{decision.workflow_id}/change/",
        f"/accounts/user/{alice.pk}/change/",
        "/registry/registeredmodel/add/",
        "/accounts/apikey/add/",
        "/django_celery_beat/periodictask/add/",
        "/audit/auditevent/",
    ):
        page.goto(place)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width, place
