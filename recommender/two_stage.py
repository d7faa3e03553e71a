"""Two stages: retrieve candidates in several simple ways, then rank them with LightGBM LambdaRank.

Burges, "From RankNet to LambdaRank to LambdaMART: An Overview", MSR-TR-2010-82. The ranker learns only from the future
of each training window: what it knows of customers and items ends where the window begins.
"""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

import lightgbm as lgb
import numpy as np
import polars as pl

from recommender.dataset import Interactions
from recommender.errors import InvalidData, NotFitted
from recommender.history import histories_at
from recommender.models.base import Retriever
from recommender.models.ease import Ease
from recommender.models.neighbours import Histories, Recommendations, Row, Weighting, check_request, collect, top_k
from recommender.models.similar_content import check_item_features
from recommender.reranking.first_stage import MASKED, Candidates, FirstStage
from recommender.reranking.item_profile import ItemProfile
from recommender.reranking.user_groups import groups_of
from recommender.splits import require_times
from recommender.trees import with_float32_thresholds
from recommender.types import FloatArray, IndexArray

_ROWS_AT_ONCE = 256  # customers whose candidates are ranked together


@dataclass(frozen=True, kw_only=True)
class TwoStageModel:
    """What `TwoStage.fit` learned; `booster` scores rows of `first.feature_names`."""

    first: FirstStage
    booster: lgb.Booster


