"""Every place that holds something of a person: what goes, what stays, and that nobody else loses anything."""

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import Error, transaction
from django.utils import timezone

from inferhub.accounts.models import RepeatableWrite
from inferhub.audit.models import AuditEvent
from inferhub.audit.sealing import seal_all
from inferhub.audit.services import record_event
from inferhub.backtests.models import Backtest, BacktestChange, BacktestFile
from inferhub.backtests.question import Question
from inferhub.backtests.services import start_backtest, work_on_backtest
from inferhub.backtests.sides import Asked
from inferhub.catalog.models import ErasedUser, Event
from inferhub.catalog.services import replace_events
from inferhub.decisions.models import ActionAttempt, Decision, Flag, WorkflowTest
from inferhub.decisions.partitions import detach_partition, list_partitions
from inferhub.decisions.services import decide, save_workflow
from inferhub.decisions.testing import run_workflow_tests, save_workflow_test
from inferhub.erasure.services import KINDS, erase_person
from inferhub.errors import Unavailable
from inferhub.jobs.bulk import run_job, start_bulk_job
from inferhub.jobs.deferred import defer_call
from inferhub.jobs.models import Chunk, DeferredCall
from inferhub.jobs.proving import record_verification
from inferhub.lists.services import Entry, add_entries, save_list
from inferhub.recommendations.models import Recommendation
from inferhub.rulesets.models import RuleSetTest
from inferhub.rulesets.testing import save_rule_set_test
from tests.actions.making import cause, try_now
from tests.hub_fixtures import ACTOR, WORKFLOW, Api

pytestmark = pytest.mark.django_db

ANN = {"customer_id": "ann", "total": 20, "price": 10}
BEN = ANN | {"customer_id": "ben"}
START = datetime(2026, 1, 1, tzinfo=UTC)
EventRow = tuple[str, str, str, float, datetime]


def erase(subject: str = "ann", **words: Any) -> dict[str, int]:
    """What went, without kinds of which there was nothing."""
    erased = erase_person(**{"subject": subject, "reason": "asked by letter", "actor": ACTOR} | words)
    return {name: count for name, count in erased.counts.items() if count}


def bought(user: str, item: str = "a", at: datetime = START) -> EventRow:
    return (user, item, "purchase", 1.0, at)


def users() -> list[str]:
    return sorted(Event.objects.values_list("user_id", flat=True))


def test_events_and_stored_recommendations_go_from_every_generation(scenario: str) -> None:
    for _ in range(2):
        run_job(start_bulk_job(scenario=scenario, actor=ACTOR).pk)
    assert erase() == {"events": 2, "recommendations": 2}
    assert users() == ["ben", "cid"]
    assert sorted(Recommendation.objects.values_list("user_id", flat=True)) == ["ben", "ben", "cid", "cid"]


def test_an_import_does_not_bring_back_what_was_erased_but_takes_what_came_later(db: None) -> None:
    batch = [bought("ann"), bought("ann10"), bought("ben")]
    replace_events(batch, actor=ACTOR)
    assert erase() == {"events": 1}
    later = bought("ann", "b", timezone.now() + timedelta(hours=1))
    assert replace_events([*batch, later], actor=ACTOR) == 3
    assert users() == ["ann", "ann10", "ben"]
    assert Event.objects.get(user_id="ann").item_id == "b"
    assert AuditEvent.objects.filter(action="events.replaced").latest("id").details == {"rows": 3, "left_out": 1}


def test_an_import_of_times_without_a_zone_leaves_out_the_same(db: None) -> None:
    erase()
    assert replace_events([bought("ann", at=datetime(2026, 1, 1)), bought("ben")], actor=ACTOR) == 1  # noqa: DTZ001 - on purpose


def test_what_keeps_imports_from_bringing_events_back_does_not_tell_who_it_was(db: None) -> None:
    erase()
    assert "ann" not in ErasedUser.objects.get().digest
    erase()
    assert ErasedUser.objects.count() == 1


def test_chunks_that_are_done_tell_of_nobody(scenario: str) -> None:
    run_job(start_bulk_job(scenario=scenario, actor=ACTOR).pk)
    assert list(Chunk.objects.values_list("first_user_id", "last_user_id")) == [("", "")]


