"""The queue of reviews, the page of a case, and the way from one to the next."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from inferhub.accounts.models import User
from inferhub.audit.models import AuditEvent
from inferhub.console import case
from inferhub.decisions.erasure import erase_subject
from inferhub.decisions.models import Decision, Review, Workflow
from inferhub.decisions.review_queue import claim_review, comment_on_review
from inferhub.decisions.reviews import settle_review
from inferhub.decisions.services import save_workflow
from tests.console.conftest import ACTOR, HOSTILE, make_decision, make_review, workflow_definition
from tests.console.pages import list_of, page_of, post, text_of

pytestmark = pytest.mark.django_db
REVIEWER = ("decisions.view_review", "decisions.settle_review")
ALICE, BOB = "user:alice", "user:bob"
NEXT = "/decisions/review/next/"


def listed(client: Client, **query: str) -> list[Review]:
    return list(client.get(list_of(Review), query).context["cl"].result_list)


def mine(workflow: Workflow, **changes: object) -> Review:
    review = make_review(workflow, **changes)  # type: ignore[arg-type]
    claim_review(review=review, actor=ALICE)
    return review


# The list


def test_the_list_is_the_queue_overdue_cases_first(console: Client, workflow: Workflow) -> None:
    settled, normal, high, late = (make_review(workflow, subject=f"order-{number}") for number in range(4))
    settle_review(review=settled, verdict="approved", reason="fine", actor=ACTOR)
    Review.objects.filter(pk=high.pk).update(priority=3)
    Review.objects.filter(pk=late.pk).update(due_at=timezone.now() - timedelta(hours=1))
    assert listed(console) == [late, high, normal]
    assert "overdue" in text_of(console.get(list_of(Review)))
    assert listed(console, state="overdue") == [late]
    assert listed(console, state="settled") == listed(console, state="approved") == [settled]
    assert listed(console, state="all") == [late, high, normal, settled]
    assert listed(console, state="rejected") == []


def test_the_list_is_narrowed_by_reviewer_workflow_and_outcome(console: Client, workflow: Workflow) -> None:
    own, others, free = (make_review(workflow, subject=f"order-{number}") for number in range(3))
    claim_review(review=own, actor=ALICE)
    claim_review(review=others, actor=BOB)
    assert listed(console, **{"with": "me"}) == [own]
    assert listed(console, **{"with": "others"}) == [others]
    assert listed(console, **{"with": "nobody"}) == [free]
    assert listed(console, decision__workflow__id__exact=str(workflow.pk)) == [own, others, free]
    assert listed(console, outcome="accept") == []
    assert "1 unassigned · 2 in work" in text_of(console.get(list_of(Review)))


def test_an_empty_queue_says_so(console: Client, workflow: Workflow) -> None:
    assert "Nothing waits" in text_of(console.get(list_of(Review)))


# From case to case


def test_a_reviewer_works_through_the_queue_without_the_list(console: Client, workflow: Workflow) -> None:
    first, second = (make_review(workflow, subject=f"order-{number}") for number in range(2))
    assert post(console, NEXT).redirect_chain[-1][0] == page_of(first)
    response = post(console, page_of(first), verdict="approved", reason="A good customer.", next="1")
    assert response.redirect_chain[-1][0] == page_of(second)
    assert "Look at this order: approved, the outcome is approved." in text_of(response)
    response = post(console, page_of(second), verdict="rejected", reason="Not this one.", next="1")
    assert response.redirect_chain[-1][0] == list_of(Review)
    assert "Nothing else waits for you." in text_of(response)


def test_the_next_case_stays_within_the_chosen_workflow(console: Client, workflow: Workflow) -> None:
    definition = workflow_definition("order-rules")
    other = save_workflow(name="other", definition=definition, actor=ACTOR, approval="direct").workflow
    make_review(workflow)
    wanted = [make_review(other), make_review(other)]
    shown = console.get(list_of(Review), {"decision__workflow__id__exact": str(other.pk)})
    assert "Take the next case of other" in text_of(shown)
    for review in wanted:
        response = post(console, NEXT, queue="other")
        assert response.redirect_chain[-1][0] == page_of(review) + "?queue=other"
        response = post(console, page_of(review) + "?queue=other", verdict="approved", reason="yes", next="1")
    assert response.redirect_chain[-1][0] == list_of(Review)


def test_the_next_case_is_never_taken_by_opening_a_page(console: Client, workflow: Workflow) -> None:
    review = make_review(workflow)
    assert console.get(NEXT).status_code == 405
    console.get(page_of(review))
    review.refresh_from_db()
    assert review.assigned_to == ""


def test_a_case_is_taken_put_off_and_given_back(console: Client, workflow: Workflow) -> None:
    review, other = make_review(workflow), make_review(workflow, subject="order-2")
    assert "The case is yours." in text_of(post(console, page_of(review, "claim")))
    assert post(console, page_of(review, "put_off")).redirect_chain[-1][0] == page_of(other)
    post(console, page_of(other, "release"))
    held = dict(Review.objects.values_list("pk", "assigned_to"))
    assert held == {review.pk: ALICE, other.pk: ""}


# The page of a case


def test_a_reviewer_sees_what_there_is_to_know(console: Client, workflow: Workflow) -> None:
    definition = workflow_definition("order-rules")
    definition["input"]["properties"]["total"] |= {"title": "Order total", "description": "With tax, in euro."}
    definition["input"]["properties"]["coupon"] = {"type": "string"}
    newer = save_workflow(name=workflow.name, definition=definition, actor=ACTOR).workflow
    earlier = make_review(newer, total=600)
    settle_review(review=earlier, verdict="rejected", reason="Not paid.", actor=BOB)
    review = mine(newer, total=777)
    comment_on_review(review=review, text="I called twice.", actor=BOB)
    text = text_of(console.get(page_of(review)))
    assert "Rule 1: Order total > 100 (a large order)" in text
    assert "Order total total With tax, in euro. 777" in text
    assert "coupon not sent" in text
    assert "Other decisions about order-1" in text
    assert "rejected Not paid." in text
    assert "user:bob," in text
    assert "I called twice." in text
    assert "Approve A → approved , no action" in text


def test_what_speaks_for_a_prediction_is_shown_the_largest_share_first(
    console: Client, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = {f"feature {number}": number / 10 for number in range(10)} | {HOSTILE: -5.0}
    found = {"risk": {"of": "fraud", "base_value": 0.25, "value": 1.5, "contributions": shares}}
    monkeypatch.setattr(case, "explain_predictions", lambda _: found)
    response = console.get(page_of(mine(workflow)))
    text = text_of(response)
    assert "What speaks for prediction.risk" in text
    assert "From the average 0.25 to 1.5 of fraud: what each input added." in text
    assert f"{HOSTILE} -5 feature 9 +0.9" in text
    assert "3 others together +0.3" in text
    assert "<script>alert" not in response.content.decode()


def test_what_the_rules_missed_is_said_in_words(console: Client, workflow: Workflow) -> None:
    undecided = [{"pointer": "/input/total", "expected": "a number", "got": "null"}]
    review = make_review(workflow, trace={"undecided": undecided})
    expected = "The rules could not decide: input.total was expected to be a number, and is null."
    assert expected in text_of(console.get(page_of(review)))


def test_a_form_is_offered_only_once_the_case_is_ones_own(console: Client, workflow: Workflow) -> None:
    review = make_review(workflow)
    assert "Take this case" in text_of(console.get(page_of(review)))
    assert 'name="verdict"' not in console.get(page_of(review)).content.decode()
    claim_review(review=review, actor=BOB)
    text = text_of(console.get(page_of(review)))
    assert "user:bob works on this case since" in text
    assert "Take this case" not in text
    assert 'name="verdict"' not in console.get(page_of(review)).content.decode()


def test_a_title_that_is_a_sentence_loses_its_full_stop_in_what_is_said(console: Client, workflow: Workflow) -> None:
    response = post(console, page_of(mine(workflow, title="It has not shipped.")), verdict="approved", reason="Fine.")
    assert "It has not shipped: approved, the outcome is approved." in text_of(response)


def test_settling_says_what_followed_and_links_the_new_decision(console: Client, workflow: Workflow) -> None:
    review = mine(workflow)
    response = post(console, page_of(review), verdict="changed", outcome="accept", reason="I called the customer.")
    review.refresh_from_db()
    made = Decision.objects.get(pk=review.new_decision_id)
    assert (review.verdict, review.outcome, review.settled_by, made.outcome) == ("changed", "accept", ALICE, "accept")
    assert "the outcome is accept" in text_of(response)
    assert page_of(made) in response.content.decode()
    assert "A person decided user:alice Verdict changed Reason I called the customer." in text_of(
        console.get(page_of(made))
    )


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ({"verdict": "rejected", "reason": "  "}, "reason"),
        ({"reason": "yes"}, "verdict"),
        ({"verdict": "changed", "reason": "yes"}, "outcome"),
        ({"verdict": "changed", "outcome": "nonsense", "reason": "yes"}, "outcome"),
    ],
)
def test_a_verdict_that_is_not_whole_is_refused_at_its_field(
    console: Client, workflow: Workflow, words: dict[str, str], field: str
) -> None:
    review = mine(workflow)
    response = post(console, page_of(review), **words)
    assert field in response.context["form"].errors
    review.refresh_from_db()
    assert review.verdict == ""


def test_the_second_of_two_reviewers_is_told_who_was_quicker(console: Client, workflow: Workflow) -> None:
    review = make_review(workflow)
    settle_review(review=review, verdict="rejected", reason="no", actor=BOB)
    response = post(console, page_of(review, "settle"), verdict="approved", reason="yes")
    assert "This review was settled before: rejected by user:bob." in text_of(response)


def test_another_reviewers_case_cannot_be_settled_nor_taken(console: Client, workflow: Workflow) -> None:
    review = make_review(workflow)
    claim_review(review=review, actor=BOB)
    for deed, words in (("settle", {"verdict": "approved", "reason": "yes"}), ("claim", {})):
        text = text_of(post(console, page_of(review, deed), **words))
        assert "user:bob is working on this review since" in text
    review.refresh_from_db()
    assert (review.verdict, review.assigned_to) == ("", BOB)


def test_a_settled_review_shows_the_verdict_and_offers_no_form(console: Client, workflow: Workflow) -> None:
    review = make_review(workflow)
    settle_review(review=review, verdict="rejected", reason="It smells.", actor=ACTOR)
    response = console.get(page_of(review))
    assert "It smells." in text_of(response)
    assert 'name="verdict"' not in response.content.decode()
    assert "Next case" in text_of(response)


def test_a_case_whose_data_was_erased_shows_nothing_of_it(console: Client, workflow: Workflow) -> None:
    review = mine(workflow, total=7_654.25)
    comment_on_review(review=review, text="I called twice.", actor=BOB)
    assert "654.25" in text_of(console.get(page_of(review)))
    erase_subject(subject="order-1", reason="asked", actor=ACTOR)
    text = text_of(console.get(page_of(review)))
    assert "The data of this decision was erased." in text
    assert "654.25" not in text  # a number without a point may be a part of an id or a digest
    assert "I called twice." not in text


def test_hostile_texts_are_shown_as_texts(console: Client, workflow: Workflow) -> None:
    facts = {"order_id": HOSTILE, "total": 1, HOSTILE: {HOSTILE: HOSTILE}}
    review = mine(workflow, subject=HOSTILE, input=facts, title=HOSTILE)
    make_decision(workflow, subject=HOSTILE, outcome=HOSTILE)
    comment_on_review(review=review, text=HOSTILE, actor=HOSTILE)
    for _ in range(2):
        response = console.get(page_of(review))
        assert "alert" in text_of(response)
        assert "<script>alert" not in response.content.decode()
        if not review.verdict:
            settle_review(review=review, verdict="approved", reason=HOSTILE, actor=ALICE)
        review.refresh_from_db()


# Who may do what


def test_who_may_only_look_at_reviews_can_do_nothing(person: Callable[..., Client], workflow: Workflow) -> None:
    review = make_review(workflow)
    client = person("decisions.view_review")
    shown = client.get(page_of(review))
    assert shown.status_code == 200
    assert "Take this case" not in text_of(shown)
    assert "Other decisions" not in text_of(shown)
    assert client.post(page_of(review), {"verdict": "approved", "reason": "x"}).status_code == 403
    assert client.post(NEXT).status_code == 403
    for deed in ("settle", "claim", "release", "put_off", "assign", "comment"):
        assert client.post(page_of(review, deed), {"text": "x"}).status_code == 403, deed
    assert client.get("/decisions/review/export/").status_code == 403
    review.refresh_from_db()
    assert (review.verdict, review.assigned_to) == ("", "")


def test_only_a_lead_assigns(person: Callable[..., Client], workflow: Workflow) -> None:
    review = make_review(workflow)
    bob = User.objects.create_user("bob", is_staff=True)
    bob.user_permissions.add(Permission.objects.get(codename="settle_review"))
    assert person(*REVIEWER).post(page_of(review, "assign"), {"to": "bob"}).status_code == 403
    lead = person("decisions.view_review", "decisions.assign_review")
    assert "The case is with bob." in text_of(post(lead, page_of(review, "assign"), to="bob"))
    assert "to" in post(lead, page_of(review, "assign"), to="nobody").context["form"].errors
    review.refresh_from_db()
    assert review.assigned_to == BOB
    assert AuditEvent.objects.get(action="review.assigned").details == {"review": review.pk, "to": BOB}


def test_a_form_from_another_site_takes_no_case(admin: User, workflow: Workflow) -> None:
    make_review(workflow)
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    assert client.post(NEXT).status_code == 403


# Export


def test_settled_reviews_are_exported_as_a_file(console: Client, workflow: Workflow) -> None:
    review = make_review(workflow, total=777)
    settle_review(review=review, verdict="rejected", reason="=1+1", actor=ACTOR)
    address = reverse("admin:reviews_export")
    response = console.post(address, {"workflow": workflow.pk, "format": "csv", "since": ""})
    assert response["Content-Disposition"] == 'attachment; filename="order-screening-reviews.csv"'
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))  # type: ignore[attr-defined]
    assert [(row["input.total"], row["final_outcome"], row["reason"]) for row in rows] == [("777", "rejected", "'=1+1")]
    later = {"workflow": workflow.pk, "format": "jsonl", "since": "2999-01-01"}
    assert b"".join(console.post(address, later).streaming_content) == b""  # type: ignore[attr-defined]
    assert AuditEvent.objects.filter(action="reviews.exported", actor=ALICE).count() == 2


def test_an_export_asks_for_a_workflow(console: Client, workflow: Workflow) -> None:
    assert "Export settled reviews" in text_of(console.get(reverse("admin:reviews_export")))
    assert "workflow" in post(console, reverse("admin:reviews_export"), format="csv").context["form"].errors


def test_a_case_page_asks_few_queries(
    console: Client, workflow: Workflow, django_assert_max_num_queries: Callable[..., object]
) -> None:
    for number in range(6):
        settle_review(review=make_review(workflow), verdict="approved", reason=str(number), actor=BOB)
    review = mine(workflow)
    console.get(page_of(review))
    with django_assert_max_num_queries(25):  # type: ignore[attr-defined]
        console.get(page_of(review))
