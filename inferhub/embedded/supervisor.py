"""Starts services in tiers, restarts what crashes, stops everything in the opposite order."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn

from inferhub.embedded.processes import (
    Child,
    Report,
    Service,
    end_leftovers,
    signals_held,
    start_child,
    wait_until,
)
from inferhub.errors import Unavailable

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
_TICK_SECONDS = 0.1
_QUIT_SECONDS = 1.0


def restart_delay(failures: int) -> float:
    """Seconds before the next start after so many failures in a row (1, 2, ...): doubled every time, to a limit."""
    return float(min(FIRST_DELAY_SECONDS * 2.0 ** min(failures - 1, 16), LONGEST_DELAY_SECONDS))


@dataclass(kw_only=True)
class _Slot:
    """A service's place: the child that runs in it now, or the time when the next one may start."""

    service: Service
    child: Child | None = None
    failures: int = 0
    restart_at: float = 0.0


class Supervisor:
    """Keeps services running between `with` and its end. Use it in the main thread.

    `records` is a folder that outlives it: after a kill -9 the next supervisor there ends what was left running.
    Should this process die, the kernel sends each service its stop signal.
    """

    def __init__(self, records: Path, report: Report) -> None:
        self._records = records
        self._report = report
        self._tiers: list[list[_Slot]] = []
        self._is_impatient = False

    def __enter__(self) -> "Supervisor":
        self._records.mkdir(parents=True, exist_ok=True)
        for name in end_leftovers(self._records):
            self._report(name, "was left running by a supervisor that was killed; it has been ended")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self, *services: Service) -> None:
        """Start the services together and wait until all are ready. Raises Unavailable when one ends or is too slow."""
        tier: list[_Slot] = []
        self._tiers.append(tier)
        for service in services:
            tier.append(_Slot(service=service))
            self._spawn(tier[-1])
        for slot in tier:
            self._await_ready(slot)

    def run(self, service: Service) -> None:
        """Run a service that ends by itself. Raises Unavailable when it fails."""
        slot = _Slot(service=service)
        self._tiers.append([slot])
        self._spawn(slot)
        while (status := slot.child.exit_status() if slot.child else 0) is None:
            time.sleep(_TICK_SECONDS / 5)
        self._tiers.pop()
        lines = self._finish(slot)
        if status != 0:
            raise _failure(service, status, lines)

    def wait(self) -> NoReturn:
        """Restart what crashes, until an exception (KeyboardInterrupt, for one) ends it."""
        while True:
            for tier in self._tiers:
                for slot in tier:
                    self._look_after(slot)
            time.sleep(_TICK_SECONDS)

    def stop(self) -> None:
        """Stop the tiers, last one first; a second Ctrl-C meanwhile makes it hurry."""
        with self._hurrying_on_signals():
            while self._tiers:
                self._stop_tier([slot for slot in self._tiers[-1] if slot.child])
                self._tiers.pop()

    def _spawn(self, slot: _Slot) -> None:
        slot.service.prepare()
        with signals_held():
            slot.child = start_child(slot.service, self._records, self._report)

    def _await_ready(self, slot: _Slot) -> None:
        service, child = slot.service, slot.child
        if child is None:
            return
        if not wait_until(lambda: child.exit_status() is not None or service.is_ready(), service.ready_seconds):
            raise Unavailable(f"{service.name} was not ready after {service.ready_seconds:g} seconds.")
        if (status := child.exit_status()) is not None:
            raise _failure(service, status, self._finish(slot))

    def _finish(self, slot: _Slot) -> list[str]:
        """Clear the slot; returns the last lines that its child wrote."""
        child = slot.child
        if child is None:
            return []
        with signals_held():
            child.finish()
            slot.child = None
        return list(child.last_lines)

    def _look_after(self, slot: _Slot) -> None:
        if slot.child is None:
            if time.monotonic() >= slot.restart_at:
                self._spawn(slot)
            return
        status = slot.child.exit_status()
        if status is None:
            return
        was_steady = time.monotonic() - slot.child.started_at >= slot.service.steady_seconds
        self._finish(slot)
        slot.failures = 1 if was_steady else slot.failures + 1
        delay = restart_delay(slot.failures)
        slot.restart_at = time.monotonic() + delay
        self._report(slot.service.name, f"{_described(status)}; it starts again in {delay:g} s")

    def _stop_tier(self, slots: list[_Slot]) -> None:
        children = [slot.child for slot in slots if slot.child]
        for child in children:
            child.send(child.service.stop_signal)
        self._await_ends(children, max((child.service.stop_seconds for child in children), default=0))
        for child in children:
            if child.exit_status() is None:
                child.send(signal.SIGQUIT)
        self._await_ends(children, _QUIT_SECONDS)
        for slot in slots:
            self._finish(slot)

    def _await_ends(self, children: list[Child], seconds: float) -> None:
        wait_until(
            lambda: self._is_impatient or all(child.exit_status() is not None for child in children),
            seconds,
        )

    @contextmanager
    def _hurrying_on_signals(self) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        with signals_held():
            before = [signal.signal(number, self._hurry) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _hurry(self, number: int, frame: FrameType | None) -> None:
        self._is_impatient = True


def _described(status: int) -> str:
    return f"ended with status {status}" if status >= 0 else f"was ended by {signal.Signals(-status).name}"


def _failure(service: Service, status: int, lines: list[str]) -> Unavailable:
    said = "".join(f"\n  {line}" for line in lines)
    return Unavailable(f"{service.name} {_described(status)} instead of working.{said}")
