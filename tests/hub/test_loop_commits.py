"""The event loop writes decisions on a connection of its own, and a thread what does not simply succeed there."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import uvloop
from django.db import connection
from psycopg.pq import ExecStatus

from inferhub.audit.models import AuditEvent
from inferhub.decisions.drafts import Draft
from inferhub.decisions.log import DirectLog, GroupLog, Tell, connect, use_log
from inferhub.decisions.models import Action, Decision
from inferhub.errors import InvalidInput, Unavailable
from inferhub.web import log_connection
from inferhub.web.commits import Commits
from inferhub.web.log_connection import LogConnection
from tests.hub.test_decision_log import draft

pytestmark = pytest.mark.django_db(transaction=True)


class NotedLog(GroupLog):
    """Notes what the loop leaves to its thread."""

    def __init__(self) -> None:
        super().__init__(connect)
        self.left: list[int] = []

    def submit(self, drafts: Sequence[Draft], tell: Tell) -> None:
        self.left.append(len(drafts))
        super().submit(drafts, tell)


class Waiting:
    """A request that waits for its commit."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.written: asyncio.Future[list[Any]] = self.loop.create_future()

    def go_on(self, written: list[Any]) -> None:
        self.written.set_result(written)


class Loop:
    """What web processes have on their loop. The first decision opens the connection."""

    def __init__(self) -> None:
        self.commits = Commits(lambda work: threading.Thread(target=work).start())
        self._firsts = [draft("first again"), draft("first")]

    def begin(self, drafts: Sequence[Draft]) -> "list[Waiting]":
        waiting = [Waiting() for _ in drafts]
        for one, made in zip(waiting, drafts, strict=True):
            self.commits.ask(one, [made])
        return waiting

    async def commit(self, *drafts: Draft) -> list[Any]:
        """Those of one turn."""
        return await self.end(self.begin(drafts))

    async def end(self, waiting: "Sequence[Waiting]") -> list[Any]:
        async with asyncio.timeout(20):
            return [written for one in waiting for written in await one.written]

    async def warm(self) -> None:
        """Decide by a thread, and wait for the connection."""
        await self.commit(self._firsts.pop())
        async with asyncio.timeout(20):
            while self.commits._connection._open is None:
                await asyncio.sleep(0.01)

    def break_connection(self) -> None:
        opened = self.commits._connection._open
        assert opened is not None
        with psycopg.connect(**connection.get_connection_params()) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [opened.pgconn.backend_pid])

    def close(self) -> None:
        if (opened := self.commits._connection._open) is not None:
            opened.close()


