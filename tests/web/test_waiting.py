"""On the event loop nothing waits: what would have to, asks for a thread before it has changed anything."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from inferhub.inference import services
from inferhub.lib import waiting
from inferhub.lib.snapshots import Snapshots
from inferhub.lib.waiting import NeedsThread, must_wait, never_wait_here
from inferhub.runtime.deadline import Deadline
from inferhub.runtime.gate import Gate
from inferhub.web.protocol import Pace


@pytest.fixture
def aside(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """This thread is the loop's; what it hands to others is kept here."""
    handed: list[Callable[[], object]] = []
    monkeypatch.setattr(waiting._Loop, "thread", 0)
    monkeypatch.setattr(waiting._Loop, "run_aside", None)
    never_wait_here(handed.append)
    return handed


def test_only_the_loop_may_not_wait(aside: list[Callable[[], object]]) -> None:
    with pytest.raises(NeedsThread):
        must_wait()
    with pytest.raises(NeedsThread) as missed:
        must_wait(reading="a thing")
    assert missed.value.reading == "a thing"
    with ThreadPoolExecutor(1) as pool:
        pool.submit(must_wait).result()


def test_a_full_gate_needs_a_thread_and_loses_no_turn(aside: list[Callable[[], object]]) -> None:
    gate = Gate(runs=1, queue=1)
    deadline = Deadline.after(1000)
    gate.enter(deadline)
    with pytest.raises(NeedsThread):
        gate.enter(deadline)
    assert gate.waiting == 0
    gate.leave()
    gate.enter(deadline)


def test_a_model_with_several_threads_is_not_waited_for(
    aside: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the loop's thread would not tell how long they take."""
    plan: Any = None
    monkeypatch.setattr(services, "load_model", lambda plan: SimpleNamespace(threads=2, batch=0))
    with pytest.raises(NeedsThread):
        services._run(plan, {}, None, is_beside=False)


def test_what_is_remembered_is_read_anew_aside_while_it_is_good(
    aside: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    reads = iter(range(10))
    kept: Snapshots[str, int] = Snapshots(lambda key: next(reads), seconds=1.0)
    with pytest.raises(NeedsThread):
        kept.get("a")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(kept.get, "a").result() == 0
    now += 0.9
    assert [kept.get("a"), kept.get("a")] == [0, 0]
    assert len(aside) == 1
    aside[0]()
    assert kept.get("a") == 1
    now += 1.1
    with pytest.raises(NeedsThread):
        kept.get("a")


def test_an_address_is_quick_after_a_few_quick_requests_and_no_longer_after_two_slow_ones() -> None:
    pace = Pace()
    seen = []
    for seconds in (0.3, 0.0001, 0.0001, 0.0001, 0.0001, 0.0001, 0.1, 0.0001, 0.1, 0.1, 0.0001):
        pace.note(seconds, pace.clock)
        seen.append(pace.is_quick)
    assert seen == [False, False, False, False, True, True, True, True, True, False, False]


def test_a_request_that_others_held_up_is_not_slow() -> None:
    """After one that took long by the clock on the wall the next is timed by what it has of the processor itself."""
    pace = Pace()
    for _ in range(4):
        pace.note(0.0001, pace.clock)
    assert pace.clock is time.perf_counter
    pace.note(0.1, time.perf_counter)
    assert pace.clock is time.thread_time
    pace.note(0.1, time.perf_counter)  # of one that had begun before
    assert pace.is_quick
    pace.note(0.0001, time.thread_time)
    assert (pace.is_quick, pace.clock) == (True, time.perf_counter)


def test_nobody_is_the_loop_where_there_is_none() -> None:
    must_wait(reading="a thing")
