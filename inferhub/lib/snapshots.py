"""What a process remembers of the database for a moment, so that a request does not ask again."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from inferhub.lib.waiting import aside, may_wait, must_wait

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
_MOST_KEYS = 10_000
_FRESH = 0.8  # for this share of its time nobody reads a value anew


class Snapshots(Generic[K, V]):
    """`get(key)` answers with what `read(key)` gave at most `seconds` ago. Thread-safe; errors are not remembered.

    Shortly before its time is over one thread reads a value anew while the others go on with it, so that not all of
    them ask the database at once. On the event loop nothing is read: a thread is asked to.
    """

    _all: "list[Snapshots[object, object]]" = []

    def __init__(self, read: Callable[[K], V], *, seconds: float) -> None:
        self._read = read
        self._seconds = seconds
        self._kept: dict[K, tuple[float, V]] = {}
        self._reading: set[K] = set()
        self._lock = threading.Lock()
        Snapshots._all.append(self)  # type: ignore[arg-type]

    def get(self, key: K) -> V:
        kept = self._kept.get(key)
        if kept is not None:
            age = time.monotonic() - kept[0]
            if age < self._seconds * _FRESH or (age < self._seconds and not self._begin_reading(key)):
                return kept[1]
            if age < self._seconds and not may_wait():
                aside(lambda: self._read_anew(key))
                return kept[1]
        must_wait(reading=(id(self), key))
        return self._read_anew(key)

    def _read_anew(self, key: K) -> V:
        now = time.monotonic()
        try:
            value = self._read(key)
        finally:
            self._reading.discard(key)
        with self._lock:
            if len(self._kept) >= _MOST_KEYS:
                self._kept.clear()
            self._kept[key] = (now, value)
        return value

    def _begin_reading(self, key: K) -> bool:
        """False where another thread reads this key already."""
        with self._lock:
            if key in self._reading:
                return False
            self._reading.add(key)
            return True

    def forget(self) -> None:
        """Ask again at the next call, whatever is kept."""
        with self._lock:
            self._kept.clear()

    @classmethod
    def forget_all(cls) -> None:
        """The same for every snapshot of this process: after a change that this process made itself."""
        for snapshots in cls._all:
            snapshots.forget()
