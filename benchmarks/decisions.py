"""Decisions over HTTP: how many a second, how late, and that kill -9 loses none.

A request brings an API key and an order; the hub checks it by a JSON Schema, asks a LightGBM model (200 trees, 20
features), applies a 20-row table, commits decision, audit event and one pending action, and answers with the whole
trace. Two web processes, PostgreSQL and the load generator (wrk) share the machine; workers that deliver do not run.
In turn with it MLServer, in its best configuration (`make bench-peers`), makes the bare prediction of such a model.
Then the web processes are killed 20 times under load, and every answer that callers got is compared with the database.
"""

import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.decisions_hub import FEATURES, NAME
from benchmarks.peers import ask, best_mlserver, check_tools, train
from benchmarks.report import parser, publish
from inferhub.embedded.supervisor import Supervisor
from inferhub.embedded.up import child_environment, migration, supervised_hub
from inferhub.embedded.web import web_services
from inferhub.lib.config import Config, read_config

BARS = {
    "decisions_per_second": ">=2660",
    "decisions_to_mlserver": ">=1",
    "p99_ms": "<=25",
    "c1_p50_ms": "<=1.5",
    "lost_after_kill": "<=0",
}
BODIES, SECONDS, ROUNDS, KILLS, CALLERS = 2000, 10, 3, 20, 16
PATH = f"/api/v1/workflows/{NAME}/decisions"


def order(generator: random.Random) -> dict[str, Any]:
    row = generator.randrange(19)
    return {
        "order_id": f"order-{generator.randrange(10**9)}",
        "country": generator.choice([chr(97 + row), "x"]),
        "items": row + generator.randint(0, 5),
        "features": [round(generator.random(), 6) for _ in range(FEATURES)],
    }


def write_script(folder: Path, key: str) -> Path:
    """What wrk sends: bodies that vary, as a branch predictor learns a body that does not."""
    generator = random.Random(5)
    bodies = [json.dumps({"input": order(generator)}) for _ in range(BODIES)]
    lines = ["wrk.method = 'POST'", "wrk.headers['Content-Type'] = 'application/json'"]
    lines += [f"wrk.headers['Authorization'] = 'Bearer {key}'", "local bodies = {}"]
    lines += [f"bodies[{place}] = [[{body}]]" for place, body in enumerate(bodies)]
    lines += [
        "local place = 0",
        "local requests = {}",
        f"function init() for i = 0, {BODIES - 1} do requests[i] = wrk.format(nil, nil, nil, bodies[i]) end end",
        f"function request() place = (place + 1) % {BODIES} return requests[place] end",
    ]
    path = folder / "decisions.lua"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def load(config: Config, script: Path, *, connections: int, seconds: int) -> dict[str, float]:
    """One run of wrk. Raises RuntimeError where an answer was none of 2xx."""
    address = f"http://{config.host}:{config.port}{PATH}"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), address]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if rate is None:
        raise RuntimeError(said)
    return {"rate": float(rate[1]), "p50": _latency(said, 50), "p99": _latency(said, 99)}


def _latency(said: str, percent: int) -> float:
    found = re.search(rf"\s{percent}%\s+([\d.]+)(us|ms|s)", said)
    if found is None:
        raise RuntimeError(said)
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]


class Callers:
    """Threads that ask for decisions, each with a request id of its own, and note what they were told."""

    def __init__(self, config: Config, key: str, path: Path) -> None:
        self._config, self._key = config, key
        self._told = path.open("w", encoding="utf-8")
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CALLERS)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        self._told.close()

    def _ask(self, number: int) -> None:
        generator = random.Random(number)
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection(self._config.host, self._config.port, timeout=5)
        count = 0
        request_id, body = "", b""
        while not self._is_over.is_set():
            if not body:
                request_id = f"kill-{number}-{count}"
                body = json.dumps({"input": order(generator), "request_id": request_id}).encode()
                count += 1
            try:
                connection.request("POST", PATH, body, headers)
                answer = connection.getresponse()
                said = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError):
                connection.close()
                time.sleep(0.02)  # the same request again: it may or may not have been decided
                continue
            if answer.status in (200, 201):
                self._note(request_id, said)
                body = b""

    def _note(self, request_id: str, said: dict[str, Any]) -> None:
        line = json.dumps({"request_id": request_id, "decision_id": said["decision_id"]})
        with self._lock:
            self._told.write(line + "\n")


def kill_under_load(config: Config, key: str, folder: Path) -> dict[str, int]:
    told = folder / "told.jsonl"
    generator = random.Random(7)
    with Callers(config, key, told):
        for _ in range(KILLS):
            time.sleep(generator.uniform(0.5, 1.5))
            for pid in web_processes(config):
                os.kill(pid, signal.SIGKILL)
        time.sleep(2)
    return json.loads(hub_command(config, "check", str(told)))


def web_processes(config: Config) -> list[int]:
    """The processes that answer and run now."""
    records = (config.home / "processes").glob("web-*.json")
    return [int(json.loads(record.read_text(encoding="ascii"))["pid"]) for record in records]


def hub_command(config: Config, *arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.decisions_hub", *arguments]
    return subprocess.run(
        command, check=True, env=child_environment(config), stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    ).stdout


@contextmanager
def running_hub(folder: Path) -> Iterator[tuple[Config, Supervisor]]:
    """Servers and web processes on a free port, on data that is thrown away."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = read_config(
        {"INFERHUB_HOME": str(folder / "home"), "INFERHUB_PORT": str(port), "INFERHUB_WEBHOOK_HOSTS": "localhost"}
    )
    with supervised_hub(config, purpose="benchmark", report=lambda name, line: None) as supervisor:
        supervisor.run(migration(config))
        yield config, supervisor


def measure(folder: Path) -> dict[str, float]:
    with running_hub(folder) as (config, supervisor):
        key = json.loads(hub_command(config, "seed").splitlines()[-1])["key"]
        supervisor.start(*web_services(config))
        script = write_script(folder, key)
        load(config, script, connections=32, seconds=5)
        runs, peer_rates = beside_mlserver(config, script, folder)
        best = sorted(runs, key=lambda run: run["rate"])[ROUNDS // 2]
        mlserver = statistics.median(peer_rates)
        single = load(config, script, connections=1, seconds=5)
        found = kill_under_load(config, key, folder)
        return {
            "decisions_per_second": best["rate"],
            "mlserver_rps": mlserver,
            "decisions_to_mlserver": best["rate"] / mlserver,
            "p50_ms": best["p50"],
            "p99_ms": best["p99"],
            "c1_p50_ms": single["p50"],
            "c1_p99_ms": single["p99"],
            "kills": KILLS,
            "acknowledged_under_kill": found["acknowledged"],
            "lost_after_kill": found["missing"] + found["twice"] + found["without_actions"],
        }


def beside_mlserver(config: Config, script: Path, folder: Path) -> tuple[list[dict[str, float]], list[float]]:
    """Whole decisions of the hub and, in turn, bare predictions of MLServer with a model of the same size."""
    train(folder)
    with best_mlserver(folder) as peer:
        runs, peer_rates = [], []
        for number in range(ROUNDS):
            runs.append(load(config, script, connections=32, seconds=SECONDS))
            peer_rates.append(ask(peer, connections=32, seconds=SECONDS, seed=number).rps)
        return runs, peer_rates


def main() -> None:
    path = parser("Decisions over HTTP: throughput, latency, and what kill -9 loses.", "decisions").parse_args().json
    check_tools()
    folder = Path(tempfile.mkdtemp(prefix="inferhub-bench-"))
    try:
        publish("decisions", measure(folder), BARS, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