@pytest.fixture
def log(workflow: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[NotedLog]:
    monkeypatch.setattr(log_connection, "_SILENCE_SECONDS", 0.0)
    made = NotedLog()
    use_log(made)
    yield made
    use_log(DirectLog())
    made.close()


def on_loop(work: Callable[[Loop], Coroutine[Any, Any, None]]) -> None:
    loop = Loop()

    async def run() -> None:
        try:
            await work(loop)
        finally:
            loop.close()

    uvloop.run(run())


def test_once_it_is_connected_the_loop_writes_itself(log: NotedLog) -> None:
    drafts = [draft(f"r{number}") for number in range(5)]

    async def work(loop: Loop) -> None:
        await loop.warm()
        assert await loop.commit(*drafts[:3]) == [one.id for one in drafts[:3]]
        assert await loop.commit(*drafts[3:]) == [one.id for one in drafts[3:]]

    on_loop(work)
    assert log.left == [1]
    assert Decision.objects.count() == Action.objects.count() == 6
    assert AuditEvent.objects.filter(action="decision.made").count() == 6


def test_a_request_id_that_was_decided_before_gets_the_first_decision(log: NotedLog) -> None:
    first, same, other = draft("r"), draft("r"), draft("other")

    async def work(loop: Loop) -> None:
        await loop.warm()
        assert await loop.commit(first) == [first.id]
        assert await loop.commit(other, same) == [other.id, first.id]
        assert log.left == [1, 1]

    on_loop(work)
    assert Decision.objects.count() == 3


def test_a_draft_that_the_database_refuses_spoils_no_other(log: NotedLog) -> None:
    good = [draft("r0"), draft("r1"), draft("r2")]
    bad = draft("x" * 300)

    async def work(loop: Loop) -> None:
        await loop.warm()
        written = await loop.commit(good[0], bad, good[1])
        assert [written[0], written[2]] == [one.id for one in good[:2]]
        assert isinstance(written[1], InvalidInput)
        await loop.commit(good[2])  # on the same connection: it is no worse for it

    on_loop(work)
    assert log.left == [1, 3]
    assert Decision.objects.count() == 4


def test_an_answer_that_comes_in_pieces_is_not_waited_for(log: NotedLog) -> None:
    """The result of a statement comes before it is committed: to fetch what is behind it would stop the process."""

    class Result:
        status = ExecStatus.TUPLES_OK
        ntuples = 0

    class Pieces:
        """As libpq gives it where the end is on its way."""

        def __init__(self, socket: int) -> None:
            self.socket = socket
            self.coming: list[Any] = [Result(), "nothing yet", None]

        def consume_input(self) -> None: ...

        def is_busy(self) -> bool:
            if self.coming and self.coming[0] == "nothing yet":
                self.coming.pop(0)
                return True
            return not self.coming

        def get_result(self) -> Any:
            return self.coming.pop(0)

    answers: list[Any] = []
    made = LogConnection(on_answer=answers.append, go_on=lambda: None, do_aside=lambda work: None)
    made._open = SimpleNamespace(pgconn=Pieces(0))  # type: ignore[assignment]
    made._is_asked = True
    made.look()
    assert answers == []
    made.look()
    assert answers == [set()]


def test_a_connection_that_dies_under_way_costs_nobody_the_decision(log: NotedLog) -> None:
    one = draft("r")

    async def work(loop: Loop) -> None:
        await loop.warm()
        with psycopg.connect(**connection.get_connection_params()) as other:
            other.execute("LOCK decisions_decisionkey IN EXCLUSIVE MODE")
            waiting = loop.begin([one])
            await asyncio.sleep(0.1)
            loop.break_connection()
            await asyncio.sleep(0.1)
        assert await loop.end(waiting) == [one.id]

    on_loop(work)
    assert log.left == [1, 1]
    assert Action.objects.filter(decision_id=one.id).count() == 1


def test_a_connection_that_dies_between_two_requests_is_not_missed(log: NotedLog) -> None:
    one, two = draft("r0"), draft("r1")

    async def work(loop: Loop) -> None:
        await loop.warm()
        loop.break_connection()
        assert await loop.commit(one) == [one.id]
        await loop.warm()
        assert await loop.commit(two) == [two.id]

    on_loop(work)
    assert Decision.objects.count() == 4


def test_more_than_the_socket_takes_at_once(log: NotedLog) -> None:
    drafts = [draft(f"r{number}", customer_id="a" * 200_000) for number in range(20)]

    async def work(loop: Loop) -> None:
        await loop.warm()
        assert await loop.commit(*drafts) == [one.id for one in drafts]

    on_loop(work)
    assert log.left == [1]


def test_while_the_database_is_away_everybody_is_told(log: NotedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Any:
        raise psycopg.OperationalError("connection refused")

    one = draft("r")

    async def work(loop: Loop) -> None:
        with monkeypatch.context() as away:
            away.setattr(log_connection, "connect", refuse)
            away.setattr(log, "_connect", refuse)
            assert isinstance((await loop.commit(one))[0], Unavailable)
        await loop.warm()
        assert await loop.commit(one) == [one.id]

    on_loop(work)
    assert Decision.objects.count() == 2


def test_a_host_that_vanishes_is_noticed(log: NotedLog) -> None:
    """Whatever an owner of the database set elsewhere: not after the two hours that TCP takes by itself."""
    with connect() as opened:
        said = {option.keyword: option.val for option in opened.pgconn.info}
    assert (said[b"keepalives_idle"], said[b"keepalives_interval"], said[b"keepalives_count"]) == (b"5", b"2", b"3")
    assert said[b"tcp_user_timeout"] == b"10000"
