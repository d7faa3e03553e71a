"""What requests on the event loop have to commit, and how they go on after it."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from inferhub.decisions.drafts import Draft
from inferhub.decisions.log import Written, decision_log


class Waiting(Protocol):
    """A request that waits for its commit."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    def go_on(self, written: list[Written]) -> None: ...


_Asked = tuple[Waiting, Sequence[Draft]]


class Commits:
    """Those of one event loop.

    What the requests of one turn of the loop have to commit goes to the log together: a statement of the log costs
    PostgreSQL as much as six decisions do, and its thread cannot write while the loop computes. What is committed goes
    out before anything new begins, as it has waited longer, and the loop is woken once for all of it.
    """

    def __init__(self) -> None:
        self._asked: list[_Asked] = []
        self._told: deque[tuple[Waiting, list[Written]]] = deque()
        self._is_loop_called = False

    def ask(self, waiting: Waiting, drafts: Sequence[Draft]) -> None:
        if not self._asked:
            waiting.loop.call_soon(self._hand_over)
        self._asked.append((waiting, drafts))

    def go_on(self) -> None:
        """Let all go on whose drafts are committed."""
        while self._told:
            waiting, written = self._told.popleft()
            try:
                waiting.go_on(written)
            except Exception as exc:  # the boundary of a request: the others are to go on, whatever it was
                waiting.loop.call_exception_handler({"message": "a request broke off", "exception": exc})

    def _hand_over(self) -> None:
        """At the end of the turn."""
        asked, self._asked = self._asked, []
        decision_log().submit([draft for _, drafts in asked for draft in drafts], partial(self._tell, asked))

    def _tell(self, asked: Sequence[_Asked], written: list[Written]) -> None:
        """Called by the thread of the decision log."""
        place = 0
        for waiting, drafts in asked:
            self._told.append((waiting, written[place : place + len(drafts)]))
            place += len(drafts)
        if not self._is_loop_called:
            self._is_loop_called = True
            with suppress(RuntimeError):  # the loop has ended
                asked[0][0].loop.call_soon_threadsafe(self._go_on_as_called)

    def _go_on_as_called(self) -> None:
        self._is_loop_called = False  # first: what is told from now on calls anew
        self.go_on()
