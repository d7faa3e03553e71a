import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from inferhub.lib import snapshots
from inferhub.lib.snapshots import Snapshots


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(snapshots, "time", made)
    return made


def test_a_value_is_read_once_in_its_time(clock: Clock) -> None:
    read: list[str] = []
    kept: Snapshots[str, int] = Snapshots(lambda key: read.append(key) or len(read), seconds=10)
    assert [kept.get("a"), kept.get("b"), kept.get("a")] == [1, 2, 1]
    clock.now = 10
    assert [kept.get("a"), kept.get("a")] == [3, 3]


def test_near_the_end_of_its_time_one_thread_reads_anew_and_the_others_go_on(clock: Clock) -> None:
    is_reading, may_end = threading.Event(), threading.Event()
    values = iter([1, 2, 3])

    def read(_: str) -> int:
        value = next(values)
        if value > 1:
            is_reading.set()
            assert may_end.wait(10)
        return value

    kept: Snapshots[str, int] = Snapshots(read, seconds=10)
    kept.get("a")
    clock.now = 9
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(kept.get, "a")
        assert is_reading.wait(10)
        assert kept.get("a") == 1
        may_end.set()
        assert reader.result() == 2
    assert kept.get("a") == 2


def test_an_error_is_not_remembered_and_the_next_one_reads(clock: Clock) -> None:
    answers = iter([1, ValueError("away"), 3])

    def read(_: str) -> int:
        answer = next(answers)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    kept: Snapshots[str, int] = Snapshots(read, seconds=10)
    kept.get("a")
    clock.now = 9
    with pytest.raises(ValueError, match="away"):
        kept.get("a")
    assert kept.get("a") == 3


def test_what_was_forgotten_is_read_again(clock: Clock) -> None:
    values = iter([1, 2])
    kept: Snapshots[str, int] = Snapshots(lambda _: next(values), seconds=10)
    kept.get("a")
    kept.forget()
    assert kept.get("a") == 2
