"""What this process counts of the calls it answers: requests, errors by reason, durations by stage.

A web process counts in plain Python numbers, since a prediction takes less time than a dozen writes to shared memory. A
thread writes them to a file of `INFERHUB_HOME/metrics` every second; `inferhub.api.exposition` adds the files of all
processes. What a process that ended had counted stays, so that the sums never fall while the hub runs.
"""

import os
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import structlog
from django.conf import settings

from inferhub.inference.following import follower
from inferhub.inference.services import loaded_models, model_loads, pool_bytes, queue_depth
from inferhub.lib.stopwatch import Stopwatch

log = structlog.get_logger(__name__)

BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets, in seconds; one more bucket is above them."""

_GAUGES: dict[str, Callable[[], float]] = {
    "session_pool_bytes": pool_bytes,
    "loaded_models": loaded_models,
    "model_loads": model_loads,
    "queue_depth": queue_depth,
    "refused_routes": lambda: len(follower.refusals),
}
TOTAL, FAILED = "total", "failed"
_SECONDS = 1.0
_COUNTS = 20  # between two snapshots: to count a second's calls at once would take 10 ms from those who are served
_Note = tuple["Called", str, tuple[tuple[str, float], ...], float]
"""Whom, the reason of a failure, seconds by stage, when it succeeded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Called:
    """Whom a call asked: `call` is infer, predict, recommend or decide; a version that is not known yet is `""`."""

    call: str
    name: str = ""
    version: str = ""


class Durations:
    """Counts by bucket, and the sum in seconds."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds

    @property
    def count(self) -> int:
        return sum(self.counts)


@dataclass
class Tally:
    """What was counted of one `Called`: each stage, `total` of what succeeded and `failed` of what did not."""

    stages: dict[str, Durations] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    succeeded_at: float = 0.0

    def add(self, stage: str, seconds: float) -> None:
        durations = self.stages.get(stage)
        if durations is None:
            durations = self.stages[stage] = Durations()
        durations.add(seconds)

    def to_dict(self) -> dict[str, Any]:
        return {
            "stages": {name: {"counts": stage.counts, "sum": stage.sum} for name, stage in self.stages.items()},
            "errors": self.errors,
        }


class Metrics:
    """The tallies of one process. Thread-safe.

    A call leaves a note, and is counted when somebody looks (the writer does so every second): that keeps the road of a
    call short.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notes: deque[_Note] = deque()
        self._tallies: dict[Called, Tally] = {}
        self._answers: dict[int, int] = {}
        self._writer: threading.Thread | None = None
        self._written = b""

    def succeeded(self, called: Called, watch: Stopwatch) -> None:
        self._notes.append((called, "", (*watch.stages.items(), (TOTAL, watch.seconds)), time.time()))

    def failed(self, called: Called, reason: str, watch: Stopwatch) -> None:
        self._notes.append((called, reason, ((FAILED, watch.seconds),), 0.0))

    def answered(self, status: int) -> None:
        """Count an answer of any address."""
        with self._lock:
            self._answers[status] = self._answers.get(status, 0) + 1
        if self._writer is None:
            self._start_writer()

    def _count_notes(self) -> None:
        """To be called under the lock."""
        while self._notes:
            called, reason, stages, succeeded_at = self._notes.popleft()
            tally = self._tally(called)
            for stage, seconds in stages:
                tally.add(stage, seconds)
            if reason:
                tally.errors[reason] = tally.errors.get(reason, 0) + 1
            else:
                tally.succeeded_at = succeeded_at

    def tally(self, called: Called) -> Tally:
        """A copy of what was counted so far; empty where nothing was."""
        with self._lock:
            self._count_notes()
            found = self._tallies.get(called, Tally())
            return Tally(stages=dict(found.stages), errors=dict(found.errors), succeeded_at=found.succeeded_at)

    @property
    def called(self) -> list[Called]:
        """What has been asked for so far."""
        with self._lock:
            self._count_notes()
            return list(self._tallies)

    def snapshot(self) -> bytes:
        """Everything, as JSON for `inferhub.api.exposition`."""
        gauges = {name: read() for name, read in _GAUGES.items()}
        with self._lock:
            self._count_notes()
            calls = [
                {"call": called.call, "name": called.name, "version": called.version} | tally.to_dict()
                for called, tally in self._tallies.items()
            ]
            answers = {str(status): count for status, count in self._answers.items()}
            return orjson.dumps({"pid": os.getpid(), "gauges": gauges, "answers": answers, "calls": calls})

    def _tally(self, called: Called) -> Tally:
        tally = self._tallies.get(called)
        if tally is None:
            tally = self._tallies[called] = Tally()
        return tally

    def _start_writer(self) -> None:
        with self._lock:
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_for_ever, name="metrics", daemon=True)
                self._writer.start()

    def _write_for_ever(self) -> None:
        path = metrics_folder() / f"{os.getpid()}-{time.time_ns()}.json"
        while True:
            try:
                self.write(path)
            except OSError as exc:
                log.warning("metrics cannot be written", path=str(path), why=exc.strerror)
            for _ in range(_COUNTS):
                time.sleep(_SECONDS / _COUNTS)
                with self._lock:
                    self._count_notes()

    def write(self, path: Path) -> None:
        """Put the snapshot in the place of the one before, if it has changed."""
        snapshot = self.snapshot()
        if snapshot != self._written:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = path.with_suffix(".draft")
            draft.write_bytes(snapshot)
            draft.replace(path)
            self._written = snapshot


def metrics_folder() -> Path:
    """Where the processes of this home leave their counts."""
    return Path(settings.CONFIG.home) / "metrics"


def read_snapshots() -> list[Mapping[str, Any]]:
    """What the processes of this home wrote last."""
    return [orjson.loads(path.read_bytes()) for path in sorted(metrics_folder().glob("*.json"))]


metrics = Metrics()
