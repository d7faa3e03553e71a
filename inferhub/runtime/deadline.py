"""Runs that take too long are stopped.

One thread of the process looks after all runs; a run costs it nothing unless it is late. Most runs have the same time
to live, so a new one is due after those before it: the thread need not be woken for it, and sleeps until the earliest
run that it knew of would be late. A list of what runs now is short (as long as there are threads), so it is scanned;
a heap would hold every run that ended in time as well.

ONNX Runtime looks at the flag between two operators (and turns of a loop): a single long operator is not cut short.
"""

import math
import os
import threading
import time
from types import TracebackType
from typing import NamedTuple

import onnxruntime as ort

from inferhub.errors import TimedOut


class Deadline(NamedTuple):
    """When a call must have answered, by the monotonic clock, and what the caller was promised."""

    at: float
    timeout_ms: int

    @classmethod
    def after(cls, timeout_ms: int) -> "Deadline":
        return cls(time.monotonic() + timeout_ms / 1000, timeout_ms)

    @property
    def left_seconds(self) -> float:
        return max(self.at - time.monotonic(), 0.0)

    def passed(self) -> TimedOut:
        return TimedOut(f"The model did not answer within {self.timeout_ms} ms; its run was stopped.")


class Watch:
    """One run under a deadline: `with Watch(deadline) as watch: session.run(..., watch.options)`."""

    __slots__ = ("deadline", "is_late", "options")

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self.options = ort.RunOptions()
        self.is_late = False

    def __enter__(self) -> "Watch":
        with _watchdog.lock:
            _watchdog.running.add(self)
            if self.deadline.at < _watchdog.wakes_at:
                _watchdog.wake_by(self.deadline.at)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _watchdog.lock:
            _watchdog.running.remove(self)

    def stop(self) -> None:
        self.is_late = True
        self.options.terminate = True


class Watchdog:
    """The thread and what it looks after. Starts with the first run; a forked child starts its own."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.lock = threading.Lock()
        self.running: set[Watch] = set()
        self.wakes_at = math.inf
        self._condition = threading.Condition(self.lock)
        self._thread: threading.Thread | None = None

    def wake_by(self, at: float) -> None:
        """Look again at that time at the latest. To be called under the lock, as all that changes `running` must be."""
        self.wakes_at = at
        if self._thread is None:
            self._thread = threading.Thread(target=self._look_after, name="inferhub-deadlines", daemon=True)
            self._thread.start()
        else:
            self._condition.notify()

    def _look_after(self) -> None:
        with self.lock:
            while True:
                now = time.monotonic()
                for watch in self.running:
                    if watch.deadline.at <= now and not watch.is_late:
                        watch.stop()
                due = (watch.deadline.at for watch in self.running if not watch.is_late)
                self.wakes_at = min(due, default=math.inf)
                left = self.wakes_at - now
                self._condition.wait(None if left == math.inf else max(left, 0))


_watchdog = Watchdog()
os.register_at_fork(after_in_child=_watchdog.reset)
