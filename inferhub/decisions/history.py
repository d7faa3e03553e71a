"""What the latest decisions came to over time, and how long they took."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db.models import Count, QuerySet
from django.db.models.functions import Trunc
from django.utils import timezone

from inferhub.decisions.models import Decision

_MOST_DECISIONS = 20_000  # of a busy hub the last hours, so that a page opens as fast as that of a small one
_MOST_TIMED = 1_000
_SPAN = timedelta(days=30)
_STEPS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_FEWEST = 12
_LONGEST = (("minute", timedelta(minutes=90)), ("hour", timedelta(days=3)))


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """Counts by time: `step` is minute, hour or day, `counts` has for each name a number for each of `starts`."""

    step: str
    starts: Sequence[datetime]
    counts: dict[str, list[int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Durations:
    """Of `count` decisions: milliseconds within which 50, 95 and 99 of 100 were made, and the medians by stage."""

    count: int
    within: dict[int, float]
    stages: dict[str, float]


def count_over_time(decisions: "QuerySet[Decision]", *, by: str) -> History | None:
    """The latest decisions of at most 30 days, by minute, hour or day and the field `by`; the most frequent first.

    What people decided in reviews is left out: the decision that they reviewed is counted. None where there is none.
    """
    latest = decisions.filter(reviewed_decision_id=None, created_at__gt=timezone.now() - _SPAN).order_by("-id")
    newest = latest.values_list("pk", "created_at").first()
    if newest is None:
        return None
    # Ids are made in the order of time.
    first = latest.values_list("pk", flat=True)[_MOST_DECISIONS - 1 : _MOST_DECISIONS].first()
    counted = latest if first is None else latest.filter(pk__gte=first)
    oldest = counted.order_by("id").values_list("created_at", flat=True).first() or newest[1]
    step = next((name for name, longest in _LONGEST if newest[1] - oldest <= longest), "day")
    rows = counted.order_by().values_list(Trunc("created_at", step), by).annotate(Count("pk"))
    return _filled(step, list(rows))


def measure_durations(decisions: "QuerySet[Decision]") -> Durations | None:
    """How long the latest decisions took; None where there is none."""
    made = decisions.filter(reviewed_decision_id=None).order_by("-id")
    timings = [found for found in made.values_list("timings", flat=True)[:_MOST_TIMED] if found]
    if not timings:
        return None
    totals = np.array([sum(found.values()) for found in timings])
    stages = dict.fromkeys(name for found in timings for name in found)
    return Durations(
        count=len(timings),
        within={share: float(np.percentile(totals, share)) for share in (50, 95, 99)},
        stages={name: float(np.median([found.get(name, 0.0) for found in timings])) for name in stages},
    )


def _filled(step: str, rows: Sequence[tuple[datetime, Any, int]]) -> History:
    """With zeros where nothing was decided, and before, so that few columns do not look like many decisions."""
    end = max(row[0] for row in rows)
    begin = min(*(row[0] for row in rows), end - (_FEWEST - 1) * _STEPS[step])
    starts = [begin + at * _STEPS[step] for at in range((end - begin) // _STEPS[step] + 1)]
    places = {start: at for at, start in enumerate(starts)}
    totals: Counter[str] = Counter()
    for _, name, count in rows:
        totals[str(name)] += count
    counts = {name: [0] * len(starts) for name, _ in totals.most_common()}
    for start, name, count in rows:
        counts[str(name)][places[start]] += count
    return History(step=step, starts=starts, counts=counts)
