"""The first stage: score every item in a few simple ways, keep the best candidates, describe them for the second.

Every number is float32 and computed in an order that the exported graph repeats (sums in the order of the events,
no exp or log), so both describe a candidate with the same bits and no rank flips between them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy import sparse

from recommender.history import History, as_history, as_known_ages
from recommender.models.neighbours import Histories, NeighbourTable, fade, top_k_of_rows
from recommender.reranking.item_profile import ItemProfile
from recommender.reranking.user_groups import UserGroups
from recommender.types import FloatArray, IndexArray

NEVER = np.float32(9999)  # the age in days of what did not happen
MASKED = np.float32(-3e38)  # the score of what must not be recommended
SLOW_DAYS, FAST_DAYS, LINK_DAYS = 90.0, 30.0, 60.0  # ages at which own purchases and links count half
BLEND = (np.float32(0.5), np.float32(0.3), np.float32(1e-3))  # of recent links, own purchases, trend; links count 1

_CELLS_AT_ONCE = 2**20  # customers times items, so that all of them together take some tens of megabytes
_OWN = ("links", "recent_links", "own", "own_fast", "times", "last", "first")
_MADE = (
    "blend", "rank_links", "rank_recent", "rank_own", "interval", "share", "since_last", "baskets", "owned", "user_last"
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidates:
    """For N customers: `items` int32 [N, C], best blend first, `features` float32 [N, C, F], `blend` float32 [N, C]."""

    items: IndexArray
    features: FloatArray
    blend: FloatArray
    owned: tuple[IndexArray, ...]  # for each customer, distinct, ascending


@dataclass(frozen=True, kw_only=True, slots=True)
class _Events:
    """The known events of N customers one after the other, [E] each, and the distinct items of each customer."""

    customers: int
    rows: IndexArray
    items: IndexArray
    ages: FloatArray
    owned_rows: IndexArray
    owned: IndexArray

    @property
    def owned_counts(self) -> IndexArray:
        return np.bincount(self.owned_rows, minlength=self.customers).astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class FirstStage:
    """What retrieval learned: links between items (no item to itself), the profile of each, and who buys it."""

    table: NeighbourTable
    profile: ItemProfile
    candidates: int
    groups: tuple[UserGroups, ...] = ()

    @property
    def feature_names(self) -> tuple[str, ...]:
        affinity = ("affinity",) if self.profile.categories is not None else ()
        lift = ("lift",) if self.groups else ()
        return (*_OWN, *lift, *_MADE, *affinity, *self.profile.columns)

    @property
    def customers_at_once(self) -> int:
        """How many histories to give to `describe`."""
        return max(1, min(256, _CELLS_AT_ONCE // len(self.table.items)))

    def describe(self, histories: Histories, *, k: int, barred: Sequence[IndexArray]) -> Candidates:
        """Candidates (at least k, as far as there are items); the `barred` items of each customer last and MASKED."""
        given = [as_history(history) for history in histories]
        events = self._events(given)
        scores = self._scores(events) | self._lift(given)
        blend = self.blend(scores)
        for row, items in enumerate(barred):
            blend[row, items] = MASKED
        best = top_k_of_rows(blend, max(self.candidates, k))
        columns = {name: np.take_along_axis(values, best, axis=1) for name, values in scores.items()}
        best_blend = np.take_along_axis(blend, best, axis=1)
        columns |= self._made(columns, best_blend, events)
        if self.profile.categories is not None:
            columns["affinity"] = self._affinity(events, best)
        described = np.concatenate([np.stack([*columns.values()], axis=2), self.profile.values[best]], axis=2)
        return Candidates(
            items=best,
            features=described,
            blend=best_blend,
            owned=tuple(np.split(events.owned, np.cumsum(events.owned_counts)[:-1])),
        )

    def _events(self, histories: Sequence[History]) -> _Events:
        size = len(self.table.items)
        items = self.table.items.to_internal(chain.from_iterable(history.items for history in histories))
        is_known = items >= 0
        rows = np.repeat(np.arange(len(histories), dtype=np.int32), [len(history.items) for history in histories])[
            is_known
        ]
        ages = as_known_ages(chain.from_iterable(history.ages for history in histories))[is_known]
        owned_rows, owned = np.divmod(np.unique(rows * size + items[is_known]), size)
        return _Events(
            customers=len(histories),
            rows=rows,
            items=items[is_known],
            ages=np.clip(ages, np.float32(0), NEVER - np.float32(1)),
            owned_rows=owned_rows,
            owned=owned,
        )

    def _scores(self, events: _Events) -> dict[str, FloatArray]:
        """`_OWN` for every customer and item, float32 [N, I] each."""
        shape = events.customers, len(self.table.items)
        last, first = np.full(shape, NEVER), np.zeros(shape, np.float32)
        places = events.rows * shape[1] + events.items
        np.minimum.at(last.reshape(-1), places, events.ages)
        np.maximum.at(first.reshape(-1), places, events.ages)
        weights = self.table.weights[events.owned]
        faded = weights * fade(last[events.owned_rows, events.owned], LINK_DAYS)[:, np.newaxis]
        links, recent_links = self._spread(events, weights, faded)
        return {
            "links": links,
            "recent_links": recent_links,
            "own": _added(shape, places, fade(events.ages, SLOW_DAYS)),
            "own_fast": _added(shape, places, fade(events.ages, FAST_DAYS)),
            "times": _added(shape, places, np.ones(len(events.items), np.float32)),
            "last": last,
            "first": first,
        }

    def _spread(self, events: _Events, *weights: FloatArray) -> Iterator[FloatArray]:
        """Sums over the links of each customer's items, float32 [N, I] for each kind of weight.

        A sparse product with ones adds in the order of the items, as `_added` would, in a quarter of the time.
        """
        count, size = len(events.owned), len(self.table.items) + 1
        neighbours = self.table.neighbours[events.owned]
        starts = np.arange(count + 1) * neighbours.shape[1]
        until = np.append(0, np.cumsum(events.owned_counts))
        owners = sparse.csr_matrix((np.ones(count, np.float32), np.arange(count), until), (events.customers, count))
        for kind in weights:
            links = sparse.csr_matrix((kind.reshape(-1), neighbours.reshape(-1), starts), (count, size))
            yield (owners @ links).toarray()[:, :-1]

    def _lift(self, histories: Sequence[History]) -> dict[str, FloatArray]:
        """How much more than others the customer's groups buy each item, float32 [N, I], if there are groups."""
        if not self.groups:
            return {}
        total = sum(group.lifts[[group.group_of(history) for history in histories]] for group in self.groups)
        return {"lift": np.asarray(total / np.float32(len(self.groups)), np.float32)}

    def blend(self, scores: dict[str, FloatArray]) -> FloatArray:
        """The score that chooses the candidates, float32 [N, I]; what sells now counts by who buys it."""
        recent, own, trend = BLEND
        links = scores["links"] + scores["recent_links"] * recent
        trending = self.profile.trend * trend * scores.get("lift", np.float32(1))
        return np.asarray(links + scores["own"] * own + trending, np.float32)

    def _made(self, columns: dict[str, FloatArray], blend: FloatArray, events: _Events) -> dict[str, FloatArray]:
        """`_MADE` for every candidate, float32 [N, C] each."""
        one = np.float32(1)
        baskets = _distinct_ages(events)[:, np.newaxis]
        user_last = np.full((events.customers, 1), NEVER)
        np.minimum.at(user_last[:, 0], events.rows, events.ages)
        owned = events.owned_counts.astype(np.float32)[:, np.newaxis]
        return {
            "blend": blend,
            "rank_links": _ranks(columns["links"]),
            "rank_recent": _ranks(columns["recent_links"]),
            "rank_own": _ranks(columns["own"]),
            "interval": (columns["first"] - columns["last"]) / np.maximum(columns["times"] - one, one),
            "share": columns["times"] / np.maximum(baskets, one),
            "since_last": columns["last"] - user_last,
            "baskets": np.broadcast_to(baskets, blend.shape),
            "owned": np.broadcast_to(owned, blend.shape),
            "user_last": np.broadcast_to(user_last, blend.shape),
        }

    def _affinity(self, events: _Events, best: IndexArray) -> FloatArray:
        """The share of the customer's items that are of the candidate's category, float32 [N, C]."""
        categories = self.profile.categories
        if categories is None:
            return np.zeros(best.shape, np.float32)
        shape = events.customers, self.profile.category_count
        places = events.owned_rows * np.int32(self.profile.category_count) + categories[events.owned]
        counts = _added(shape, places, np.ones(len(events.owned), np.float32))
        found = np.take_along_axis(counts, categories[best], axis=1)
        owned = events.owned_counts.astype(np.float32)[:, np.newaxis]
        return np.asarray(found / np.maximum(owned, np.float32(1)), np.float32)


def _added(shape: tuple[int, int], places: IndexArray, values: FloatArray) -> FloatArray:
    """Zeros of this shape plus the values at their places (counted row after row), one after the other."""
    total = np.zeros(shape, np.float32)
    np.add.at(total.reshape(-1), places.reshape(-1), values.reshape(-1))
    return total


def _distinct_ages(events: _Events) -> FloatArray:
    """How many baskets each customer had, float32 [N]: events of one age are of one basket."""
    order = np.lexsort((events.ages, events.rows))
    rows, ages = events.rows[order], events.ages[order]
    is_new = np.ones(len(rows), np.bool_)
    is_new[1:] = (rows[1:] != rows[:-1]) | (ages[1:] != ages[:-1])
    return np.bincount(rows[is_new], minlength=events.customers).astype(np.float32)


def _ranks(values: FloatArray) -> FloatArray:
    """In each row 0 for the largest value, and so on; among equals the earlier place comes first."""
    ranks = np.empty(values.shape, np.float32)
    places = np.broadcast_to(np.arange(values.shape[1], dtype=np.float32), values.shape)
    np.put_along_axis(ranks, np.argsort(-values, axis=1, kind="stable"), places, axis=1)
    return ranks
