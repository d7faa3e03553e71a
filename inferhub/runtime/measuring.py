"""How fast a model loads and runs here, for budgets: never a benchmark, but the best of a few tries."""

import time
from typing import Any

from inferhub.runtime.session import LoadedModel
from inferhub.runtime.signature import Feeds

_MOST_TRIES = 30
_SECONDS = 0.05


def measure(loaded: LoadedModel, feeds: Feeds) -> dict[str, Any]:
    """`run_us`: the shortest time of one run of `feeds`, in microseconds, of as many tries as fit into 50 ms.

    The shortest, since whatever else the machine does only adds. Raises what the model raises.
    """
    best, ends_at = float("inf"), time.perf_counter() + _SECONDS
    for _ in range(_MOST_TRIES):
        started = time.perf_counter()
        loaded.run(feeds)
        ended = time.perf_counter()
        best = min(best, ended - started)
        if ended > ends_at:
            break
    return {"run_us": round(best * 1e6, 1)}
