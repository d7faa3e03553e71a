import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import Error, connection, transaction
from django.utils import timezone

from inferhub.audit.models import AuditEvent
from inferhub.decisions import drafts
from inferhub.decisions.delivery import deliver_action
from inferhub.decisions.log_statement import WRITE
from inferhub.decisions.models import Action, ActionAttempt, Decision, DecisionKey, Review
from inferhub.decisions.partitions import (
    MONTHS_AHEAD,
    Partition,
    detach_partition,
    list_partitions,
    make_partitions,
    old_partitions,
)
from inferhub.decisions.review_queue import comment_on_review
from inferhub.decisions.reviews import settle_review
from inferhub.decisions.services import decide
from inferhub.decisions.tasks import keep_partitions
from inferhub.errors import Conflict
from inferhub.lib.ids import uuid7
from tests.hub_fixtures import ACTOR

pytestmark = pytest.mark.django_db

ORDER = {"customer_id": "ann", "total": 20, "price": 10}
HELD = ORDER | {"total": 2000}
LONG_AGO = datetime(2001, 2, 3, tzinfo=UTC)


def _rows(statement: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def _drop(partition: Partition) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER TABLE decisions_decision DETACH PARTITION "{partition.name}"')
        cursor.execute(f'DROP TABLE "{partition.name}"')


@pytest.fixture
def long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions get ids of a month that is long over."""

    def id_of_then() -> uuid.UUID:
        return uuid.UUID(int=int(LONG_AGO.timestamp() * 1000) << 80 | uuid7().int & (1 << 80) - 1)

    monkeypatch.setattr(drafts, "uuid7", id_of_then)


@pytest.fixture
def before(workflow: str, long_ago: None) -> Partition:
    """The first partition, with a finished decision: delivered and reviewed."""
    decide(workflow="orders", facts_in=HELD, request_id="old", actor=ACTOR)
    for action in Action.objects.all():
        deliver_action(action.pk)
    comment_on_review(review=Review.objects.get(), text="looks fine", actor=ACTOR)
    settle_review(review=Review.objects.get(), verdict="approved", reason="seen", actor=ACTOR)
    return list_partitions()[0]


def test_this_month_and_the_next_ones_are_there(db: None) -> None:
    partitions = list_partitions()
    assert partitions[0].starts_at is None
    assert [p.starts_at for p in partitions[1:]] == [p.ends_at for p in partitions[:-1]]
    months = [p.starts_at.month for p in partitions if p.starts_at and p.starts_at > timezone.now()]
    assert len(months) == MONTHS_AHEAD
    assert make_partitions() == 0


def test_a_decision_lies_in_the_partition_of_its_month(workflow: str) -> None:
    decide(workflow="orders", facts_in=ORDER, actor=ACTOR)
    now = timezone.now()
    assert _rows("SELECT tableoid::regclass::text FROM decisions_decision") == [(f"decisions_decision_{now:%Y_%m}",)]


def test_missing_partitions_are_made_when_the_first_decision_needs_them(workflow: str) -> None:
    for partition in list_partitions():
        _drop(partition)
    assert decide(workflow="orders", facts_in=ORDER, actor=ACTOR)[1]
    assert len(list_partitions()) == MONTHS_AHEAD + 1


def test_missing_partitions_are_made_when_the_first_verdict_needs_them(workflow: str, long_ago: None) -> None:
    decide(workflow="orders", facts_in=HELD, actor=ACTOR)
    for action in Action.objects.all():
        deliver_action(action.pk)
    for partition in list_partitions()[1:]:
        _drop(partition)
    made = settle_review(review=Review.objects.get(), verdict="approved", reason="seen", actor=ACTOR)
    assert Decision.objects.filter(pk=made.pk).exists()


def test_only_months_that_ended_long_enough_ago_are_old(db: None) -> None:
    first = list_partitions()[0]
    ends_at = first.ends_at
    assert old_partitions(0, now=ends_at) == []
    assert first in old_partitions(2, now=ends_at.replace(year=ends_at.year + 1))
    in_the_next_month = ends_at + timedelta(days=40)
    assert old_partitions(2, now=in_the_next_month) == []
    assert old_partitions(1, now=in_the_next_month) == [first]


def test_a_detached_month_takes_all_that_belongs_to_it_along(before: Partition) -> None:
    recent, _ = decide(workflow="orders", facts_in=ORDER, actor=ACTOR)
    recent_is_old_too = recent.pk.int >> 80 < 10**12
    assert recent_is_old_too  # the fixture's clock still stands
    for action in Action.objects.filter(decision=recent):
        deliver_action(action.pk)
    assert detach_partition(before, actor=ACTOR) == 2
    assert Decision.objects.get().reviewed_decision_id  # a verdict's decision belongs to the month of the verdict
    assert not Action.objects.exists()
    assert not ActionAttempt.objects.exists()
    assert not Review.objects.exists()
    counts = [_rows(f"SELECT count(*) FROM {table}_before")[0][0] for table in TABLES]
    assert counts == [2, 3, 3, 1, 1]
    event = AuditEvent.objects.get(action="decisions.detached")
    assert (event.details["table"], event.details["decisions"]) == ("decisions_decision_before", 2)


TABLES = (
    "decisions_decision",
    "decisions_action",
    "decisions_actionattempt",
    "decisions_review",
    "decisions_reviewcomment",
)


def test_a_request_of_a_detached_month_is_not_decided_again(before: Partition) -> None:
    detach_partition(before, actor=ACTOR)
    with pytest.raises(Conflict, match="moved out with its month"):
        decide(workflow="orders", facts_in=HELD, request_id="old", actor=ACTOR)
    assert DecisionKey.objects.filter(request_id="old").exists()


def test_a_month_with_open_work_stays(workflow: str, long_ago: None) -> None:
    decide(workflow="orders", facts_in=HELD, actor=ACTOR)
    with pytest.raises(Conflict, match="2 actions and 0 reviews are open"):
        detach_partition(list_partitions()[0], actor=ACTOR)
    for action in Action.objects.all():
        deliver_action(action.pk)
    with pytest.raises(Conflict, match="0 actions and 1 reviews are open"):
        detach_partition(list_partitions()[0], actor=ACTOR)


def test_by_default_the_task_detaches_nothing(before: Partition) -> None:
    keep_partitions()
    assert list_partitions()[0] == before
    assert Decision.objects.exists()


@pytest.mark.parametrize("statement", ["UPDATE {} SET outcome = 'x'", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_a_partition_made_later_refuses_changes_like_the_others(workflow: str, statement: str) -> None:
    newest = list_partitions()[-1].name
    _drop(list_partitions()[-1])
    assert make_partitions() == 1
    decide(workflow="orders", facts_in=ORDER, actor=ACTOR)
    table = newest if "TRUNCATE" in statement else f"decisions_decision_{timezone.now():%Y_%m}"
    with pytest.raises(Error, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(table))


def test_the_one_statement_writes_every_column_of_its_tables() -> None:
    for model in (Decision, Action):
        for field in model._meta.concrete_fields:
            if field.column == "reviewed_decision_id":
                continue  # of decisions that people make, which need not be quick
            assert f'"{field.column}"' in WRITE


@pytest.mark.parametrize("table", ["decisions_workflow", "decisions_workflowversion", "rulesets_rulesetversion"])
def test_what_decisions_refer_to_cannot_be_deleted(workflow: str, table: str) -> None:
    decide(workflow="orders", facts_in=ORDER, actor=ACTOR)
    with pytest.raises(Error), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET CONSTRAINTS ALL IMMEDIATE; DELETE FROM {table}")
