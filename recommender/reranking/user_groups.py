"""What groups of customers buy more than others: one group for each value of a feature, or for each band of an amount.

The lift of an item in a group is how often customers of the group have it, over how often that would be if all groups
bought alike. With few purchases it stays near the lift of the item's category, and that near 1 (additive smoothing:
Chen & Goodman, "An empirical study of smoothing techniques", 1999).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import sparse

from recommender.dataset import Interactions
from recommender.history import History
from recommender.reranking.item_profile import ItemProfile
from recommender.types import CsrMatrix, DoubleArray, FloatArray, IndexArray

_RAREST = 10  # customers; smaller groups say nothing and could name somebody
_BANDS = 5
_PRIOR = 20.0  # purchases that count for "as everybody"


@dataclass(frozen=True, kw_only=True)
class UserGroups:
    """One feature of customers: which group a value belongs to, and what the group buys.

    Texts are looked up in `labels`; of amounts (`labels` is None) group g has those from edges[g - 1] to below
    edges[g]. The last row of `lifts` float32 [G + 1, I] is 1 throughout: for customers of whom the feature is unknown.
    """

    name: str
    labels: tuple[str, ...] | None
    edges: FloatArray
    lifts: FloatArray

    @property
    def count(self) -> int:
        return len(self.lifts) - 1

    def group_of(self, history: History) -> int:
        """The customer's group, or `count` where it is unknown."""
        value = history.features.get(self.name)
        if self.labels is not None:
            return self.labels.index(value) if value in self.labels else self.count
        amount = as_amount(value)
        return self.count if np.isnan(amount) else int((amount >= self.edges).sum())


def as_amount(value: str | float | None) -> np.float32:
    """A number as the exported graph takes it, NaN for anything else."""
    with np.errstate(over="ignore"):
        return np.float32(value) if isinstance(value, int | float) else np.float32("nan")


def groups_of(interactions: Interactions, profile: ItemProfile) -> tuple[UserGroups, ...]:
    """One `UserGroups` for every feature of the users that forms groups of some size."""
    features = interactions.user_features
    if features is None:
        return ()
    owned = interactions.matrix()
    return tuple(_grouped(features, owned, profile))


def _grouped(features: pl.DataFrame, owned: CsrMatrix, profile: ItemProfile) -> Iterator[UserGroups]:
    for column in features:
        labels, edges, codes = _text_codes(column) if column.dtype == pl.String else _number_codes(column)
        count = len(edges) + 1 if labels is None else len(labels)
        if count > 1:
            lifts = np.vstack([_lifts(owned, codes, count, profile), np.ones(owned.shape[1])]).astype(np.float32)
            yield UserGroups(name=column.name, labels=labels, edges=edges, lifts=lifts)


def _text_codes(column: pl.Series) -> tuple[tuple[str, ...], FloatArray, IndexArray]:
    counts = column.drop_nulls().value_counts(sort=True, name="customers").filter(pl.col("customers") >= _RAREST)
    labels = tuple(sorted(counts[column.name].to_list()))
    place = {label: number for number, label in enumerate(labels)}
    codes = np.array([place.get(value, -1) for value in column.to_list()], np.int32)
    return labels, np.zeros(0, np.float32), codes


def _number_codes(column: pl.Series) -> tuple[None, FloatArray, IndexArray]:
    numbers = column.to_numpy().astype(np.float32)
    known = ~np.isnan(numbers)
    shares = np.arange(1, _BANDS) / _BANDS
    edges = np.unique(np.quantile(numbers[known], shares, method="higher")) if known.any() else np.zeros(0)
    edges = edges[edges > numbers[known].min(initial=np.inf)].astype(np.float32)
    return None, edges, np.where(known, np.searchsorted(edges, numbers, side="right"), -1).astype(np.int32)


def _lifts(owned: CsrMatrix, codes: IndexArray, count: int, profile: ItemProfile) -> DoubleArray:
    """float64 [G, I]."""
    users = np.flatnonzero(codes >= 0)
    member = sparse.csr_matrix((np.ones(len(users)), (codes[users], users)), shape=(count, owned.shape[0]))
    bought = np.asarray((member @ owned).toarray(), np.float64)
    prior: DoubleArray = np.ones_like(bought)
    if profile.categories is not None:
        size = owned.shape[1]
        places = (np.arange(size), profile.categories)
        kinds = sparse.csr_matrix((np.ones(size), places), shape=(size, profile.category_count))
        prior = _smoothed(np.asarray(bought @ kinds), 1.0)[:, profile.categories]
    return _smoothed(bought, prior)


def _smoothed(bought: DoubleArray, prior: DoubleArray | float) -> DoubleArray:
    """Purchases of each group over what they would be if all groups bought alike."""
    share = bought.sum(axis=1, keepdims=True) / max(float(bought.sum()), 1.0)
    return np.asarray((bought + _PRIOR * prior) / (bought.sum(axis=0) * share + _PRIOR), np.float64)
