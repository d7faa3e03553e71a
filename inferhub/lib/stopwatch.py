"""How long the stages of a call take."""

import time
from functools import lru_cache


class Stopwatch:
    """Seconds by stage, in the order in which they ended."""

    __slots__ = ("_last", "stages", "started")

    def __init__(self) -> None:
        self.started = self._last = time.perf_counter()
        self.stages: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """End a stage that began where the last one ended."""
        now = time.perf_counter()
        self.stages[stage] = now - self._last
        self._last = now

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self.started


def server_timing(stages: dict[str, float]) -> str:
    """The value of the header Server-Timing (https://www.w3.org/TR/server-timing/), which counts in milliseconds.

    >>> server_timing({"parse": 0.0000121, "model": 0.0035})
    'parse;dur=0.012, model;dur=3.500'
    """
    return _pattern(tuple(stages)) % tuple([seconds * 1000 for seconds in stages.values()])


@lru_cache(256)
def _pattern(stages: tuple[str, ...]) -> str:
    return ", ".join(f"{stage};dur=%.3f" for stage in stages)
