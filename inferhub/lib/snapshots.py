"""What a process remembers of the database for a moment, so that a request does not ask again."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
_MOST_KEYS = 10_000


class Snapshots(Generic[K, V]):
    """`get(key)` answers with what `read(key)` gave at most `seconds` ago. Thread-safe; errors are not remembered."""

    _all: "list[Snapshots[object, object]]" = []

    def __init__(self, read: Callable[[K], V], *, seconds: float) -> None:
        self._read = read
        self._seconds = seconds
        self._kept: dict[K, tuple[float, V]] = {}
        self._lock = threading.Lock()
        Snapshots._all.append(self)  # type: ignore[arg-type]

    def get(self, key: K) -> V:
        kept = self._kept.get(key)
        now = time.monotonic()
        if kept is not None and now - kept[0] < self._seconds:
            return kept[1]
        value = self._read(key)
        with self._lock:
            if len(self._kept) >= _MOST_KEYS:
                self._kept.clear()
            self._kept[key] = (now, value)
        return value

    def forget(self) -> None:
        """Ask again at the next call, whatever is kept."""
        with self._lock:
            self._kept.clear()

    @classmethod
    def forget_all(cls) -> None:
        """The same for every snapshot of this process: after a change that this process made itself."""
        for snapshots in cls._all:
            snapshots.forget()
