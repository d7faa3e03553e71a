"""Which session settings are the best for a model on this machine: measured, not guessed."""

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from inferhub.runtime.examples import example_feeds, repeat_rows
from inferhub.runtime.session import OPTIMISATIONS, LoadedModel, SessionSettings, load_session
from inferhub.runtime.signature import Feeds, Signature

BATCHES = tuple(2**power for power in range(11))
_SECONDS = 0.05
_LEAST_RUNS = 5
_SHARE_OF_CORE = 0.6
_NEAR = 0.95
_LIKE = 1.03


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """Settings, a batch of so many rows, and the median time of a run of it."""

    threads: int
    optimisation: str
    batch: int
    run_us: float

    @property
    def rows_per_second(self) -> float:
        return self.batch / self.run_us * 1e6

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningResult:
    """What was measured, and the best of it."""

    best: Measurement
    measurements: tuple[Measurement, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """What is stored, and read again by `SessionSettings.from_dict`."""
        return {"threads": self.best.threads, "optimisation": self.best.optimisation, "batch": self.best.batch}


def plan_settings(cores: int | None = None) -> list[SessionSettings]:
    """Everything that `measure` tries: threads 1, 2, 4, ... and all cores, each with every optimisation level.

    >>> [settings.threads for settings in plan_settings(6)][::4]
    [1, 2, 4, 6]
    """
    count = cores or os.cpu_count() or 1
    threads = sorted({2**power for power in range(count.bit_length()) if 2**power <= count} | {count})
    return [SessionSettings(threads=some, optimisation=level) for some in threads for level in OPTIMISATIONS]


def measure(onnx_bytes: bytes, settings: SessionSettings, golden: Feeds | None = None) -> Iterator[Measurement]:
    """The time of a run for batches of 1 to 1,024 rows, or of as many as the model's batch is fixed to.

    The rows are those of `golden` again and again, made-up ones without it. Raises ModelFailed where the model does not
    load or refuses made-up values.
    """
    model = load_session(onnx_bytes, settings)
    signature = model.signature
    for batch in _batches(signature):
        feeds = repeat_rows(signature, golden, batch) if golden else example_feeds(signature, batch)
        run_us = _median_us(model, feeds)
        yield Measurement(threads=settings.threads, optimisation=settings.optimisation, batch=batch, run_us=run_us)


def choose(measurements: Sequence[Measurement]) -> TuningResult:
    """Settings by the time of the smallest batch, then the smallest batch that comes near the most rows a second.

    Other callers want the cores too: threads are taken only where each of them does at least 60 % of a core's work.
    Times within 3 % of each other count as the same, and of the same the default (every optimisation) stays.
    """
    least = min(one.batch for one in measurements)
    single = [one for one in measurements if one.batch == least]
    alone = min(one.run_us for one in single if one.threads == 1)
    worth_it = [one for one in single if one.threads == 1 or alone / one.run_us >= _SHARE_OF_CORE * one.threads]
    limit = min(one.run_us for one in worth_it) * _LIKE
    levels = list(OPTIMISATIONS)
    near = [one for one in worth_it if one.run_us <= limit]
    best = max(near, key=lambda one: (-one.threads, levels.index(one.optimisation)))
    same = [one for one in measurements if (one.threads, one.optimisation) == (best.threads, best.optimisation)]
    most = max(one.rows_per_second for one in same)
    enough = [one for one in same if one.rows_per_second >= most * _NEAR]
    return TuningResult(best=min(enough, key=lambda one: one.batch), measurements=tuple(measurements))


def _batches(signature: Signature) -> Sequence[int]:
    fixed = {spec.shape[0] for spec in signature.inputs if spec.shape and not spec.is_optional} - {None}
    return sorted(size for size in fixed if size is not None)[-1:] or BATCHES


def _median_us(model: LoadedModel, feeds: Feeds) -> float:
    model.run(feeds)
    times: list[float] = []
    until = time.perf_counter() + _SECONDS
    while len(times) < _LEAST_RUNS or time.perf_counter() < until:
        started = time.perf_counter()
        model.run(feeds)
        times.append(time.perf_counter() - started)
    return round(statistics.median(times) * 1e6, 2)
