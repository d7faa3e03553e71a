"""A process that works only while others leave the processors alone, and ends when its processor time is spent."""

import os
import resource
import signal
import time
from pathlib import Path

_RUN_SECONDS = 0.003
_REST_SECONDS = 0.03
_OURSELVES = 2  # the one that is paced, and the one that looks
_CPU_CLOCK = 2  # CPUCLOCK_SCHED of Linux: ~process << 3 | 2 is the clock of its processor time


def pace(worker: int, cpu_seconds: float) -> int:
    """Wait for the child `worker`, and return how it ended (as `os.waitstatus_to_exitcode` says it).

    While as many others run as there are processors, it rests ten times as long as it runs: a low priority alone
    still takes every moment in which one who serves waits for another, and their caches with it. `cpu_seconds` are
    those of the worker and of this process together; the worker is sent SIGXCPU after them.
    """
    while True:
        time.sleep(_RUN_SECONDS)
        ended, status = os.waitpid(worker, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.process_time() + time.clock_gettime(~worker << 3 | _CPU_CLOCK) >= cpu_seconds:
            os.kill(worker, signal.SIGXCPU)
        elif _others_running() >= (os.cpu_count() or 1):
            os.kill(worker, signal.SIGSTOP)
            time.sleep(_REST_SECONDS)
            os.kill(worker, signal.SIGCONT)


def end_alike(returncode: int) -> None:
    """End this process as another ended: with its exit code, or by the same signal."""
    if returncode < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -returncode != signal.SIGKILL:
            signal.signal(-returncode, signal.SIG_DFL)
        os.kill(os.getpid(), -returncode)
    os._exit(returncode)


def _others_running() -> int:
    """How many threads of the machine run or wait for a processor, besides ourselves; 0 where nobody tells."""
    try:
        running = Path("/proc/loadavg").read_text().split()[3].partition("/")[0]
    except OSError:
        return 0
    return int(running) - _OURSELVES
