"""How many runs of models there are at once, and how many calls may wait for their turn."""

import os
import threading
import weakref
from types import TracebackType

from inferhub.errors import Unavailable
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
        return self._waiting

    def enter(self, deadline: Deadline) -> None:
        with self._lock:
            if self._free and not self._waiting:
                self._free -= 1
                return
            self._waiting += 1
            seconds = (
                deadline.left_seconds if self._waiting <= self.queue else min(deadline.left_seconds, _GRACE_SECONDS)
            )
            is_in = self._condition.wait_for(self._take, seconds)
            self._waiting -= 1
        if not is_in:
            raise Unavailable(
                f"{self.runs} models run already and others wait. Try again.", retry_after_seconds=_RETRY_AFTER_SECONDS
            )

    def leave(self) -> None:
        with self._lock:
            self._free += 1
            if self._waiting:
                self._condition.notify()

    def _take(self) -> bool:
        if self._free:
            self._free -= 1
            return True
        return False

    def reset(self) -> None:
        """Start with all turns free."""
        self._lock = threading.Lock()
        self._condition = threading.Condition(self._lock)
        self._free = self.runs
        self._waiting = 0

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
