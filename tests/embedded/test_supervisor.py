"""The supervisor on stand-in services: small Python programs that behave well, crash, hang or have children."""

import json
import os
import signal
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from inferhub.embedded.processes import Service, end_leftovers
from inferhub.embedded.supervisor import Supervisor, restart_delay
from inferhub.errors import Unavailable
from tests.embedded.support import Running, Start, alive, gone, wait_until

Lines = list[tuple[str, str]]


def program(name: str, script: str, **options: object) -> Service:
    argv = (sys.executable, "-I", "-S", "-u", "-c", textwrap.dedent(script))
    return Service(name=name, argv=argv, env={"PATH": os.defpath}, **options)  # type: ignore[arg-type]


SLEEPER = "import time; print('ready'); time.sleep(600)"
STUBBORN = """
    import signal, subprocess, sys, time
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"])
    print("child", child.pid)
    time.sleep(600)
"""


@pytest.fixture
def lines() -> Lines:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, lines: Lines) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "records", lambda name, line: lines.append((name, line))) as one:
        yield one


def family_of(record: Path) -> list[psutil.Process]:
    """The recorded process and what descends from it."""
    leader = psutil.Process(json.loads(record.read_text())["pid"])
    return [leader, *leader.children(recursive=True)]


def said(lines: Lines, text: str) -> bool:
    return any(text in line for _, line in lines)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.5), (2, 1), (3, 2), (4, 4), (7, 30), (1000, 30)])
def test_each_failure_in_a_row_doubles_the_delay_up_to_half_a_minute(failures: int, seconds: float) -> None:
    assert restart_delay(failures) == seconds


def test_every_line_is_reported_with_the_name_of_its_service(supervisor: Supervisor, lines: Lines) -> None:
    supervisor.run(program("talker", "print('one'); print('zwölf'.encode().decode()); print('three', end='')"))
    assert lines == [("talker", "one"), ("talker", "zwölf"), ("talker", "three")]


def test_bytes_that_are_no_utf8_do_not_stop_the_reader(supervisor: Supervisor, lines: Lines) -> None:
    supervisor.run(program("talker", r"import os; os.write(1, b'a\xffb\nnext\n')"))
    assert lines == [("talker", "a\N{REPLACEMENT CHARACTER}b"), ("talker", "next")]


def test_a_failed_run_says_the_status_and_the_last_lines(supervisor: Supervisor) -> None:
    with pytest.raises(Unavailable, match=r"broken ended with status 3 instead of working\.\n  why"):
        supervisor.run(program("broken", "print('why'); raise SystemExit(3)"))


def test_a_service_that_ends_while_starting_says_so(supervisor: Supervisor) -> None:
    with pytest.raises(Unavailable, match="broken ended with status 4"):
        supervisor.start(program("broken", "raise SystemExit(4)", is_ready=lambda: False))


def test_a_service_that_never_gets_ready_says_so(supervisor: Supervisor) -> None:
    with pytest.raises(Unavailable, match=r"slow was not ready after 0\.2 seconds"):
        supervisor.start(program("slow", SLEEPER, is_ready=lambda: False, ready_seconds=0.2))


def test_a_program_that_does_not_exist_says_so(supervisor: Supervisor) -> None:
    with pytest.raises(Unavailable, match="No such file or directory"):
        supervisor.run(Service(name="lost", argv=("/nonexistent/program",), env={}))


def test_a_service_gets_no_other_environment_than_its_own(supervisor: Supervisor, lines: Lines) -> None:
    supervisor.run(program("talker", "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))"))
    assert lines == [("talker", "['PATH']")]


def test_stop_leaves_no_process_even_of_a_service_that_ignores_every_signal(
    supervisor: Supervisor, tmp_path: Path, lines: Lines
) -> None:
    supervisor.start(program("stubborn", STUBBORN, stop_seconds=0.2, is_ready=lambda: said(lines, "child")))
    family = family_of(tmp_path / "records" / "stubborn.json")
    assert len(family) == 2
    supervisor.stop()
    wait_until(lambda: gone(family), seconds=5)  # a killed orphan takes the kernel a moment


def test_tiers_stop_in_the_opposite_order(tmp_path: Path, supervisor: Supervisor, lines: Lines) -> None:
    goodbye = """
        import signal, time
        signal.signal(signal.SIGTERM, lambda *_: (print("bye"), exit(0)))
        print("ready")
        time.sleep(600)
    """
    for name in ("first", "second", "third"):
        supervisor.start(program(name, goodbye, is_ready=lambda name=name: (name, "ready") in lines))
    supervisor.stop()
    assert [name for name, line in lines if line == "bye"] == ["third", "second", "first"]


