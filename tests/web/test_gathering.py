"""What requests of one turn of the event loop have to commit goes to the decision log together."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from inferhub.web import protocol


class Log:
    """Notes what is submitted together, and answers each draft with its double."""

    def __init__(self) -> None:
        self.submitted: list[list[int]] = []

    def submit(self, drafts: Sequence[int], tell: Callable[[list[int]], object]) -> None:
        self.submitted.append(list(drafts))
        tell([2 * draft for draft in drafts])


class Waiting:
    """A request that waits for its commit."""

    def __init__(self, *, is_broken: bool = False) -> None:
        self.heard: list[int] = []
        self._is_broken = is_broken

    def go_on(self, written: list[int]) -> None:
        if self._is_broken:
            raise OSError("gone")
        self.heard = written


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    made = Log()
    monkeypatch.setattr(protocol, "decision_log", lambda: made)
    return made


def gather(waiting: Any, *drafts: Any) -> None:
    protocol._gather(asyncio.get_running_loop(), waiting, drafts)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_drafts_of_one_turn_go_together_and_each_request_hears_of_its_own(log: Log) -> None:
    first, second, late = Waiting(), Waiting(), Waiting()

    async def run() -> None:
        gather(first, 1)
        gather(second, 2, 3)
        await turns()
        gather(late, 4)
        await turns()

    asyncio.run(run())
    assert log.submitted == [[1, 2, 3], [4]]
    assert (first.heard, second.heard, late.heard) == ([2], [4, 6], [8])
    assert not protocol._gathered


def test_a_request_that_breaks_is_nothing_to_those_that_came_with_it(log: Log) -> None:
    broken, other = Waiting(is_broken=True), Waiting()
    told: list[Any] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        gather(broken, 1)
        gather(other, 2)
        await turns()

    asyncio.run(run())
    assert other.heard == [4]
    assert [str(exc) for exc in told] == ["gone"]
