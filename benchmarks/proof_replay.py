"""100,000 decisions made and replayed: every one must come out equal, bit for bit.

They are those of benchmarks/decisions.py (LightGBM model, 20-row table, one action), made by `decide_all` in batches of
1,000 and, for a tenth of them, one by one. `make_and_replay` may be called where Django is set up on a hub that
`decisions_hub.seed` filled; this file alone starts a hub of its own.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import django

from benchmarks.decisions import hub_command, order, running_hub
from benchmarks.decisions_hub import NAME
from benchmarks.report import parser, publish
from inferhub.embedded.up import child_environment

BARS = {"replayed": ">=100000", "replay_mismatches": "<=0"}
COUNT, BATCH, ALONE = 100_000, 1_000, 0.1


def make_and_replay(count: int = COUNT) -> dict[str, float]:
    """Make `count` decisions and replay them: `replayed`, `replay_mismatches` and the seconds of both."""
    from django.utils import timezone  # noqa: PLC0415 - Django is set up by then

    from inferhub.decisions.replay import replay_period  # noqa: PLC0415
    from inferhub.decisions.services import Request, decide_all  # noqa: PLC0415

    generator = random.Random(3)
    since, started = timezone.now(), time.perf_counter()
    left = count
    while left:
        size = min(left, BATCH if left > count * ALONE else 1)
        requests = [Request(facts=order(generator)) for _ in range(size)]
        failed = [one for one in decide_all(workflow=NAME, requests=requests, actor="system:benchmark") if _fails(one)]
        if failed:
            raise RuntimeError(f"{len(failed)} decisions could not be made: {failed[0]}")
        left -= size
    made, started = time.perf_counter() - started, time.perf_counter()
    counted = replay_period(since=since, workflow=NAME, actor="system:benchmark")
    return {
        "replayed": counted.replayed,
        "replay_mismatches": counted.mismatches,
        "replay_seconds": time.perf_counter() - started,
        "replay_making_seconds": made,
    }


def _fails(found: object) -> bool:
    return isinstance(found, Exception)


def main() -> None:
    made = parser(__doc__.partition("\n")[0], "proof_replay")
    made.add_argument("--on-this-hub", action="store_true", help="print the figures of the hub that is configured")
    asked = made.parse_args()
    if asked.on_this_hub:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inferhub.settings")
        django.setup()
        print(json.dumps(make_and_replay()))
        return
    folder = Path(tempfile.mkdtemp(prefix="inferhub-bench-"))
    try:
        with running_hub(folder) as (config, _):
            hub_command(config, "seed")
            command = [sys.executable, "-m", "benchmarks.proof_replay", "--on-this-hub"]
            environment = child_environment(config)
            said = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout
        publish("proof_replay", json.loads(said.splitlines()[-1]), BARS, asked.json)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
