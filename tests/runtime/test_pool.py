import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from inferhub.errors import ModelFailed
from inferhub.runtime.examples import example_feeds
from inferhub.runtime.pool import ArtifactChanged, SessionPool, artifact_digest
from inferhub.runtime.session import SessionSettings, load_session

from . import graphs

DOUBLING = graphs.doubling().SerializeToString()
TREE = graphs.tree().SerializeToString()
TOP_K = graphs.top_k().SerializeToString()
BIG = 1 << 20


def reader(onnx_bytes: bytes, calls: list[bytes] | None = None) -> Callable[[], bytes]:
    def read() -> bytes:
        if calls is not None:
            calls.append(onnx_bytes)
        return onnx_bytes

    return read


def test_a_model_is_loaded_once() -> None:
    pool, calls = SessionPool(BIG), []
    digest = artifact_digest(DOUBLING)
    assert pool.get(digest, reader(DOUBLING, calls)) is pool.get(digest, reader(DOUBLING, calls))
    assert len(calls) == 1
    assert pool.used_bytes == len(DOUBLING)


def test_changed_bytes_are_refused_and_not_kept() -> None:
    pool, digest = SessionPool(BIG), artifact_digest(DOUBLING)
    with pytest.raises(ArtifactChanged, match=digest):
        pool.get(digest, reader(TREE))
    assert pool.digests == ()
    assert pool.get(digest, reader(DOUBLING)).signature.inputs[0].name == "x"


def test_the_least_recently_used_leaves_when_bytes_run_out() -> None:
    pool = SessionPool(len(DOUBLING) + len(TREE) + len(TOP_K) - 1)
    digests = {onnx_bytes: artifact_digest(onnx_bytes) for onnx_bytes in (DOUBLING, TREE, TOP_K)}
    for onnx_bytes in (DOUBLING, TREE, DOUBLING, TOP_K):
        pool.get(digests[onnx_bytes], reader(onnx_bytes))
    assert pool.digests == (digests[DOUBLING], digests[TOP_K])
    assert pool.used_bytes == len(DOUBLING) + len(TOP_K)


