"""`/metrics`: what all processes of this home counted, as Prometheus reads it."""

import ipaddress
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.db.models import Q
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from inferhub.accounts.models import Scope
from inferhub.api.authentication import authenticate, check_scope
from inferhub.api.metrics import BOUNDS, FAILED, read_snapshots
from inferhub.api.problems import FORESEEN, problem_answer
from inferhub.api.serving import Incoming, Reply, bare
from inferhub.decisions.models import Action, ActionState
from inferhub.jobs.models import Chunk, DeferredCall, State

_LABELS = ("call", "name", "version")
_GAUGES = {
    "session_pool_bytes": "Memory that the loaded models of a process count with.",
    "loaded_models": "Models that a process holds in memory.",
    "queue_depth": "Predictions that wait for their turn in a process.",
    "refused_routes": "Aliases that stay where they were in a process, since their new version does not load.",
}


@bare
def metrics_view(request: Incoming) -> Reply:
    try:
        if not _may_scrape_without_key(request.META):
            check_scope(authenticate(request.META), {Scope.READ})
    except FORESEEN as exc:
        return Reply.of(problem_answer(exc))
    return Reply(200, exposition(read_snapshots()), [("Content-Type", CONTENT_TYPE_LATEST)])


def exposition(snapshots: Iterable[Mapping[str, Any]]) -> bytes:
    """The text for Prometheus, from the snapshots of several processes."""
    registry = CollectorRegistry()
    registry.register(_Collector(list(snapshots)))
    return generate_latest(registry)


class _Collector:
    def __init__(self, snapshots: list[Mapping[str, Any]]) -> None:
        self._snapshots = snapshots
        self._sums = _Sums(snapshots)

    def collect(self) -> Iterator[Metric]:
        yield from self._sums.families()
        for name, meaning in _GAUGES.items():
            gauge = GaugeMetricFamily(f"inferhub_{name}", meaning, labels=["process"])
            for snapshot in self._snapshots:
                if name in snapshot["gauges"] and _is_alive(snapshot["pid"]):
                    gauge.add_metric([str(snapshot["pid"])], snapshot["gauges"][name])
            yield gauge
        depth = GaugeMetricFamily("inferhub_queue_depth", "Work that waits, in PostgreSQL.", labels=["queue"])
        for queue, waiting in _queues().items():
            depth.add_metric([queue], waiting)
        yield depth


class _Sums:
    """The counts of all processes together."""

    def __init__(self, snapshots: Iterable[Mapping[str, Any]]) -> None:
        self.answers: Counter[str] = Counter()
        self.errors: Counter[tuple[str, ...]] = Counter()
        self.buckets: dict[tuple[str, ...], list[int]] = {}
        self.seconds: Counter[tuple[str, ...]] = Counter()
        self.loads = 0.0
        for snapshot in snapshots:
            self.answers.update(snapshot["answers"])
            self.loads += snapshot["gauges"].get("model_loads", 0)
            for entry in snapshot["calls"]:
                self._add(tuple(entry[label] for label in _LABELS), entry)

    def _add(self, labels: tuple[str, ...], entry: Mapping[str, Any]) -> None:
        for reason, count in entry["errors"].items():
            self.errors[(*labels, reason)] += count
        for stage, durations in entry["stages"].items():
            key = (*labels, stage)
            before = self.buckets.get(key, [0] * (len(BOUNDS) + 1))
            self.buckets[key] = [one + more for one, more in zip(before, durations["counts"], strict=True)]
            self.seconds[key] += durations["sum"]

    def families(self) -> Iterator[Metric]:
        answers = CounterMetricFamily("inferhub_http_answers", "Answers by HTTP status.", labels=["status"])
        for status, count in sorted(self.answers.items()):
            answers.add_metric([status], count)
        errors = CounterMetricFamily("inferhub_errors", "Calls that failed.", labels=[*_LABELS, "reason"])
        for labels, count in sorted(self.errors.items()):
            errors.add_metric(list(labels), count)
        loads = CounterMetricFamily("inferhub_model_loads", "Models that were loaded into memory.")
        loads.add_metric([], self.loads)
        yield from (answers, self._requests(), errors, self._durations(), loads)

    def _requests(self) -> Metric:
        family = CounterMetricFamily("inferhub_requests", "Calls, those that failed too.", labels=[*_LABELS])
        counts: Counter[tuple[str, ...]] = Counter()
        for (*labels, stage), buckets in self.buckets.items():
            if stage in ("total", FAILED):
                counts[tuple(labels)] += sum(buckets)
        for key, count in sorted(counts.items()):
            family.add_metric(list(key), count)
        return family

    def _durations(self) -> Metric:
        meaning = "Time of calls by stage; total: of those that succeeded, failed: of the others."
        family = HistogramMetricFamily("inferhub_stage_seconds", meaning, labels=[*_LABELS, "stage"])
        for labels, buckets in sorted(self.buckets.items()):
            running, cumulative = 0, []
            for bound, count in zip((*BOUNDS, "+Inf"), buckets, strict=True):
                running += count
                cumulative.append((str(bound), running))
            family.add_metric(list(labels), cumulative, self.seconds[labels])
        return family


def _queues() -> dict[str, int]:
    open_states = Q(state__in=[State.QUEUED, State.RUNNING])
    return {
        "actions": Action.objects.filter(state=ActionState.PENDING).count(),
        "calls": DeferredCall.objects.filter(open_states).count(),
        "chunks": Chunk.objects.filter(is_done=False).count(),
    }


def _may_scrape_without_key(meta: Mapping[str, Any]) -> bool:
    """Only where the configuration says so, and only a scraper on this machine: nobody that a proxy speaks for."""
    if settings.CONFIG.metrics_access != "loopback" or "HTTP_X_FORWARDED_FOR" in meta or "HTTP_FORWARDED" in meta:
        return False
    try:
        return ipaddress.ip_address(meta.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
