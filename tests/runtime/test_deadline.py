import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from inferhub.errors import ModelFailed, TimedOut
from inferhub.runtime.deadline import Deadline
from inferhub.runtime.session import LoadedModel, load_session

from . import graphs

PAIR = {"x": np.zeros(2, np.float32)}
AGES = 60_000


@pytest.fixture(scope="module")
def endless() -> LoadedModel:
    return load_session(graphs.endless_loop().SerializeToString())


def test_a_run_that_takes_too_long_is_stopped(endless: LoadedModel) -> None:
    with pytest.raises(TimedOut, match="did not answer within 50 ms; its run was stopped"):
        endless.run(PAIR, Deadline.after(50))


def test_each_run_is_stopped_at_its_own_time(endless: LoadedModel) -> None:
    def seconds(timeout_ms: int) -> float:
        started = time.monotonic()
        with pytest.raises(TimedOut):
            endless.run(PAIR, Deadline.after(timeout_ms))
        return time.monotonic() - started

    with ThreadPoolExecutor(3) as executor:
        longest, middle, shortest = executor.map(seconds, [900, 500, 100])
    assert shortest < middle < longest
    assert longest >= 0.9


def test_a_model_that_was_stopped_answers_the_next_call() -> None:
    counting = load_session(graphs.counting().SerializeToString())
    with pytest.raises(TimedOut):
        counting.run({"n": np.array([1 << 40])}, Deadline.after(20))
    assert counting.run({"n": np.array([3])}, Deadline.after(AGES))["y"].tolist() == [3]


def test_runs_in_time_are_left_alone_by_a_late_one(endless: LoadedModel) -> None:
    doubling = load_session(graphs.doubling().SerializeToString())
    with ThreadPoolExecutor(1) as executor:
        late = executor.submit(endless.run, PAIR, Deadline.after(300))
        for number in range(200):
            x = np.full((1, 2), number, np.float32)
            assert doubling.run({"x": x}, Deadline.after(AGES))["y"][0, 0] == 2 * number
        assert isinstance(late.exception(20), TimedOut)


def test_a_model_that_fails_in_time_is_no_late_one() -> None:
    loaded = load_session(graphs.top_k().SerializeToString())
    with pytest.raises(ModelFailed, match="k argument"):
        loaded.run({"x": np.zeros((1, 5), np.float32), "k": np.array([9])}, Deadline.after(AGES))


def _child(queue: "multiprocessing.Queue[str]") -> None:
    endless = load_session(graphs.endless_loop().SerializeToString())
    try:
        endless.run(PAIR, Deadline.after(50))
    except TimedOut as exc:
        queue.put(str(exc))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_looks_after_its_own_runs(endless: LoadedModel) -> None:
    with pytest.raises(TimedOut):
        endless.run(PAIR, Deadline.after(1))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_child, args=(queue,))
    child.start()
    assert "within 50 ms" in queue.get(timeout=20)
    child.join(20)
