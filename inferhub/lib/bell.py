"""Tell workers that there is something to do, without ever waiting for a broker that is away."""

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

import structlog

T = TypeVar("T")

log = structlog.get_logger(__name__)
_SILENCE_SECONDS = 5.0


class Bell:
    """`ring(task, argument)` sends one message. After a failure it stays silent for a moment.

    Nothing depends on a message: what is to be done stands in the database, and a sweeper looks there.
    """

    def __init__(self, send: Callable[[str, Any], object], *, failures: tuple[type[Exception], ...]) -> None:
        self._send = send
        self._failures = failures
        self._silent_until = 0.0

    def ring(self, task: str, argument: Any) -> bool:
        """Whether the message went out."""
        if time.monotonic() < self._silent_until:
            return False
        try:
            self._send(task, argument)
        except self._failures as exc:
            self._silent_until = time.monotonic() + _SILENCE_SECONDS
            log.warning("the broker does not answer; the sweeper will find the work", error=str(exc))
            return False
        return True


class Ringer(Generic[T]):
    """Calls `ring` in a thread of its own with what was added meanwhile.

    The first is rung at once; what comes within `pause_seconds` after it goes out together. A forked child starts anew.
    """

    def __init__(self, ring: Callable[[list[T]], object], *, pause_seconds: float = 0.05) -> None:
        self._ring = ring
        self._pause_seconds = pause_seconds
        self.reset()
        _ringers.add(self)

    def reset(self) -> None:
        """Forget what waits: another process rings for it."""
        self._added: SimpleQueue[tuple[T, ...]] = SimpleQueue()
        self._lock = threading.Lock()
        self._is_started = False

    def add(self, items: Iterable[T]) -> None:
        """Returns at once."""
        self._added.put(tuple(items))
        if not self._is_started:
            self._start()

    def _start(self) -> None:
        with self._lock:
            if not self._is_started:
                self._is_started = True
                # Not waited for at the end: what stays unrung is found by a sweeper.
                threading.Thread(target=self._run, daemon=True, name="ringer").start()

    def _run(self) -> None:
        while True:
            items = list(self._added.get())
            try:
                while True:
                    items += self._added.get_nowait()
            except Empty:
                pass
            if items:
                self._ring_for(items)
                time.sleep(self._pause_seconds)

    def _ring_for(self, items: list[T]) -> None:
        try:
            self._ring(items)
        except Exception:  # the thread's boundary: whatever it was, the next items are to be rung for
            log.exception("unforeseen error while ringing")

    @staticmethod
    def reset_all() -> None:
        for ringer in tuple(_ringers):
            ringer.reset()


_ringers: "weakref.WeakSet[Ringer[Any]]" = weakref.WeakSet()
os.register_at_fork(after_in_child=Ringer.reset_all)