def queued(rows: list[dict[str, Any]], **words: Any) -> Backtest:
    return start_backtest(Question(workflow="orders", candidate=Asked(), rows=rows, **words), actor=ACTOR)


def test_rows_of_an_uploaded_file_go_and_the_others_keep_their_numbers(workflow: str) -> None:
    bad = BEN | {"total": "much"}
    backtest = queued([ANN, BEN, ANN | {"price": 3}, ANN | {"customer_id": "ann10"}, bad])
    assert erase() == {"backtest_rows": 2}
    event = AuditEvent.objects.get(action="backtest.rows_erased")
    assert event.subject == f"backtest:{backtest.pk}"
    assert event.details == {"rows": 2, "left": 3, "reason": "asked by letter"}
    work_on_backtest(backtest.pk)
    backtest.refresh_from_db()
    assert (backtest.state, backtest.total, backtest.report["rows"]) == ("succeeded", 3, 3)
    assert [row["row"] for row in backtest.report["refused"]] == [5]


def test_a_report_does_not_quote_the_rows_that_it_refused(workflow: str) -> None:
    backtest = queued([BEN | {"total": "a telling word"}])
    work_on_backtest(backtest.pk)
    backtest.refresh_from_db()
    (refused,) = backtest.report["refused"]
    assert refused == {"row": 1, "problem": "/input/total: expected null or a number"}


def test_a_file_of_which_nothing_is_left_says_why(workflow: str) -> None:
    backtest = queued([ANN])
    erase()
    work_on_backtest(backtest.pk)
    backtest.refresh_from_db()
    assert (backtest.state, backtest.problem.partition(":")[0]) == (
        "failed",
        "Every row of the file was about somebody whose data was erased",
    )
    assert not BacktestFile.objects.exists()


def test_a_file_of_another_workflow_is_left_where_one_is_named(workflow: str) -> None:
    save_workflow(name="returns", definition=WORKFLOW, actor=ACTOR, approval="direct")
    queued([ANN])
    assert erase(workflow="returns") == {}
    assert erase(workflow="orders") == {"backtest_rows": 1}


def test_amounts_beside_changed_rows_go_with_their_decision_and_nothing_else_can(workflow: str) -> None:
    definition = WORKFLOW | {"actions": WORKFLOW["actions"]}
    for facts in (ANN, BEN):
        decide(workflow="orders", facts_in=facts | {"price": 90}, actor=ACTOR)
    BacktestChange.objects.bulk_create(
        BacktestChange(
            backtest=queued([BEN | definition["input"]["properties"]]),
            row=1,
            decision_id=decision.pk,
            baseline="accept",
            candidate="hold",
            amount=20.0,
        )
        for decision in Decision.objects.order_by("id")
    )
    assert erase()["backtest_amounts"] == 1
    assert list(BacktestChange.objects.order_by("id").values_list("amount", flat=True)) == [None, 20.0]
    for changes in ({"amount": 3.0}, {"amount": None, "row": 2}, {"baseline": "hold"}):
        with pytest.raises(Error, match="append-only"), transaction.atomic():
            BacktestChange.objects.filter(amount=20.0).update(**changes)
    with pytest.raises(Error, match="append-only"), transaction.atomic():
        BacktestChange.objects.all().delete()


def test_test_cases_that_people_wrote_about_the_subject_go(workflow: str) -> None:
    expect = {"outcome": "accept"}
    for facts in (ANN, BEN):
        name = facts["customer_id"]
        save_workflow_test(workflow="orders", case={"name": name, "input": facts, "expect": expect}, actor=ACTOR)
        case = {"name": name, "facts": {"input": facts, "prediction": {"value": {"value": 1}}}, "expect": expect}
        save_rule_set_test(rule_set="screening", case=case, actor=ACTOR)
    assert erase() == {"test_cases": 2}
    assert [test.name for model in (WorkflowTest, RuleSetTest) for test in model.objects.all()] == ["ben", "ben"]


def test_a_noted_run_of_test_cases_holds_nothing_of_what_went_in(workflow: str) -> None:
    case = {"name": "one", "input": ANN | {"total": "a telling word"}, "expect": {"outcome": "accept"}}
    save_workflow_test(workflow="orders", case=case, actor=ACTOR)
    run_workflow_tests(workflow="orders", actor=ACTOR)
    run = apps.get_model("decisions", "WorkflowTestRun").objects.get()
    differences = [{"pointer": "", "got": ""}]
    assert (run.failed, run.results) == (1, [{"name": "one", "passed": False, "differences": differences}])


