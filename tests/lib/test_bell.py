import os
import threading
from collections.abc import Callable

from inferhub.lib.bell import Ringer


class Rung:
    """What a ringer rang for, and a way to wait for it."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self._changed = threading.Condition()

    def __call__(self, items: list[int]) -> None:
        with self._changed:
            self.calls.append(items)
            self._changed.notify_all()
        if items == [13]:
            raise ValueError("unlucky")

    def wait_for(self, is_enough: Callable[[], bool]) -> bool:
        with self._changed:
            return self._changed.wait_for(is_enough, timeout=10)


def test_what_comes_while_it_pauses_goes_out_together() -> None:
    rung = Rung()
    ringer: Ringer[int] = Ringer(rung, pause_seconds=0.2)
    ringer.add([1, 2])
    assert rung.wait_for(lambda: rung.calls == [[1, 2]])
    ringer.add([3])
    ringer.add([])
    ringer.add([4])
    assert rung.wait_for(lambda: len(rung.calls) == 2)
    assert rung.calls[1] == [3, 4]


def test_one_failure_keeps_nobody_from_being_rung_for() -> None:
    rung = Rung()
    ringer: Ringer[int] = Ringer(rung, pause_seconds=0)
    ringer.add([13])
    assert rung.wait_for(lambda: len(rung.calls) == 1)
    ringer.add([1])
    assert rung.wait_for(lambda: len(rung.calls) == 2)


def test_a_forked_child_rings_with_a_thread_of_its_own() -> None:
    rung = Rung()
    ringer: Ringer[int] = Ringer(rung, pause_seconds=0)
    ringer.add([1])
    assert rung.wait_for(lambda: len(rung.calls) == 1)
    child = os.fork()
    if child == 0:
        ringer.add([2])
        os._exit(0 if rung.wait_for(lambda: rung.calls[-1] == [2]) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
