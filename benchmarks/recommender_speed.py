"""How fast the exported recommenders answer, beside the library implicit, and how they stand 10 million interactions.

    make bench NAME=recommender_speed

implicit runs in an environment of its own: `IMPLICIT_PYTHON` names its interpreter (`make bench-peers` makes one).
Both answer for 20,000 items, histories of 30, seen and 500 unavailable items left out, with two threads, in turn, three
times; the medians count. The graph also says the reason of every item, which implicit does not.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl

from benchmarks.report import parser, publish
from recommender import IdMap, Interactions, ItemKnn, NeighbourTable, export, keep_outputs
from recommender.ids import as_strings
from recommender.onnx_export.neighbour_graph import build_neighbour_graph
from recommender.onnx_export.session import open_session
from recommender.onnx_export.two_stage_graph import build_two_stage_graph
from recommender.reranking.first_stage import FirstStage
from recommender.reranking.item_profile import ItemProfile
from recommender.trees import with_float32_thresholds
from recommender.two_stage import TwoStageModel

_ITEMS, _HISTORY, _K, _NEIGHBOURS, _UNAVAILABLE = 20_000, 30, 20, 50, 500
_USERS, _BATCH, _ROUNDS = 16_384, 32, 3
_LARGE_EVENTS, _LARGE_ITEMS, _LARGE_USERS = 10_000_000, 100_000, 1_000_000
_PEER = Path(__file__).with_name("recommender_speed_implicit.py")
_BARS = {
    "one_user_ms": "<=0.15",
    "two_stage_one_user_ms": "<=1",
    "users_per_second_ratio": ">=2",
    "peak_gb": "<=2",
    "large.seconds": "<=300",
    "large.peak_gb": "<=8",
}


def main() -> None:
    options = parser(__doc__ or "", "recommender_speed")
    options.add_argument("--part", choices=["small", "large"], help="run one part in this process and print JSON")
    chosen = options.parse_args()
    if chosen.part:
        json.dump(_small() if chosen.part == "small" else _large(), sys.stdout)
        return
    figures = _in_new_process("small") | _in_new_process("large")
    publish("recommender_speed", figures, _BARS, chosen.json)


def _in_new_process(part: str) -> dict[str, float]:
    """A part in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, "-m", "benchmarks.recommender_speed", "--part", part]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _small() -> dict[str, float]:
    rng = np.random.default_rng(0)
    table = _random_table(rng)
    histories = table.items.externals[rng.integers(0, _ITEMS, (_USERS, _HISTORY))]
    unavailable = table.items.externals[:_UNAVAILABLE]
    onnx_bytes = build_neighbour_graph(table)
    figures = {"one_user_ms": _one_user_ms(onnx_bytes, histories, {"unavailable": unavailable}, exclude=True)}
    figures["two_stage_one_user_ms"] = _one_user_ms(build_two_stage_graph(_two_stage(table, rng)), histories, {})
    ours, theirs = [], []
    for _ in range(_ROUNDS):
        ours.append(_users_per_second(onnx_bytes, histories, unavailable))
        theirs.append(_implicit_users_per_second())
    figures |= {"users_per_second": statistics.median(ours), "implicit_users_per_second": statistics.median(theirs)}
    figures["users_per_second_ratio"] = figures["users_per_second"] / figures["implicit_users_per_second"]
    return figures | {"peak_gb": _peak_gb()}


def _random_table(rng: np.random.Generator) -> NeighbourTable:
    rows = np.sort(np.stack([rng.choice(_ITEMS, _NEIGHBOURS, replace=False) for _ in range(_ITEMS)]), axis=1)
    return NeighbourTable(
        items=IdMap(as_strings(f"{number:06}" for number in range(_ITEMS))),
        neighbours=rows.astype(np.int32),
        weights=rng.random(rows.shape, np.float32),
        popularity=rng.random(_ITEMS),
    )