def test_what_an_attempt_quotes_goes_and_is_not_in_the_audit_log(workflow: str) -> None:
    save_list(name="blocked", description="", actor=ACTOR)
    cause({"kind": "add-to-list", "list": "blocked", "value_from": "customer_id"})
    decision, _ = decide(workflow="orders", facts_in=ANN | {"customer_id": "ann\nof Ulm"}, actor=ACTOR)
    try_now(decision.actions.get())
    assert "of Ulm" in ActionAttempt.objects.get().detail
    assert not AuditEvent.objects.filter(details__icontains="Ulm").exists()
    erase("ann\nof Ulm")
    assert ActionAttempt.objects.get().detail == ""


def test_an_answer_kept_for_repeats_that_holds_an_input_about_the_subject_goes(api: Api, workflow: str) -> None:
    for name, facts in (("a", ANN), ("b", BEN)):
        case = {"name": "x", "input": facts, "expect": {"outcome": "accept"}}
        assert api.put("workflows/orders/tests", {"tests": [case]}, Idempotency_Key=name).status_code == 200
    before = RepeatableWrite.objects.count()
    assert before >= 2
    erase()
    left = [bytes(content) for content in RepeatableWrite.objects.values_list("content", flat=True)]
    assert not any(b'"ann"' in content for content in left)
    assert any(b'"ben"' in content for content in left)


@pytest.mark.parametrize("value", [17, "17"])
def test_a_number_and_its_text_are_one_subject(workflow: str, value: Any) -> None:
    number = WORKFLOW["input"]["properties"] | {"customer_id": {"type": ["integer", "string"]}}
    save_workflow(
        name="orders", definition=WORKFLOW | {"input": WORKFLOW["input"] | {"properties": number}}, actor=ACTOR
    )
    for other in (value, 170, "1", "017", 17.5):
        queued([ANN | {"customer_id": other}])
        defer_call(kind="decide", target="orders", body={"input": ANN | {"customer_id": other}}, actor=ACTOR)
    decide(workflow="orders", facts_in=ANN | {"customer_id": value}, actor=ACTOR)
    assert erase("17") == {"decisions": 1, "actions": 1, "backtest_rows": 1, "calls": 1}


def test_a_subject_that_is_null_is_no_subject(workflow: str) -> None:
    optional = WORKFLOW["input"]["properties"] | {"customer_id": {"type": ["null", "string"]}}
    given = {"properties": optional}
    save_workflow(name="orders", definition=WORKFLOW | {"input": WORKFLOW["input"] | given}, actor=ACTOR)
    decision, _ = decide(workflow="orders", facts_in=ANN | {"customer_id": None}, actor=ACTOR)
    assert decision.subject == ""
    queued([ANN | {"customer_id": None}])
    defer_call(kind="recommend", target="home-page", body={"history": ["a"]}, actor=ACTOR)
    assert erase("None") == {}


HOSTILE = [
    "'; DROP TABLE catalog_event; --",
    "%",
    "_nn",
    "a\\u0000b",
    'a"b\\c',
    "<script>alert(1)</script>",
    "(.*)",
    "zoë",
    "кот",
    "a b",
    " ann",
    "ann ",
    "\t",
    "🧾" * 20,
    "\x7f\x01",
    "1e+16",
    "True",
    "[1]",
    "{}",
    "null",
    "-0",
    "x" * 200,
]


@pytest.mark.parametrize("subject", HOSTILE)
def test_any_text_is_a_subject_and_means_itself(scenario: str, workflow: str, subject: str) -> None:
    others = {subject[:-1], f"{subject}x", subject.swapcase(), "ann"} - {subject, ""}
    for name in (subject, *sorted(others)):
        decide(workflow="orders", facts_in=ANN | {"customer_id": name}, actor=ACTOR)
        defer_call(kind="decide", target="orders", body={"input": ANN | {"customer_id": name}}, actor=ACTOR)
    queued([ANN | {"customer_id": name} for name in (subject, *sorted(others))])
    events = [bought(name[:100]) for name in (subject, *sorted(others))]
    replace_events(events, actor=ACTOR)
    expected = {"decisions": 1, "actions": 1, "backtest_rows": 1, "calls": 1}
    has_events = len(subject) <= 100
    # A name of 200 characters is one that was cut: whoever's name goes on after them is the same subject.
    longer = 1 if len(subject) == 200 else 0
    expected = {name: count + longer for name, count in expected.items()} | ({"events": 1} if has_events else {})
    assert erase(subject) == expected
    left = set(Decision.objects.filter(erased_at=None).values_list("subject", flat=True))
    assert left == {name[:200] for name in others} - {subject}