def test_a_model_counts_with_the_memory_that_it_is_said_to_need() -> None:
    pool = SessionPool(BIG)
    pool.get(artifact_digest(DOUBLING), reader(DOUBLING), memory_bytes=BIG // 2)
    assert pool.used_bytes == BIG // 2
    pool.get(artifact_digest(TREE), reader(TREE), memory_bytes=BIG // 2 + 1)
    assert pool.digests == (artifact_digest(TREE),)
    with pytest.raises(ModelFailed, match=f"needs {BIG + 1} bytes"):
        pool.get(artifact_digest(TOP_K), reader(TOP_K), memory_bytes=BIG + 1)


def test_a_model_larger_than_the_pool_fails_naming_the_setting() -> None:
    pool = SessionPool(10)
    with pytest.raises(ModelFailed, match="INFERHUB_SESSION_POOL_BYTES"):
        pool.get(artifact_digest(DOUBLING), reader(DOUBLING))


def test_threads_that_want_the_same_model_share_one_load() -> None:
    pool, calls, gate = SessionPool(BIG), [], threading.Event()
    digest = artifact_digest(DOUBLING)

    def slow() -> bytes:
        calls.append(digest)
        gate.wait(10)
        return DOUBLING

    with ThreadPoolExecutor(8) as executor:
        waiting = [executor.submit(pool.get, digest, slow) for _ in range(8)]
        gate.set()
        models = {id(future.result(10)) for future in waiting}
    assert len(models) == 1
    assert len(calls) == 1


def test_a_slow_load_does_not_hold_up_another_model() -> None:
    pool, gate = SessionPool(BIG), threading.Event()

    def slow() -> bytes:
        gate.wait(10)
        return DOUBLING

    with ThreadPoolExecutor(1) as executor:
        waiting = executor.submit(pool.get, artifact_digest(DOUBLING), slow)
        pool.get(artifact_digest(TREE), reader(TREE))
        assert not waiting.done()
        gate.set()
        waiting.result(10)


def test_all_who_wait_for_a_failing_load_hear_of_it_and_the_next_tries_again() -> None:
    pool, gate = SessionPool(BIG), threading.Event()
    digest = artifact_digest(DOUBLING)

    def broken() -> bytes:
        gate.wait(10)
        raise FileNotFoundError(digest)

    with ThreadPoolExecutor(4) as executor:
        waiting = [executor.submit(pool.get, digest, broken) for _ in range(4)]
        gate.set()
        failures = [type(future.exception(10)) for future in waiting]
    assert failures == [FileNotFoundError] * 4
    assert pool.get(digest, reader(DOUBLING))


def test_a_discarded_model_is_loaded_again() -> None:
    pool, calls, digest = SessionPool(BIG), [], artifact_digest(DOUBLING)
    pool.get(digest, reader(DOUBLING, calls))
    pool.discard(digest)
    assert pool.used_bytes == 0
    pool.get(digest, reader(DOUBLING, calls))
    assert len(calls) == 2


def test_a_shared_model_gives_each_thread_its_own_answer() -> None:
    loaded = SessionPool(BIG).get(artifact_digest(DOUBLING), reader(DOUBLING))

    def double(number: int) -> float:
        return float(loaded.run({"x": np.full((1, 2), number, np.float32)})["y"][0, 0])

    with ThreadPoolExecutor(8) as executor:
        assert list(executor.map(double, range(200))) == [2.0 * number for number in range(200)]


def test_a_pinned_model_stays_while_another_can_leave() -> None:
    pool = SessionPool(len(DOUBLING) + len(TREE) + len(TOP_K) - 1)
    digests = {onnx_bytes: artifact_digest(onnx_bytes) for onnx_bytes in (DOUBLING, TREE, TOP_K)}
    pool.pin([digests[DOUBLING]])
    for onnx_bytes in (DOUBLING, TREE, TOP_K):
        pool.get(digests[onnx_bytes], reader(onnx_bytes))
    assert pool.digests == (digests[DOUBLING], digests[TOP_K])
    pool.pin(digests.values())
    pool.get(digests[TREE], reader(TREE))
    assert pool.digests == (digests[TOP_K], digests[TREE])


def test_a_model_has_run_before_anybody_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setattr("inferhub.runtime.pool.warm_up", lambda model: ran.append(model.signature.inputs[0].name))
    pool = SessionPool(BIG)
    for _ in range(2):
        pool.get(artifact_digest(DOUBLING), reader(DOUBLING))
    assert ran == ["x"]


@pytest.mark.parametrize("made", [graphs.doubling(), graphs.top_k(), graphs.text_echo(), graphs.tree()])
def test_made_up_values_suit_the_signature(made: ModelProto) -> None:
    loaded = load_session(made.SerializeToString())
    assert len(next(iter(loaded.run(example_feeds(loaded.signature, 3)).values()))) == 3


def test_a_model_that_refuses_made_up_values_is_served_all_the_same() -> None:
    picky = helper.make_node("Reshape", ["x", "shape"], ["y"])
    ends = [graphs.value(name, TensorProto.FLOAT, ["N", None]) for name in "xy"]
    made = graphs.model([picky], ends[:1], ends[1:], [graphs.tensor("shape", [1, 3], np.int64)])
    onnx_bytes = made.SerializeToString()
    loaded = SessionPool(BIG).get(artifact_digest(onnx_bytes), reader(onnx_bytes))
    assert loaded.run({"x": np.ones((3, 1), np.float32)})["y"].tolist() == [[1, 1, 1]]


def test_a_session_is_made_with_the_settings_that_were_measured() -> None:
    pool, settings = SessionPool(BIG), SessionSettings(threads=2, optimisation="basic")
    loaded = pool.get(artifact_digest(DOUBLING), reader(DOUBLING), find_settings=lambda: settings)
    options = loaded.session.get_session_options()
    assert (options.intra_op_num_threads, options.graph_optimization_level.name) == (2, "ORT_ENABLE_BASIC")


def test_settings_of_a_larger_machine_are_cut_to_this_one() -> None:
    assert SessionSettings.from_dict({"threads": 4096, "optimisation": "all", "batch": 8}).threads == os.cpu_count()


def _child(pool: SessionPool, queue: "multiprocessing.Queue[object]") -> None:
    was_empty = pool.digests == ()
    loaded = pool.get(artifact_digest(DOUBLING), reader(DOUBLING))
    queue.put((was_empty, loaded.run({"x": np.ones((1, 2), np.float32)})["y"].tolist()))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_forked_child_starts_empty_even_when_the_lock_was_held(threads: int) -> None:
    """With two threads a session has one of its own, which is not there in the child."""
    pool = SessionPool(BIG)
    settings = SessionSettings(threads=threads)
    pool.get(artifact_digest(DOUBLING), reader(DOUBLING), find_settings=lambda: settings)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with pool._lock:
        child = context.Process(target=_child, args=(pool, queue))
        child.start()
    answer = queue.get(timeout=20)
    child.join(20)
    assert answer == (True, [[2.0, 2.0]])
