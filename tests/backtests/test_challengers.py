"""A challenger decides what a workflow decides, without actions, and every decision counts once."""

from copy import deepcopy
from datetime import timedelta

import pytest

from inferhub.api.challengers import CHALLENGER, CHALLENGER_WITH_REPORT, CHANGE
from inferhub.backtests import challengers, rows
from inferhub.backtests.challengers import challenger_report, end_challenger, run_challengers, start_challenger
from inferhub.backtests.models import Challenger
from inferhub.backtests.sides import Asked
from inferhub.decisions.models import Action, Decision
from inferhub.decisions.services import save_workflow
from inferhub.errors import Conflict, InvalidInput, NotFound
from inferhub.inference.services import unload
from inferhub.lib.schema import Schema
from inferhub.registry.models import ModelVersion
from inferhub.registry.storage import artifact_storage
from inferhub.rulesets.services import save_rule_set
from tests.backtests.test_backtests import ORDERS, decide, rules
from tests.hub_fixtures import ACTOR, WORKFLOW, Api, register_direct
from tests.models import linear_model

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions of the tests are committed when they are made."""
    monkeypatch.setattr(challengers, "_BEHIND", timedelta(0))


@pytest.fixture
def challenger(workflow: str) -> Challenger:
    """It holds what is above 500; the rules in use hold what is above 1000."""
    save_rule_set(name="screening", definition=rules(limit=500), actor=ACTOR)
    made = start_challenger(workflow="orders", candidate=Asked(rule_set_version=2), actor=ACTOR)
    save_rule_set(name="screening", definition=rules(), actor=ACTOR)
    return made


def moves(challenger: Challenger) -> dict[tuple[str, str], int]:
    run_challengers(seconds=10)
    challenger.refresh_from_db()
    report = challenger_report(challenger)
    return {(entry["baseline"], entry["candidate"]): entry["rows"] for entry in report["transitions"]}


EXPECTED = {
    ("accept", "accept"): 1,
    ("accept", "hold"): 1,
    ("fast", "hold"): 1,
    ("hold", "hold"): 1,
    ("review", "review"): 2,
}


def test_every_decision_is_seen_once_however_often_it_looks(
    challenger: Challenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_MOST_AT_ONCE", 2)
    decide()
    assert moves(challenger) == moves(challenger) == EXPECTED
    decide()
    assert moves(challenger) == {pair: 2 * count for pair, count in EXPECTED.items()}
    assert challenger.rows == 12


def test_it_decides_nothing_for_real(challenger: Challenger) -> None:
    decide()
    before = (Decision.objects.count(), Action.objects.count())
    moves(challenger)
    assert (Decision.objects.count(), Action.objects.count()) == before


def test_what_was_decided_before_it_began_is_not_its_business(workflow: str) -> None:
    decide()
    challenger = start_challenger(workflow="orders", candidate=Asked(), actor=ACTOR)
    assert moves(challenger) == {}


def test_decisions_that_it_makes_otherwise_are_kept_the_newest_of_each_kind(
    challenger: Challenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(challengers, "MOST_OF_A_CHANGE", 3)
    for _ in range(5):
        decide([ORDERS[3]])
        moves(challenger)
    kept = list(challenger.changes.order_by("decision_id").values_list("decision_id", "baseline", "candidate"))
    newest = Decision.objects.order_by("id").values_list("pk", flat=True)[2:]
    assert kept == [(pk, "accept", "hold") for pk in newest]


def test_a_model_challenges_by_running_beside(workflow: str) -> None:
    register_direct(name="price-model", task="regression", data=linear_model(50.0))
    challenger = start_challenger(workflow="orders", candidate=Asked(models={"value": 2}), actor=ACTOR)
    decide()
    assert moves(challenger)["accept", "fast"] == 2


def test_it_goes_on_while_the_workflow_changes_its_question_to_the_model(workflow: str) -> None:
    challenger = start_challenger(workflow="orders", candidate=Asked(workflow_version=1), actor=ACTOR)
    register_direct(name="price-model", task="regression", data=linear_model(50.0))
    definition = deepcopy(WORKFLOW)
    definition["predictions"][0]["version"] = 2
    save_workflow(name="orders", definition=definition, actor=ACTOR)
    decide()
    assert moves(challenger)["fast", "accept"] == 2  # version 1 asks the champion, which is another model version


def test_one_that_cannot_run_says_why_and_catches_up_once_it_can(workflow: str, price_model: ModelVersion) -> None:
    second = register_direct(name="price-model", task="regression", data=linear_model(50.0))
    challenger = start_challenger(workflow="orders", candidate=Asked(models={"value": 2}), actor=ACTOR)
    unload(second.digest)
    artifact_storage().delete(f"{second.digest[:2]}/{second.digest}.onnx")
    decide()
    assert moves(challenger) == {}
    assert "could not be read" in challenger.problem
    register_direct(name="other", task="regression", data=linear_model(50.0))  # the same file is there again
    assert sum(moves(challenger).values()) == 6
    assert challenger.problem == ""


def test_one_challenger_of_a_workflow_runs_at_a_time_and_ends_once(challenger: Challenger) -> None:
    another = {"workflow": "orders", "candidate": Asked(), "actor": ACTOR}
    with pytest.raises(Conflict, match="runs already"):
        start_challenger(**another)
    end_challenger(challenger=challenger, actor=ACTOR)
    with pytest.raises(Conflict, match="ended already"):
        end_challenger(challenger=challenger, actor=ACTOR)
    decide()
    assert moves(challenger) == {}
    start_challenger(**another)


def test_a_challenger_of_nothing_is_refused(workflow: str) -> None:
    with pytest.raises(NotFound):
        start_challenger(workflow="nothing", candidate=Asked(), actor=ACTOR)
    with pytest.raises(InvalidInput) as caught:
        start_challenger(workflow="orders", candidate=Asked(rule_set_version=9), actor=ACTOR)
    assert caught.value.errors[0].pointer == "/candidate/rule_set_version"


def test_rest_starts_reads_and_ends_one(workflow: str, api: Api) -> None:
    save_rule_set(name="screening", definition=rules(limit=500), actor=ACTOR)
    body = {"workflow": "orders", "candidate": {"rule_set_version": 1}}
    started = api.post("challengers", body)
    assert started.status_code == 201
    Schema(CHALLENGER).check(started.json())
    address = started["Location"].partition("/api/v1/")[2]
    decide()
    run_challengers(seconds=10)
    read = api.get(address).json()
    Schema(CHALLENGER_WITH_REPORT).check(read)
    assert read["report"]["changed"] == 2
    change = api.get(f"{address}/changes?candidate=accept").json()["results"][0]
    Schema(CHANGE).check(change)
    assert change["baseline"] == "hold"
    assert api.post("challengers", body).status_code == 409
    assert api.post(f"{address}/end", {}).json()["ended_at"] is not None
    assert len(api.get("challengers?workflow=orders").json()["results"]) == 1