def test_both_normal_forms_of_a_name_are_one_subject(workflow: str, scenario: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, "zoë") for form in ("NFC", "NFD"))
    assert composed != decomposed
    save_list(name="blocked", description="", actor=ACTOR)
    for name in (composed, decomposed, "zoe"):
        decide(workflow="orders", facts_in=ANN | {"customer_id": name}, actor=ACTOR)
        defer_call(kind="recommend", target="home-page", body={"user_id": name}, actor=ACTOR)
        add_entries(name="blocked", entries=[Entry(value=name)], actor=ACTOR)
    queued([ANN | {"customer_id": name} for name in (composed, decomposed, "zoe")])
    replace_events([bought(composed), bought(decomposed), bought("zoe")], actor=ACTOR)
    assert erase(composed) == {
        "decisions": 2,
        "actions": 2,
        "list_entries": 2,
        "backtest_rows": 2,
        "calls": 2,
        "events": 2,
    }
    replace_events([bought(decomposed), bought("zoe")], actor=ACTOR)
    assert users() == ["zoe"]


def test_a_subject_with_space_around_it_goes_from_lists_that_left_it_out(workflow: str) -> None:
    save_list(name="blocked", description="", actor=ACTOR)
    add_entries(name="blocked", entries=[Entry(value=" ann ")], actor=ACTOR)
    assert erase(" ann ") == {"list_entries": 1}


def test_a_dry_run_counts_the_same_and_leaves_everything(workflow: str, scenario: str) -> None:
    run_job(start_bulk_job(scenario=scenario, actor=ACTOR).pk)
    decide(workflow="orders", facts_in=ANN, actor=ACTOR)
    save_list(name="blocked", description="", actor=ACTOR)
    add_entries(name="blocked", entries=[Entry(value="ann")], actor=ACTOR)
    queued([ANN, BEN])
    defer_call(kind="decide", target="orders", body={"input": ANN}, actor=ACTOR)
    events = AuditEvent.objects.count()
    counted = erase(is_dry_run=True)
    assert counted == erase(is_dry_run=True)
    assert AuditEvent.objects.count() == events
    assert (Decision.objects.get().subject, ErasedUser.objects.count()) == ("ann", 0)
    assert erase() == counted
    assert erase() == {}


def test_each_erasure_is_an_event_that_does_not_name_the_person_and_the_log_verifies(workflow: str) -> None:
    decide(workflow="orders", facts_in=ANN, actor=ACTOR)
    seal_all()
    erased = erase_person(subject="ann", reason=" asked ", actor="user:officer")
    event = AuditEvent.objects.get(subject=f"erasure:{erased.erasure_id}")
    assert (event.action, event.actor) == ("subject.erased", "user:officer")
    assert event.details == {
        "reason": "asked",
        "workflow": "",
        "counts": dict.fromkeys(KINDS, 0) | {"decisions": 1, "actions": 1},
    }
    for _ in range(2):
        found = record_verification(copies=(), actor=ACTOR)
        assert found.state == "passed", found.report
        seal_all()


def test_an_event_that_claims_a_detached_month_keeps_nobody_from_erasing(workflow: str) -> None:
    """Whoever may write to the audit log could name any table there."""
    for table in ("catalog_item", 'x" WHERE false; --'):
        record_event("decisions.detached", actor=ACTOR, subject="table", details={"table": table})
    assert not erase_person(subject="ann", reason="asked", actor=ACTOR).left.tables


