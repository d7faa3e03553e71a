"""What requests on the event loop have to commit, and how they go on after it."""

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from inferhub.decisions.drafts import Draft
from inferhub.decisions.log import Written, decision_log, ring_soon
from inferhub.web.log_connection import LogConnection


class Waiting(Protocol):
    """A request that waits for its commit."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    def go_on(self, written: list[Written]) -> None: ...


_Asked = tuple[Waiting, Sequence[Draft]]
_MOST_AWAITED = 32  # requests: some 10 ms of work, by when a statement costs little beside what it writes


class Commits:
    """Those of one event loop.

    What all requests that are here have to commit goes to the database together, as a statement costs PostgreSQL as
    much as six decisions do: it is sent after the first turn of the loop that brings nothing more. What is asked for
    while one is under way makes up the next. What is committed goes out before anything new begins, as it has waited
    longer.

    The loop writes on a connection of its own: a thread would have to wait for the interpreter again and again. What
    does not simply succeed there goes to the log's thread (`inferhub.decisions.log`), which knows what to do, and may
    write once more what is written already. `do_aside` has another thread do something.
    """

    def __init__(self, do_aside: Callable[[Callable[[], object]], object]) -> None:
        self._asked: list[_Asked] = []
        self._sent: list[_Asked] = []
        self._told: deque[tuple[Waiting, list[Written]]] = deque()
        self._is_sent_soon = self._is_loop_called = False
        self._connection = LogConnection(on_answer=self._on_answer, go_on=self.go_on, do_aside=do_aside)

    def ask(self, waiting: Waiting, drafts: Sequence[Draft]) -> None:
        self._asked.append((waiting, drafts))
        self._send_soon()

    def go_on(self) -> None:
        """Let all go on whose drafts are committed."""
        if self._sent:
            self._connection.look()
        while self._told:
            waiting, written = self._told.popleft()
            try:
                waiting.go_on(written)
            except Exception as exc:  # the boundary of a request: the others are to go on, whatever it was
                waiting.loop.call_exception_handler({"message": "a request broke off", "exception": exc})

    def _send_soon(self) -> None:
        if self._asked and not self._sent and not self._is_sent_soon:
            self._is_sent_soon = True
            self._send_after_turn()

    def _send_after_turn(self) -> None:
        """But first the loop looks once more at what has come over the network."""
        loop = self._asked[0][0].loop
        loop.call_soon(loop.call_soon, self._send_unless_more, len(self._asked))

    def _send_unless_more(self, seen: int) -> None:
        if seen < len(self._asked) < _MOST_AWAITED:
            self._send_after_turn()
        else:
            self._send()

    def _send(self) -> None:
        self._is_sent_soon = False
        asked, self._asked = self._asked, []
        if self._connection.send(asked[0][0].loop, [draft for _, drafts in asked for draft in drafts]):
            self._sent = asked
        else:
            self._leave_to_thread(asked)

    def _on_answer(self, lost: Collection[uuid.UUID] | None) -> None:
        """`lost` as `LogConnection` says it."""
        asked, self._sent = self._sent, []
        self._send_soon()
        if lost is None:
            self._leave_to_thread(asked)
            return
        written, left = asked, []
        if lost:
            written = [one for one in asked if all(draft.id not in lost for draft in one[1])]
            left = [one for one in asked if any(draft.id in lost for draft in one[1])]
        self._told.extend((waiting, [draft.id for draft in drafts]) for waiting, drafts in written)
        if left:
            self._leave_to_thread(left)  # to learn which decisions stand
        ring_soon([action.id for _, drafts in written for draft in drafts for action in draft.actions])

    def _leave_to_thread(self, asked: Sequence[_Asked]) -> None:
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
