"""How fast a small model is served by the inference protocol, beside MLServer and FastAPI on the same machine.

    make bench NAME=serving

A LightGBM regression of 200 trees with 31 leaves and 20 features; another row in every request; 32 connections of wrk
on the same cores. The hub runs as `inferhub up` runs it, with its embedded servers, and asks for an API key; the peers
ask for none. MLServer runs in one process (`parallel_workers: 0`, the best for a small model) with the quicker of
its own LightGBM runtime and one of ONNX Runtime; FastAPI in as many processes as the hub. They take turns for several
rounds, and the medians count: what else the machine does hits all of them alike.

The peers' environment is made by `make bench-peers`; wrk comes from the system (`apt-get install wrk`).
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import lightgbm as lgb
import numpy as np
import onnx
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from benchmarks.report import parser, publish
from inferhub.embedded.up import child_environment, hub_services, migration, supervised_hub
from inferhub.lib.config import Config, read_config

_ROOT = Path(__file__).parent.parent
_PEERS = _ROOT / ".venv-peers" / "bin"
_FEATURES, _TREES, _LEAVES, _ROWS = 20, 200, 31, 20_000
_INFER = '{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 20], "data": [%s]}]}'
_PREDICT = '{"rows": [{"x": [%s]}]}'
_INFER_ADDRESS, _PREDICT_ADDRESS = "/v2/models/trees/infer", "/api/v1/models/trees/predictions"
_BARS = {
    "inferhub_to_mlserver": ">=2",
    "inferhub_to_fastapi": ">=1",
    "inferhub_p99_to_mlserver": "<=1",
    "inferhub_c1_p50_ms": "<=0.5",
    "failed": "<=0",
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """One server to ask."""

    port: int
    address: str = _INFER_ADDRESS
    body: str = _INFER
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What wrk says of one run."""

    rps: float
    p50_ms: float
    p99_ms: float
    failed: int


def main() -> None:
    options = parser(__doc__ or "", "serving")
    options.add_argument("--rounds", type=int, default=7, help="runs of each server; the medians count")
    options.add_argument("--seconds", type=int, default=5, help="length of one run")
    chosen = options.parse_args()
    _check_tools()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        _train(folder)
        hub = stack.enter_context(_hub(folder))
        targets = {
            "inferhub": hub,
            "fastapi": stack.enter_context(_fastapi(folder)),
            "mlserver": stack.enter_context(_best_mlserver(folder)),
            "rest": replace(hub, address=_PREDICT_ADDRESS, body=_PREDICT),
        }
        loaded, alone = _measure(targets, chosen.rounds, chosen.seconds)
    publish("serving", _figures(loaded, alone), _BARS, chosen.json)


def _check_tools() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    if not (_PEERS / "mlserver").exists():
        raise SystemExit(f"{_PEERS}/mlserver is missing: make bench-peers")


