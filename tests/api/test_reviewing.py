"""Reviews over REST, and labelled data from them."""

import csv
import io
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inferhub.accounts.models import Scope, User
from inferhub.accounts.services import create_api_key
from inferhub.api.exposition import exposition
from inferhub.audit.models import AuditEvent
from inferhub.decisions import labels
from inferhub.decisions.actions.message import decision_message
from inferhub.decisions.delivery import deliver_action
from inferhub.decisions.erasure import erase_subject
from inferhub.decisions.labels import LabelQuery, export_labels
from inferhub.decisions.models import Action, Decision, Review
from inferhub.decisions.reviews import settle_review
from inferhub.decisions.services import decide, save_workflow
from inferhub.errors import InvalidInput, NotFound
from tests.hub_fixtures import ACTOR, WORKFLOW, Api

pytestmark = pytest.mark.django_db
HELD = {"customer_id": "cid", "total": 2000.5, "price": -10}
SETTLED = {"verdict": "approved", "reason": "A good customer."}


@pytest.fixture
def orders(workflow: str) -> str:
    definition = deepcopy(WORKFLOW)
    definition["actions"]["hold"] = [{"kind": "review", "title": "Look", "approve": "accept", "due_in_hours": 2}]
    definition["input"]["additionalProperties"] = True
    save_workflow(name="orders", definition=definition, actor=ACTOR)
    return "orders"


def hold(**changes: Any) -> int:
    decision, _ = decide(workflow="orders", facts_in=HELD | changes, actor=ACTOR)
    for action in decision.actions.all():
        deliver_action(action.pk)
    return decision.reviews.get().pk


def settle(review_id: int, **words: str) -> None:
    given = {"verdict": "rejected", "reason": "No.", "actor": "user:bob"} | words
    settle_review(review=Review.objects.get(pk=review_id), **given)


def with_scope(*scopes: Scope) -> Api:
    return Api(create_api_key(name="case tool", scopes=list(scopes), actor=ACTOR)[1])


def ids(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.content
    return [entry["review_id"] for entry in answer.json()["results"]]


def test_a_case_is_taken_read_commented_and_settled(api: Api, orders: str) -> None:
    review_id = hold()
    case = api.post("reviews/next", {"workflow": "orders"}).json()["review"]
    assert (case["review_id"], case["state"], case["outcome"]) == (review_id, "open", "hold")
    assert case["answers"] == {
        "approve": "accept",
        "reject": "rejected",
        "outcomes": ["accept", "fast", "hold", "rejected"],
    }
    assert (case["input"], case["decision"]["predictions"]["value"]["output"]) == (HELD, {"value": -19.0})
    assert api.post(f"reviews/{review_id}/comments", {"text": "Called."}).json()["comments"][0]["text"] == "Called."
    settled = api.post(f"reviews/{review_id}/settle", SETTLED).json()
    assert (settled["state"], settled["verdict"], settled["final_outcome"]) == ("settled", "approved", "accept")
    made = api.get(f"decisions/{settled['new_decision_id']}").json()
    assert (made["outcome"], made["reviewed_decision_id"]) == ("accept", case["decision_id"])
    assert "reviewed_decision_id" not in api.get(f"decisions/{case['decision_id']}").json()
    assert api.post("reviews/next", {}).json() == {"review": None}
    assert api.get(f"reviews/{review_id}").json() == settled


def test_another_callers_case_is_refused_and_free_again_once_given_back(api: Api, orders: str) -> None:
    review_id, other = hold(), with_scope(Scope.REVIEW)
    assert api.post(f"reviews/{review_id}/claim", {}).json()["assigned_to"].startswith("api-key:")
    for deed, body in (("claim", {}), ("release", {}), ("settle", SETTLED)):
        refused = other.post(f"reviews/{review_id}/{deed}", body)
        assert (refused.status_code, "is working on this review" in refused.json()["detail"]) == (409, True)
    assert api.post(f"reviews/{review_id}/release", {}).json()["assigned_to"] == ""
    assert other.post(f"reviews/{review_id}/settle", SETTLED).status_code == 200
    refused = api.post(f"reviews/{review_id}/settle", SETTLED)
    assert (refused.status_code, "settled before" in refused.json()["detail"]) == (409, True)
    assert Decision.objects.exclude(reviewed_decision_id=None).count() == 1


def person(name: str, *permissions: str) -> User:
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    return user


def key_of(name: str) -> Api:
    return Api(create_api_key(name="tool", scopes=[Scope.REVIEW], actor=f"user:{name}")[1])


def test_a_lead_assigns_a_review_whoever_has_it(api: Api, orders: str) -> None:
    person("lead", "assign_review")
    person("bob", "settle_review")
    lead, review_id = key_of("lead"), hold()
    api.post(f"reviews/{review_id}/claim", {})
    given = lead.post(f"reviews/{review_id}/assign", {"to": "bob"})
    assert (given.status_code, given.json()["assigned_to"]) == (200, "user:bob")
    event = AuditEvent.objects.get(action="review.assigned")
    assert event.actor.startswith("api-key:")
    assert event.details == {"review": review_id, "to": "user:bob"}
    free = lead.post(f"reviews/{review_id}/assign", {"to": ""}).json()
    assert (free["assigned_to"], free["assigned_at"]) == ("", None)
    assert lead.post(f"reviews/{review_id}/assign", {"to": "user:bob"}).json()["assigned_to"] == "user:bob"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"to": "nobody"}, 422, "/to: expected the user name of a person who may settle reviews, got"),
        ({"to": "clerk"}, 422, "/to: expected the user name of a person who may settle reviews, got"),
        ({}, 422, "/to: expected this field, got nothing"),
        ({"to": 5}, 422, "/to: expected"),
    ],
)
def test_whom_a_review_cannot_be_assigned_to(orders: str, body: dict[str, Any], status: int, said: str) -> None:
    person("lead", "assign_review")
    person("clerk")
    answer = key_of("lead").post(f"reviews/{hold()}/assign", body)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.content


