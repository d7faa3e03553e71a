"""Which recommender is best on this data: every model on the same split, by every metric, with its cost."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import polars as pl

from recommender import metrics
from recommender.dataset import Interactions
from recommender.errors import InvalidData
from recommender.history import History
from recommender.models import (
    BoughtTogether,
    Ease,
    ImplicitAls,
    ItemKnn,
    NextItem,
    PersonalFrequency,
    Popularity,
    RecentPopularity,
    Recommendations,
)
from recommender.models.popularity import count_customers
from recommender.splits import Case, Split
from recommender.two_stage import TwoStage
from recommender.types import DoubleArray, StringArray

BASELINE = "recent_popularity"
DEPTH = 20
_RESAMPLES = 1000


class Recommender(Protocol):
    """What can be evaluated: every retriever and `TwoStage`."""

    def fit(self, interactions: Interactions) -> Self: ...

    def recommend(
        self, histories: Sequence[History], *, k: int = 10, exclude: Sequence[Sequence[str]] | None = None
    ) -> Recommendations: ...


MODELS: Mapping[str, Callable[[], Recommender]] = {
    "popularity": Popularity,
    BASELINE: RecentPopularity,
    "item_knn": ItemKnn,
    "item_knn_bm25": lambda: ItemKnn(similarity="bm25"),
    "ease": Ease,
    "implicit_als": ImplicitAls,
    "personal_frequency": PersonalFrequency,
    "next_item": NextItem,
    "bought_together": BoughtTogether,
    "two_stage": TwoStage,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """`models` maps a model's name to its figures; `to_json` is what `--json` writes."""

    customers: int
    models: dict[str, dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """As plain values for `json.dumps`."""
        return {"customers": self.customers, "models": self.models}


def evaluate(
    split: Split,
    names: Sequence[str] = tuple(MODELS),
    *,
    categories: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
    seed: int = 0,
) -> Evaluation:
    """Fit and test the named models; `BASELINE` is always among them. `categories` (item to category) adds diversity.

    Figures of each model: precision, recall, ndcg, map, mrr and hit_rate at 10, recall at 20; the same with `_new`
    (items that the customer did not have, from lists without those they had) and `ndcg@10_repeat` (those they had);
    `ndcg@10_low` and `_high` (95 % bootstrap interval), coverage (share of the catalogue in any list), novelty (mean
    bits -log2 of the share of customers who have the item), diversity (mean share of different categories in a list),
    fit_seconds and users_per_second. Raises InvalidData.
    """
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise InvalidData(f"models: expected some of {', '.join(MODELS)}, got '{unknown[0]}'")
    cases = split.cases()
    if not cases:
        raise InvalidData("no customer is both in the history and in the test part of this split")
    figures = {}
    for name in dict.fromkeys([*names, BASELINE]):
        progress(name)
        figures[name] = _evaluate_one(MODELS[name](), split.train, cases, categories, seed)
    return Evaluation(customers=len(cases), models=figures)


def _evaluate_one(
    model: Recommender,
    train: Interactions,
    cases: Sequence[Case],
    categories: Mapping[str, str] | None,
    seed: int,
) -> dict[str, Any]:
    started = time.perf_counter()
    model.fit(train)
    fitted = time.perf_counter()
    items = model.recommend([case.history for case in cases], k=DEPTH).items
    answered = time.perf_counter()
    found = _accuracy(items, [case.relevant for case in cases], "")
    found |= _interval(items, cases, seed)
    found |= _repeat(items, cases) | _new(model, cases)
    found |= _beyond_accuracy(items[:, :10], train, categories)
    return found | {"fit_seconds": fitted - started, "users_per_second": len(cases) / (answered - fitted)}


def _accuracy(items: StringArray, relevant: Sequence[frozenset[str]], suffix: str) -> dict[str, float]:
    hits, counts = metrics.find_hits(items, relevant)
    ten = hits[:, :10]
    values = {
        "precision@10": metrics.precision(ten),
        "recall@10": metrics.recall(ten, counts),
        "recall@20": metrics.recall(hits, counts),
        "ndcg@10": metrics.ndcg(ten, counts),
        "map@10": metrics.average_precision(ten, counts),
        "mrr@10": metrics.reciprocal_rank(ten),
        "hit_rate@10": metrics.hit_rate(ten),
    }
    return {f"{name}{suffix}": float(value.mean()) for name, value in values.items()}


def _interval(items: StringArray, cases: Sequence[Case], seed: int) -> dict[str, float]:
    hits, counts = metrics.find_hits(items[:, :10], [case.relevant for case in cases])
    low, high = bootstrap_interval(metrics.ndcg(hits, counts), seed=seed)
    return {"ndcg@10_low": low, "ndcg@10_high": high}


def bootstrap_interval(values: DoubleArray, *, seed: int = 0, resamples: int = _RESAMPLES) -> tuple[float, float]:
    """The 2.5 % and 97.5 % quantiles of the mean under resampling of the customers (Efron 1979).

    >>> bootstrap_interval(np.array([0.25] * 8))
    (0.25, 0.25)
    """
    rng = np.random.default_rng(seed)
    means = np.array([values[rng.integers(0, len(values), len(values))].mean() for _ in range(resamples)])
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _repeat(items: StringArray, cases: Sequence[Case]) -> dict[str, float]:
    """How well items are found that the customer had before; 0 where nobody bought again."""
    again = [case.relevant & set(case.history.items) for case in cases]
    rows = [row for row, wanted in enumerate(again) if wanted]
    if not rows:
        return {"ndcg@10_repeat": 0.0}
    hits, counts = metrics.find_hits(items[rows, :10], [again[row] for row in rows])
    return {"ndcg@10_repeat": float(metrics.ndcg(hits, counts).mean())}


def _new(model: Recommender, cases: Sequence[Case]) -> dict[str, float]:
    """The metrics for items that the customer did not have; 0 where nobody bought a new one."""
    explorers = [case for case in cases if case.relevant - set(case.history.items)]
    if not explorers:
        return {"ndcg@10_new": 0.0, "recall@20_new": 0.0}
    owned = [list(dict.fromkeys(case.history.items)) for case in explorers]
    found = model.recommend([case.history for case in explorers], k=DEPTH, exclude=owned)
    new = [case.relevant.difference(case.history.items) for case in explorers]
    return _accuracy(found.items, new, "_new")


def _beyond_accuracy(items: StringArray, train: Interactions, categories: Mapping[str, str] | None) -> dict[str, float]:
    shown = train.items.to_internal([item for item in items.ravel().tolist() if item])
    share = count_customers(train)[shown] / len(train.users)
    figures = {
        "coverage": len(np.unique(shown)) / len(train.items),
        "novelty": float(-np.log2(share).mean()) if len(shown) else 0.0,
    }
    if categories is not None:
        kinds = [len({categories.get(item, "") for item in row if item}) / len(row) for row in items.tolist()]
        figures["diversity"] = float(np.mean(kinds))
    return figures


def categories_of(features: pl.DataFrame) -> dict[str, str] | None:
    """Item to category, where the features have one."""
    if "category" not in features.columns:
        return None
    known = features.drop_nulls("category")
    return dict(zip(known["item"].to_list(), known["category"].cast(pl.String).to_list(), strict=True))
