"""Which recommender is best on this data: every model on the same split, by every metric, with its cost."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
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
    SimilarContent,
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

    @property
    def size_bytes(self) -> int: ...


Maker = Callable[[pl.DataFrame | None], Recommender]


def _similar_content(item_features: pl.DataFrame | None) -> Recommender:
    if item_features is None:
        raise InvalidData("needs features of the items")
    return SimilarContent(item_features)


MODELS: Mapping[str, Maker] = {
    "popularity": lambda _: Popularity(),
    BASELINE: lambda _: RecentPopularity(),
    "item_knn": lambda _: ItemKnn(),
    "item_knn_bm25": lambda _: ItemKnn(similarity="bm25"),
    "ease": lambda _: Ease(),
    "implicit_als": lambda _: ImplicitAls(),
    "personal_frequency": lambda _: PersonalFrequency(),
    "next_item": lambda _: NextItem(),
    "bought_together": lambda _: BoughtTogether(),
    "similar_content": _similar_content,
    "two_stage": lambda item_features: TwoStage(item_features=item_features),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """`models` maps a model's name to its figures, `skipped` to the reason why it cannot learn from these data."""

    customers: int
    models: dict[str, dict[str, float]]
    skipped: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """As plain values for `json.dumps`; what `--json` writes."""
        return asdict(self)


def evaluate(
    split: Split,
    names: Sequence[str] = tuple(MODELS),
    *,
    item_features: pl.DataFrame | None = None,
    progress: Callable[[str], None] = lambda _: None,
    seed: int = 0,
) -> Evaluation:
    """Fit and test the named models; `BASELINE` is always among them. `item_features` as for `SimilarContent`.

    Figures of each model: precision, recall, ndcg, map, mrr and hit_rate at 10, recall at 20; the same with `_new`
    (items that the customer did not have, from lists without those they had) and with `_repeat` (those they had);
    `ndcg@10_low` and `_high` (95 % bootstrap interval; also `ndcg@10_new_low`, ...), coverage (share of the catalogue
    in any list), novelty (mean bits -log2 of the share of customers who have the item), diversity (mean share of
    different categories in a list, where items have some), fit_seconds, users_per_second, size_bytes (of what was
    learned). A model that cannot learn from these data (no times, no features of items) is skipped with the reason.
    Raises InvalidData.
    """
    require_models(names)
    cases = split.cases()
    if not cases:
        raise InvalidData("no customer is both in the history and in the test part of this split")
    figures: dict[str, dict[str, float]] = {}
    skipped: dict[str, str] = {}
    categories = {} if item_features is None else categories_of(item_features)
    for name in dict.fromkeys([*names, BASELINE]):
        progress(name)
        try:
            figures[name] = _evaluate_one(MODELS[name](item_features), split.train, cases, categories, seed)
        except InvalidData as exc:
            skipped[name] = str(exc)
    return Evaluation(customers=len(cases), models=figures, skipped=skipped)


def require_models(names: Sequence[str]) -> None:
    """Raise InvalidData that names the first unknown model and all known ones."""
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise InvalidData(f"models: expected some of {', '.join(MODELS)}, got '{unknown[0]}'")


def _evaluate_one(
    model: Recommender, train: Interactions, cases: Sequence[Case], categories: Mapping[str, str], seed: int
) -> dict[str, float]:
    histories, owned = [case.history for case in cases], [list(dict.fromkeys(case.history.items)) for case in cases]
    started = time.perf_counter()
    model.fit(train)
    fitted = time.perf_counter()
    items = model.recommend(histories, k=DEPTH).items
    answered = time.perf_counter()
    new_items = model.recommend(histories, k=DEPTH, exclude=owned).items
    costs = {"fit_seconds": fitted - started, "users_per_second": len(cases) / (answered - fitted)}
    return {
        **_accuracy(items, [case.relevant for case in cases], "", seed),
        **_accuracy(items, [case.relevant.intersection(case.history.items) for case in cases], "_repeat", seed),
        **_accuracy(new_items, [case.relevant.difference(case.history.items) for case in cases], "_new", seed),
        **_beyond_accuracy(items[:, :10], train, categories),
        **costs,
        "size_bytes": model.size_bytes,
    }


def _accuracy(items: StringArray, relevant: Sequence[Collection[str]], suffix: str, seed: int) -> dict[str, float]:
    """Means over the customers who have relevant items; 0 where nobody has."""
    rows = [row for row, wanted in enumerate(relevant) if wanted]
    hits, counts = metrics.find_hits(items[rows], [relevant[row] for row in rows])
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
    means = {f"{name}{suffix}": float(value.mean()) if rows else 0.0 for name, value in values.items()}
    low, high = bootstrap_interval(values["ndcg@10"], seed=seed) if rows else (0.0, 0.0)
    return means | {f"ndcg@10{suffix}_low": low, f"ndcg@10{suffix}_high": high}


def bootstrap_interval(values: DoubleArray, *, seed: int = 0, resamples: int = _RESAMPLES) -> tuple[float, float]:
    """The 2.5 % and 97.5 % quantiles of the mean under resampling of the customers (Efron 1979).

    >>> bootstrap_interval(np.array([0.25] * 8))
    (0.25, 0.25)
    """
    rng = np.random.default_rng(seed)
    means = np.array([values[rng.integers(0, len(values), len(values))].mean() for _ in range(resamples)])
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _beyond_accuracy(items: StringArray, train: Interactions, categories: Mapping[str, str]) -> dict[str, float]:
    shown = train.items.to_internal([item for item in items.ravel().tolist() if item])
    customers = np.append(count_customers(train), 1.0)  # an item that nobody has yet counts as if one customer had it
    figures = {
        "coverage": len(np.unique(shown[shown >= 0])) / len(train.items),
        "novelty": float(-np.log2(customers[shown] / len(train.users)).mean()) if len(shown) else 0.0,
    }
    if categories:
        kinds = [len({categories.get(item, "") for item in row if item}) / len(row) for row in items.tolist()]
        figures["diversity"] = float(np.mean(kinds))
    return figures


def categories_of(features: pl.DataFrame) -> dict[str, str]:
    """Item to category, where the features have one."""
    if "category" not in features.columns:
        return {}
    known = features.drop_nulls("category")
    return dict(zip(known["item"].to_list(), known["category"].cast(pl.String).to_list(), strict=True))
