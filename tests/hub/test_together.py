"""What one part of the hub does with what another one made."""

from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from inferhub.audit.sealing import seal_all
from inferhub.backtests.rows import DecisionRows, Wanted
from inferhub.decisions.delivery import deliver_action
from inferhub.decisions.models import Action, Decision, Review
from inferhub.decisions.partitions import detach_partition, list_partitions
from inferhub.decisions.replay import replay_decision
from inferhub.decisions.retention import expire_content
from inferhub.decisions.reviews import settle_review
from inferhub.decisions.services import Request, decide, decide_all, save_workflow
from inferhub.erasure.services import erase_person
from inferhub.jobs.proving import record_verification
from tests.hub_fixtures import ACTOR, WORKFLOW

pytestmark = pytest.mark.django_db
HELD = {"customer_id": "cid", "total": 2000, "price": 10}


def save(**changes: Any) -> None:
    definition = deepcopy(WORKFLOW) | changes
    definition["actions"]["hold"] = [{"kind": "review", "title": "Look at this order"}]
    save_workflow(name="orders", definition=definition, actor=ACTOR)


def settled() -> Decision:
    decision, _ = decide(workflow="orders", facts_in=HELD, actor=ACTOR)
    deliver_action(decision.actions.get().pk)
    review = Review.objects.get(decision=decision)
    return settle_review(review=review, verdict="approved", reason="Fine.", actor="user:ann")


def assert_untouched() -> None:
    for _ in range(2):
        found = record_verification(copies=(), actor=ACTOR)
        assert found.state == "passed", found.report
        seal_all()


def test_the_log_verifies_after_a_verdict_an_erasure_a_retention_and_a_detached_month(workflow: str) -> None:
    save(retention_months=1)
    made = settled()
    assert_untouched()
    assert erase_person(subject="cid", reason="as asked", actor=ACTOR).counts["decisions"] == 2
    assert_untouched()
    settled()
    assert expire_content(now=timezone.now() + timedelta(days=70)) == 2
    assert_untouched()
    present = [one for one in list_partitions() if (one.starts_at or made.created_at) <= made.created_at < one.ends_at]
    Action.objects.filter(state="pending").update(state="delivered")
    assert detach_partition(present[0], actor=ACTOR) == 4
    assert_untouched()


def test_a_fallback_replays_as_it_was(workflow: str) -> None:
    prediction = WORKFLOW["predictions"][0] | {"on_failure": {"fallback": {"value": 500}}}
    save(predictions=[prediction], input=WORKFLOW["input"])
    decision, _ = decide(workflow="orders", facts_in={"customer_id": "cid", "total": 5, "price": None}, actor=ACTOR)
    assert decision.predictions["value"]["fallback"]
    found = replay_decision(decision.pk)
    assert found.is_equal, found


def test_a_back_test_reads_the_clock_as_the_decision_did(workflow: str) -> None:
    as_of = timezone.now() + timedelta(days=400)
    decide_all(workflow="orders", requests=[Request(facts=HELD)], actor=ACTOR, as_of=as_of)
    decide_all(workflow="orders", requests=[Request(facts=HELD)], actor=ACTOR)
    wanted = Wanted(facts=(), has_times=True)
    rows = DecisionRows(workflow_id=Decision.objects.latest("id").workflow_id)
    [dated, present] = [datetime.fromisoformat(text) for chunk in rows.chunks(wanted) for text in chunk.times]
    assert (dated, present) == (as_of, Decision.objects.latest("id").created_at)
