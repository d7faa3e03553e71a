"""What a customer did, as retrievers and graphs take it: events oldest first, each with an item and an age."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import polars as pl

from recommender.dataset import Interactions
from recommender.errors import InvalidData
from recommender.ids import pad_histories
from recommender.types import FloatArray, StringArray


@dataclass(frozen=True, slots=True)
class History:
    """One customer's events, oldest first; `ages` in days before now, one per item, 0 when nothing better is known.

    `features` is what else is known of the customer, by name: a text (a group, such as "45-54") or a number.
    """

    items: tuple[str, ...] = ()
    ages: tuple[float, ...] = ()
    features: Mapping[str, str | float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.ages:
            object.__setattr__(self, "ages", (0.0,) * len(self.items))
        if len(self.ages) != len(self.items):
            raise InvalidData(f"history: expected {len(self.items)} ages, one per item, got {len(self.ages)}")


def as_history(given: "History | Sequence[str]") -> History:
    """A plain sequence of items is a history of which only the order is known."""
    return given if isinstance(given, History) else History(tuple(given))


def histories_at(interactions: Interactions, now: datetime | None) -> dict[str, History]:
    """Every customer's history as it looks at `now`: one event per item and basket, ages in days.

    >>> days = pl.DataFrame({"user": ["ann", "ann"], "item": ["tea", "tea"], "time": ["2024-01-01", "2024-01-03"]})
    >>> histories_at(Interactions.from_frame(days), datetime(2024, 1, 4))
    {'ann': History(items=('tea', 'tea'), ages=(3.0, 1.0), features={})}
    """
    events = events_at(interactions, now).group_by("user", maintain_order=True).agg("item", "age").sort("user")
    names, features = interactions.items.externals, _features(interactions)
    return {
        interactions.users.externals[user]: History(
            tuple(names[np.asarray(items)].tolist()), tuple(ages), features[user]
        )
        for user, items, ages in zip(*(events[name].to_list() for name in ("user", "item", "age")), strict=True)
    }


def _features(interactions: Interactions) -> list[dict[str, str | float]]:
    """For each user the features that are known."""
    if interactions.user_features is None:
        return [{} for _ in range(len(interactions.users))]
    rows = interactions.user_features.iter_rows(named=True)
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def last_histories(interactions: Interactions) -> dict[str, History]:
    """`histories_at` the last event of all."""
    last = interactions.events["time"].max()
    return histories_at(interactions, last if isinstance(last, datetime) else None)


def events_at(interactions: Interactions, now: datetime | None) -> pl.DataFrame:
    """Columns user, item, age (Float32, days before `now`), one row per user, item and basket, oldest first.

    Without times, or without `now`, all ages are 0.
    """
    age = (pl.lit(now, pl.Datetime("us")) - pl.col("time")).dt.total_microseconds() / 86_400_000_000
    return (
        interactions.events.with_columns(age=age.fill_null(0.0).cast(pl.Float32))
        .unique(["user", "item", "basket"], keep="first", maintain_order=True)
        .select("user", "item", "age")
    )


def known_ages(history: History) -> FloatArray:
    """Ages as float32 [H]; NaN, where nothing is known, is 0."""
    return as_known_ages(history.ages)


def as_known_ages(given: Iterable[float]) -> FloatArray:
    """The same for ages of any number of histories."""
    with np.errstate(over="ignore"):
        ages = np.fromiter(given, np.float64).astype(np.float32)
    return np.where(np.isnan(ages), np.float32(0), ages)


def pad_ages(histories: Sequence[History]) -> FloatArray:
    """Ages as float32 [N, H], 0 on the right, in the places of `pad_items`."""
    width = max((len(history.items) for history in histories), default=0) or 1
    padded = np.zeros((len(histories), width), np.float32)
    for row, history in enumerate(histories):
        padded[row, : len(history.ages)] = known_ages(history)
    return padded


def pad_items(histories: Sequence[History]) -> StringArray:
    """Items as object [N, H], "" on the right."""
    return pad_histories([history.items for history in histories])
