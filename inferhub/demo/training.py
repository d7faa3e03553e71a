"""Train the three models of the demo, measure each on rows that it has not seen, and export it with its proof."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from inferhub.starters.samples.dataset import ORDER_CATEGORIES, ORDER_NUMBERS, ORDER_TARGET, Dataset
from recommender import (
    Ease,
    Export,
    Interactions,
    export,
    fit_regression,
    fit_text_classifier,
    metrics,
    split_by_time,
)

_K = 10
_TESTED_DAYS = 30
_HELD_OUT = 0.2
_COLUMNS = "user=user_id,item=item_id,time=occurred_at"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedModel:
    """An exported model and what is known of it."""

    name: str
    task: str
    description: str
    export: Export
    metrics: Mapping[str, float]

    @property
    def certificate(self) -> dict[str, Any]:
        return self.export.certificate.to_json()


def train_models(data: Dataset, report: Callable[[str], None]) -> list[TrainedModel]:
    """The recommender, the regression and the spam classifier. Raises ExportMismatch where a form is not equal."""
    models = []
    for train in (_train_recommender, _train_regression, _train_spam):
        model = train(data)
        figures = ", ".join(f"{name} {value:.3f}" for name, value in model.metrics.items())
        difference = model.certificate["max_abs_diff"]
        report(f"{model.name} trained: {figures}; ONNX differs by at most {difference:.1e}")
        models.append(model)
    return models


def _train_recommender(data: Dataset) -> TrainedModel:
    purchases = Interactions.from_frame(data.purchases, _COLUMNS)
    last: Any = data.purchases["occurred_at"].dt.replace_time_zone(None).max()
    split = split_by_time(purchases, last - timedelta(days=_TESTED_DAYS))
    known, later = split.train.histories(), split.test.histories()
    users = [user for user in later if user in known]
    found = Ease().fit(split.train).recommend([known[user] for user in users], k=_K)
    hits, relevant = metrics.find_hits(found.items, [set(later[user]) for user in users])
    return TrainedModel(
        name="recommendations",
        task="recommendation",
        description="What a customer may want next, from what was bought before (EASE, sparse neighbours).",
        export=export(Ease().fit(purchases), purchases),
        metrics={f"ndcg@{_K}": float(metrics.ndcg(hits, relevant).mean())},
    )


def _train_regression(data: Dataset) -> TrainedModel:
    frame = data.orders.select(*ORDER_CATEGORIES, *ORDER_NUMBERS, ORDER_TARGET)
    early, late = _cut(frame)
    model = fit_regression(early, ORDER_TARGET, trees=200)
    truth = late[ORDER_TARGET].to_numpy()
    error = np.abs(model.predict(late) - truth).mean()
    return TrainedModel(
        name="order-value",
        task="regression",
        description="What the next order of a customer will be worth, from the orders before (LightGBM).",
        export=export(model, late),
        metrics={
            "mean_absolute_error": float(error),
            "mean_absolute_error_of_median": float(np.abs(np.median(early[ORDER_TARGET].to_numpy()) - truth).mean()),
        },
    )


def _train_spam(data: Dataset) -> TrainedModel:
    early, late = _cut(data.messages)
    model = fit_text_classifier(early["text"].to_list(), early["label"].to_list(), positive="spam")
    said, truth = model.predict(late["text"].to_list()) == "spam", late["label"].to_numpy() == "spam"
    return TrainedModel(
        name="spam",
        task="classification",
        description="Whether a message to the shop is spam (character n-grams, logistic regression).",
        export=export(model, late["text"].to_list()),
        metrics={"f1": float(2 * (said & truth).sum() / max((said.sum() + truth.sum()), 1))},
    )


def _cut(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The earlier rows to learn from, the later ones to be judged by."""
    place = int(len(frame) * (1 - _HELD_OUT))
    return frame[:place], frame[place:]
