"""Splits that keep the future, and held-out customers, out of the training data."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from recommender.dataset import Interactions
from recommender.errors import InvalidData
from recommender.history import History, histories_at


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One customer to be tested: what was known of them and the different items they took afterwards."""

    user: str
    history: History
    relevant: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """`train` knows only its own users and items; `test` is compared with it by external ids.

    `known` holds the histories of the tested customers as of `now` (the training data itself, unless customers were
    held out altogether).
    """

    train: Interactions
    test: Interactions
    known: Interactions
    now: datetime | None

    def cases(self) -> list[Case]:
        """The customers of `test` of whom something is known, in the order of their ids."""
        histories = histories_at(self.known, self.now)
        return [
            Case(user=user, history=histories[user], relevant=frozenset(items))
            for user, items in self.test.histories().items()
            if user in histories
        ]


def split_by_time(interactions: Interactions, at: datetime | str | float) -> Split:
    """Train on what happened before `at`: a datetime, ISO text ("2011-11-01"), or the fraction of events to train on.

    >>> days = pl.DataFrame({"user": ["ann", "ann"], "item": ["tea", "jam"], "time": ["2024-01-01", "2024-02-01"]})
    >>> split = split_by_time(Interactions.from_frame(days), "2024-01-15")
    >>> split.train.histories(), split.test.histories()
    ({'ann': ['tea']}, {'ann': ['jam']})
    """
    require_times(interactions)
    moment = _moment(interactions, at)
    first, last = interactions.events["time"][0], interactions.events["time"][-1]
    if not first < moment <= last:
        raise InvalidData(f"split at {moment}: the data are from {first} to {last}, and the split must lie between")
    before = pl.col("time") < moment
    train = interactions.where(before)
    return Split(train=train, test=interactions.where(~before), known=train, now=moment)


def split_last_basket(interactions: Interactions) -> Split:
    """Test every customer with two or more baskets on the last one. Times of other customers may lie in between."""
    require_times(interactions)
    is_last = pl.col("basket") == pl.col("basket").last().over("user")
    has_more = pl.col("basket").n_unique().over("user") > 1
    train = interactions.where(~(is_last & has_more))
    last = interactions.events["time"].max()
    now = last if isinstance(last, datetime) else None
    return Split(train=train, test=interactions.where(is_last & has_more), known=train, now=now)


def split_by_user(interactions: Interactions, share: float, *, seed: int = 0) -> Split:
    """Strong generalization: `share` of the customers are unknown to training.

    Of each held-out customer the first four fifths of the events are the history, the rest is to be found. Without
    times the order of the file counts.
    """
    if not 0 < share < 1:
        raise InvalidData(f"share of held-out customers: expected a number between 0 and 1, got {share}")
    users = len(interactions.users)
    held_out = np.random.default_rng(seed).permutation(users)[: max(1, round(users * share))]
    is_held_out = pl.col("user").is_in(held_out.tolist())
    place = pl.int_range(pl.len()).over("user") + 1
    is_late = place > (pl.len().over("user") * 0.8).ceil()
    last = interactions.events["time"].max()
    return Split(
        train=interactions.where(~is_held_out),
        test=interactions.where(is_held_out & is_late),
        known=interactions.where(is_held_out & ~is_late),
        now=last if isinstance(last, datetime) else None,
    )


def split_as(interactions: Interactions, text: str) -> Split:
    """Split as a person writes it: time:2011-11-01, time:0.8, users:0.2 or last-basket. Raises InvalidData."""
    kind, _, argument = text.partition(":")
    if text == "last-basket":
        return split_last_basket(interactions)
    try:
        if kind == "time":
            return split_by_time(interactions, float(argument) if _is_number(argument) else argument)
        if kind == "users":
            return split_by_user(interactions, float(argument))
    except InvalidData:
        raise
    except ValueError as exc:
        raise InvalidData(f"split '{text}': {exc}") from exc
    raise InvalidData(f"split: expected time:DATE, time:FRACTION, users:SHARE or last-basket, got '{text}'")


def require_times(interactions: Interactions) -> None:
    """Raise InvalidData where an event has no time."""
    if interactions.events["time"].has_nulls():
        raise InvalidData("this needs a time for every interaction; name its column (time=...)")


def _moment(interactions: Interactions, at: datetime | str | float) -> datetime:
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    if isinstance(at, datetime):
        return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
    if not 0 < at < 1:
        raise InvalidData(f"fraction of events to train on: expected a number between 0 and 1, got {at}")
    moment: datetime = interactions.events["time"][int(at * len(interactions))]  # events are in the order of time
    return moment


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and "." in text
