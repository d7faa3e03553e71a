"""Moving aliases under load: no request fails, and every process is on the new version within a second.

    make bench NAME=alias_swap

Starts a hub with two web processes and the embedded servers, asks it for predictions over REST and over the Open
Inference Protocol, and moves `champion` over the REST API meanwhile, round and round a few LightGBM models. Each
answer must be the one that its version gives. Then the same with PostgreSQL's notifications switched off, so that
processes see a move only where they look by themselves. Celery workers are asked as well.
"""

import asyncio
import os
import sys
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, LiteralString

import django
import lightgbm as lgb
import numpy as np
import onnxruntime as ort
import orjson
import psutil
import psycopg

from benchmarks.report import parser, publish
from inferhub.embedded.output import PrefixedOutput
from inferhub.embedded.up import hub_services, migration, supervised_hub
from inferhub.lib.addresses import database_url
from inferhub.lib.config import Config, read_config
from recommender import export

_BARS = {"requests": ">=100000", "swaps": ">=100", "failed": "<=0", "slowest_switch_seconds": "<=1"} | {
    "processes": ">=2",
    "followers": ">=4",
    "wrong_champion_counts": "<=0",
    "polled_failed": "<=0",
    "polled_slowest_switch_seconds": "<=1",
    "worker_failed": "<=0",
    "worker_slowest_switch_seconds": "<=1",
}
_MODEL = "swapped"
_VERSIONS = 4
_FEATURES = 20
_BODIES = 256
_CONNECTIONS = 16
_LEAST_PAUSE = 0.3  # between two swaps, so that the end of one is seen before the next
_CHAMPIONS = (
    "SELECT count(*) FROM registry_alias a JOIN registry_registeredmodel m ON m.id = a.model_id "
    "JOIN registry_modelversion v ON v.id = a.version_id WHERE a.name = 'champion'"
)
_FOLLOWERS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'inferhub-routes'"


@dataclass(frozen=True, slots=True)
class Answer:
    sent: float
    received: float
    version: int
    is_right: bool


@dataclass(frozen=True, slots=True)
class Swap:
    """From one version to another: when the request for it was sent, and when it was answered."""

    old: int
    new: int
    sent: float
    answered: float


@dataclass(kw_only=True)
class Run:
    answers: list[Answer] = field(default_factory=list)
    swaps: list[Swap] = field(default_factory=list)
    refused_swaps: int = 0
    broken_connections: int = 0
    is_over: bool = False

    def figures(self, prefix: str = "") -> dict[str, float]:
        wrong = sum(not answer.is_right for answer in self.answers)
        wrong += self.refused_swaps + self.broken_connections
        return {
            f"{prefix}requests": len(self.answers),
            f"{prefix}swaps": len(self.swaps),
            f"{prefix}failed": wrong,
            f"{prefix}slowest_switch_seconds": max(self._lag(answer) for answer in self.answers if answer.version),
            f"{prefix}median_switch_seconds": float(np.median([self._switch(one, two) for one, two in self._pairs()])),
        }

    def _lag(self, answer: Answer) -> float:
        """For how long the version of an answer was not the champion any more; endless where it had not been one."""
        for swap in reversed(self.swaps):
            if swap.answered <= answer.received:
                if swap.new == answer.version:
                    return 0.0
                if swap.old == answer.version:
                    return answer.received - swap.answered
            elif swap.new == answer.version and swap.sent <= answer.received:
                return 0.0  # committed, and not yet answered
        return 0.0 if self.swaps and self.swaps[0].old == answer.version else float("inf")

    def _pairs(self) -> Iterator[tuple[Swap, Swap | None]]:
        yield from pairwise([*self.swaps, None])  # type: ignore[misc]

    def _switch(self, swap: Swap, following: Swap | None) -> float:
        end = following.sent if following else float("inf")
        late = [a.received - swap.answered for a in self.answers if a.version == swap.old and a.received < end]
        return max([0.0, *late])


class Connection:
    """One HTTP connection that is kept, and the little of HTTP that is needed on it."""

    def __init__(self, port: int, key: str) -> None:
        self._port, self._key = port, key

    async def __aenter__(self) -> "Connection":
        await self.open()
        return self

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self.local_port = self._writer.get_extra_info("sockname")[1]

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    def request(self, method: str, path: str, body: Any, **headers: str) -> bytes:
        data = b"" if body is None else orjson.dumps(body)
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{head}\r\n".encode() + data

    async def send(self, request: bytes) -> tuple[int, bytes]:
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        return int(head.split(b" ", 2)[1]), await self._reader.readexactly(length)


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="swap-") as home:
        os.environ["INFERHUB_HOME"] = home
        os.environ.pop("DATABASE_URL", None)
        os.environ.pop("CELERY_BROKER_URL", None)
        os.environ["INFERHUB_PORT"] = str(options.port)
        os.environ["INFERHUB_WEB_PROCESSES"] = "2"
        os.environ["DJANGO_SETTINGS_MODULE"] = "inferhub.settings"
        config = read_config()
        with supervised_hub(config, purpose="benchmark", report=PrefixedOutput(sys.stderr)) as supervisor:
            supervisor.run(migration(config))
            key, models = _seed()
            supervisor.start(*hub_services(config))
            figures = _measure(options, config, key, models)
    publish("alias_swap", figures, _BARS, options.json)


