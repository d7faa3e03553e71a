"""Train the three models of the demo, measure each on rows that it has not seen, and export it with its proof."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from inferhub.starters.samples.dataset import ORDER_CATEGORIES, ORDER_NUMBERS, ORDER_TARGET, Dataset
from inferhub.starters.training.trainers import Trained, train_recommender, train_text_filter
from recommender import Export, export, fit_regression

_HELD_OUT = 0.2


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
    return _named(
        train_recommender(data),
        name="recommendations",
        task="recommendation",
        description="What a customer may want next, from what was bought before (EASE, sparse neighbours).",
    )


def _train_spam(data: Dataset) -> TrainedModel:
    return _named(
        train_text_filter(data.messages),
        name="spam",
        task="classification",
        description="Whether a message to the shop is spam (n-grams, logistic regression).",
    )


def _named(trained: Trained, *, name: str, task: str, description: str) -> TrainedModel:
    return TrainedModel(name=name, task=task, description=description, export=trained.export, metrics=trained.metrics)


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


def _cut(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The earlier rows to learn from, the later ones to be judged by."""
    place = int(len(frame) * (1 - _HELD_OUT))
    return frame[:place], frame[place:]
