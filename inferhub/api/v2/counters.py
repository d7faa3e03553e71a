"""Counts and times of inference requests, of this process since it started, as the statistics extension shows them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from inferhub.errors import InferhubError

_STAGES = ("compute_input", "compute_infer", "compute_output")
_OUTCOMES = ("success", "fail")
_NEVER = ("queue", "cache_hit", "cache_miss")  # there is no queue and no cache in front of a session
Key = tuple[str, int]


class Stopwatch:
    """Nanoseconds of each stage that was finished."""

    def __init__(self) -> None:
        self.started = self._last = time.perf_counter_ns()
        self.stages: dict[str, int] = {}

    def lap(self, stage: str) -> None:
        now = time.perf_counter_ns()
        self.stages[stage] = now - self._last
        self._last = now


@dataclass
class _Tally:
    last_inference: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*_OUTCOMES, *_STAGES), 0))
    nanoseconds: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*_OUTCOMES, *_STAGES), 0))

    def add(self, name: str, nanoseconds: int) -> None:
        self.counts[name] += 1
        self.nanoseconds[name] += nanoseconds


class Counters:
    """Tallies by model and version. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tallies: dict[Key, _Tally] = {}

    @contextmanager
    def measured(self, key: Key) -> Iterator[Stopwatch]:
        """Count one request: a success, or a failure where the body raises an InferhubError."""
        watch = Stopwatch()
        try:
            yield watch
        except InferhubError:
            self._record(key, watch, "fail")
            raise
        self._record(key, watch, "success")

    @property
    def keys(self) -> list[Key]:
        """What has been asked for so far."""
        with self._lock:
            return list(self._tallies)

    def document(self, key: Key) -> dict[str, Any]:
        """One entry of `model_stats`; zeros where nothing was asked yet."""
        with self._lock:
            tally = self._tallies.get(key, _Tally())
            stats = {name: {"count": tally.counts[name], "ns": tally.nanoseconds[name]} for name in tally.counts}
            last = tally.last_inference
        # One request is one execution: the models take whole batches, so that nothing is merged.
        executions = stats["success"]["count"]
        return {
            "name": key[0],
            "version": str(key[1]),
            "last_inference": last,
            "inference_count": executions,
            "execution_count": executions,
            "inference_stats": stats | {name: {"count": 0, "ns": 0} for name in _NEVER},
            "batch_stats": [],
        }

    def _record(self, key: Key, watch: Stopwatch, outcome: str) -> None:
        with self._lock:
            tally = self._tallies.setdefault(key, _Tally())
            tally.add(outcome, time.perf_counter_ns() - watch.started)
            if outcome == "success":
                tally.last_inference = time.time_ns() // 1_000_000
                for stage, nanoseconds in watch.stages.items():
                    tally.add(stage, nanoseconds)
