"""What a shadow costs those whose requests it runs beside: the p50 of their answers, with and without.

    make bench NAME=shadow_cost

Starts a hub with one web process and asks it for predictions, over one connection without a pause (the worst case: the
shadow never finds an idle moment) and then a hundred a second. The shadow is switched on and off between short runs, so
that whatever else the machine does falls on both alike; what counts is the median of the ratios of neighbouring runs.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from argparse import Namespace

import numpy as np
import orjson

from benchmarks.alias_swap import _FEATURES, _MODEL, Connection, _seed
from benchmarks.report import parser, publish
from inferhub.embedded.output import PrefixedOutput
from inferhub.embedded.up import hub_services, migration, supervised_hub
from inferhub.lib.config import read_config

_BARS = {"busy_p50_ratio": "<=1.05", "paced_p50_ratio": "<=1.05"}
_SETTLE_SECONDS = 0.3
_PACE_SECONDS = 0.01
_BODIES = 256


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="shadow-") as home:
        os.environ |= {"INFERHUB_HOME": home, "INFERHUB_PORT": str(options.port), "INFERHUB_WEB_PROCESSES": "1"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "inferhub.settings"
        os.environ.pop("DATABASE_URL", None)
        os.environ.pop("CELERY_BROKER_URL", None)
        config = read_config()
        with supervised_hub(config, purpose="benchmark", report=PrefixedOutput(sys.stderr)) as supervisor:
            supervisor.run(migration(config))
            key, _ = _seed()
            supervisor.start(*hub_services(config))
            figures = asyncio.run(_measure(options, key))
    publish("shadow_cost", figures, _BARS, options.json)


def _options() -> Namespace:
    made = parser(__doc__ or "", "shadow_cost")
    made.add_argument("--runs", type=int, default=20, help="with the shadow, and as many without")
    made.add_argument("--requests", type=int, default=1000, help="of one busy run; a paced one has a fifth of them")
    made.add_argument("--port", type=int, default=8767)
    return made.parse_args()


async def _measure(options: Namespace, key: str) -> dict[str, float]:
    async with Connection(options.port, key) as connection:
        rows = np.random.default_rng(3).random((_BODIES, _FEATURES)).astype(np.float32)
        requests = [_request(connection, row) for row in rows]
        await _p50(connection, requests, options.requests, pause=0.0)  # warm
        figures: dict[str, float] = {}
        for name, count, pause in (("busy", options.requests, 0.0), ("paced", options.requests // 5, _PACE_SECONDS)):
            pairs = []
            for turn in range(options.runs):
                times = {}
                for version in (None, 2) if turn % 2 else (2, None):  # so that a drift falls on both alike
                    await _set_shadow(connection, version)
                    times[version] = await _p50(connection, requests, count, pause=pause)
                pairs.append((times[None], times[2]))
            figures |= {
                f"{name}_p50_ms": statistics.median(without for without, _ in pairs) * 1000,
                f"{name}_p50_with_shadow_ms": statistics.median(beside for _, beside in pairs) * 1000,
                f"{name}_p50_ratio": statistics.median(beside / without for without, beside in pairs),
            }
        return figures | await _compared(connection)


def _request(connection: Connection, row: np.ndarray) -> bytes:
    body = {"columns": {"input": [row.tolist()]}}
    return connection.request("POST", f"/api/v1/models/{_MODEL}/predictions", body)


async def _p50(connection: Connection, requests: list[bytes], count: int, *, pause: float) -> float:
    """Seconds."""
    times = []
    for number in range(count):
        started = time.perf_counter()
        status, body = await connection.send(requests[number % len(requests)])
        times.append(time.perf_counter() - started)
        if status != 200:
            raise SystemExit(f"{status}: {body!r}")
        if pause:
            await asyncio.sleep(pause)
    return statistics.median(times)


async def _set_shadow(connection: Connection, version: int | None) -> None:
    path = f"/api/v1/models/{_MODEL}/aliases/champion/shadow"
    status, body = await connection.send(connection.request("PUT", path, {"version": version, "reason": "benchmark"}))
    if status != 200:
        raise SystemExit(f"{status}: {body!r}")
    await asyncio.sleep(_SETTLE_SECONDS)


async def _compared(connection: Connection) -> dict[str, float]:
    """How many requests the shadow was compared with, and how many it left out."""
    path = f"/api/v1/models/{_MODEL}/aliases/champion/shadow"
    _, body = await connection.send(connection.request("GET", path, None))
    report = orjson.loads(body)
    return {name: report[name] for name in ("compared", "left_out") if name in report}


if __name__ == "__main__":
    main()
