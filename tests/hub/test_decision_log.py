import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.db import connection

from inferhub.audit.models import AuditEvent
from inferhub.decisions import log as log_module
from inferhub.decisions.drafts import Draft, make_draft
from inferhub.decisions.engine import run_rows
from inferhub.decisions.log import DirectLog, GroupLog, use_log
from inferhub.decisions.log_statement import WRITE
from inferhub.decisions.models import Action, Decision, DecisionKey
from inferhub.decisions.queries import find_workflow
from inferhub.decisions.services import Request, _Predictor, decide, decide_all
from inferhub.errors import Conflict, InvalidInput, Unavailable
from inferhub.registry.queries import find_route, routes
from inferhub.rulesets.queries import find_rule_set
from tests.hub_fixtures import ACTOR

pytestmark = pytest.mark.django_db(transaction=True)

ORDER = {"customer_id": "ann", "total": 20, "price": 10}


class Connections:
    """Opens connections for a log, counts them, and can refuse to."""

    def __init__(self) -> None:
        self.opened: list[psycopg.Connection[Any]] = []
        self.is_away = False

    def __call__(self) -> psycopg.Connection[Any]:
        if self.is_away:
            raise psycopg.OperationalError("connection refused")
        self.opened.append(log_module.connect())
        return self.opened[-1]


@pytest.fixture
def connections() -> Connections:
    return Connections()


@pytest.fixture
def log(workflow: str, connections: Connections) -> Iterator[GroupLog]:
    made = GroupLog(connections)
    use_log(made)
    yield made
    use_log(DirectLog())
    made.close()


def draft(request_id: str, **changes: Any) -> Draft:
    published = find_workflow("orders")
    rules = find_rule_set(published.plan.rule_set)
    facts = ORDER | changes
    (verdict,) = run_rows(published.plan, rules.engine, [facts], _Predictor([""]))
    assert not isinstance(verdict, InvalidInput)
    return make_draft(published, rules, verdict, facts, request_id=request_id, actor=ACTOR)


class HeldLog:
    """While it is held, the log's writer stands at its statement and others queue up behind it."""

    def __init__(self, log: GroupLog, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements: list[int] = []
        self._go, self._is_there = threading.Event(), threading.Event()
        execute = log._execute

        def held(statement: str, parameters: Any) -> Any:
            if statement == WRITE:
                self.statements.append(len(parameters[0].obj))
            self._is_there.set()
            assert self._go.wait(10)
            return execute(statement, parameters)

        monkeypatch.setattr(log, "_execute", held)
        self._log = log

    def commit_together(self, *drafts: Draft) -> list[Any]:
        """The first one alone; all others in what its writer finds afterwards."""
        with ThreadPoolExecutor(len(drafts)) as pool:
            first = pool.submit(self._log.commit, [drafts[0]])
            assert self._is_there.wait(10)
            others = [pool.submit(self._log.commit, [one]) for one in drafts[1:]]
            while self._log._queue.qsize() < len(others):
                pass
            self._go.set()
            return [waiting.result()[0] for waiting in (first, *others)]


@pytest.fixture
def held(log: GroupLog, monkeypatch: pytest.MonkeyPatch) -> HeldLog:
    return HeldLog(log, monkeypatch)


def test_those_who_wait_share_one_statement(held: HeldLog) -> None:
    drafts = [draft(f"r{number}") for number in range(6)]
    assert held.commit_together(*drafts) == [one.id for one in drafts]
    assert len(held.statements) == 2
    assert Decision.objects.count() == Action.objects.count() == DecisionKey.objects.count() == 6
    assert AuditEvent.objects.filter(action="decision.made").count() == 6


def test_a_draft_that_the_database_refuses_spoils_no_other(held: HeldLog) -> None:
    good = [draft("r0"), draft("r1"), draft("r3")]
    written = held.commit_together(good[0], good[1], draft("x" * 300), good[2], draft("r5", customer_id="\x00"))
    assert [written[place] for place in (0, 1, 3)] == [one.id for one in good]
    assert {type(written[place]) for place in (2, 4)} == {InvalidInput}
    assert "too long" in str(written[2])
    assert Decision.objects.count() == 3


def test_of_two_drafts_with_one_request_id_the_second_learns_of_the_first(held: HeldLog) -> None:
    first, same, other = draft("r0"), draft("twice"), draft("twice")
    assert held.commit_together(first, same, other) == [first.id, same.id, same.id]
    assert sorted(Decision.objects.values_list("pk", flat=True)) == sorted([first.id, same.id])
    assert Action.objects.filter(decision_id=other.id).count() == 0


def test_a_new_decision_reads_nothing_on_djangos_connection(
    log: GroupLog, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide_all(workflow="orders", requests=[Request(facts=ORDER)], actor=ACTOR)
    kept = {("price-model", "champion"): find_route("price-model")}  # as a serving process has it
    monkeypatch.setattr(routes, "get", kept.get)
    with django_assert_num_queries(0):
        (found,) = decide_all(workflow="orders", requests=[Request(facts=ORDER)], actor=ACTOR)
    assert not isinstance(found, Exception)
    assert found.is_new


def test_concurrent_callers_get_each_their_own_decision_and_repeats_the_first(log: GroupLog) -> None:
    def ask(number: int) -> tuple[str, bool]:
        try:
            made, is_new = decide(workflow="orders", facts_in=ORDER, request_id=f"r{number % 20}", actor=ACTOR)
            return str(made.pk), is_new
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(60)))
    assert len({pk for pk, _ in answers}) == sum(is_new for _, is_new in answers) == 20
    assert Decision.objects.count() == Action.objects.count() == 20


