"""The other servers of the benchmarks `serving` and `decisions`, their model, and wrk that asks them.

`make bench-peers` makes their environment; wrk comes from the system (`apt-get install wrk`).
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import lightgbm as lgb
import numpy as np
import onnx
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from inferhub.lib.config import read_config

_ROOT = Path(__file__).parent.parent
_PEERS = _ROOT / ".venv-peers" / "bin"
_FEATURES, _TREES, _LEAVES, _ROWS = 20, 200, 31, 20_000
INFER = '{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 20], "data": [%s]}]}'
INFER_ADDRESS = "/v2/models/trees/infer"


@dataclass(frozen=True, kw_only=True)
class Target:
    """One server to ask."""

    port: int
    address: str = INFER_ADDRESS
    body: str = INFER
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What wrk says of one run."""

    rps: float
    p50_ms: float
    p99_ms: float
    failed: int


def check_tools() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    if not (_PEERS / "mlserver").exists():
        raise SystemExit(f"{_PEERS}/mlserver is missing: make bench-peers")


def train(folder: Path) -> None:
    """model.txt for LightGBM's own runtime, model.onnx for all others."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(_ROWS, _FEATURES)).astype(np.float32)
    truth = rows @ rng.normal(size=_FEATURES) + np.sin(3 * rows[:, 0]) + rng.normal(size=_ROWS) / 10
    booster = lgb.train({"num_leaves": _LEAVES, "verbose": -1}, lgb.Dataset(rows, truth), _TREES)
    booster.save_model(folder / "model.txt")
    made = convert_lightgbm(booster, initial_types=[("x", FloatTensorType([None, _FEATURES]))], target_opset=15)
    onnx.save(made, folder / "model.onnx")


@contextmanager
def fastapi(folder: Path) -> Iterator[Target]:
    port = free_port()
    processes = str(read_config({}).web_processes)
    words = ["--port", str(port), "--workers", processes, "--no-access-log", "--log-level", "warning"]
    with _peer([str(_PEERS / "uvicorn"), "benchmarks.serving_fastapi:app", *words], folder, port) as target:
        yield target


@contextmanager
def best_mlserver(folder: Path) -> Iterator[Target]:
    """MLServer with the runtime that answers more requests in one short run."""
    runtimes = ("mlserver_lightgbm.LightGBMModel", "benchmarks.serving_mlserver.OnnxModel")
    speeds = {}
    for runtime in runtimes:
        with _mlserver(folder, runtime) as target:
            ask(target, connections=32, seconds=2, seed=0)
            speeds[runtime] = ask(target, connections=32, seconds=4, seed=1).rps
    with _mlserver(folder, max(runtimes, key=lambda runtime: speeds[runtime])) as target:
        yield target


@contextmanager
def _mlserver(folder: Path, runtime: str) -> Iterator[Target]:
    ports = [free_port() for _ in range(3)]
    names = ("http_port", "grpc_port", "metrics_port")
    settings = {"parallel_workers": 0, "debug": False, "host": "127.0.0.1"} | dict(zip(names, ports, strict=True))
    model = {"name": "trees", "implementation": runtime, "parameters": {"uri": str(folder / "model.txt")}}
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        (Path(name) / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
        with _peer([str(_PEERS / "mlserver"), "start", name], folder, ports[0]) as target:
            yield target


@contextmanager
def _peer(command: list[str], folder: Path, port: int) -> Iterator[Target]:
    """A peer's server, from its first answer to the end of the body."""
    environment = os.environ | {"MODEL": str(folder / "model.onnx"), "PYTHONPATH": str(_ROOT)}
    with (folder / "peer.log").open("a", encoding="utf-8") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        try:
            target = Target(port=port)
            _wait(target, process)
            yield target
        finally:
            process.terminate()
            process.wait(20)


def _wait(target: Target, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    body = target.body % ",".join(["0.5"] * _FEATURES)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            url = f"http://127.0.0.1:{target.port}{target.address}"
            if httpx.post(url, content=body, headers={"Content-Type": "application/json"}).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"{process.args} does not answer")


def ask(target: Target, *, connections: int, seconds: int, seed: int) -> Figures:
    environment = os.environ | {"ADDRESS": target.address, "BODY": target.body, "SEED": str(seed)}
    environment |= {"KEY": target.key} if target.key else {}
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(Path(__file__).with_name("serving.lua"))]
    command.append(f"http://127.0.0.1:{target.port}")
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return Figures(**json.loads(said.splitlines()[-1]))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
