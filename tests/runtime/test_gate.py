import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from inferhub.errors import Unavailable
from inferhub.runtime.deadline import Deadline
from inferhub.runtime.gate import Gate

AGES = 60_000


class Crowd:
    """Threads that hold their turn until they are let go."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.inside = threading.Semaphore(0)
        self.let_go = threading.Event()
        self.executor = ThreadPoolExecutor(16)

    def enter(self, timeout_ms: int = AGES) -> "Future[None]":
        return self.executor.submit(self._stay, timeout_ms)

    def _stay(self, timeout_ms: int) -> None:
        with self.gate.turn(Deadline.after(timeout_ms)):
            self.inside.release()
            self.let_go.wait(20)

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self.inside.acquire(timeout=20)


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    made = Crowd(Gate(runs=2, queue=1))
    yield made
    made.let_go.set()
    made.executor.shutdown()


def wait_until_waiting(gate: Gate, count: int) -> None:
    pause = threading.Event()
    for _ in range(2000):
        if gate.waiting == count:
            return
        pause.wait(0.005)
    raise AssertionError(f"{gate.waiting} wait, not {count}")


def test_no_more_run_at_once_than_may(crowd: Crowd) -> None:
    calls = [crowd.enter() for _ in range(3)]
    crowd.wait_for(2)
    wait_until_waiting(crowd.gate, 1)
    assert not crowd.inside.acquire(blocking=False)
    crowd.let_go.set()
    assert [call.result(20) for call in calls] == [None] * 3
    assert crowd.gate.waiting == 0


def test_who_comes_to_a_full_queue_is_sent_away_and_told_when_to_come_back(crowd: Crowd) -> None:
    calls = [crowd.enter() for _ in range(3)]
    crowd.wait_for(2)
    wait_until_waiting(crowd.gate, 1)
    with pytest.raises(Unavailable, match="2 models run already") as caught, crowd.gate.turn(Deadline.after(AGES)):
        pass
    assert caught.value.retry_after_seconds == 1
    assert not caught.value.is_permanent
    crowd.let_go.set()
    assert [call.result(20) for call in calls] == [None] * 3


def test_who_waits_leaves_at_the_deadline(crowd: Crowd) -> None:
    for _ in range(2):
        crowd.enter()
    crowd.wait_for(2)
    assert isinstance(crowd.enter(timeout_ms=10).exception(20), Unavailable)
    assert crowd.gate.waiting == 0


def test_a_turn_is_given_back_whatever_happens() -> None:
    gate = Gate(runs=1, queue=0)
    for _ in range(3):
        with pytest.raises(KeyError), gate.turn(Deadline.after(AGES)):
            raise KeyError


def test_many_short_runs_all_get_their_turn() -> None:
    gate, done = Gate(runs=2, queue=100), []

    def work(number: int) -> None:
        with gate.turn(Deadline.after(AGES)):
            done.append(number)

    with ThreadPoolExecutor(16) as executor:
        list(executor.map(work, range(2000)))
    assert sorted(done) == list(range(2000))


def test_who_waits_is_not_passed_over_by_those_who_come_again_and_again() -> None:
    gate, is_over = Gate(runs=2, queue=8), threading.Event()

    def come_again_and_again() -> None:
        while not is_over.is_set():
            with gate.turn(Deadline.after(60_000)):
                pass

    greedy = [threading.Thread(target=come_again_and_again) for _ in range(4)]
    for thread in greedy:
        thread.start()
    try:
        for _ in range(50):
            with gate.turn(Deadline.after(5_000)):
                pass
    finally:
        is_over.set()
        for thread in greedy:
            thread.join()
    assert gate.waiting == 0
