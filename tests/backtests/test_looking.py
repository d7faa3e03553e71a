"""Replay and back-tests of rules in several tables, which ask look-up lists and the time."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from inferhub.decisions.models import Decision
from inferhub.decisions.replay import replay_decision, replay_period
from inferhub.lists.services import Entry, add_entries, remove_entries, save_list
from inferhub.rulesets.services import save_rule_set
from tests.backtests.test_backtests import ORDERS, decide, moves, ran
from tests.hub.test_replay import alter
from tests.hub_fixtures import ACTOR

pytestmark = pytest.mark.django_db

TABLES: dict[str, Any] = {
    "tables": [
        {
            "name": "risk",
            "hit_policy": "first",
            "inputs": [
                {"field": "input.customer_id", "type": "string"},
                {"field": "input.total", "type": "number"},
                {"field": "time.hour", "type": "number"},
            ],
            "outputs": [{"field": "level", "type": "string"}],
            "rules": [
                {"when": ['in list "blocked"', "", ">= 0"], "then": ['"high"']},
                {"when": ["", "> 1000", ""], "then": ['"high"']},
                {"when": ["", "", ""], "then": ['"low"']},
            ],
        },
        {
            "name": "outcome",
            "hit_policy": "first",
            "inputs": [
                {"field": "risk.level", "type": "string"},
                {"field": "prediction.value.value", "type": "number"},
            ],
            "outputs": [{"field": "outcome", "type": "string"}],
            "rules": [
                {"when": ['"high"', ""], "then": ['"hold"']},
                {"when": ["", ">= 100"], "then": ['"fast"']},
                {"when": ["", ""], "then": ['"accept"']},
            ],
        },
    ]
}


@pytest.fixture(autouse=True)
def _rules(workflow: str) -> None:
    save_list(name="blocked", description="Not served.", actor=ACTOR)
    add_entries(name="blocked", entries=[Entry(value="ann")], actor=ACTOR)
    save_rule_set(name="screening", definition=TABLES, actor=ACTOR)


def test_a_replay_is_told_of_lists_and_time_what_the_decision_was_told() -> None:
    assert decide() == ["hold", "fast", "hold", "accept", "review", "review"]
    remove_entries(name="blocked", values=["ann"], actor=ACTOR)
    count = replay_period(since=timezone.now() - timedelta(hours=1), actor=ACTOR)
    assert (count.replayed, count.equal) == (6, 6)


def test_a_trace_that_does_not_tell_what_the_rules_were_told_is_said() -> None:
    decide()
    first = Decision.objects.order_by("id").first()
    assert first is not None
    alter(first, trace={})
    assert "what the trace does not tell" in replay_decision(first.pk).problem
    assert replay_period(since=timezone.now() - timedelta(hours=1), actor=ACTOR).impossible == 1


def test_a_back_test_takes_tables_in_sequence_the_lists_of_now_and_the_time_of_each_decision() -> None:
    decide()
    assert ran().report["changed"] == 0
    remove_entries(name="blocked", values=["ann"], actor=ACTOR)
    assert moves(ran())["hold", "accept"] == 1
    hour = Decision.objects.order_by("id").first().created_at.hour  # type: ignore[union-attr]
    later = {"tables": [TABLES["tables"][0], TABLES["tables"][1]]}
    later["tables"][0] = TABLES["tables"][0] | {
        "rules": [{"when": ["", "", f"[{hour}..{hour + 1}]"], "then": ['"high"']}, *TABLES["tables"][0]["rules"][1:]]
    }
    save_rule_set(name="screening", definition=later, actor=ACTOR)
    assert moves(ran())["fast", "hold"] == 1


def test_a_file_is_decided_by_tables_in_sequence_as_well() -> None:
    assert moves(ran(rows=ORDERS))["hold", "hold"] == 2
