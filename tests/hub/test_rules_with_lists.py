"""Decisions by rules that ask look-up lists and the time."""

import copy
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from inferhub.decisions.digests import digest_of_decision
from inferhub.decisions.engine import Verdict, run_rows
from inferhub.decisions.models import Decision
from inferhub.decisions.queries import find_workflow
from inferhub.decisions.replay import replay_decision
from inferhub.decisions.services import Decided, Request, _Predictor, decide, decide_all
from inferhub.errors import InvalidDefinition
from inferhub.lib.snapshots import Snapshots
from inferhub.lists.services import save_list, set_membership
from inferhub.rules.look import Look
from inferhub.rulesets.queries import find_rule_set
from inferhub.rulesets.reading import look_around
from inferhub.rulesets.services import save_rule_set
from tests.hub_fixtures import ACTOR, RULES

pytestmark = pytest.mark.django_db

ASKING: dict[str, Any] = {
    **RULES,
    "inputs": [
        *RULES["inputs"],
        {"field": "input.customer_id", "type": "string"},
        {"field": "time.hour", "type": "number"},
    ],
    "rules": [
        {"when": ["", "", 'in list "blocked-customers"', ""], "then": ['"hold"'], "note": "blocked"},
        *({**rule, "when": [*rule["when"], "", ""]} for rule in RULES["rules"]),
    ],
}
FACTS = {"customer_id": "ann", "total": 20, "price": 10}


@pytest.fixture
def asking(workflow: str) -> str:
    save_list(name="blocked-customers", description="", actor=ACTOR)
    save_rule_set(name="screening", definition=ASKING, actor=ACTOR)
    return workflow


def made(workflow: str) -> Decision:
    decision, _ = decide(workflow=workflow, facts_in=FACTS, actor=ACTOR)
    return Decision.objects.get(pk=decision.pk)


def test_a_list_changes_decisions_without_a_new_version_of_the_rules(asking: str) -> None:
    first = made(asking)
    set_membership(name="blocked-customers", value="ann", is_member=True, actor=ACTOR)
    second = made(asking)
    assert (first.outcome, second.outcome) == ("accept", "hold")
    assert first.rule_set_version_id == second.rule_set_version_id
    [before], [after] = first.trace["surroundings"]["lists"], second.trace["surroundings"]["lists"]
    assert (before["version"], before["words"]) == (0, "input.customer_id is not in list blocked-customers")
    assert (after["version"], after["words"]) == (1, "input.customer_id is in list blocked-customers")
    assert second.digest == digest_of_decision(second)


@pytest.mark.parametrize("facts", [FACTS, {**FACTS, "total": None}])
def test_a_replay_with_what_was_recorded_says_the_same_whatever_the_list_holds_now(
    asking: str, facts: dict[str, Any]
) -> None:
    decision, _ = decide(workflow=asking, facts_in=facts, actor=ACTOR)
    set_membership(name="blocked-customers", value="ann", is_member=True, actor=ACTOR)
    plan, engine = find_workflow(asking).plan, find_rule_set("screening").engine
    recorded = copy.deepcopy(decision.trace["surroundings"])
    [again] = run_rows(plan, engine, [facts], _Predictor(["ann"]), lambda _: Look.recorded(recorded))
    assert isinstance(again, Verdict)
    assert (again.outcome, again.trace) == (decision.outcome, decision.trace)


def test_a_rule_set_that_asks_a_list_that_is_not_there_is_refused_where_it_does(workflow: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        save_rule_set(name="screening", definition=ASKING, actor=ACTOR)
    assert [(error.pointer, error.got) for error in caught.value.errors] == [
        ("/rules/0/when/2", "the string 'blocked-customers'")
    ]


def test_rules_without_lists_keep_no_surroundings(workflow: str) -> None:
    assert "surroundings" not in made(workflow).trace


def test_as_of_another_moment_lists_and_time_are_what_they_were(asking: str) -> None:
    before = timezone.now() - timedelta(minutes=1)
    set_membership(name="blocked-customers", value="ann", is_member=True, actor=ACTOR)
    engine = find_rule_set("screening").engine
    for as_of, is_member in ((before, False), (timezone.now() + timedelta(minutes=1), True), (None, True)):
        make_look = look_around(engine, as_of)
        assert make_look is not None
        look = make_look(0)
        assert look.holds("blocked-customers", "ann") == is_member
        assert as_of in (None, look.at)


def test_a_decision_as_of_another_moment_is_made_with_the_lists_and_the_time_of_then_and_replays(asking: str) -> None:
    set_membership(name="blocked-customers", value="ann", is_member=True, actor=ACTOR)
    as_of = timezone.now()
    set_membership(name="blocked-customers", value="ann", is_member=False, actor=ACTOR)
    Snapshots.forget_all()
    [found] = decide_all(workflow=asking, requests=[Request(facts=FACTS)], actor=ACTOR, as_of=as_of)
    assert isinstance(found, Decided)
    decision = Decision.objects.get(pk=found.record.id)
    assert (decision.outcome, decision.trace["surroundings"]["at"]) == ("hold", as_of.isoformat())
    assert replay_decision(decision.pk).is_equal
