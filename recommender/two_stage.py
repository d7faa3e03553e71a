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
from recommender.models.neighbours import Histories, Recommendations, Row, Weighting, check_request, collect
from recommender.models.similar_content import check_item_features
from recommender.reranking.first_stage import MASKED, Candidates, FirstStage
from recommender.reranking.item_profile import ItemProfile
from recommender.reranking.user_groups import groups_of
from recommender.splits import require_times
from recommender.trees import with_float32_thresholds
from recommender.types import FloatArray, IndexArray


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
        """The k best items for each history. The reason is another item of it, as of every recommender.

        An empty history gets what sells now. Raises NotFitted, InvalidData.
        """
        check_request(histories, k, exclude)
        table = self.model.first.table
        missing = table.known(unavailable)
        rows: list[Row] = []
        step = self.model.first.customers_at_once
        for start in range(0, len(histories), step):
            part = histories[start : start + step]
            barred = [
                missing if exclude is None else np.append(table.known(exclude[place]), missing)
                for place in range(start, start + len(part))
            ]
            rows += self._best(self.model.first.describe(part, k=k, barred=barred), k)
        return collect(table.items, rows, min(k, len(table.items)))

    def _best(self, found: Candidates, k: int) -> Iterator[Row]:
        scores = self.score(found)
        ordered = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        for row, best in enumerate(ordered):
            kept = best[scores[row, best] > MASKED]
            items, owned = found.items[row, kept], found.owned[row]
            linked = self.model.first.table.reasons((owned, np.ones(len(owned), np.float32)), items)
            yield items, scores[row, kept], linked

    def score(self, found: Candidates) -> FloatArray:
        """float32 [N, C]: the ranker's scores, or the blend for customers of whom nothing is known."""
        features = found.features.reshape(-1, found.features.shape[-1])
        ranked = np.asarray(self.model.booster.predict(features, num_threads=1), np.float32).reshape(found.blend.shape)
        is_stranger = np.array([len(owned) == 0 for owned in found.owned])[:, np.newaxis]
        return np.where(is_stranger | (found.blend <= MASKED), found.blend, ranked)

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
        asked = [
            (history, barred, first.table.known(future[user]))
            for user, history in histories_at(past, cut).items()
            if user in future
            for barred in (first.table.known(()), first.table.known(history.items))
        ]
        for start in range(0, len(asked), first.customers_at_once):
            histories, barred, bought = zip(*asked[start : start + first.customers_at_once], strict=True)
            found = first.describe(histories, k=1, barred=barred)
            for row, items in enumerate(bought):
                is_bought = np.isin(found.items[row], items) & (found.blend[row] > MASKED)
                if is_bought.any():
                    yield found.features[row], is_bought.astype(np.int32)

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
