"""How each starter's model is trained: measured on rows that it has not seen, then fitted on all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from inferhub.starters.samples.dataset import Dataset
from inferhub.starters.samples.demand import generate_demand
from inferhub.starters.samples.logins import generate_logins
from inferhub.starters.samples.messages import generate_messages
from inferhub.starters.samples.orders import generate_orders
from inferhub.starters.samples.patients import generate_patients
from inferhub.starters.samples.returns import generate_returns
from inferhub.starters.samples.shop import generate_shop
from recommender import (
    Ease,
    Export,
    Interactions,
    Popularity,
    export,
    fit_regression,
    fit_text_classifier,
    metrics,
    pad_histories,
    split_by_time,
)

ADVERSARIAL_ROWS = 2000
_HELD_OUT = 0.25
_GOLDEN_ROWS = 20
_GOLDEN_K = 10
_MESSAGES = 1200
_TESTED_DAYS = 30
_EVENTS = "user=user_id,item=item_id,time=occurred_at"

Golden = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A proved model, how it did on rows that it had not seen, and rows that must come out as they say."""

    export: Export
    metrics: Mapping[str, float]
    golden: Golden
    steps: Mapping[str, Any]
    learned_from: str
    estimator: str


def _classifier(
    frame: pl.DataFrame, positive: str, make: Callable[[], Any], what: str, *, estimator: str, is_scaled: bool = False
) -> Trained:
    """Learn the column `label`; the model answers with the probability of `positive` beside its label."""
    known, truth = frame.drop("label"), frame["label"].to_numpy().astype(object)
    place = int(len(frame) * (1 - _HELD_OUT))
    tested = _pipeline(known, make(), is_scaled=is_scaled).fit(known[:place], truth[:place])
    at = tested.classes_.tolist().index(positive)
    probability, is_positive = tested.predict_proba(known[place:])[:, at], truth[place:] == positive
    model = _pipeline(known, make(), is_scaled=is_scaled).fit(known, truth)
    shown = known.head(_GOLDEN_ROWS)
    return Trained(
        export=export(model, known, adversarial_rows=ADVERSARIAL_ROWS),
        metrics={
            "auc": float(roc_auc_score(is_positive, probability)),
            "brier": float(brier_score_loss(is_positive, probability)),
            "brier_of_the_share": float(is_positive.mean() * (1 - is_positive.mean())),
        },
        golden=_golden(shown, {"label": model.predict(shown), "probabilities": model.predict_proba(shown)}),
        steps={
            "postprocess": [
                {"step": "element", "of": "probabilities", "place": at, "into": "probability"},
                {"step": "drop", "outputs": ["probabilities"]},
            ]
        },
        learned_from=f"{len(frame):,} {what}, {(truth == positive).mean():.1%} of them {positive}",
        estimator=estimator,
    )


def _pipeline(known: pl.DataFrame, model: Any, *, is_scaled: bool) -> Pipeline:
    texts = [name for name in known.columns if known[name].dtype == pl.String]
    numbers = [name for name in known.columns if name not in texts]
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer(
        [("numbers", StandardScaler() if is_scaled else "passthrough", numbers), ("words", words, texts)]
    )
    return Pipeline([("columns", columns), ("model", model)])


def _boosting() -> LGBMClassifier:
    """Small trees, few of them: 6,000 rows hold no more."""
    return LGBMClassifier(
        n_estimators=80,
        num_leaves=8,
        learning_rate=0.1,
        min_child_samples=30,
        random_state=0,
        deterministic=True,
        force_row_wise=True,
        num_threads=1,
        verbosity=-1,
    )


def train_order_fraud() -> Trained:
    return _classifier(generate_orders(), "fraud", _boosting, "invented orders", estimator="LightGBM, 80 trees")


def train_login_threat() -> Trained:
    return _classifier(generate_logins(), "threat", _boosting, "invented sign-ins", estimator="LightGBM, 80 trees")


def train_returns() -> Trained:
    return _classifier(
        generate_returns(),
        "problem",
        lambda: RandomForestClassifier(60, max_depth=8, min_samples_leaf=10, random_state=0),
        "invented returns",
        estimator="a random forest of 60 trees (scikit-learn)",
    )


def train_patient_risk() -> Trained:
    return _classifier(
        generate_patients(),
        "worse",
        lambda: LogisticRegression(max_iter=1000),
        "invented observations",
        estimator="a logistic regression (scikit-learn)",
        is_scaled=True,
    )


