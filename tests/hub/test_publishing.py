"""The life of versions of workflows and rule sets: draft, tested, approved, in force for a time, rolled back."""

import threading
import time
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import IntegrityError, close_old_connections, connection, transaction
from django.utils import timezone

from inferhub.accounts.models import User
from inferhub.approvals.models import ChangeRequest
from inferhub.approvals.services import approve_change, review_change
from inferhub.audit.models import AuditEvent
from inferhub.decisions.models import Workflow, WorkflowPublication, WorkflowVersion
from inferhub.decisions.queries import find_workflow, find_workflow_version
from inferhub.decisions.services import KIND, decide, save_workflow
from inferhub.decisions.testing import run_workflow_tests, save_workflow_test
from inferhub.errors import Conflict, InvalidDefinition, InvalidInput, NotFound
from inferhub.lib.snapshots import Snapshots
from inferhub.rulesets import schedules
from inferhub.rulesets.lifecycle import describe_versions
from inferhub.rulesets.models import RuleSet, RuleSetVersion
from inferhub.rulesets.publishing import TestsFailed, cancel_publication, publish_version, roll_back, set_approval
from inferhub.rulesets.queries import find_rule_set
from inferhub.rulesets.services import KIND as RULE_SETS
from inferhub.rulesets.services import save_rule_set
from tests.hub_fixtures import ACTOR, RULES, WORKFLOW

pytestmark = pytest.mark.django_db

ORDER = {"customer_id": "ann", "total": 20, "price": 10}
_INSERT = (
    "INSERT INTO decisions_workflowpublication "
    "(workflow_id, version_id, reason, is_rollback, published_by, cancelled_by, cancel_reason)"
)
HELD = {"name": "large orders are held", "input": ORDER | {"total": 1001}, "expect": {"outcome": "hold"}}


def _definition(title: str) -> dict[str, Any]:
    return WORKFLOW | {"actions": {"review": [{"kind": "review", "title": title}]}}


def _draft(title: str, **words: Any) -> WorkflowVersion:
    return save_workflow(
        **{"name": "orders", "definition": _definition(title), "actor": ACTOR, "is_draft": True} | words
    )


def _rules(limit: int) -> dict[str, Any]:
    rules = deepcopy(RULES)
    rules["rules"][0]["when"][0] = f"> {limit}"
    return rules


def _current(name: str = "orders") -> int:
    Snapshots.forget_all()
    return find_workflow(name).number


def _states(name: str = "orders") -> dict[int, str]:
    workflow = Workflow.objects.get(name=name)
    states = describe_versions(KIND, workflow)
    return {version.number: states[version.pk].name for version in workflow.versions.all()}


@pytest.fixture
def approver(db: None) -> str:
    User.objects.create_superuser("ben")  # permissions can be missing after a test that commits
    return "user:ben"


@pytest.fixture
def guarded(workflow: str) -> str:
    """A workflow that takes four eyes and whose first version is in force."""
    set_approval(KIND, owner=Workflow.objects.get(name=workflow), approval="four-eyes", actor=ACTOR, reason="live")
    return workflow


def test_a_new_workflow_takes_four_eyes_unless_it_is_said_otherwise(workflow: str, approver: str) -> None:
    version = save_workflow(name="fresh", definition=WORKFLOW, actor=ACTOR)
    with pytest.raises(NotFound, match="The workflow 'fresh' has no version in force now"):
        decide(workflow="fresh", facts_in=ORDER, actor=ACTOR)
    change = publish_version(KIND, version=version, actor=ACTOR, reason="first")
    assert isinstance(change, ChangeRequest)
    assert _states("fresh") == {1: "waiting"}
    approve_change(change_id=change.pk, actor=approver)
    assert decide(workflow="fresh", facts_in=ORDER, actor=ACTOR)[0].version_id == version.pk
    assert _states("fresh") == {1: "published"}


def test_where_the_policy_is_direct_a_save_is_in_force_at_once(workflow: str) -> None:
    assert save_workflow(name="orders", definition=_definition("b"), actor=ACTOR).number == 2
    assert _current() == 2


def test_a_draft_changes_nothing_until_it_is_published(workflow: str) -> None:
    version = _draft("b")
    assert (version.number, _current(), _states()) == (2, 1, {1: "published", 2: "draft"})
    publish_version(KIND, version=version, actor=ACTOR, reason="better")
    assert (_current(), _states()) == (2, {1: "retired", 2: "published"})


def test_saving_a_draft_again_without_the_wish_for_a_draft_publishes_it(workflow: str) -> None:
    _draft("b")
    assert (_draft("b", is_draft=False).number, _current()) == (2, 2)


