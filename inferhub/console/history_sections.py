"""Pictures of what was decided over time, and of how long it took."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone

from inferhub.console.sections import Columns, Section, Swings
from inferhub.decisions.history import History, count_over_time, measure_durations
from inferhub.decisions.models import Decision

_MOST_NAMES = 7  # one colour is left for the others
_FORMS = {"minute": "%m-%d %H:%M", "hour": "%m-%d %H:00", "day": "%Y-%m-%d"}


def history_sections(decisions: "QuerySet[Decision]", *, by: str, title: str) -> tuple[Section, ...]:
    """Columns of the latest decisions by the field `by`; nothing where there is none."""
    found = count_over_time(decisions, by=by)
    if found is None:
        return ()
    labels = [_label(found.step, start) for start in found.starts]
    what = f"The latest decisions of at most 30 days, by {found.step}. What people decided in reviews is not counted."
    return (Columns(title=title, what=what, labels=labels, counts=_few(found)),)


def duration_sections(decisions: "QuerySet[Decision]") -> tuple[Section, ...]:
    """How long the latest decisions took, and where the time went."""
    found = measure_durations(decisions)
    if found is None:
        return ()
    half, most, all_but_few = (f"{found.within[share]:.3g} ms" for share in (50, 95, 99))
    what = (
        f"Of the latest {found.count:,} decisions half were made within {half}, 95 of 100 within {most}, 99 within "
        f"{all_but_few}; without the commit. The medians by stage:"
    )
    return (Swings(title="How long it takes", what=what, rows=list(found.stages.items()), form="{:.3g} ms"),)


def _few(found: History) -> dict[str, Sequence[int]]:
    """The most frequent names, and the others together."""
    names = list(found.counts)
    kept: dict[str, Sequence[int]] = {name: found.counts[name] for name in names[:_MOST_NAMES]}
    rest = [found.counts[name] for name in names[_MOST_NAMES:]]
    if rest:
        kept[f"{len(rest)} others"] = [sum(column) for column in zip(*rest, strict=True)]
    return kept


def _label(step: str, start: datetime) -> str:
    return timezone.localtime(start).strftime(_FORMS[step])
