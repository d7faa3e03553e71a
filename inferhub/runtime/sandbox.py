"""One module of ours in a short-lived process that works on a stranger's file: hard limits, no secrets, no network.

`run_limited` is the parent's side. The child's is `python -m inferhub.runtime.sandbox LIMITS MODULE ARGUMENT ...`,
which gives up what it does not need before anything large is imported, and forks: the new process runs MODULE in its
own place, the old one paces it.
"""

import ctypes
import json
import os
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import inferhub
from inferhub.runtime.pacing import end_alike, pace

_PACKAGE_ROOT = str(Path(inferhub.__file__).resolve().parent.parent)
_ENVIRONMENT = {
    "PYTHONPATH": _PACKAGE_ROOT,
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "LC_ALL": "C.UTF-8",
    "ORT_DISABLE_TELEMETRY": "1",
}
_OPEN_FILES = 16
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_NEW_NETWORK, _NEW_USER = 0x40000000, 0x10000000  # CLONE_NEWNET, CLONE_NEWUSER of unshare(2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """`memory_bytes` is address space, `file_bytes` the largest file that may be written."""

    memory_bytes: int
    cpu_seconds: int
    file_bytes: int
    wall_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """How the process ended (as `subprocess` says it) and what it wrote to standard output and standard error."""

    returncode: int
    answer: bytes
    complaint: bytes


def run_limited(
    module: str, *arguments: str, stdin: BinaryIO, folder: Path, limits: Limits, also: Sequence[BinaryIO] = ()
) -> Finished:
    """Run `module` in `folder`, for as long as the calling thread lives.

    `stdin` and the files `also` (under their own numbers) are open, and nothing else. What it writes goes through
    files, whose size the limits bound, never through pipes. Raises `subprocess.TimeoutExpired` after
    `limits.wall_seconds`; the process is dead by then.
    """
    bounds = json.dumps(asdict(limits) | {"parent": os.getpid()})
    command = [sys.executable, "-P", "-s", "-B", "-m", __name__, bounds, module, *arguments]
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as complaint:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command,
            stdin=stdin,
            stdout=answer,
            stderr=complaint,
            cwd=folder,
            env=_ENVIRONMENT,
            pass_fds=[file.fileno() for file in also],
            timeout=limits.wall_seconds,
            check=False,
        )
        answer.seek(0)
        complaint.seek(0)
        return Finished(returncode=done.returncode, answer=answer.read(), complaint=complaint.read())


def main() -> None:
    limits, module, arguments = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3:]
    _end_with(limits.pop("parent"))
    _leave_network()
    pacer = os.getpid()
    if (worker := os.fork()) != 0:
        end_alike(pace(worker, limits["cpu_seconds"]))
    _end_with(pacer)
    _step_back()
    _limit(limits)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with(parent: int) -> None:
    """Nobody waits for the answer of a check whose server was killed, nor ends it when its time is over."""
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(1)


def _leave_network() -> None:
    """Into a network namespace without any interface. Where the system allows nobody to do so, all else still holds."""
    libc = ctypes.CDLL(None)
    if libc.unshare(_NEW_NETWORK) != 0:
        libc.unshare(_NEW_USER | _NEW_NETWORK)


def _step_back() -> None:
    """Little processor time while others want it (and, after it, of the disk): a check must not slow down those who
    serve. SCHED_IDLE would take none at all on a busy machine, and honest uploads would never be done.
    """
    os.nice(19)


def _limit(limits: dict[str, int]) -> None:
    """Lower this process's own limits for good (a pre-exec hook in a parent with threads is not safe)."""
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    main()
