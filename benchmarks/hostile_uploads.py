"""What hostile uploads do to those who are being served: the p99 of predictions with and without them.

    make bench NAME=hostile_uploads

Starts a hub with the embedded servers and asks it over the Open Inference Protocol for predictions of a LightGBM model
(200 trees, varying rows, 32 connections, by wrk). In every other round somebody uploads one hostile file after the
other: endless products, tensors that double, graphs that nest, a million nodes. Quiet and hostile rounds take turns, so
that both see the same machine, and `ratio` compares each hostile round with the quiet ones around it.
"""

import contextlib
import itertools
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import lightgbm
import numpy as np

from benchmarks.report import parser, publish
from tests.runtime.hostile import ONNX

_ROOT = Path(__file__).parent.parent
_BARS = {"ratio": "<=1.1", "failed": "<=0"}
_FEATURES = 20
_BODIES = 500
_CONNECTIONS = 32
_HOSTILE = (
    "products for minutes",
    "a tensor that doubles",
    "inputs of 64 GB",
    "functions that nest",
    "a million nodes",
)
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True, kw_only=True, slots=True)
class Hub:
    address: str
    key: str


def main() -> None:
    options = parser(__doc__ or "", "hostile_uploads")
    options.add_argument("--rounds", type=int, default=7, help="hostile rounds; one more is quiet")
    options.add_argument("--seconds", type=int, default=10, help="length of a round")
    given = options.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder, _served(Path(folder)) as hub:
        script = _load_script(Path(folder), hub)
        _measure(hub, script, given.seconds)  # warms up
        quiet = [_measure(hub, script, given.seconds)]
        hostile, uploads = [], 0
        for _ in range(given.rounds):
            with _uploading(hub) as count:
                hostile.append(_measure(hub, script, given.seconds))
            uploads += len(count)
            quiet.append(_measure(hub, script, given.seconds))
    publish("hostile_uploads", _figures(quiet, hostile, uploads), _BARS, given.json)


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    p99_ms: float
    rps: float
    failed: int


def _figures(quiet: list[Round], hostile: list[Round], uploads: int) -> dict[str, float]:
    around = [(before.p99_ms + after.p99_ms) / 2 for before, after in itertools.pairwise(quiet)]
    ratios = [one.p99_ms / other for one, other in zip(hostile, around, strict=True)]
    return {
        "p99_ms_quiet": statistics.median(one.p99_ms for one in quiet),
        "p99_ms_hostile": statistics.median(one.p99_ms for one in hostile),
        "ratio": statistics.median(ratios),
        "rps_quiet": statistics.median(one.rps for one in quiet),
        "rps_hostile": statistics.median(one.rps for one in hostile),
        "failed": sum(one.failed for one in (*quiet, *hostile)),
        "hostile_uploads": uploads,
    }


@contextlib.contextmanager
def _served(folder: Path) -> Iterator[Hub]:
    """A hub in `folder` with one model, and a key that may predict and register."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ours = ("INFERHUB_", "DATABASE_URL", "CELERY_BROKER_URL")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {"INFERHUB_HOME": str(folder / "home"), "INFERHUB_PORT": str(port)}
    command = [sys.executable, "-m", "inferhub.cli"]
    log = (folder / "log").open("w")
    process = subprocess.Popen([*command, "up"], cwd=_ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        hub = Hub(address=f"http://127.0.0.1:{port}", key="")
        _wait(hub, process)
        model = folder / "model.txt"
        _train().save_model(model)
        words = ("trees", str(model), "--task", "classification", "--approval", "direct")
        _run([*command, "register-model", *words], environment)
        key = _run([*command, "create-api-key", "bench", "--scope", "predict", "--scope", "register"], environment)
        yield Hub(address=hub.address, key=key.split()[-1])
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def _run(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, cwd=_ROOT, env=environment, check=True, capture_output=True, text=True).stdout


def _wait(hub: Hub, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit("The hub ended before it served.")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{hub.address}/readyz", trust_env=False).status_code == 200:
                return
        time.sleep(0.2)
    raise SystemExit("The hub did not serve within two minutes.")


def _train() -> lightgbm.Booster:
    rows = np.random.default_rng(0).normal(size=(5000, _FEATURES))
    data = lightgbm.Dataset(rows, (rows[:, 0] + rows[:, 1] ** 2 > 1).astype(int))
    return lightgbm.train({"objective": "binary", "num_leaves": 31, "verbose": -1, "num_threads": 2}, data, 200)


def _load_script(folder: Path, hub: Hub) -> Path:
    """For wrk: rows that vary, and a key."""
    rows = np.random.default_rng(1).normal(size=(_BODIES, _FEATURES)).round(4)
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, _FEATURES]}
    bodies = [json.dumps({"inputs": [tensor | {"data": row}]}) for row in rows.tolist()]
    script = folder / "load.lua"
    script.write_text(
        f"local bodies = {{{','.join(f'[[{body}]]' for body in bodies)}}}\n"
        'local headers = {["Content-Type"] = "application/json", '
        f'["Authorization"] = "Bearer {hub.key}"}}\n'
        "local turn = 0\n"
        f"request = function() turn = turn % {_BODIES} + 1 "
        'return wrk.format("POST", "/v2/models/trees/infer", headers, bodies[turn]) end\n'
    )
    return script


def _measure(hub: Hub, script: Path, seconds: int) -> Round:
    command = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(script), hub.address]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()  # type: ignore[union-attr]
    rps = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return Round(p99_ms=float(number) * _UNITS[unit], rps=rps, failed=int(bad[1]) if bad else 0)


@contextlib.contextmanager
def _uploading(hub: Hub) -> Iterator[list[int]]:
    """Somebody who sends hostile files, one after the other; the list grows by the status of each answer."""
    answers: list[int] = []
    is_over = threading.Event()

    def loop() -> None:
        headers = {"Authorization": f"Bearer {hub.key}"}
        with httpx.Client(headers=headers, trust_env=False, timeout=120) as client:
            while not is_over.is_set():
                form = {"files": {"file": _FILES[len(answers) % len(_FILES)]}, "data": {"task": "other"}}
                answers.append(client.post(f"{hub.address}/api/v1/models/hostile/versions", **form).status_code)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        thread.join()
    if 201 in answers:
        raise SystemExit("A hostile file was accepted.")


def _bytes_of(name: str) -> bytes:
    made = ONNX[name].make()
    return made if isinstance(made, bytes) else made.SerializeToString()


_FILES = [_bytes_of(name) for name in _HOSTILE]


if __name__ == "__main__":
    main()