def _options() -> Namespace:
    made = parser(__doc__ or "", "alias_swap")
    made.add_argument("--requests", type=int, default=100_000)
    made.add_argument("--swaps", type=int, default=100)
    made.add_argument("--polled-swaps", type=int, default=20)
    made.add_argument("--worker-swaps", type=int, default=10)
    made.add_argument("--port", type=int, default=8765)
    return made.parse_args()


def _seed() -> tuple[str, list[bytes]]:
    """Register the versions, the first of them as champion; an API key, and the ONNX files."""
    django.setup()
    from inferhub.accounts.models import Scope  # noqa: PLC0415 (Django's settings come first)
    from inferhub.accounts.services import create_api_key  # noqa: PLC0415
    from inferhub.registry.models import Approval, RegisteredModel  # noqa: PLC0415
    from inferhub.registry.services import register_version  # noqa: PLC0415

    RegisteredModel.objects.create(name=_MODEL, task="regression", approval=Approval.DIRECT)
    models = [_model(seed) for seed in range(_VERSIONS)]
    for place, data in enumerate(models):
        alias = "" if place else "champion"
        register_version(name=_MODEL, task="regression", data=data, alias=alias, actor="system:benchmark")
    return create_api_key(name="benchmark", scopes=list(Scope.values), actor="system:benchmark")[1], models


def _model(seed: int) -> bytes:
    """200 trees with 31 leaves on 20 features."""
    rng = np.random.default_rng(seed)
    rows = rng.random((4000, _FEATURES)).astype(np.float32)
    values = rows @ rng.random(_FEATURES) * (seed + 1)
    model = lgb.LGBMRegressor(n_estimators=200, num_leaves=31, verbose=-1, n_jobs=1).fit(rows, values)
    return export(model, rows[:200], adversarial_rows=10).onnx_bytes