def test_what_prepares_a_service_runs_before_it(supervisor: Supervisor, tmp_path: Path) -> None:
    note = tmp_path / "note"
    supervisor.run(program("reader", f"open({str(note)!r})", prepare=note.touch))


KEEPER = """
    import os, signal, sys
    from pathlib import Path
    from inferhub.embedded.processes import Service
    from inferhub.embedded.supervisor import Supervisor

    def report(name, line):
        print(f"{name} {line}\\n", end="", flush=True)  # at once: another thread prints too

    argv = (sys.executable, "-I", "-S", "-u", "-c", os.environ["SCRIPT"])
    with Supervisor(Path(os.environ["RECORDS"]), report) as supervisor:
        supervisor.start(Service(name="one", argv=argv, env={}, stop_seconds=300))
        print("started", flush=True)
        supervisor.wait()
"""


def keep(start: Start, records: Path, script: str) -> Running:
    return start(KEEPER, RECORDS=str(records), SCRIPT=textwrap.dedent(script))


def test_a_crashed_service_and_its_descendants_are_replaced(start: Start, tmp_path: Path) -> None:
    keeper = keep(start, tmp_path / "records", STUBBORN)
    keeper.read_until("one child")
    _, old, descendant = keeper.family()
    old.kill()
    keeper.read_until("one was ended by SIGKILL; it starts again in 0.5 s")
    keeper.read_until("one child")
    assert gone([old, descendant])
    assert len(keeper.family()) == 3


def test_services_end_with_a_supervisor_that_is_killed(start: Start, tmp_path: Path) -> None:
    keeper = keep(start, tmp_path / "records", SLEEPER)
    keeper.read_until("one ready")
    _, service = keeper.family()
    keeper.send(signal.SIGKILL)
    wait_until(lambda: gone([service]))


def test_the_next_supervisor_ends_what_a_killed_one_left_running(start: Start, tmp_path: Path) -> None:
    records = tmp_path / "records"
    keeper = keep(start, records, STUBBORN)
    keeper.read_until("one child")
    _, *left = keeper.family()
    keeper.send(signal.SIGKILL)
    keeper.process.wait()
    assert alive(left) == left
    assert end_leftovers(records, patience_seconds=0.2) == ["one"]
    assert gone(left)
    assert not list(records.iterdir())


def test_a_descendant_is_ended_when_its_service_is_gone_already(start: Start, tmp_path: Path) -> None:
    records = tmp_path / "records"
    keeper = keep(start, records, STUBBORN)
    keeper.read_until("one child")
    _, service, descendant = keeper.family()
    keeper.send(signal.SIGKILL)
    keeper.process.wait()
    service.kill()
    wait_until(lambda: gone([service]))
    assert end_leftovers(records, patience_seconds=0.2) == ["one"]
    assert gone([descendant])


@pytest.mark.parametrize("change", [{"started": 1}, {"boot": "another"}])
def test_a_process_that_got_the_number_of_an_old_service_is_let_alone(
    supervisor: Supervisor, tmp_path: Path, change: dict[str, object]
) -> None:
    supervisor.start(program("one", SLEEPER))
    record = tmp_path / "records" / "one.json"
    stale = tmp_path / "stale"
    stale.mkdir()
    (stale / "old.json").write_text(json.dumps(json.loads(record.read_text()) | change))
    assert end_leftovers(stale, patience_seconds=0.2) == []
    assert alive(family_of(record))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}'])
def test_a_torn_record_is_forgotten(tmp_path: Path, text: str) -> None:
    (tmp_path / "torn.json").write_text(text)
    assert end_leftovers(tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_a_second_signal_makes_the_stop_hurry(start: Start, tmp_path: Path) -> None:
    deaf = """
        import signal, time
        signal.signal(signal.SIGTERM, lambda *_: print("asked to end"))
        signal.signal(signal.SIGQUIT, signal.SIG_IGN)
        print("ready")
        while True:
            time.sleep(600)
    """
    keeper = keep(start, tmp_path / "records", deaf)
    keeper.read_until("one ready")
    family = keeper.family()
    keeper.send(signal.SIGINT)
    keeper.read_until("one asked to end")
    keeper.send(signal.SIGINT)
    keeper.end(seconds=30)
    assert gone(family)