def test_a_repeat_with_another_input_is_a_conflict(log: GroupLog) -> None:
    decide(workflow="orders", facts_in=ORDER, request_id="r", actor=ACTOR)
    with pytest.raises(Conflict, match="another input"):
        decide(workflow="orders", facts_in=ORDER | {"total": 3}, request_id="r", actor=ACTOR)


def test_a_connection_that_died_is_replaced_without_anybody_noticing(log: GroupLog, connections: Connections) -> None:
    decide(workflow="orders", facts_in=ORDER, actor=ACTOR)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [connections.opened[0].info.backend_pid])
    decide(workflow="orders", facts_in=ORDER, actor=ACTOR)
    assert len(connections.opened) == 2
    assert Decision.objects.count() == 2


def test_an_answer_that_was_lost_on_its_way_is_found_again(
    log: GroupLog, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks after the commit: the log cannot know, asks again, and finds its own decision."""
    one = draft("r")
    log.commit([draft("warm")])
    execute = connections.opened[0].execute

    def lose(*arguments: Any, **options: Any) -> Any:
        execute(*arguments, **options)
        connections.opened[0].close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(connections.opened[0], "execute", lose)
    assert log.commit([one]) == [one.id]
    assert Action.objects.filter(decision_id=one.id).count() == 1


def test_while_the_database_is_away_everybody_is_told_and_nothing_is_kept(
    log: GroupLog, connections: Connections
) -> None:
    connections.is_away = True
    for _ in range(2):
        with pytest.raises(Unavailable, match="request_id is made once"):
            decide(workflow="orders", facts_in=ORDER, request_id="r", actor=ACTOR)
    connections.is_away = False
    assert not Decision.objects.exists()
    assert decide(workflow="orders", facts_in=ORDER, request_id="r", actor=ACTOR)[1]


def test_a_forked_child_writes_on_a_connection_of_its_own(log: GroupLog, connections: Connections) -> None:
    log.commit([draft("parent")])
    ours = draft("child")
    child = os.fork()
    if child == 0:
        code = 0 if log._connection is None and log.commit([ours]) == [ours.id] else 1
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    log.commit([draft("after")])
    assert len(connections.opened) == 1
    assert Decision.objects.count() == 3


def test_a_bell_that_breaks_does_not_end_the_writer(log: GroupLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(action_ids: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(log_module, "ring_bell_soon", broken)
    for number in range(2):
        one = draft(f"r{number}")
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(log.commit, [one]).result(timeout=20) == [one.id]


def test_a_writer_that_meets_the_unforeseen_leaves_nobody_waiting(
    log: GroupLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(statement: str, parameters: Any) -> Any:
        raise SystemExit

    monkeypatch.setattr(log, "_execute", torn)
    (written,) = log.commit([draft("r")])
    assert isinstance(written, Unavailable)
    monkeypatch.undo()
    again = draft("r")
    assert log.commit([again]) == [again.id]
