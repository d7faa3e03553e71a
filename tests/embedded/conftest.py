"""Scripts that run as processes of their own, and end with the test."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.support import Running, Start, kill_all, shell_environment


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `script` (Python source) or `argv`; kills what is left of it at the end."""
    started: list[Running] = []

    def start_one(script: str = "", *, home: Path | None = None, argv: tuple[str, ...] = (), **env: str) -> Running:
        command = argv or (sys.executable, "-c", textwrap.dedent(script))
        process = subprocess.Popen(
            command,
            env=shell_environment(home or tmp_path / "home", **env),
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(Running(process))
        return started[-1]

    yield start_one
    for running in started:
        if running.process.poll() is None:
            kill_all(running.family())
        running.process.communicate()