def _two_stage(table: NeighbourTable, rng: np.random.Generator) -> TwoStageModel:
    """200 candidates, 100 trees of 31 leaves fitted to noise, so that every tree is as deep as it may be."""
    rows = {"user": ["u"] * _ITEMS, "item": table.items.externals.tolist()}
    profile = ItemProfile.of(Interactions.from_frame(pl.DataFrame(rows)), None)
    first = FirstStage(table=table, profile=profile, candidates=200)
    inputs = rng.normal(size=(20_000, len(first.feature_names)))
    data = lgb.Dataset(inputs, rng.normal(size=len(inputs)))
    booster = lgb.train({"verbosity": -1, "num_threads": 1, "num_leaves": 31}, data, 100)
    return TwoStageModel(first=first, booster=with_float32_thresholds(booster))


def _one_user_ms(onnx_bytes: bytes, histories: Any, shared: dict[str, Any], *, exclude: bool = False) -> float:
    session = open_session(onnx_bytes)
    k = np.array([_K], np.int64)
    times = []
    for row in histories[:2000]:
        feed = {"history": row[np.newaxis], "k": k, **shared} | ({"exclude": row[np.newaxis]} if exclude else {})
        started = time.perf_counter()
        session.run(None, feed)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def _users_per_second(onnx_bytes: bytes, histories: Any, unavailable: Any) -> float:
    """Two threads on one session, batches that fit the cache; items and scores only, as implicit answers."""
    session = open_session(keep_outputs(onnx_bytes, ["items", "scores"]))
    k = np.array([_K], np.int64)

    def answer(start: int) -> None:
        rows = histories[start : start + _BATCH]
        feeds = {"history": rows, "exclude": rows, "unavailable": unavailable, "k": k}
        session.run(None, feeds)

    answer(0)
    return _timed(lambda: _spread(answer))


def _spread(answer: Callable[[int], None]) -> int:
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(answer, range(0, _USERS, _BATCH)))
    return _USERS


def _timed(work: Callable[[], int]) -> float:
    started = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - started)


def _implicit_users_per_second() -> float:
    python = os.environ.get("IMPLICIT_PYTHON", "")
    if not Path(python).is_file():
        raise SystemExit("IMPLICIT_PYTHON must name a Python that has implicit; run `make bench-peers`.")
    command = [python, str(_PEER), str(_ITEMS), str(_USERS), str(_HISTORY), str(_K), str(_UNAVAILABLE)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout)


def _large() -> dict[str, float]:
    """10 million purchases with popular items and customers of different size: written, read, fitted, exported."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "purchases.csv"
        _write_purchases(path)
        started = time.perf_counter()
        interactions = Interactions.read(path, "user=user,item=item,time=time")
        read = time.perf_counter()
        model = ItemKnn(neighbours=50).fit(interactions)
        fitted = time.perf_counter()
        sample = interactions.where(pl.col("user") < 2000)
        exported = export(model, sample, adversarial_rows=2000)
    done = time.perf_counter()
    return {
        "large.read_seconds": read - started,
        "large.fit_seconds": fitted - read,
        "large.export_seconds": done - fitted,
        "large.seconds": done - started,
        "large.peak_gb": _peak_gb(),
        "large.file_mb": len(exported.onnx_bytes) / 1e6,
    }


def _write_purchases(path: Path) -> None:
    rng = np.random.default_rng(0)
    items = (rng.pareto(1.1, _LARGE_EVENTS) * 300).astype(np.int64) % _LARGE_ITEMS
    users = rng.integers(0, _LARGE_USERS, _LARGE_EVENTS)
    seconds = pl.Series(rng.integers(1_700_000_000, 1_730_000_000, _LARGE_EVENTS))
    frame = pl.DataFrame({"user": users, "item": items, "time": pl.from_epoch(seconds, time_unit="s")})
    frame.write_csv(path, datetime_format="%Y-%m-%d %H:%M:%S")


if __name__ == "__main__":
    main()