def test_the_person_who_asked_cannot_approve(guarded: str, approver: str) -> None:
    change = publish_version(KIND, version=_draft("b", actor=approver), actor=approver, reason="better")
    assert isinstance(change, ChangeRequest)
    with pytest.raises(Exception, match="cannot approve it as well"):
        approve_change(change_id=change.pk, actor=approver)
    assert _current() == 1


def test_a_failing_test_case_blocks_the_publication_and_is_named(workflow: str) -> None:
    save_workflow_test(workflow="orders", case=HELD | {"expect": {"actions": []}}, actor=ACTOR)
    with pytest.raises(
        TestsFailed, match="'large orders are held' fails: /actions: expected no action, got review, web"
    ):
        publish_version(
            KIND,
            version=save_workflow(name="orders", definition=WORKFLOW, actor=ACTOR, is_draft=True),
            actor=ACTOR,
            reason="x",
            effective_until=timezone.now() + timedelta(days=1),
        )
    assert AuditEvent.objects.get(action="workflow.publication_refused").details == {
        "version": 1,
        "failed": ["large orders are held"],
    }


def test_a_save_whose_test_cases_fail_keeps_the_draft(workflow: str) -> None:
    save_workflow_test(workflow="orders", case=HELD | {"expect": {"actions": ["review", "webhook"]}}, actor=ACTOR)
    with pytest.raises(TestsFailed, match="orders version 2 is saved but cannot be published"):
        save_workflow(name="orders", definition=_definition("b"), actor=ACTOR)
    assert (_current(), _states()) == (1, {1: "published", 2: "failing"})


def test_rules_that_break_a_test_case_of_a_workflow_are_not_published(workflow: str) -> None:
    save_workflow_test(workflow="orders", case=HELD, actor=ACTOR)
    with pytest.raises(TestsFailed, match="'orders: large orders are held' fails"):
        save_rule_set(name="screening", definition=_rules(2000), actor=ACTOR)
    assert find_rule_set("screening").number == 1


def test_a_version_counts_as_tested_while_the_cases_stay_as_they_are(workflow: str) -> None:
    save_workflow_test(workflow="orders", case=HELD | {"expect": {"outcome": "hold"}}, actor=ACTOR)
    _draft("b")
    run_workflow_tests(workflow="orders", version=2, actor=ACTOR)
    assert _states()[2] == "tested"
    save_workflow_test(workflow="orders", case=HELD | {"expect": {"outcome": "fast"}}, actor=ACTOR)
    assert _states()[2] == "draft"
    run_workflow_tests(workflow="orders", version=2, actor=ACTOR)
    assert _states()[2] == "failing"


def test_the_test_cases_run_again_before_an_approval(guarded: str, approver: str) -> None:
    change = publish_version(KIND, version=_draft("b"), actor=ACTOR, reason="better")
    assert isinstance(change, ChangeRequest)
    save_workflow_test(workflow="orders", case=HELD | {"expect": {"outcome": "fast"}}, actor=ACTOR)
    assert "'large orders are held' fails" in str((review_change(change) or {})["refused"])
    with pytest.raises(TestsFailed):
        approve_change(change_id=change.pk, actor=approver)
    assert _current() == 1


def test_a_workflow_is_not_published_before_its_rules(workflow: str) -> None:
    save_rule_set(name="drafted", definition=RULES, actor=ACTOR)
    version = save_workflow(name="fresh", definition=WORKFLOW | {"rule_set": "drafted"}, actor=ACTOR)
    with pytest.raises(InvalidDefinition, match="publish drafted first"):
        publish_version(KIND, version=version, actor=ACTOR, reason="first")


