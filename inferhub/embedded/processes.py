"""One child process of the supervisor: started in a session of its own, recorded, ended with all that it started."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from inferhub.embedded import launch
from inferhub.embedded.account import Account

Report = Callable[[str, str], None]
"""Takes the name of a service and one line of its output."""

_POLL_SECONDS = 0.02
_KILL_SECONDS = 2  # a killed process may still finish a call to the kernel
_PROC = Path("/proc")


def _always() -> bool:
    return True


def _nothing() -> None:
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A program to keep running.

    `argv[0]` is an absolute path; `env` is the whole environment. `prepare` runs before every start and `is_ready` is
    asked until it says yes. One that ends after `steady_seconds` starts again at once, one that keeps ending sooner
    after longer and longer pauses. `stop_signal` asks the program to end within `stop_seconds`; it is also what the
    kernel sends when the supervisor dies. `account` is whom root steps down to.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    prepare: Callable[[], None] = _nothing
    is_ready: Callable[[], bool] = _always
    ready_seconds: float = 60
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 4
    steady_seconds: float = 30
    account: Account | None = None
    folder: Path | None = None


@dataclass(kw_only=True)
class Child:
    """A running service. Create with `start_child`; `finish` must be called in the end."""

    service: Service
    process: subprocess.Popen[bytes]
    record: Path
    started_at: float
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    reader: threading.Thread | None = None

    def exit_status(self) -> int | None:
        """None while it runs. Leaves the zombie in place, so that its number cannot be given to another group."""
        seen = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if seen is None:
            return None
        return seen.si_status if seen.si_code == os.CLD_EXITED else -seen.si_status

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def finish(self) -> None:
        """Kill what is left of it and of its descendants, reap it and forget its record."""
        with suppress(ProcessLookupError, PermissionError):  # PermissionError: only zombies are left (kill(2) on Linux)
            os.killpg(self.process.pid, signal.SIGKILL)
        wait_until(lambda: not _is_group_alive(self.process.pid), _KILL_SECONDS)
        self.process.wait()
        if self.reader:
            self.reader.join(timeout=1)
        self.record.unlink(missing_ok=True)


@contextmanager
def signals_held() -> Iterator[None]:
    """No KeyboardInterrupt between the start of a process and the note that it runs."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_child(service: Service, records: Path, report: Report) -> Child:
    """Start `service` in a session of its own. Call it in the main thread: the kernel ends a child with its thread."""
    account = f"{service.account.uid}:{service.account.gid}" if service.account else "-"
    launcher = (sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(int(service.stop_signal)), account)
    process = subprocess.Popen(  # noqa: S603 (our own services)
        [*launcher, *service.argv],
        env=dict(service.env),
        cwd=service.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    record = records / f"{service.name}.json"
    _write_record(record, process.pid, service.stop_signal)
    child = Child(service=service, process=process, record=record, started_at=time.monotonic())
    child.reader = threading.Thread(target=_read_lines, args=(child, report), daemon=True, name=f"log-{service.name}")
    child.reader.start()
    return child


def _read_lines(child: Child, report: Report) -> None:
    if child.process.stdout is None:
        return
    with child.process.stdout as stream:
        for raw in stream:
            line = raw.decode("utf-8", "replace").rstrip()
            child.last_lines.append(line)
            report(child.service.name, line)


def _write_record(path: Path, pid: int, stop_signal: signal.Signals) -> None:
    text = json.dumps({"pid": pid, "started": _start_time(pid), "stop_signal": int(stop_signal), "boot": _boot_id()})
    draft = path.with_suffix(".new")
    draft.write_text(text, encoding="ascii")
    draft.replace(path)


def end_leftovers(records: Path, *, patience_seconds: float = 5) -> list[str]:
    """End what a supervisor that was killed left running; returns the names of the services that were still there."""
    leftovers = [left for path in sorted(records.glob("*.json")) if (left := _read_leftover(path))]
    for left in leftovers:
        with suppress(ProcessLookupError):
            os.kill(left.pid, left.stop_signal)
    wait_until(lambda: not any(left.is_alive() for left in leftovers), patience_seconds)
    for left in leftovers:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(left.pid, signal.SIGKILL)
    wait_until(lambda: not any(left.is_alive() for left in leftovers), patience_seconds)
    for path in records.glob("*.json"):
        path.unlink()
    return [left.name for left in leftovers]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Leftover:
    name: str
    pid: int
    stop_signal: int

    def is_alive(self) -> bool:
        return _is_group_alive(self.pid)


def _read_leftover(path: Path) -> _Leftover | None:
    """What `path` records, if it still runs: the recorded process, or others of its group after its end.

    A number is not given to a new process while a group bears it; a process with that number and another start time
    therefore means that nothing is left of the old group.
    """
    try:
        record = json.loads(path.read_text(encoding="ascii"))
        left = _Leftover(name=path.stem, pid=int(record["pid"]), stop_signal=int(record["stop_signal"]))
        started, boot = record["started"], record["boot"]
    except (ValueError, KeyError, TypeError):
        return None
    if boot != _boot_id() or _start_time(left.pid) not in (started, None) or not left.is_alive():
        return None
    return left


@dataclass(frozen=True, slots=True)
class _Stat:
    pid: int
    name: str
    group: int


def _processes() -> Iterator[_Stat]:
    """All living processes that may be seen. Zombies are not alive: a container may have nobody to reap them."""
    for folder in _PROC.iterdir():
        if folder.name.isdecimal() and (fields := _stat_fields(int(folder.name))) and fields[1] not in {"Z", "X"}:
            yield _Stat(pid=int(folder.name), name=fields[0], group=int(fields[3]))


def _is_group_alive(group: int) -> bool:
    return any(stat.group == group for stat in _processes())


def processes_named(name: str, mark: str) -> list[int]:
    """Living processes called `name` whose command line or title contains `mark`."""
    return [stat.pid for stat in _processes() if stat.name == name and mark.encode() in _command_line(stat.pid)]


def is_running(pid: int, name: str) -> bool:
    """Whether a living process called `name` has this number."""
    return any(stat.pid == pid and stat.name == name for stat in _processes())


def _command_line(pid: int) -> bytes:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def _stat_fields(pid: int) -> list[str] | None:
    """proc_pid_stat(5) without the process id: name, state, parent, group, session, ..."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    return [name, *rest.split()]


def _start_time(pid: int) -> int | None:
    """Clock ticks between the start of the machine and the start of the process: with its number, its identity."""
    fields = _stat_fields(pid)
    return int(fields[20]) if fields else None


def _boot_id() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask `condition` until it holds or `seconds` are over; returns whether it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
