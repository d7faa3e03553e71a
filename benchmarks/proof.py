"""Proof: is every change found, how fast is the log verified, what does sealing cost those who decide.

The hub is that of benchmarks/decisions.py. 1,000 random changes to a sealed log (bits in every column, rows removed,
inserted, exchanged, seals and notes among them), each made by a superuser with the triggers off, looked for and taken
back; 100,000 decisions with their audit events verified, and as many replayed (benchmarks/proof_replay.py); and wrk
asks for decisions, by turns with rows being noted and sealed and without both.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from benchmarks.decisions import load, running_hub, write_script
from benchmarks.report import parser, publish
from inferhub.embedded.up import child_environment
from inferhub.embedded.web import web_services
from inferhub.lib.config import Config

BARS = {
    "replayed": ">=100000",
    "replay_mismatches": "<=0",
    "tamperings_found": ">=1000",
    "verify_rows_per_second": ">=50000",
    "sealing_cost": "<=0.05",
}
TAMPERINGS, DECISIONS = 1000, 100_000
ROUNDS, SECONDS, SEAL_EVERY = 16, 5, 2


def command(*arguments: str, module: str = "proof_hub") -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{module}", *arguments]


def told(config: Config, module: str, *arguments: str) -> dict[str, float]:
    """What a command of a module said in its last line."""
    done = subprocess.run(
        command(*arguments, module=module),
        check=True,
        env=child_environment(config),
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path.cwd(),
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def sealer(config: Config) -> Iterator[None]:
    """A process that seals more often than a hub's worker does; where nothing is noted it has nothing to do."""
    words = command("seal", str(SEAL_EVERY))
    process = subprocess.Popen(words, env=child_environment(config), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it has loaded everything
        yield
    finally:
        process.terminate()
        process.communicate()


def sealing_cost(config: Config, script: Path) -> dict[str, float]:
    """The median of what each round with notes and seals lost against the rounds without them before and after."""
    load(config, script, connections=32, seconds=5)
    rates: dict[str, list[float]] = {"off": [], "on": []}
    with sealer(config):
        for word in [*("off", "on") * ROUNDS, "off"]:
            told(config, "proof_hub", "notes", word)
            rates[word].append(load(config, script, connections=32, seconds=SECONDS)["rate"])
    beside = [(before + after) / 2 for before, after in pairwise(rates["off"])]
    costs = [1 - sealed / plain for sealed, plain in zip(rates["on"], beside, strict=True)]
    return {
        "sealing_cost": max(0.0, statistics.median(costs)),
        "decisions_per_second_sealed": statistics.median(rates["on"]),
        "decisions_per_second_unsealed": statistics.median(rates["off"]),
    }


def measure(folder: Path) -> dict[str, float]:
    with running_hub(folder) as (config, supervisor):
        key = str(told(config, "decisions_hub", "seed")["key"])
        tampered = told(config, "proof_hub", "tamper", str(TAMPERINGS))
        print(json.dumps({name: tampered[name] for name in ("kinds", "missed")}))
        verified = told(config, "proof_hub", "verify", str(DECISIONS))
        replayed = told(config, "proof_replay", "--on-this-hub")
        supervisor.start(*web_services(config))
        return {
            **replayed,
            "tamperings": tampered["tamperings"],
            "tamperings_found": tampered["found"],
            "verified_rows": verified["rows"],
            "verify_rows_per_second": verified["rows_per_second"],
            "seal_rows_per_second": verified["rows"] / verified["seal_seconds"],
            **sealing_cost(config, write_script(folder, key)),
        }


def main() -> None:
    path = parser("Proof: changes found, verification, the cost of sealing.", "proof").parse_args().json
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    folder = Path(tempfile.mkdtemp(prefix="inferhub-bench-"))
    try:
        publish("proof", measure(folder), BARS, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