def test_a_publication_comes_into_force_and_ends_by_itself(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begins = timezone.now() + timedelta(hours=1)
    times = {"effective_from": begins, "effective_until": begins + timedelta(hours=1)}
    publish_version(KIND, version=_draft("b"), actor=ACTOR, reason="sale", **times)
    numbers = [find_workflow("orders").number, find_workflow_version("orders", 2).number]
    with connection.execute_wrapper(_no_query):  # what the process remembers tells it all
        for minutes in (59, 61, 119, 121):
            monkeypatch.setattr(schedules, "time", _Clock(time.monotonic() + minutes * 60))
            numbers.append(find_workflow("orders").number)
    assert numbers == [1, 2, 1, 2, 2, 1]


class _Clock:
    """Stands still."""

    def __init__(self, moment: float) -> None:
        self._moment = moment

    def monotonic(self) -> float:
        return self._moment


def _no_query(*_: Any) -> Any:
    raise AssertionError("a query")


def test_a_scheduled_publication_can_be_cancelled_until_it_begins(workflow: str) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    planned = publish_version(KIND, version=_draft("b"), actor=ACTOR, reason="sale", effective_from=tomorrow)
    assert _states() == {1: "published", 2: "approved"}
    cancel_publication(KIND, publication=planned, actor=ACTOR, reason="no sale")
    assert _states() == {1: "published", 2: "draft"}
    for publication in WorkflowPublication.objects.all():
        with pytest.raises(Conflict, match="has begun or is cancelled already"):
            cancel_publication(KIND, publication=publication, actor=ACTOR, reason="again")


def test_what_is_planned_for_later_outlives_a_publication_of_today(workflow: str) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    publish_version(KIND, version=_draft("b"), actor=ACTOR, reason="sale", effective_from=tomorrow)
    save_workflow(name="orders", definition=_definition("c"), actor=ACTOR)
    assert _current() == 3
    assert find_workflow("orders", tomorrow + timedelta(hours=1)).number == 2


def test_a_publication_that_ends_before_it_begins_is_refused(workflow: str) -> None:
    now = timezone.now()
    with pytest.raises(InvalidInput, match="/effective_until: expected a time after"):
        publish_version(KIND, version=_draft("b"), actor=ACTOR, reason="x", effective_until=now - timedelta(hours=1))


def test_nothing_is_in_force_before_the_first_publication(workflow: str) -> None:
    with pytest.raises(NotFound, match="The workflow 'orders' has no version in force at 2020-01-01"):
        find_workflow("orders", timezone.now().replace(year=2020, month=1, day=1))


def test_a_rollback_leads_back_at_once_and_a_second_one_forth_again(guarded: str, approver: str) -> None:
    change = publish_version(KIND, version=_draft("b"), actor=ACTOR, reason="better")
    assert isinstance(change, ChangeRequest)
    approve_change(change_id=change.pk, actor=approver)
    orders = Workflow.objects.get(name="orders")
    roll_back(KIND, owner=orders, actor=ACTOR, reason="worse", from_version=2)
    assert _current() == 1
    with pytest.raises(Conflict, match="version 1 is in force now, not version 2"):
        roll_back(KIND, owner=orders, actor=ACTOR, reason="worse", from_version=2)
    roll_back(KIND, owner=orders, actor=ACTOR, reason="a mistake")
    assert _current() == 2
    assert [one.reason for one in WorkflowPublication.objects.all()] == ["a mistake", "worse", "better", "saved"]


def test_there_is_nothing_before_the_first_publication_to_go_back_to(workflow: str) -> None:
    with pytest.raises(Conflict, match="no version of orders to go back to"):
        roll_back(KIND, owner=Workflow.objects.get(name="orders"), actor=ACTOR, reason="x")


def test_a_weaker_policy_takes_four_eyes(guarded: str, approver: str) -> None:
    change = set_approval(
        KIND, owner=Workflow.objects.get(name="orders"), approval="direct", actor=ACTOR, reason="demo"
    )
    assert Workflow.objects.get(name="orders").approval == "four-eyes"
    approve_change(change_id=change.pk, actor=approver)
    assert Workflow.objects.get(name="orders").approval == "direct"


@pytest.mark.parametrize(
    "statement",
    [
        f"{_INSERT} VALUES ({{workflow}}, {{draft}}, '', false, '', '', '')",
        f"{_INSERT} VALUES ({{workflow}}, {{draft}}, '', true, '', '', '')",
        "UPDATE decisions_workflowpublication SET version_id = {draft}",
        "UPDATE decisions_workflowpublication SET effective_until = now() + interval '1 day'",
        "UPDATE decisions_workflowpublication SET cancelled_at = now()",
        "DELETE FROM decisions_workflowpublication",
        "UPDATE decisions_workflow SET approval = 'direct'",
        "UPDATE decisions_workflow SET name = 'other'",
    ],
)
def test_the_database_itself_refuses_to_publish_past_the_approval(guarded: str, statement: str) -> None:
    draft = _draft("b")
    sql = statement.format(workflow=draft.workflow_id, draft=draft.pk)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert _current() == 1


def test_an_approval_is_good_for_its_version_its_time_and_once(guarded: str, approver: str) -> None:
    until = timezone.now() + timedelta(days=1)
    change = publish_version(KIND, version=_draft("b"), actor=ACTOR, reason="sale", effective_until=until)
    assert isinstance(change, ChangeRequest)
    other = _draft("c")
    approve_change(change_id=change.pk, actor=approver)
    given = {"workflow": other.workflow, "published_by": ACTOR, "change": change}
    for values in ({"version": other, "effective_until": until}, {"version_id": change.payload["version_id"]}):
        with pytest.raises(IntegrityError), transaction.atomic():
            WorkflowPublication.objects.create(**given, **values)
    assert _current() == 2


def test_a_publication_never_begins_before_it_was_made(workflow: str) -> None:
    values = {"workflow": Workflow.objects.get(name="orders"), "version": _draft("b"), "published_by": ACTOR}
    made = WorkflowPublication.objects.create(**values, effective_from=timezone.now() - timedelta(days=9))
    made.refresh_from_db()
    assert made.effective_from == made.published_at


def test_a_publication_is_one_of_an_own_version(workflow: str) -> None:
    other = save_workflow(name="other", definition=WORKFLOW, actor=ACTOR)
    with pytest.raises(IntegrityError, match="own version"), transaction.atomic():
        WorkflowPublication.objects.create(
            workflow=Workflow.objects.get(name="orders"), version=other, published_by=ACTOR
        )


def _at_once(*deeds: Callable[[], object]) -> list[object]:
    barrier = threading.Barrier(len(deeds))
    outcomes: list[object] = [None] * len(deeds)

    def run(place: int, deed: Callable[[], object]) -> None:
        try:
            barrier.wait()
            outcomes[place] = deed()
        except Conflict as exc:
            outcomes[place] = exc
        finally:
            close_old_connections()
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.django_db(transaction=True)
def test_two_publishers_at_once_leave_one_order_of_things(workflow: str) -> None:
    first, second = _draft("b"), _draft("c")
    _at_once(
        lambda: publish_version(KIND, version=first, actor=ACTOR, reason="one"),
        lambda: publish_version(KIND, version=second, actor=ACTOR, reason="two"),
    )
    made = list(WorkflowPublication.objects.order_by("id"))
    assert {made[1].version_id, made[2].version_id} == {first.pk, second.pk}
    assert made[1].effective_from < made[2].effective_from
    assert _current() == made[2].version.number
    roll_back(KIND, owner=Workflow.objects.get(), actor=ACTOR, reason="back")
    assert _current() == made[1].version.number


@pytest.mark.django_db(transaction=True)
def test_of_two_who_roll_back_what_they_saw_one_does(workflow: str) -> None:
    save_workflow(name="orders", definition=_definition("b"), actor=ACTOR)
    orders = Workflow.objects.get()

    def back() -> object:
        return roll_back(KIND, owner=orders, actor=ACTOR, reason="worse", from_version=2)

    assert sorted(isinstance(outcome, Conflict) for outcome in _at_once(back, back)) == [False, True]
    assert _current() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_approve_the_same_one_publishes(guarded: str, approver: str) -> None:
    change = publish_version(KIND, version=_draft("b"), actor=ACTOR, reason="better")
    assert isinstance(change, ChangeRequest)
    outcomes = _at_once(*[lambda: approve_change(change_id=change.pk, actor=approver)] * 2)
    assert sorted(isinstance(outcome, Conflict) for outcome in outcomes) == [False, True]
    assert WorkflowPublication.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_saves_at_once_make_two_versions(workflow: str) -> None:
    _at_once(lambda: _draft("b"), lambda: _draft("c"))
    assert sorted(WorkflowVersion.objects.values_list("number", flat=True)) == [1, 2, 3]


def test_decisions_go_on_while_somebody_publishes(workflow: str) -> None:
    """The trigger locks the workflow's row in a way that rows which refer to it do not wait for."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'inferhub_guard_workflow_publication'")
        assert "FOR NO KEY UPDATE" in cursor.fetchone()[0]


def test_rule_sets_live_the_same_life(workflow: str) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    version: RuleSetVersion = save_rule_set(name="screening", definition=_rules(10), actor=ACTOR, is_draft=True)
    publish_version(RULE_SETS, version=version, actor=ACTOR, reason="strict", effective_from=tomorrow)
    assert find_rule_set("screening").number == 1
    assert find_rule_set("screening", tomorrow).number == 2


def test_what_a_hub_without_publications_had_in_use_stays_in_force(workflow: str) -> None:
    for limit in (10, 20):
        save_rule_set(name="older", definition=_rules(limit), actor=ACTOR, is_draft=True)
    migration = import_module("inferhub.rulesets.migrations.0005_publish_what_was_in_use").Migration
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE rulesets_rulesetpublication DISABLE TRIGGER guard")  # it came later
        cursor.execute("ALTER TABLE rulesets_ruleset DISABLE TRIGGER guard")
        cursor.execute(migration.operations[0].sql)
    older = RuleSet.objects.get(name="older")
    assert (older.approval, older.current.number) == ("direct", 2)
    made = older.publications.order_by("effective_from")
    assert [one.effective_from == one.version.created_at for one in made] == [True, True]


def test_rule_authors_of_a_hub_with_roles_may_withdraw_what_they_ask() -> None:
    author = Group.objects.get(name="rule author")
    author.permissions.clear()
    import_module("inferhub.approvals.migrations.0004_rule_authors_ask").grant(apps, None)
    assert [one.codename for one in author.permissions.all()] == ["add_changerequest"]