def train_demand() -> Trained:
    frame = generate_demand()
    place = int(len(frame) * (1 - _HELD_OUT))
    early, late = frame[:place], frame[place:]
    truth = late["units"].to_numpy().astype(np.float64)
    tested = fit_regression(early, "units", trees=150, quantiles=(0.9,))
    error = np.abs(tested.predict(late) - truth).mean()
    before = np.abs(late["units_average"].to_numpy() - truth).mean()
    model = fit_regression(frame, "units", trees=150, quantiles=(0.9,))
    shown = frame.drop("units").head(_GOLDEN_ROWS)
    answers = {"value": model.predict(shown)[:, np.newaxis], "quantile_90": model.predict_quantiles(shown)}
    return Trained(
        export=export(model, frame, adversarial_rows=ADVERSARIAL_ROWS),
        metrics={
            "mean_absolute_error": float(error),
            "mean_absolute_error_of_usual_sales": float(before),
            "share_within_quantile_90": float((truth <= tested.predict_quantiles(late)[:, 0]).mean()),
        },
        golden=_golden(
            shown.cast({name: pl.Float64 for name in shown.columns if shown[name].dtype.is_numeric()}), answers
        ),
        steps={},
        learned_from=f"{len(frame):,} invented weeks of sales",
        estimator="LightGBM, 150 trees for the mean and 150 for the quantile",
    )


def train_spam() -> Trained:
    return train_text_filter(generate_messages(count=_MESSAGES))


def train_text_filter(messages: pl.DataFrame) -> Trained:
    """A spam classifier from the columns text and label (spam or ham)."""
    texts, labels = messages["text"].to_list(), messages["label"].to_list()
    place = int(len(texts) * (1 - _HELD_OUT))
    tested = fit_text_classifier(texts[:place], labels[:place], positive="spam", words=(1, 2))
    said, truth = tested.predict(texts[place:]) == "spam", np.array(labels[place:]) == "spam"
    model = fit_text_classifier(texts, labels, positive="spam", words=(1, 2))
    shown = texts[:_GOLDEN_ROWS]
    probabilities = model.predict_proba(shown)
    answers = {"label": model.predict(shown), "probability": probabilities[:, [model.labels.index("spam")]]}
    return Trained(
        export=export(model, texts, adversarial_rows=ADVERSARIAL_ROWS),
        metrics={
            "f1": float(2 * (said & truth).sum() / max(said.sum() + truth.sum(), 1)),
            "blocked_by_mistake": float((said & ~truth).sum() / max((~truth).sum(), 1)),
        },
        golden=_golden(pl.DataFrame({"text": shown}), answers),
        steps={},
        learned_from=f"{len(texts):,} messages, {(np.array(labels) == 'spam').mean():.1%} of them spam",
        estimator="n-grams of characters and words, and a logistic regression (scikit-learn)",
    )


def train_recommendations() -> Trained:
    return train_recommender(generate_shop())


def train_recommender(data: Dataset) -> Trained:
    """A recommender from a shop's purchases, measured on those of the last 30 days."""
    purchases = Interactions.from_frame(data.purchases, _EVENTS)
    last: Any = data.purchases["occurred_at"].dt.replace_time_zone(None).max()
    found = _ndcg(purchases, last - timedelta(days=_TESTED_DAYS))
    model = Ease().fit(purchases)
    exported = export(model, purchases, adversarial_rows=ADVERSARIAL_ROWS)
    return Trained(
        export=exported,
        metrics=found,
        golden=_golden_lists(model, data),
        steps={},
        learned_from=f"{len(data.purchases):,} purchases of {data.items.height:,} articles ({data.name})",
        estimator="EASE with sparse neighbours",
    )


def _ndcg(purchases: Interactions, at: Any) -> dict[str, float]:
    """How well lists made before `at` foresee what was bought after it, beside those of the best-sellers."""
    split = split_by_time(purchases, at)
    cases = split.cases()
    histories, relevant = [case.history for case in cases], [case.relevant for case in cases]
    found = {}
    for name, model in (("", Ease()), ("_of_best_sellers", Popularity())):
        items = model.fit(split.train).recommend(histories, k=_GOLDEN_K).items
        found[f"ndcg@{_GOLDEN_K}{name}"] = float(metrics.ndcg(*metrics.find_hits(items, relevant)).mean())
    return found


def _golden(rows: pl.DataFrame, answers: Mapping[str, NDArray[Any]]) -> Golden:
    """Rows as a table's model takes them, one input a column, and what the native model answers."""
    return {
        "inputs": {name: [[value] for value in rows[name].to_list()] for name in rows.columns},
        "outputs": {name: array.tolist() for name, array in answers.items()},
    }


def _golden_lists(model: Ease, data: Dataset) -> Golden:
    bought = data.purchases.group_by("user_id", maintain_order=True).agg(pl.col("item_id").unique(maintain_order=True))
    histories: list[Sequence[str]] = [*bought["item_id"].head(_GOLDEN_ROWS - 1).to_list(), []]
    return {
        "inputs": {"history": pad_histories(histories).tolist(), "k": [_GOLDEN_K]},
        "outputs": {"items": model.recommend(histories, k=_GOLDEN_K).items.tolist()},
    }


TRAINERS: Mapping[str, Callable[[], Trained]] = {
    "recommendations": train_recommendations,
    "spam-filter": train_spam,
    "demand-reorder": train_demand,
    "order-fraud": train_order_fraud,
    "returns-approval": train_returns,
    "login-threat": train_login_threat,
    "patient-risk": train_patient_risk,
}
"""By the name of the starter."""
