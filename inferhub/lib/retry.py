"""When to try again. A pure decision; whoever calls it acts on it."""

import random
from datetime import timedelta


def backoff(attempt: int, *, first: timedelta, longest: timedelta) -> timedelta:
    """How long to wait after the `attempt`-th failure (from 1): doubling, capped, with jitter of +-20 %.

    >>> 0.8 <= backoff(1, first=timedelta(seconds=1), longest=timedelta(hours=1)).total_seconds() <= 1.2
    True
    """
    plain = min(first.total_seconds() * 2.0 ** min(attempt - 1, 40), longest.total_seconds())
    return timedelta(seconds=plain * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load, guards nothing
