"""Which version is in force when: a compiled schedule, kept by the process, so that time passes without a query."""

import math
import time
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import F, FloatField, Func
from django.utils import timezone

from inferhub.errors import NotFound
from inferhub.lib.snapshots import Snapshots
from inferhub.rulesets.authored import AuthoredPublication

_MOST_AHEAD = 1000


class Span(NamedTuple):
    """One publication. Times are seconds of any one clock; `ends_at` is infinite where none was said."""

    id: int
    version_id: int
    starts_at: float
    ends_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """From each moment of `starts` on, the version of the same place in `version_ids` is in force; None: none is.

    `settled` is the version that is in force for good, where nothing is planned: nobody has to look at the clock.
    """

    starts: tuple[float, ...]
    version_ids: tuple[int | None, ...]
    settled: int | None = None

    def version_id_at(self, moment: float) -> int | None:
        return self.version_ids[bisect_right(self.starts, moment) - 1]


def compile_schedule(spans: Iterable[Span], *, now: float = -math.inf) -> Schedule:
    """Of several publications whose time it is, the one that began last is in force, the later made of two such.

    >>> usual, christmas = Span(1, 11, 0.0, math.inf), Span(2, 12, 24.0, 26.0)
    >>> schedule = compile_schedule([usual, christmas])
    >>> [schedule.version_id_at(day) for day in (-1.0, 23.9, 24.0, 26.0)]
    [None, 11, 12, 11]
    """
    known = list(spans)
    edges = sorted({edge for span in known for edge in (span.starts_at, span.ends_at) if edge < math.inf})
    starts = (-math.inf, *edges)
    version_ids = tuple(_in_force(known, start) for start in starts)
    return Schedule(starts=starts, version_ids=version_ids, settled=version_ids[-1] if starts[-1] <= now else None)


def _in_force(spans: Iterable[Span], moment: float) -> int | None:
    valid = [span for span in spans if span.starts_at <= moment < span.ends_at]
    return max(valid, key=lambda span: (span.starts_at, span.id)).version_id if valid else None


class Timetable:
    """The schedules of all rule sets, or of all workflows, by name; read anew each second.

    Times are turned into this process's monotonic clock by the database's own: processes whose clocks differ change
    over together.
    """

    def __init__(self, publications: type[AuthoredPublication]) -> None:
        self._publications: Any = publications
        owner = publications._meta.get_field(publications.OWNER).related_model
        self._owners: Any = owner
        self._what = str(owner._meta.verbose_name)  # type: ignore[union-attr]
        self._schedules: Snapshots[str, Schedule] = Snapshots(self._read, seconds=1.0)

    def version_id(self, name: str, as_of: datetime | None = None) -> int:
        """The version of `name` that is in force, now or at another moment. Raises NotFound."""
        if as_of is not None:
            return self._version_id_as_of(name, as_of)
        schedule = self._schedules.get(name)
        found = schedule.settled or schedule.version_id_at(time.monotonic())
        if found is None:
            raise NotFound(f"The {self._what} '{name}' has no version in force now.")
        return found

    def _version_id_as_of(self, name: str, as_of: datetime) -> int:
        owned = self._publications.objects.filter(**{f"{self._publications.OWNER}__name": name})
        found = owned.in_force(as_of).newest_first().values_list("version_id", flat=True).first()
        if found is None:
            self._check_known(name)
            moment = timezone.localtime(as_of).isoformat()
            raise NotFound(f"The {self._what} '{name}' has no version in force at {moment}.")
        return int(found)

    def _read(self, name: str) -> Schedule:
        owned = self._publications.objects.filter(**{f"{self._publications.OWNER}__name": name}, cancelled_at=None)
        rows = owned.annotate(begins_in=_seconds_to("effective_from"), ends_in=_seconds_to("effective_until"))
        now = time.monotonic()
        spans = []
        for row in rows.newest_first().values_list("id", "version_id", "begins_in", "ends_in")[:_MOST_AHEAD]:
            number, version_id, begins_in, ends_in = row
            spans.append(Span(number, version_id, now + begins_in, math.inf if ends_in is None else now + ends_in))
            if begins_in <= 0 and ends_in is None:
                break  # what began before it never comes back
        if not spans:
            self._check_known(name)
        return compile_schedule(spans, now=now)

    def _check_known(self, name: str) -> None:
        if not self._owners.objects.filter(name=name).exists():
            raise NotFound(f"There is no {self._what} '{name}'.")


def _seconds_to(field: str) -> Any:
    """Seconds from now on to the time in `field`, by the database's clock."""
    template = "EXTRACT(EPOCH FROM %(expressions)s - clock_timestamp())::double precision"
    return Func(F(field), template=template, output_field=FloatField())
