"""How fast a small model is served by the inference protocol, beside MLServer and FastAPI on the same machine.

    make bench NAME=serving

A LightGBM regression of 200 trees with 31 leaves and 20 features; another row in every request; 32 connections of wrk
on the same cores. The hub runs as `inferhub up` runs it, with its embedded servers, and asks for an API key; the peers
ask for none. MLServer runs in one process (`parallel_workers: 0`, the best for a small model) with the quicker of
its own LightGBM runtime and one of ONNX Runtime; FastAPI in as many processes as the hub. They take turns for several
rounds, and the medians count: what else the machine does hits all of them alike.

The peers' environment is made by `make bench-peers`; wrk comes from the system (`apt-get install wrk`).
"""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.peers import Figures, Target, ask, best_mlserver, check_tools, fastapi, free_port, train
from benchmarks.report import parser, publish
from inferhub.embedded.up import child_environment, hub_services, migration, supervised_hub
from inferhub.lib.config import Config, read_config

_PREDICT = '{"rows": [{"x": [%s]}]}'
_PREDICT_ADDRESS = "/api/v1/models/trees/predictions"
_BARS = {
    "inferhub_to_mlserver": ">=2",
    "inferhub_to_fastapi": ">=1",
    "inferhub_p99_to_mlserver": "<=1",
    "inferhub_c1_p50_ms": "<=0.5",
    "failed": "<=0",
}


def main() -> None:
    options = parser(__doc__ or "", "serving")
    options.add_argument("--rounds", type=int, default=7, help="runs of each server; the medians count")
    options.add_argument("--seconds", type=int, default=5, help="length of one run")
    chosen = options.parse_args()
    check_tools()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        train(folder)
        hub = stack.enter_context(_hub(folder))
        targets = {
            "inferhub": hub,
            "fastapi": stack.enter_context(fastapi(folder)),
            "mlserver": stack.enter_context(best_mlserver(folder)),
            "rest": replace(hub, address=_PREDICT_ADDRESS, body=_PREDICT),
        }
        loaded, alone = _measure(targets, chosen.rounds, chosen.seconds)
    publish("serving", _figures(loaded, alone), _BARS, chosen.json)


@contextmanager
def _hub(folder: Path) -> Iterator[Target]:
    config = read_config({"INFERHUB_HOME": str(folder / "home"), "INFERHUB_PORT": str(free_port())})
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


def _measure(targets: dict[str, Target], rounds: int, seconds: int) -> tuple[dict[str, Figures], dict[str, Figures]]:
    """Medians with 32 connections, and with one."""
    runs: dict[tuple[str, int], list[Figures]] = {}
    for target in targets.values():
        ask(target, connections=32, seconds=2, seed=0)
    for number in range(rounds):
        for name, target in targets.items():
            for connections in (32, 1):
                found = ask(target, connections=connections, seconds=seconds, seed=number)
                runs.setdefault((name, connections), []).append(found)
    medians = {key: _median(found) for key, found in runs.items()}
    return tuple({name: medians[name, connections] for name in targets} for connections in (32, 1))


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


if __name__ == "__main__":
    main()