def _measure(options: Namespace, config: Config, key: str, models: list[bytes]) -> dict[str, float]:
    load = Load(options.port, key, models)
    with psycopg.connect(database_url(config), autocommit=True) as database:
        with _counting_champions(config) as wrong_counts:
            asyncio.run(load.run(requests=options.requests // 50, swaps=2))  # warm
            heard = asyncio.run(load.run(requests=options.requests, swaps=options.swaps))
            followers = _count(database, _FOLLOWERS)
            on_workers = asyncio.run(load.run_on_workers(swaps=options.worker_swaps))
            database.execute("ALTER TABLE registry_alias DISABLE TRIGGER guard")  # which notifies
            polled = asyncio.run(load.run(requests=options.requests // 5, swaps=options.polled_swaps))
        found = {"processes": len(load.processes), "followers": followers, "wrong_champion_counts": len(wrong_counts)}
        return heard.figures() | polled.figures("polled_") | on_workers | found


def _count(database: psycopg.Connection[Any], query: LiteralString) -> int:
    (count,) = database.execute(query).fetchone() or (0,)
    return int(count)


@contextmanager
def _counting_champions(config: Config) -> Iterator[list[int]]:
    """Every count of champions that was not one, looked at all the time."""
    wrong: list[int] = []
    is_over = threading.Event()

    def look() -> None:
        with psycopg.connect(database_url(config), autocommit=True) as database:
            while not is_over.wait(0.005):
                if (count := _count(database, _CHAMPIONS)) != 1:
                    wrong.append(count)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield wrong
    finally:
        is_over.set()
        thread.join()


class Load:
    """Requests over several connections, and the swaps meanwhile."""

    def __init__(self, port: int, key: str, models: list[bytes]) -> None:
        self._port, self._key = port, key
        self._rows = np.random.default_rng(99).random((_BODIES, _FEATURES)).astype(np.float32)
        sessions = [ort.InferenceSession(data, providers=["CPUExecutionProvider"]) for data in models]
        self._input = sessions[0].get_inputs()[0].name
        self._output = sessions[0].get_outputs()[0].name
        self._values = np.stack([session.run([self._output], {self._input: self._rows})[0] for session in sessions])
        self._values = self._values.reshape(_VERSIONS, _BODIES)
        self._champion = 1
        self.processes: set[int] = set()

    async def run(self, *, requests: int, swaps: int) -> Run:
        run = Run()
        askers = [asyncio.create_task(self._ask(run, place)) for place in range(_CONNECTIONS)]
        async with Connection(self._port, self._key) as connection:
            await self._swap(run, connection, requests, swaps)
        while len(run.answers) < requests and not any(task.done() for task in askers):
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.0)
        run.is_over = True
        await asyncio.gather(*askers)
        return run

    async def run_on_workers(self, *, swaps: int) -> dict[str, float]:
        """Swaps, and after each of them a second of predictions that are left to the Celery workers."""
        run, lags, failed = Run(), [0.0], 0
        async with Connection(self._port, self._key) as connection:
            for _ in range(swaps):
                await self._swap(run, connection, requests=0, swaps=1)
                swap = run.swaps[-1]
                while (sent := time.monotonic()) < swap.answered + 1.0:
                    version = await self._deferred(connection)
                    if version == swap.old:
                        lags.append(sent - swap.answered)
                    failed += version not in (swap.old, swap.new)
        return {"worker_failed": failed, "worker_slowest_switch_seconds": max(lags)}

    async def _deferred(self, connection: Connection) -> int:
        """The version that a worker predicted with, 0 where it did not."""
        body = {"rows": [{self._input: self._rows[0].tolist()}]}
        path = f"/api/v1/models/{_MODEL}/predictions"
        _, said = await connection.send(connection.request("POST", path, body, Prefer="respond-async"))
        call = orjson.loads(said)
        while call["state"] in ("queued", "running"):
            await asyncio.sleep(0.01)
            _, said = await connection.send(connection.request("GET", f"/api/v1/calls/{call['call_id']}", None))
            call = orjson.loads(said)
        return int(call["answer"]["version"]) if call["state"] == "succeeded" else 0

    async def _swap(self, run: Run, connection: Connection, requests: int, swaps: int) -> None:
        for count in range(swaps):
            while len(run.answers) < requests * count // swaps:
                await asyncio.sleep(0.01)
            await asyncio.sleep(_LEAST_PAUSE)
            old, new = self._champion, self._champion % _VERSIONS + 1
            body = {"version": new, "reason": "benchmark"}
            request = connection.request("PUT", f"/api/v1/models/{_MODEL}/aliases/champion", body)
            sent = time.monotonic()
            status, _ = await connection.send(request)
            if status == 200:
                run.swaps.append(Swap(old, new, sent, time.monotonic()))
                self._champion = new
            else:
                run.refused_swaps += 1

    async def _ask(self, run: Run, place: int) -> None:
        """Every other connection speaks REST, the others the Open Inference Protocol."""
        async with Connection(self._port, self._key) as connection:
            is_rest = place % 2 == 0
            requests = [self._rest(connection, row) if is_rest else self._oip(connection, row) for row in self._rows]
            number = place * 7
            self._find_process(connection.local_port)
            while not run.is_over:
                number = (number + 1) % _BODIES
                sent = time.monotonic()
                try:
                    status, body = await connection.send(requests[number])
                except (OSError, asyncio.IncompleteReadError) as exc:
                    run.broken_connections += 1
                    waited = time.monotonic() - sent
                    print(f"connection {place} broke after {waited:.3f} s: {exc!r}", file=sys.stderr)
                    await connection.open()
                    continue
                run.answers.append(self._checked(sent, status, body, number, is_rest=is_rest))

    def _rest(self, connection: Connection, row: np.ndarray) -> bytes:
        body = {"rows": [{self._input: row.tolist()}]}
        return connection.request("POST", f"/api/v1/models/{_MODEL}/predictions", body)

    def _oip(self, connection: Connection, row: np.ndarray) -> bytes:
        tensor = {"name": self._input, "datatype": "FP32", "shape": [1, _FEATURES], "data": row.tolist()}
        return connection.request("POST", f"/v2/models/{_MODEL}/infer", {"inputs": [tensor]})

    def _checked(self, sent: float, status: int, body: bytes, number: int, *, is_rest: bool) -> Answer:
        received = time.monotonic()
        if status != 200:
            print(f"{status} {body[:300]!r}", file=sys.stderr)
            return Answer(sent, received, 0, is_right=False)
        said = orjson.loads(body)
        version = said["version"] if is_rest else int(said["model_version"])
        value = said["predictions"][0][self._output] if is_rest else said["outputs"][0]["data"][0]
        is_right = bool(np.isclose(value, self._values[version - 1, number], rtol=1e-5))
        if not is_right:
            print(f"version {version} gave {value} for row {number}", file=sys.stderr)
        return Answer(sent, received, version, is_right)

    def _find_process(self, local_port: int) -> None:
        """Which web process holds the other end of a connection."""
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # a process of PostgreSQL, which come and go
                for found in process.net_connections("tcp"):
                    if found.raddr and found.raddr.port == local_port and found.laddr.port == self._port:
                        self.processes.add(process.pid)


if __name__ == "__main__":
    main()
