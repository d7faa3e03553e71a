"""What the process that opens a stranger's file may have and do, as that process itself sees it."""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inferhub.errors import Unavailable
from inferhub.runtime import check
from inferhub.runtime.sandbox import Limits, run_limited
from tests.embedded.support import wait_until

LIMITS = Limits(memory_bytes=512 << 20, cpu_seconds=2, file_bytes=1 << 20, wall_seconds=240)


def run(module: str, folder: Path, text: str = "", limits: Limits = LIMITS) -> Any:
    given = folder / "stdin"
    given.write_text(text)
    empty = folder / "empty"
    empty.mkdir()
    with given.open("rb") as stdin:
        return run_limited(module, stdin=stdin, folder=empty, limits=limits)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    os.environ["INFERHUB_SECRET_KEY"] = "hidden"
    with socket.create_server(("127.0.0.1", 0)) as server, Path(__file__).open() as held:
        os.set_inheritable(held.fileno(), True)
        port = server.getsockname()[1]
        done = run("tests.runtime.probe", tmp_path_factory.mktemp("probe"), str(port))
    del os.environ["INFERHUB_SECRET_KEY"]
    return json.loads(json.loads(done.answer)["message"])


def test_the_environment_holds_five_harmless_variables(seen: Any) -> None:
    names = {"PYTHONPATH", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LC_ALL", "ORT_DISABLE_TELEMETRY"}
    assert set(seen["environ"]) == names
    assert "hidden" not in seen["proc_environ"]


def test_the_folder_is_empty_and_only_the_three_standard_files_are_open(seen: Any) -> None:
    assert seen["files"] == []
    assert seen["open"] == [0, 1, 2]


def test_every_limit_is_hard(seen: Any) -> None:
    limits = {"AS": 512 << 20, "CPU": 2, "FSIZE": 1 << 20, "NOFILE": 16, "CORE": 0}
    assert seen["limits"] == {kind: [value, value] for kind, value in limits.items()}


def test_others_come_first(seen: Any) -> None:
    assert seen["priority"] == [os.SCHED_OTHER, 19]


@contextlib.contextmanager
def endless_check(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str]]]:
    """A server that waits for a check which sleeps, and what state that check is in (`Z` also where it is gone)."""
    asking = f"""
import sys
from pathlib import Path
from inferhub.runtime.sandbox import Limits, run_limited
limits = Limits(memory_bytes=1 << 30, cpu_seconds=60, file_bytes=1 << 20, wall_seconds=60)
with open("/dev/zero", "rb") as endless:
    run_limited("tests.runtime.greedy.sleeper", stdin=endless, folder=Path({str(folder)!r}), limits=limits)
"""
    with subprocess.Popen([sys.executable, "-c", asking]) as server:
        try:
            mark = folder / "pid"
            wait_until(lambda: mark.exists() and mark.read_text() != "", seconds=30)
            stat = Path(f"/proc/{mark.read_text()}/stat")
            yield server, lambda: stat.read_text().rpartition(") ")[2][0] if stat.exists() else "Z"
        finally:
            server.kill()


def test_a_check_ends_with_the_process_that_asked_for_it(tmp_path: Path) -> None:
    """The server is killed; its check must not go on."""
    with endless_check(tmp_path) as (server, state):
        server.kill()
        server.wait()
        wait_until(lambda: state() == "Z", seconds=30)


def test_a_check_rests_while_others_need_all_processors(tmp_path: Path) -> None:
    others = 2 * (os.cpu_count() or 1)
    with endless_check(tmp_path) as (_, state), contextlib.ExitStack() as running:
        for _ in range(others):
            other = running.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            running.callback(other.kill)
        wait_until(lambda: _seen(state, "T") > 50, seconds=30)


def _seen(state: Callable[[], str], wanted: str) -> int:
    """How many of a hundred looks, over a second, see the wanted state."""
    seen = 0
    for _ in range(100):
        time.sleep(0.01)
        seen += state() == wanted
    return seen


def test_folders_of_lost_checks_are_removed_and_those_of_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("inferhub-check-lost", "inferhub-check-new", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.onnx").write_bytes(b"x")
    for name in ("inferhub-check-lost", "other"):
        os.utime(tmp_path / name, (0, 0))
    check.forget_lost_folders()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inferhub-check-new", "other"]


def test_the_network_is_out_of_reach(seen: Any) -> None:
    assert seen["interfaces"] in ([], ["lo"])
    assert not seen["connects"]


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        ("open_many", b"Too many open files"),
        ("allocate", b"MemoryError"),
        ("write_much", b"File too large"),
    ],
)
def test_what_passes_a_limit_fails(tmp_path: Path, code: str, ends: bytes) -> None:
    done = run(f"tests.runtime.greedy.{code}", tmp_path)
    assert done.returncode == 1
    assert ends in done.complaint


def test_a_process_that_computes_for_ever_is_killed(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run("tests.runtime.greedy.compute", tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode < 0
    assert after.ru_utime - before.ru_utime < 3


def test_a_process_that_sleeps_for_ever_is_killed(tmp_path: Path) -> None:
    limits = Limits(memory_bytes=512 << 20, cpu_seconds=2, file_bytes=1 << 20, wall_seconds=0.5)
    with pytest.raises(subprocess.TimeoutExpired):
        run("tests.runtime.greedy.sleep", tmp_path, limits=limits)


@pytest.mark.parametrize("how", [0, 7, -signal.SIGABRT, -signal.SIGKILL, -signal.SIGSEGV, -signal.SIGXCPU])
def test_how_a_check_ended_is_told(tmp_path: Path, how: int) -> None:
    assert run("tests.runtime.greedy.end", tmp_path, str(int(how))).returncode == how


def test_a_third_check_at_a_time_is_sent_away() -> None:
    with check.in_turn(), check._one_of_few(), pytest.raises(Unavailable, match="Another file is being checked"):
        _take_a_turn()
    _take_a_turn()


def test_a_check_that_waits_too_long_for_its_turn_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_WAIT_SECONDS", 0.01)
    with check.in_turn(), pytest.raises(Unavailable):
        _take_a_turn()


def _take_a_turn() -> None:
    with check.in_turn():
        pass
