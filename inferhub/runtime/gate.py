"""How many runs of models there are at once, and how many calls may wait for their turn."""

import os
import threading
import weakref
from collections import deque
from types import TracebackType

from inferhub.errors import Unavailable
from inferhub.lib.waiting import must_wait
from inferhub.runtime.deadline import Deadline

_GRACE_SECONDS = 0.05
_RETRY_AFTER_SECONDS = 1


class Gate:
    """Lets `runs` in at once; `queue` others wait until their deadline, any further ones a moment only.

    More runs than cores make all of them slower, and every waiting call holds a thread of the web server: those who
    come to a full queue are sent away, so that threads are left for everything else. The moment (50 ms) is for models
    that answer in less: their queue is full by the chance of a busy interpreter, and empty again at once.
    """

    def __init__(self, *, runs: int, queue: int) -> None:
        self.runs, self.queue = runs, queue
        self.reset()
        _gates.add(self)

    def turn(self, deadline: Deadline) -> "Turn":
        """`with gate.turn(deadline):` waits for a turn and gives it back. Raises Unavailable where none came."""
        return Turn(self, deadline)

    @property
    def waiting(self) -> int:
        """Calls that wait now."""
        return len(self._waiters)

    def enter(self, deadline: Deadline) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            must_wait()
            waiter = threading.Lock()
            waiter.acquire()
            self._waiters.append(waiter)
            seconds = deadline.left_seconds
            if len(self._waiters) > self.queue:
                seconds = min(seconds, _GRACE_SECONDS)
        if not waiter.acquire(timeout=max(seconds, 0)):
            self._give_up(waiter)

    def leave(self) -> None:
        """A turn goes to whoever waits longest, never to somebody who comes just now: nobody waits for ever."""
        with self._lock:
            if self._waiters:
                self._waiters.popleft().release()
            else:
                self._free += 1

    def _give_up(self, waiter: threading.Lock) -> None:
        with self._lock:
            if waiter not in self._waiters:
                return  # the turn came at the last moment
            self._waiters.remove(waiter)
        raise Unavailable(
            f"{self.runs} models run already and others wait. Try again.", retry_after_seconds=_RETRY_AFTER_SECONDS
        )

    def reset(self) -> None:
        """Start with all turns free."""
        self._lock = threading.Lock()
        self._free = self.runs
        self._waiters: deque[threading.Lock] = deque()

    @staticmethod
    def reset_all() -> None:
        """Free every gate; runs in a forked child, where nobody gives back the parent's turns."""
        for gate in tuple(_gates):
            gate.reset()


class Turn:
    __slots__ = ("_deadline", "_gate")

    def __init__(self, gate: Gate, deadline: Deadline) -> None:
        self._gate, self._deadline = gate, deadline

    def __enter__(self) -> None:
        self._gate.enter(self._deadline)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._gate.leave()


_gates: "weakref.WeakSet[Gate]" = weakref.WeakSet()
os.register_at_fork(after_in_child=Gate.reset_all)