def _train(folder: Path) -> None:
    """model.txt for LightGBM's own runtime, model.onnx for all others."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(_ROWS, _FEATURES)).astype(np.float32)
    truth = rows @ rng.normal(size=_FEATURES) + np.sin(3 * rows[:, 0]) + rng.normal(size=_ROWS) / 10
    booster = lgb.train({"num_leaves": _LEAVES, "verbose": -1}, lgb.Dataset(rows, truth), _TREES)
    booster.save_model(folder / "model.txt")
    made = convert_lightgbm(booster, initial_types=[("x", FloatTensorType([None, _FEATURES]))], target_opset=15)
    onnx.save(made, folder / "model.onnx")


@contextmanager
def _hub(folder: Path) -> Iterator[Target]:
    config = read_config({"INFERHUB_HOME": str(folder / "home"), "INFERHUB_PORT": str(_free_port())})
    with supervised_hub(config, purpose="the benchmark of serving", report=_quiet) as supervisor:
        supervisor.run(migration(config))
        supervisor.start(*hub_services(config))
        _command(
            config,
            "register-model",
            "trees",
            str(folder / "model.onnx"),
            "--task",
            "regression",
            "--approval",
            "direct",
        )
        key = _command(config, "create-api-key", "benchmark", "--scope", "predict").split()[-1]
        yield Target(port=config.port, key=key)


def _command(config: Config, *words: str) -> str:
    command = [sys.executable, "-m", "inferhub.cli", *words]
    environment = child_environment(config)
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def _quiet(_name: str, _line: str) -> None: ...


@contextmanager
def _fastapi(folder: Path) -> Iterator[Target]:
    port = _free_port()
    processes = str(read_config({}).web_processes)
    words = ["--port", str(port), "--workers", processes, "--no-access-log", "--log-level", "warning"]
    with _peer([str(_PEERS / "uvicorn"), "benchmarks.serving_fastapi:app", *words], folder, port) as target:
        yield target


@contextmanager
def _best_mlserver(folder: Path) -> Iterator[Target]:
    """MLServer with the runtime that answers more requests in one short run."""
    runtimes = ("mlserver_lightgbm.LightGBMModel", "benchmarks.serving_mlserver.OnnxModel")
    speeds = {}
    for runtime in runtimes:
        with _mlserver(folder, runtime) as target:
            _ask(target, connections=32, seconds=2, seed=0)
            speeds[runtime] = _ask(target, connections=32, seconds=4, seed=1).rps
    with _mlserver(folder, max(runtimes, key=lambda runtime: speeds[runtime])) as target:
        yield target


@contextmanager
def _mlserver(folder: Path, runtime: str) -> Iterator[Target]:
    ports = [_free_port() for _ in range(3)]
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


def _measure(targets: dict[str, Target], rounds: int, seconds: int) -> tuple[dict[str, Figures], dict[str, Figures]]:
    """Medians with 32 connections, and with one."""
    runs: dict[tuple[str, int], list[Figures]] = {}
    for target in targets.values():
        _ask(target, connections=32, seconds=2, seed=0)
    for number in range(rounds):
        for name, target in targets.items():
            for connections in (32, 1):
                found = _ask(target, connections=connections, seconds=seconds, seed=number)
                runs.setdefault((name, connections), []).append(found)
    medians = {key: _median(found) for key, found in runs.items()}
    return tuple({name: medians[name, connections] for name in targets} for connections in (32, 1))


def _ask(target: Target, *, connections: int, seconds: int, seed: int) -> Figures:
    environment = os.environ | {"ADDRESS": target.address, "BODY": target.body, "SEED": str(seed)}
    environment |= {"KEY": target.key} if target.key else {}
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(Path(__file__).with_suffix(".lua"))]
    command.append(f"http://127.0.0.1:{target.port}")
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return Figures(**json.loads(said.splitlines()[-1]))


def _median(runs: list[Figures]) -> Figures:
    middle = {name: statistics.median(getattr(run, name) for run in runs) for name in ("rps", "p50_ms", "p99_ms")}
    return Figures(**middle, failed=sum(run.failed for run in runs))


def _figures(loaded: dict[str, Figures], alone: dict[str, Figures]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name, run in loaded.items():
        figures |= {f"{name}_rps": run.rps, f"{name}_p99_ms": run.p99_ms, f"{name}_c1_p50_ms": alone[name].p50_ms}
    figures["inferhub_to_mlserver"] = figures["inferhub_rps"] / figures["mlserver_rps"]
    figures["inferhub_to_fastapi"] = figures["inferhub_rps"] / figures["fastapi_rps"]
    figures["inferhub_p99_to_mlserver"] = figures["inferhub_p99_ms"] / figures["mlserver_p99_ms"]
    figures["failed"] = sum(
        run.failed for run in (loaded["inferhub"], alone["inferhub"], loaded["rest"], alone["rest"])
    )
    return figures


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
