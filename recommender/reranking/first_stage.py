"""The first stage: score every item in a few simple ways, keep the best candidates, describe them for the second.

Every number is float32 and computed in an order that the exported graph repeats (sums in the order of the events,
no exp or log), so both describe a candidate with the same bits and no rank flips between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recommender.history import History, as_history, known_ages
from recommender.models.neighbours import NeighbourTable, fade, top_k
from recommender.reranking.item_profile import ItemProfile
from recommender.reranking.user_groups import UserGroups
from recommender.types import BoolArray, FloatArray, IndexArray

NEVER = np.float32(9999)  # the age in days of what did not happen
MASKED = np.float32(-3e38)  # the score of what must not be recommended
SLOW_DAYS, FAST_DAYS, LINK_DAYS = 90.0, 30.0, 60.0  # ages at which own purchases and links count half
BLEND = (np.float32(0.5), np.float32(0.3), np.float32(1e-3))  # of recent links, own purchases, trend; links count 1

_OWN = ("links", "recent_links", "own", "own_fast", "times", "last", "first")
_MADE = (
    "blend", "rank_links", "rank_recent", "rank_own", "interval", "share", "since_last", "baskets", "owned", "user_last"
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidates:
    """For one customer: `items` int32 [C], best blend first, `features` float32 [C, F], `blend` float32 [C]."""

    items: IndexArray
    features: FloatArray
    blend: FloatArray
    owned: IndexArray  # distinct, ascending
    is_owned: BoolArray  # [C], whether the candidate is among them


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

    def describe(self, history: History | Sequence[str], *, k: int, barred: IndexArray) -> Candidates:
        """Candidates (at least k, as far as there are items) for one history, `barred` items last and MASKED."""
        given = as_history(history)
        items, ages = self._events(given)
        owned = np.unique(items)
        scores = self._scores(items, ages, owned) | self._lift(given)
        blend = self.blend(scores)
        blend[barred] = MASKED
        best = top_k(blend, max(self.candidates, k))
        columns = {name: values[best] for name, values in scores.items()}
        columns |= self._made(columns, blend[best], ages, len(owned))
        if self.profile.categories is not None:
            columns["affinity"] = self._affinity(owned, best)
        described = np.column_stack([*columns.values(), self.profile.values[best]])
        return Candidates(
            items=best,
            features=described,
            blend=blend[best],
            owned=owned,
            is_owned=np.isin(best, owned),
        )

    def _events(self, history: History) -> tuple[IndexArray, FloatArray]:
        items = self.table.items.to_internal(history.items)
        is_known = items >= 0
        ages = np.clip(known_ages(history)[is_known], np.float32(0), NEVER - np.float32(1))
        return items[is_known], ages

    def _scores(self, items: IndexArray, ages: FloatArray, owned: IndexArray) -> dict[str, FloatArray]:
        """`_OWN` for every item, float32 [I] each."""
        size = len(self.table.items)
        last, first = np.full(size, NEVER), np.zeros(size, np.float32)
        np.minimum.at(last, items, ages)
        np.maximum.at(first, items, ages)
        weights = self.table.weights[owned]
        faded = weights * fade(last[owned], LINK_DAYS)[:, np.newaxis]
        return {
            "links": self._spread(owned, weights),
            "recent_links": self._spread(owned, faded),
            "own": _added(size, items, fade(ages, SLOW_DAYS)),
            "own_fast": _added(size, items, fade(ages, FAST_DAYS)),
            "times": _added(size, items, np.ones(len(items), np.float32)),
            "last": last,
            "first": first,
        }

    def _spread(self, owned: IndexArray, weights: FloatArray) -> FloatArray:
        size = len(self.table.items)
        return _added(size + 1, self.table.neighbours[owned].ravel(), weights.ravel())[:size]

    def _lift(self, history: History) -> dict[str, FloatArray]:
        """How much more than others the customer's groups buy each item, float32 [I], if there are groups."""
        if not self.groups:
            return {}
        total = sum(group.lifts[group.group_of(history)] for group in self.groups)
        return {"lift": np.asarray(total / np.float32(len(self.groups)), np.float32)}

    def blend(self, scores: dict[str, FloatArray]) -> FloatArray:
        """The score that chooses the candidates, float32 [I]; what sells now counts by who buys it."""
        recent, own, trend = BLEND
        links = scores["links"] + scores["recent_links"] * recent
        trending = self.profile.trend * trend * scores.get("lift", np.float32(1))
        return np.asarray(links + scores["own"] * own + trending, np.float32)

    def _made(
        self, columns: dict[str, FloatArray], blend: FloatArray, ages: FloatArray, owned: int
    ) -> dict[str, FloatArray]:
        """`_MADE` for every candidate."""
        one = np.float32(1)
        baskets = np.float32(len(np.unique(ages)))
        user_last = ages.min(initial=NEVER)
        return {
            "blend": blend,
            "rank_links": _ranks(columns["links"]),
            "rank_recent": _ranks(columns["recent_links"]),
            "rank_own": _ranks(columns["own"]),
            "interval": (columns["first"] - columns["last"]) / np.maximum(columns["times"] - one, one),
            "share": columns["times"] / np.maximum(baskets, one),
            "since_last": columns["last"] - user_last,
            "baskets": np.full(len(blend), baskets),
            "owned": np.full(len(blend), np.float32(owned)),
            "user_last": np.full(len(blend), user_last),
        }

    def _affinity(self, owned: IndexArray, best: IndexArray) -> FloatArray:
        """The share of the customer's items that are of the candidate's category."""
        categories = self.profile.categories
        if categories is None:
            return np.zeros(len(best), np.float32)
        counts = np.bincount(categories[owned], minlength=self.profile.category_count).astype(np.float32)
        return np.asarray(counts[categories[best]] / np.maximum(np.float32(len(owned)), np.float32(1)), np.float32)


def _added(size: int, places: IndexArray, values: FloatArray) -> FloatArray:
    """Zeros [size] plus the values at their places, one after the other."""
    total = np.zeros(size, np.float32)
    np.add.at(total, places, values)
    return total


def _ranks(values: FloatArray) -> FloatArray:
    """0 for the largest value, and so on; among equals the earlier place comes first."""
    ranks = np.empty(len(values), np.float32)
    ranks[np.argsort(-values, kind="stable")] = np.arange(len(values), dtype=np.float32)
    return ranks
