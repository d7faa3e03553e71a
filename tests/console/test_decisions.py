"""Find and read decisions."""

import html
import uuid
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from inferhub.console.html import deed_url
from inferhub.decisions.models import ActionAttempt, Decision, Workflow
from inferhub.decisions.queries import list_outcomes
from inferhub.decisions.services import decide
from inferhub.lists.models import ListEntry
from inferhub.lists.services import Entry, add_entries, save_list
from tests.console.conftest import ACTOR, make_action, make_decision, make_review, make_version
from tests.console.pages import list_of, page_of, text_of

pytestmark = pytest.mark.django_db
FAILED = {"p": {"model": "m", "error": "It failed."}}


def found(console: Client, **query: str) -> list[Decision]:
    return list(console.get(list_of(Decision), query).context["cl"].queryset)


def test_a_decision_shows_input_prediction_outcome_and_why(console: Client, workflow: Workflow) -> None:
    version = make_version("order-value")
    prediction = {"model": "order-value", "version": 1, "digest": version.digest, "output": {"value": 321.5}}
    decision = make_decision(workflow, total=512, predictions={"order_value": prediction})
    response = console.get(page_of(decision))
    text = text_of(response)
    assert "total 512" in text
    assert "prediction.order_value order-value version 1" in text
    assert page_of(version) in response.content.decode()
    assert "value 321.5" in text
    assert '1 Order total > 100 Outcome "review" a large order matched' in text
    assert "holds too another rule decided" in text


def test_why_not_names_the_cell_and_the_value_that_rejected_a_rule(console: Client, workflow: Workflow) -> None:
    trace = {
        "matched": [{"index": 1, "note": "all others"}],
        "values": {"input.total": 50},
        "rejections": [{"index": 0, "field": "input.total", "condition": "> 100", "got": 50}],
        "overruled": [],
    }
    decision = make_decision(workflow, total=50, outcome="accept", outputs={"outcome": "accept"}, trace=trace)
    assert "input.total > 100: it is 50" in text_of(console.get(page_of(decision)))


def test_why_not_is_told_of_a_decision_that_keeps_only_what_the_rules_saw(console: Client, workflow: Workflow) -> None:
    trace = {"matched": [{"index": 1, "note": "all others"}], "values": {"input.total": 50}}
    decision = make_decision(workflow, total=50, outcome="accept", outputs={"outcome": "accept"}, trace=trace)
    assert "input.total > 100: it is 50" in text_of(console.get(page_of(decision)))


def test_a_decision_that_rules_could_not_make_says_which_fact_was_wrong(console: Client, workflow: Workflow) -> None:
    trace = {"undecided": [{"pointer": "/input/total", "expected": "a number", "got": "null"}]}
    decision = make_decision(workflow, outputs={}, trace=trace, predictions=FAILED)
    text = text_of(console.get(page_of(decision)))
    assert "/input/total a number null" in text
    assert "failed It failed." in text


def test_a_decision_shows_its_actions_with_attempts_and_its_review(console: Client, workflow: Workflow) -> None:
    review = make_review(workflow)
    action = make_action(review.decision, endpoint="shop")
    ActionAttempt.objects.create(
        action=action, number=1, started_at=timezone.now(), duration_ms=5, is_success=False, detail="connection refused"
    )
    response = console.get(page_of(review.decision))
    assert "connection refused" in text_of(response)
    assert page_of(review) in response.content.decode()


def test_search_finds_request_id_subject_and_decision_id_exactly(console: Client, workflow: Workflow) -> None:
    first = make_decision(workflow, subject="anna", request_id="req-1")
    make_decision(workflow, subject="annabel", request_id="req-10")
    assert found(console, q="req-1") == [first]
    assert found(console, q=" anna ") == [first]
    assert found(console, q=str(first.pk)) == [first]
    assert found(console, q=str(uuid.uuid4())) == []


def test_filters_narrow_by_workflow_outcome_and_time(console: Client, workflow: Workflow) -> None:
    old = make_decision(workflow, outcome="accept", created_at=timezone.now() - timedelta(days=10))
    new = make_decision(workflow)
    day = (timezone.now() - timedelta(days=1)).date().isoformat()
    assert found(console, outcome="accept") == [old]
    assert found(console, workflow__id__exact=str(workflow.pk)) == [new, old]
    assert found(console, created_at_from=day) == [new]
    assert found(console, created_at_to=day) == [old]


