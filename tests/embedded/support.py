"""Real processes, watched from outside."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]


@dataclass
class Running:
    """A script that runs in a session of its own."""

    process: subprocess.Popen[str]

    def family(self) -> list[psutil.Process]:
        """The process and all that descend from it now."""
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def read_until(self, text: str, seconds: float = 60) -> list[str]:
        """Its output up to the line that contains `text`."""
        assert self.process.stdout is not None
        lines: list[str] = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            line = self.process.stdout.readline()
            if not line:
                break
            lines.append(line.rstrip("\n"))
            if text in line:
                return lines
        raise AssertionError(f"no line with {text!r} in:\n" + "\n".join(lines))

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, seconds: float = 20) -> tuple[int, str]:
        """Wait for its end; returns exit status and the rest of the output."""
        output, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, output


Start = Callable[..., Running]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def gone(processes: list[psutil.Process]) -> bool:
    return not alive(processes)


def shell_environment(home: Path, **more: str) -> dict[str, str]:
    """As of a developer's shell that knows nothing of Inferhub."""
    plain = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return plain | {"INFERHUB_HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | more


def kill_all(processes: list[psutil.Process]) -> None:
    """kill -9; one that ended because another did is fine."""
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            one.kill()