@dataclass(kw_only=True)
class TwoStage:
    """The whole recommender of a shop where people buy again and discover.

    `retriever` links items with each other (any that counts each item of a history once; it is fitted without
    repeats); `candidates` are ranked per customer; the ranker learns from `windows` periods of `window_days` before the
    end of the data, each with everything before it as history. `item_features` as for `SimilarContent` (category and
    price are used). Features of the users of the interactions tell what their groups buy more than others.
    `recommend` wants `History` with ages in days and, where there are any, with the customer's features.
    """

    retriever: Retriever = field(default_factory=lambda: Ease(repeat_weight=0.0))
    candidates: int = 100
    windows: int = 3
    window_days: int = 30
    trees: int = 100
    leaves: int = 31
    learning_rate: float = 0.05
    item_features: pl.DataFrame | None = None
    seed: int = 0
    _model: TwoStageModel | None = field(default=None, init=False, repr=False)

    @property
    def model(self) -> TwoStageModel:
        """What was learned. Raises NotFitted."""
        if self._model is None:
            raise NotFitted("TwoStage has not been fitted; call fit(interactions) first")
        return self._model

    @property
    def size_bytes(self) -> int:
        """How much was learned. Raises NotFitted."""
        first, trees = self.model.first, self.model.booster.model_to_string()
        lifts = sum(group.lifts.nbytes for group in first.groups)
        return first.table.size_bytes + first.profile.values.nbytes + lifts + len(trees)

    def fit(self, interactions: Interactions) -> Self:
        """Learn the ranker on past windows and retrieval on everything. Raises InvalidData without times or windows."""
        require_times(interactions)
        if self.item_features is not None:
            check_item_features(self.item_features)
        parts = [part for cut in self._cuts(interactions) for part in self._examples(interactions, cut)]
        if not parts:
            raise InvalidData(
                f"no customer of the last {self.windows * self.window_days} days had bought anything before; "
                "give more data or shorter windows"
            )
        first = self._first_stage(interactions)
        self._model = TwoStageModel(first=first, booster=self._rank(parts, first.feature_names))
        return self

    def recommend(
        self,
        histories: Histories,
        *,
        k: int = 10,
        exclude: Sequence[Sequence[str]] | None = None,
        unavailable: Sequence[str] = (),
    ) -> Recommendations:
        """The k best items for each history. The reason is the item itself where it was bought before.

        An empty history gets what sells now. Raises NotFitted, InvalidData.
        """
        check_request(histories, k, exclude)
        table = self.model.first.table
        missing = table.known(unavailable)
        rows: list[Row] = []
        for start in range(0, len(histories), _ROWS_AT_ONCE):
            found = [
                self.model.first.describe(
                    history, k=k, barred=missing if exclude is None else np.append(table.known(exclude[place]), missing)
                )
                for place, history in enumerate(histories[start : start + _ROWS_AT_ONCE], start)
            ]
            rows += [self._best(one, scores, k) for one, scores in zip(found, self.score(found), strict=True)]
        return collect(table.items, rows, min(k, len(table.items)))

    def _best(self, found: Candidates, scores: FloatArray, k: int) -> Row:
        best = top_k(scores, k)
        best = best[scores[best] > MASKED]
        return found.items[best], scores[best], self._reasons(found, best)

    def score(self, found: Sequence[Candidates]) -> list[FloatArray]:
        """For each customer float32 [C]: the ranker's scores, or the blend where nothing is known of the customer."""
        features = np.concatenate([one.features for one in found]).astype(np.float64)
        ranked = np.asarray(self.model.booster.predict(features, num_threads=1), np.float32)
        parts = np.split(ranked, np.cumsum([len(one.items) for one in found])[:-1])
        return [
            np.where(one.blend > MASKED, part, MASKED) if len(one.owned) else one.blend
            for one, part in zip(found, parts, strict=True)
        ]

    def _reasons(self, found: Candidates, best: IndexArray) -> IndexArray:
        items = found.items[best]
        linked = self.model.first.table.reasons((found.owned, np.ones(len(found.owned), np.float32)), items)
        return np.where(found.is_owned[best], items, linked).astype(np.int32)

    def _cuts(self, interactions: Interactions) -> Iterator[datetime]:
        last = interactions.events["time"].max()
        if isinstance(last, datetime):
            for window in range(self.windows):
                yield last - timedelta(days=self.window_days * (window + 1))

    def _first_stage(self, interactions: Interactions) -> FirstStage:
        retriever = copy(self.retriever).fit(interactions)
        if retriever.table.weighting is not Weighting.DISTINCT:
            raise InvalidData(
                f"TwoStage: {type(self.retriever).__name__} weighs events; take one that counts items once"
            )
        profile = ItemProfile.of(interactions, self.item_features)
        groups = groups_of(interactions, profile)
        return FirstStage(table=retriever.table, profile=profile, candidates=self.candidates, groups=groups)

    def _examples(self, interactions: Interactions, cut: datetime) -> Iterator[tuple[FloatArray, IndexArray]]:
        """Features and bought-or-not of the candidates of every customer who came back in the window after `cut`.

        Each gives two lists, of all items and of the new ones alone, since both are asked for later.
        """
        in_window = (pl.col("time") >= cut) & (pl.col("time") < cut + timedelta(days=self.window_days))
        if not interactions.events.select((pl.col("time") < cut).any() & in_window.any()).item():
            return
        past, future = interactions.where(pl.col("time") < cut), interactions.where(in_window).histories()
        first = self._first_stage(past)
        for user, history in histories_at(past, cut).items():
            for barred in (first.table.known(()), first.table.known(history.items)) if user in future else ():
                found = first.describe(history, k=1, barred=barred)
                bought = np.isin(found.items, first.table.known(future[user])) & (found.blend > MASKED)
                if bought.any():
                    yield found.features, bought.astype(np.int32)

    def _rank(self, parts: list[tuple[FloatArray, IndexArray]], names: tuple[str, ...]) -> lgb.Booster:
        features, bought = (np.concatenate(column) for column in zip(*parts, strict=True))
        data = lgb.Dataset(
            features.astype(np.float64), bought, group=[len(part) for _, part in parts], feature_name=list(names)
        )
        return with_float32_thresholds(lgb.train(self._parameters(), data, self.trees))

    def _parameters(self) -> dict[str, Any]:
        return {
            "objective": "lambdarank",
            "lambdarank_truncation_level": 20,
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": 50,
            "lambda_l2": 5.0,
            "feature_fraction": 0.6,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "seed": self.seed,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