def test_outcomes_to_filter_by_are_those_that_happened(workflow: Workflow) -> None:
    for outcome in ("review", "accept", "accept", "block"):
        make_decision(workflow, outcome=outcome)
    assert list_outcomes() == ["accept", "block", "review"]


def test_without_decisions_there_is_no_outcome_and_the_list_says_so(console: Client) -> None:
    assert list_outcomes() == []
    assert "No decisions yet Each request to a workflow makes one." in text_of(console.get(list_of(Decision)))


def test_the_database_refuses_what_the_console_does_not_offer(workflow: Workflow) -> None:
    decision = make_decision(workflow)
    with pytest.raises(DatabaseError):
        Decision.objects.filter(pk=decision.pk).update(outcome="accept")


def test_the_subject_of_a_decision_can_be_erased_and_the_page_then_says_so(console: Client, workflow: Workflow) -> None:
    decision = make_decision(workflow, subject="ann", total=7_654.25)
    other = make_decision(workflow, subject="ben")
    page = page_of(decision)
    before = html.unescape(console.get(page).content.decode())
    assert "Erase the subject's data" in before
    assert "654.25" in before
    answer = console.post(deed_url(decision, "erase"), {"reason": "asked by letter"})
    assert answer.status_code == 302
    text = text_of(console.get(page))
    assert "Erased" in text
    assert "What it saw was erased, and with it why it came out so" in text
    assert "654.25" not in text  # a number without a point may be a part of an id or a digest
    assert "ann" not in text.split()
    assert Decision.objects.get(pk=other.pk).subject == "ben"


def test_an_erasure_everywhere_reaches_lists_and_says_what_went(console: Client, workflow: Workflow) -> None:
    decision = make_decision(workflow, subject="ann")
    save_list(name="blocked", description="", actor=ACTOR)
    add_entries(name="blocked", entries=[Entry(value="ann"), Entry(value="ben")], actor=ACTOR)
    words = {"reason": "asked by letter", "everywhere": "on"}
    told = text_of(console.post(deed_url(decision, "erase"), words, follow=True))
    assert "Done: decisions erased: 1; list entries removed: 1 (blocked: 1)." in told
    entries = text_of(console.get(list_of(ListEntry)))
    assert "ben" in entries
    assert "ann" not in entries.split()


def test_the_page_of_an_erasure_says_what_would_go_here_and_everywhere(console: Client, workflow: Workflow) -> None:
    decision = make_decision(workflow, subject="ann")
    save_list(name="blocked", description="Chosen by ann.", actor=ACTOR)
    add_entries(name="blocked", entries=[Entry(value="ann")], actor=ACTOR)
    told = text_of(console.get(deed_url(decision, "erase")))
    assert "Kind In this workflow Everywhere decisions 1 1 list entries 0 1" in told
    assert "Entries go from these lists: blocked." in told
    assert "Not reached: the subject in the description of the lists blocked" in told
    assert Decision.objects.get().subject == "ann"


def test_a_subject_is_erased_by_its_name_after_a_dry_run(console: Client, workflow: Workflow) -> None:
    make_decision(workflow, subject="ann")
    page = reverse("admin:decisions_decision_erase_subject")
    assert page in console.get(list_of(Decision)).content.decode()
    words = {"subject": "ann", "reason": "asked by letter"}
    told = text_of(console.post(page, words | {"is_dry_run": "on"}))
    assert "What would go Kind How many decisions 1" in told
    assert Decision.objects.get().subject == "ann"
    assert "Done: decisions erased: 1." in text_of(console.post(page, words, follow=True))
    assert Decision.objects.get().subject == ""
    assert "Nothing is kept about this subject." in text_of(console.post(page, words, follow=True))


def test_the_page_of_an_erasure_of_nobody_is_not_there(console: Client, workflow: Workflow) -> None:
    assert console.get(deed_url(make_decision(workflow, subject=""), "erase")).status_code == 404


def test_the_page_of_a_replay_says_what_comes_out_differently(console: Client, workflow: Workflow) -> None:
    decision, _ = decide(workflow=workflow.name, facts_in={"order_id": "A1", "total": 500}, actor=ACTOR)
    assert "Bit for bit" in text_of(console.get(page_of(decision, "replay")))
    other = make_decision(workflow, total=5, subject="order-2")
    told = text_of(console.get(page_of(other, "replay")))
    assert "It comes out differently now." in told
    assert "/outcome" in told
