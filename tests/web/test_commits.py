"""How requests on the event loop have their drafts committed, and go on after it."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from inferhub.web import commits
from inferhub.web.commits import Commits


class Log:
    """Notes what is submitted together; a thread answers each draft with its double, once it is let go."""

    def __init__(self) -> None:
        self.submitted: list[list[int]] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def submit(self, drafts: Sequence[int], tell: Callable[[list[int]], object]) -> None:
        self.submitted.append(list(drafts))
        threading.Thread(target=self._answer, args=([2 * draft for draft in drafts], tell)).start()

    def _answer(self, written: list[int], tell: Callable[[list[int]], object]) -> None:
        self.may_answer.wait()
        tell(written)


class Waiting:
    """A request that waits for its commit."""

    def __init__(self, heard: list[Any], *, is_broken: bool = False) -> None:
        self.loop = asyncio.get_running_loop()
        self._heard, self._is_broken = heard, is_broken

    def go_on(self, written: list[int]) -> None:
        if self._is_broken:
            raise OSError("gone")
        self._heard.append(written)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    made = Log()
    monkeypatch.setattr(commits, "decision_log", lambda: made)
    return made


def ask(asked: Any, waiting: Waiting, *drafts: Any) -> None:
    asked.ask(waiting, drafts)


async def until(heard: list[Any], count: int) -> None:
    async with asyncio.timeout(10):
        while len(heard) < count:
            await asyncio.sleep(0.001)


def test_drafts_of_one_turn_go_together_and_each_request_hears_of_its_own(log: Log) -> None:
    heard: list[Any] = []

    async def run() -> None:
        made = Commits(lambda work: None)
        ask(made, Waiting(heard), 1)
        ask(made, Waiting(heard), 2, 3)
        await until(heard, 2)
        ask(made, Waiting(heard), 4)
        await until(heard, 3)

    asyncio.run(run())
    assert log.submitted == [[1, 2, 3], [4]]
    assert heard == [[2], [4, 6], [8]]


def test_drafts_go_once_a_turn_of_the_loop_brings_no_more(log: Log) -> None:
    heard: list[Any] = []

    async def run() -> None:
        made = Commits(lambda work: None)
        for turn in range(5):
            ask(made, Waiting(heard), turn)
            await asyncio.sleep(0)
        await until(heard, 5)

    asyncio.run(run())
    assert log.submitted == [[0, 1, 2, 3, 4]]


def test_a_stream_of_requests_without_a_gap_is_not_awaited_for_ever(log: Log) -> None:
    heard: list[Any] = []

    async def run() -> None:
        made = Commits(lambda work: None)
        async with asyncio.timeout(10):
            turn = 0
            while not log.submitted:
                ask(made, Waiting(heard), turn)
                await asyncio.sleep(0)
                turn += 1

    asyncio.run(run())
    assert 20 <= len(log.submitted[0]) <= 40


def test_a_request_that_breaks_is_nothing_to_those_that_came_with_it(log: Log) -> None:
    heard: list[Any] = []
    told: list[Any] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        made = Commits(lambda work: None)
        ask(made, Waiting(heard, is_broken=True), 1)
        ask(made, Waiting(heard), 2)
        await until(heard, 1)

    asyncio.run(run())
    assert heard == [[4]]
    assert [str(exc) for exc in told] == ["gone"]


def test_what_is_committed_goes_on_before_the_loop_is_back_where_somebody_asks(log: Log) -> None:
    heard: list[Any] = []
    log.may_answer.clear()

    async def run() -> None:
        made = Commits(lambda work: None)
        ask(made, Waiting(heard), 1)
        await until(log.submitted, 1)
        log.may_answer.set()
        async with asyncio.timeout(10):
            while not heard:  # without a turn of the loop
                made.go_on()
        await asyncio.sleep(0.01)

    asyncio.run(run())
    assert heard == [[2]]