def test_only_keys_of_people_who_may_assign_do(api: Api, orders: str) -> None:
    person("bob", "settle_review")
    review_id = hold()
    for caller, said in ((api, "has no owner"), (key_of("bob"), "is bob, who may not assign reviews")):
        refused = caller.post(f"reviews/{review_id}/assign", {"to": "bob"})
        assert (refused.status_code, said in refused.json()["detail"]) == (403, True), refused.content
    assert with_scope(Scope.READ).post(f"reviews/{review_id}/assign", {"to": "bob"}).status_code == 403
    assert Review.objects.get(pk=review_id).assigned_to == ""


def test_a_settled_review_is_assigned_to_nobody_any_more(orders: str) -> None:
    person("lead", "assign_review", "settle_review")
    lead, review_id = key_of("lead"), hold()
    settle(review_id)
    refused = lead.post(f"reviews/{review_id}/assign", {"to": "lead"})
    assert (refused.status_code, "settled before" in refused.json()["detail"]) == (409, True)
    assert lead.post("reviews/4711/assign", {"to": "lead"}).status_code == 404


def test_a_settlement_that_is_sent_twice_is_done_once(api: Api, orders: str) -> None:
    review_id = hold()
    answers = [api.post(f"reviews/{review_id}/settle", SETTLED, Idempotency_Key="s-1") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content


def test_reviews_are_listed_by_what_one_looks_for(api: Api, orders: str) -> None:
    mine, free, late, done = (hold(customer_id=f"c{number}") for number in range(4))
    api.post(f"reviews/{mine}/claim", {})
    Review.objects.filter(pk=late).update(due_at=timezone.now())
    settle(done)
    for query, expected in (
        ("", [done, late, free, mine]),
        ("?state=open", [late, free, mine]),
        ("?state=settled", [done]),
        ("?overdue=true", [late]),
        ("?assigned=me", [mine]),
        ("?assigned=nobody&state=open&overdue=false", [free]),
        ("?verdict=rejected", [done]),
        ("?final_outcome=rejected", [done]),
        ("?workflow=orders&outcome=hold&subject=c1", [free]),
        ("?workflow=others", []),
        (f"?decision={Review.objects.get(pk=late).decision_id}", [late]),
        ("?from=2999-01-01T00:00:00Z", []),
    ):
        assert ids(api.get(f"reviews{query}")) == expected, query
    first = api.get("reviews?page_size=3").json()
    assert ids(api.get("reviews?" + first["next"].partition("?")[2])) == [mine]


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("reviews?state=lost", "/state"),
        ("reviews?overdue=1", "/overdue"),
        ("reviews?assigned=bob", "/assigned"),
        ("reviews?colour=red", "/colour"),
        ("reviews?decision=first", "/decision"),
        ("reviews/labels", "/workflow"),
        ("reviews/labels?workflow=orders&format=xlsx", "/format"),
        ("reviews/labels?workflow=orders&from=yesterday", "/from"),
        ("reviews/labels?workflow=orders&page=2", "/page"),
    ],
)
def test_a_parameter_that_is_wrong_is_named(api: Api, orders: str, path: str, pointer: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"verdict": "maybe", "reason": "x"}, "/verdict"),
        ({"verdict": "approved"}, "/reason"),
        ({"verdict": "approved", "reason": " "}, "/reason"),
        ({"verdict": "changed", "reason": "x"}, "/outcome"),
        ({"verdict": "changed", "outcome": "nope", "reason": "x"}, "/outcome"),
        ({"verdict": "approved", "reason": "x", "actor": "user:root"}, "/actor"),
    ],
)
def test_a_settlement_that_is_wrong_is_refused_with_the_field(
    api: Api, orders: str, body: dict[str, str], pointer: str
) -> None:
    answer = api.post(f"reviews/{hold()}/settle", body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.parametrize("review_id", ["0", "999999", "9" * 30])
def test_a_review_that_is_not_there_is_not_found(api: Api, review_id: str) -> None:
    assert api.get(f"reviews/{review_id}").status_code == 404
    assert api.post(f"reviews/{review_id}/settle", SETTLED).status_code == 404


def test_a_key_needs_the_scope_review_to_work_and_read_to_export(orders: str) -> None:
    review_id = hold()
    reader, reviewer, other = with_scope(Scope.READ), with_scope(Scope.REVIEW), with_scope(Scope.DECIDE)
    for deed, body in (("next", {}), (f"{review_id}/claim", {}), (f"{review_id}/settle", SETTLED)):
        assert reader.post(f"reviews/{deed}", body).status_code == 403, deed
    assert [key.get("reviews").status_code for key in (reader, reviewer, other)] == [200, 200, 403]
    assert [key.get(f"reviews/{review_id}").status_code for key in (reader, reviewer, other)] == [200, 200, 403]
    exported = [key.get("reviews/labels?workflow=orders").status_code for key in (reader, reviewer, other)]
    assert exported == [200, 403, 403]


def test_open_reviews_are_metrics(orders: str) -> None:
    hold()
    Review.objects.filter(pk=hold()).update(due_at=timezone.now(), assigned_to="user:bob")
    text = exposition([]).decode()
    assert 'inferhub_reviews{state="unassigned"} 1.0' in text
    assert 'inferhub_reviews{state="assigned"} 1.0' in text
    assert "inferhub_reviews_overdue 1.0" in text


# Labels


def exported(form: str = "jsonl", **words: Any) -> bytes:
    return b"".join(export_labels(LabelQuery(workflow="orders", **words), form=form, actor=ACTOR))


def test_labels_hold_what_a_model_can_learn_from(api: Api, orders: str) -> None:
    settle(hold(), verdict="changed", outcome="fast")
    hold()
    answer = api.get("reviews/labels?workflow=orders", Accept="application/x-ndjson")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/x-ndjson")
    assert ("Content-Length" in answer, "ETag" in answer, "X-Request-Id" in answer) == (False, False, True)
    (row,) = [orjson.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    assert row["input"] == HELD
    assert row["predictions"]["value"]["output"] == {"value": -19.0}
    assert (row["outcome"], row["final_outcome"], row["verdict"], row["reviewer"]) == (
        "hold",
        "fast",
        "changed",
        "user:bob",
    )
    event = AuditEvent.objects.get(action="reviews.exported")
    assert (event.subject, event.details["format"]) == ("workflow:orders", "jsonl")


def test_a_table_of_labels_has_a_column_for_each_field_that_came(orders: str) -> None:
    settle(hold())
    settle(hold(coupon=["a", "b"], is_new=True, customer_id="dan"))
    rows = list(csv.DictReader(io.StringIO(exported("csv").decode())))
    assert [row["input.total"] for row in rows] == ["2000.5", "2000.5"]
    assert [row["input.price"] for row in rows] == ["-10", "-10"]
    assert [row["input.coupon"] for row in rows] == ["", '["a","b"]']
    assert [row["input.is_new"] for row in rows] == ["", "true"]
    assert [row["prediction.value.value"] for row in rows] == ["-19.0", "-19.0"]
    assert [row["prediction.value.version"] for row in rows] == ["1", "1"]
    assert [(row["outcome"], row["final_outcome"]) for row in rows] == [("hold", "rejected")] * 2


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", " =1", '=cmd|"/c calc"!A1'])
def test_no_text_of_a_table_is_a_formula(orders: str, text: str) -> None:
    settle(hold(customer_id=text, note=text), reason=f"{text}!")
    (row,) = csv.DictReader(io.StringIO(exported("csv").decode(), newline=""))
    assert row["subject"] == row["input.customer_id"] == row["input.note"] == f"'{text}"
    assert orjson.loads(exported())["input"]["note"] == text


def test_erased_decisions_are_no_labels(orders: str) -> None:
    settle(hold())
    settle(hold(customer_id="dan"))
    erase_subject(subject="cid", reason="asked", actor=ACTOR)
    assert [orjson.loads(line)["subject"] for line in exported().splitlines()] == ["dan"]
    assert b",cid," not in exported("csv")


def test_labels_are_narrowed_by_the_time_of_the_verdict(orders: str) -> None:
    settle(hold())
    now = timezone.now()
    assert exported(since=now) == exported(until=now.replace(year=2001)) == b""
    assert exported(since=now.replace(year=2001), until=now) != b""


def test_labels_are_read_row_by_row_and_sent_in_blocks(orders: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "_AT_ONCE", 2)
    for number in range(5):
        settle(hold(note=str(number) * 30_000))
    blocks = list(export_labels(LabelQuery(workflow="orders"), form="jsonl", actor=ACTOR))
    assert len(blocks) == 2
    assert [orjson.loads(line)["input"]["note"][0] for line in b"".join(blocks).splitlines()] == list("01234")


def test_a_table_reads_the_decisions_once_and_keeps_little_in_memory(
    orders: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(hold(customer_id="Zoë\n\u2028", amount=2**53 - 1, rate=1e300))
    settle(hold(coupon="x"))
    first = exported("csv")
    monkeypatch.setattr(labels, "_MOST_IN_MEMORY", 1)
    with CaptureQueriesContext(connection) as asked:
        assert exported("csv") == first
    reading = [one for one in asked if '"decisions_decision"."input"' in one["sql"]]
    assert len(reading) == 1
    one, other = csv.DictReader(io.StringIO(first.decode(), newline=""))
    assert (one["subject"], one["input.amount"], one["input.coupon"]) == ("Zoë\n\u2028", str(2**53 - 1), "")
    assert (other["input.amount"], other["input.coupon"]) == ("", "x")


def test_a_table_of_too_many_columns_is_refused(orders: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "_MOST_COLUMNS", 3)
    settle(hold())
    with pytest.raises(InvalidInput, match="/format: expected jsonl, for data of more than 3 columns"):
        exported("csv")


def test_an_unknown_workflow_has_no_labels(orders: str) -> None:
    with pytest.raises(NotFound, match="There is no workflow 'nope'"):
        export_labels(LabelQuery(workflow="nope"), form="csv", actor=ACTOR)


def test_the_command_writes_labels_to_a_file(orders: str, tmp_path: Path) -> None:
    settle(hold())
    for name, first in (("labels.csv", b"review_id,"), ("labels.jsonl", b'{"review_id":')):
        call_command("export_labels", "orders", "--out", str(tmp_path / name), "--actor", "dana")
        assert (tmp_path / name).read_bytes().startswith(first)
    assert AuditEvent.objects.filter(action="reviews.exported", actor="cli:dana").count() == 2
    with pytest.raises(CommandError, match="There is no workflow 'nope'"):
        call_command("export_labels", "nope", "--out", str(tmp_path / "x"))
    assert not (tmp_path / "x").exists()


def test_a_case_with_a_number_that_no_integer_holds_is_read_settled_and_told(orders: str, api: Api) -> None:
    review_id = hold(total=1e300)
    assert api.get(f"reviews/{review_id}").json()["input"]["total"] == 1e300
    settled = api.post(f"reviews/{review_id}/settle", {"verdict": "approved", "reason": "I asked."})
    assert settled.status_code == 200
    decision_id = settled.json()["new_decision_id"]
    assert api.get(f"decisions/{decision_id}").status_code == 200
    for action in Action.objects.filter(decision_id=decision_id):
        assert orjson.loads(decision_message(action))["data"]["input"]["total"] == 1e300
    assert api.get("reviews/labels?workflow=orders").status_code == 200