def test_what_an_erasure_does_not_reach_is_told(workflow: str) -> None:
    decide(workflow="orders", facts_in=ANN, actor=ACTOR)
    decide(workflow="orders", facts_in=ANN | {"customer_id": "ann10"}, actor=ACTOR)
    made = Decision.objects.latest("id").created_at
    apps.get_model("decisions", "Action").objects.update(state="delivered")
    (month,) = [one for one in list_partitions() if (one.starts_at or made) <= made < one.ends_at]
    detach_partition(month, actor=ACTOR)
    save_list(name="blocked", description="Whom (ann) asked us to block.", actor=ACTOR)
    save_list(name="vips", description="annual buyers", actor=ACTOR)
    add_entries(name="vips", entries=[Entry(value="x")], actor=ACTOR, reason="a friend of ann")
    add_entries(name="vips", entries=[Entry(value="y")], actor=ACTOR, reason="annual review")
    event = AuditEvent.objects.filter(action="list.changed").order_by("id").first()
    assert event is not None
    left = erase_person(subject="ann", reason="asked", actor=ACTOR).left
    assert (left.tables, left.lists, left.audit_events) == ({month.name: 1}, ("blocked",), (event.pk,))
    assert left.sentences[0].startswith(f"decisions in the detached table {month.name}")


def test_a_call_that_a_worker_answers_now_is_waited_for(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inferhub.erasure.services._PATIENCE_SECONDS", 0.0)
    call = defer_call(kind="decide", target="orders", body={"input": ANN}, actor=ACTOR)
    soon = timezone.now() + timedelta(seconds=50)
    DeferredCall.objects.filter(pk=call.pk).update(state="running", leased_until=soon)
    decide(workflow="orders", facts_in=ANN, actor=ACTOR)
    assert erase(is_dry_run=True) == {"decisions": 1, "actions": 1, "calls": 1}
    with pytest.raises(Unavailable, match="nothing was erased"):
        erase()
    assert Decision.objects.get().erased_at is None
    DeferredCall.objects.filter(pk=call.pk).update(leased_until=timezone.now() - timedelta(seconds=1))
    assert erase() == {"decisions": 1, "actions": 1, "calls": 1}


def test_every_table_is_in_the_inventory(db: None) -> None:
    """A new table is put where an erasure reaches it, or where it need not."""
    known = {name for names in INVENTORY.values() for name in names.split()}
    tables = {model._meta.label for model in apps.get_models(include_auto_created=True)}
    assert tables - known == set(), "new tables belong to README.md, Erasing a person's data, and to this list"
    assert known - tables == set()


INVENTORY = {
    "reached": "decisions.Decision decisions.Action decisions.ActionAttempt decisions.Review decisions.ReviewComment "
    "decisions.WorkflowTest rulesets.RuleSetTest decisions.Flag decisions.FlagChange lists.ListEntry "
    "backtests.BacktestFile backtests.BacktestChange jobs.DeferredCall accounts.RepeatableWrite catalog.Event "
    "recommendations.Recommendation jobs.Chunk",
    "of the hub's own people": "accounts.User accounts.User_groups accounts.User_user_permissions accounts.ApiKey "
    "auth.Group auth.Group_permissions auth.Permission sessions.Session admin.LogEntry contenttypes.ContentType",
    "written by authors": "decisions.Workflow decisions.WorkflowVersion decisions.WorkflowPublication rulesets.RuleSet "
    "rulesets.RuleSetVersion rulesets.RuleSetPublication lists.LookupList lists.ListVersion recommendations.Scenario "
    "registry.RegisteredModel registry.ModelVersion registry.Tuning registry.Alias approvals.ChangeRequest "
    "starters.Installation decisions.WebhookEndpoint catalog.Item",
    "counts, names of things and digests": "decisions.DecisionKey decisions.WorkflowTestRun rulesets.RuleSetTestRun "
    "decisions.DeliveryTarget backtests.Backtest backtests.Challenger backtests.ChallengerCount "
    "backtests.ChallengerChange registry.ShadowComparison recommendations.Generation jobs.Job audit.AuditEvent "
    "audit.Unsealed audit.Seal audit.SealCopy audit.Verification catalog.ErasedUser",
    "schedules": "django_celery_beat.SolarSchedule django_celery_beat.IntervalSchedule "
    "django_celery_beat.ClockedSchedule django_celery_beat.CrontabSchedule django_celery_beat.PeriodicTasks "
    "django_celery_beat.PeriodicTask",
}


def test_flags_in_all_spellings_go(db: None) -> None:
    for subject in ("ann", "ann10"):
        Flag.objects.create(subject=subject, name="payout")
    assert erase() == {"flags": 1}
