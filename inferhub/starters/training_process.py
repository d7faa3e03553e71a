"""Run `inferhub.starters.training` in a process of its own: what it loads, and its threads, end with it."""

import os
import subprocess
import sys
from pathlib import Path

import inferhub
from inferhub.errors import Unavailable

TRAINING_SECONDS = 240
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TZ")


def train_model(starter: str, folder: Path) -> None:
    """Train the model of `starter` and write it with its papers into `folder`. Raises Unavailable with the reason."""
    command = (sys.executable, "-m", "inferhub.starters.training", starter, str(folder))
    try:
        ended = subprocess.run(  # noqa: S603 - our own program, and no word of it comes from a person
            command,
            env=_environment(),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=TRAINING_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise Unavailable(f"The training of {starter} took longer than {TRAINING_SECONDS} seconds.") from exc
    if ended.returncode != 0:
        last = (ended.stderr.strip().splitlines() or [f"it ended with {ended.returncode}"])[-1]
        raise Unavailable(f"The model of {starter} could not be trained: {last}")


def _environment() -> dict[str, str]:
    """No secret of the hub, and few threads: a worker's machine has other work."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **threads, "PYTHONPATH": str(Path(inferhub.__file__).parent.parent), "PYTHONDONTWRITEBYTECODE": "1"}
