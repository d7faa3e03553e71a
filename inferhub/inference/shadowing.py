"""Run the shadow of an alias beside its answers, and write down how they differ.

A request leaves a note and goes on; one thread of the process does the rest. It runs a tenth of the time at most, and
at most a hundred times a second. Requests that find the queue full are counted and left out, before anything is made of
them, and whatever a shadow does is its own affair.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import structlog
from django.db import Error as DatabaseError
from django.db import close_old_connections

from inferhub.errors import InferhubError, InvalidInput
from inferhub.inference.differences import compare
from inferhub.inference.routing import Choice
from inferhub.registry.models import ShadowComparison
from inferhub.registry.queries import AliasRow, RouteKey, VersionPlan
from inferhub.registry.serving import store_comparisons

log = structlog.get_logger(__name__)

MOST_WAITING = 32
_MOST_BYTES = 1 << 20  # of one request; what waits is held in memory
_MOST_STORED_AT_ONCE = 200
_STORE_SECONDS = 1.0
_REST = 9.0  # times as long as the last run
_LEAST_REST_SECONDS = 0.01

Rerun = Callable[[VersionPlan], tuple[Any, float]]
"""Answers the same request with another version, in the same form and measured alike: the answer, milliseconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A request that was answered by `version`."""

    row: AliasRow
    version: VersionPlan
    shadow: VersionPlan
    answer: Any
    duration_ms: float
    rerun: Rerun


class Shadows:
    """The notes that wait, and the thread that works them off where the process serves (`is_on`)."""

    def __init__(self) -> None:
        self.is_on = False
        self.reset()

    def reset(self) -> None:
        """Start with no notes and no thread, as a forked child must."""
        self._notes: SimpleQueue[Note] = SimpleQueue()
        self._left_out: dict[RouteKey, int] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def note(self, choice: Choice, answer: Any, *, size: int, duration_ms: float, rerun: Rerun) -> None:
        """Have the choice's shadow, where it has one, answer the request as well. `size`: about its bytes."""
        if choice.shadow is None or choice.route is None:
            return
        row = choice.route.row
        # Without a lock around both, threads may put a few notes more.
        if size > _MOST_BYTES or self._notes.qsize() >= MOST_WAITING:
            with self._lock:
                self._left_out[row.key] = self._left_out.get(row.key, 0) + 1
        else:
            note = Note(
                row=row,
                version=choice.plan,
                shadow=choice.shadow,
                answer=answer,
                duration_ms=duration_ms,
                rerun=rerun,
            )
            self._notes.put(note)
        if self.is_on:
            self._ensure_thread()

    def work_off(self) -> None:
        """Compare what waits, and store it."""
        store_comparisons([self._compared(note) for note in iter(self._next, None)])

    def _next(self, seconds: float = 0.0) -> Note | None:
        try:
            return self._notes.get(block=seconds > 0, timeout=seconds)
        except Empty:
            return None

    def _compared(self, note: Note) -> ShadowComparison:
        with self._lock:
            left_out = self._left_out.pop(note.row.key, 0)
        comparison = ShadowComparison(
            alias_id=note.row.alias_id,
            version_id=note.version.id,
            shadow_version_id=note.shadow.id,
            version_ms=note.duration_ms,
            left_out=left_out,
            is_equal=False,
            is_flipped=False,
        )
        try:
            self._compare(note, comparison)
        except InferhubError as exc:
            told = exc.without_values if isinstance(exc, InvalidInput) else str(exc)
            comparison.problem = told[:200] or type(exc).__name__
        except Exception as exc:  # the worker's boundary: it is a finding about the shadow, like any other
            log.exception("unforeseen error in a shadow", model=note.row.model, version=note.shadow.number)
            comparison.problem = f"unforeseen {type(exc).__name__}; see the log"
        return comparison

    @staticmethod
    def _compare(note: Note, comparison: ShadowComparison) -> None:
        answer, comparison.shadow_ms = note.rerun(note.shadow)
        difference = compare(note.answer, answer)
        comparison.is_equal, comparison.is_flipped = difference.is_equal, difference.is_flipped
        comparison.largest_difference = difference.largest

    def _ensure_thread(self) -> None:
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="shadows", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while True:
            compared = self._gather()
            if compared:
                try:
                    close_old_connections()
                    store_comparisons(compared)
                except DatabaseError as exc:
                    log.warning("comparisons with a shadow are lost", count=len(compared), error=str(exc).strip())

    def _gather(self) -> list[ShadowComparison]:
        """What comes within a second."""
        compared: list[ShadowComparison] = []
        ends = time.monotonic() + _STORE_SECONDS
        while len(compared) < _MOST_STORED_AT_ONCE and (left := ends - time.monotonic()) > 0:
            note = self._next(left)
            if note is not None:
                started = time.monotonic()
                compared.append(self._compared(note))
                time.sleep(max(_REST * (time.monotonic() - started), _LEAST_REST_SECONDS))
        return compared


shadows = Shadows()
os.register_at_fork(after_in_child=shadows.reset)
