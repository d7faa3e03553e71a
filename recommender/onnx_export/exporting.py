"""`export`: build the ONNX form of a model, prove it equal on real and adversarial rows, or refuse."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import lightgbm as lgb
import numpy as np
import polars as pl
from sklearn.base import BaseEstimator

from recommender.dataset import Interactions
from recommender.errors import InvalidData
from recommender.history import History, last_histories
from recommender.ids import as_strings
from recommender.models.base import Retriever
from recommender.onnx_export.adversarial import odd_frame, odd_histories, odd_texts
from recommender.onnx_export.certificate import Answers, Certificate, certify
from recommender.onnx_export.estimator_graph import Estimator
from recommender.onnx_export.estimators import export_estimator
from recommender.onnx_export.feeds import history_feeds, with_odd_features
from recommender.onnx_export.neighbour_graph import build_neighbour_graph
from recommender.onnx_export.regression_graph import build_regression_graph
from recommender.onnx_export.session import cut_rows, open_session, run_in_batches
from recommender.onnx_export.signature import Signature
from recommender.onnx_export.text_graph import build_text_graph
from recommender.onnx_export.two_stage_graph import build_two_stage_graph
from recommender.regression import RegressionModel
from recommender.text import TextClassifier
from recommender.two_stage import TwoStage
from recommender.types import AnyArray

Row = TypeVar("Row")

ADVERSARIAL_ROWS = 10_000
_SAMPLE_ROWS = 10_000
_COMPARED_K = 20
_HISTORIES_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """A proved model: the file's bytes, what goes in and comes out, and the proof."""

    onnx_bytes: bytes
    signature: Signature
    certificate: Certificate

    @property
    def digest(self) -> str:
        """sha256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self.onnx_bytes).hexdigest()


def export(
    model: Retriever | TwoStage | RegressionModel | TextClassifier | Estimator,
    sample: Interactions | pl.DataFrame | AnyArray | Sequence[str],
    *,
    adversarial_rows: int = ADVERSARIAL_ROWS,
    seed: int = 0,
) -> Export:
    """Turn a fitted model into ONNX and compare both on `sample` and on `adversarial_rows` made-up rows.

    The sample is what the model answers: interactions for a recommender, a frame for a regression, texts for a text
    classifier, an array [N, F] or texts for any other estimator of scikit-learn or LightGBM. Of more than 10,000
    rows of this library's models 10,000 are drawn. Raises ExportMismatch, InvalidData.

    >>> rows = pl.DataFrame({"user": ["ann", "ann", "bob", "bob"], "item": ["tea", "jam", "tea", "jam"]})
    >>> shop = Interactions.from_frame(rows)
    >>> from recommender.models import Ease
    >>> exported = export(Ease(l2=1.0).fit(shop), shop, adversarial_rows=100)
    >>> exported.certificate.rows, exported.certificate.flips
    (102, 0)
    """
    rng = np.random.default_rng(seed)
    if isinstance(model, Retriever | TwoStage) and isinstance(sample, Interactions):
        return _export_recommender(model, sample, adversarial_rows, rng)
    if isinstance(model, RegressionModel) and isinstance(sample, pl.DataFrame):
        return _export_regression(model, sample, adversarial_rows, rng)
    if isinstance(model, TextClassifier) and not isinstance(sample, Interactions | pl.DataFrame | np.ndarray):
        return _export_text(model, sample, adversarial_rows, rng)
    if isinstance(model, BaseEstimator | lgb.Booster) and not isinstance(sample, Interactions):
        onnx_bytes, certificate = export_estimator(model, sample, adversarial_rows, rng)
        return Export(onnx_bytes=onnx_bytes, signature=Signature.of(onnx_bytes), certificate=certificate)
    raise InvalidData(f"export: {type(model).__name__} does not go with a sample of {type(sample).__name__}")


def _export_recommender(
    model: Retriever | TwoStage, sample: Interactions, adversarial_rows: int, rng: np.random.Generator
) -> Export:
    if isinstance(model, TwoStage):
        onnx_bytes, table, groups = (
            build_two_stage_graph(model.model),
            model.model.first.table,
            model.model.first.groups,
        )
    else:
        onnx_bytes, table, groups = build_neighbour_graph(model.table), model.table, ()
    signature = Signature.of(onnx_bytes)
    real = _draw(list(last_histories(sample).values()), rng)
    odd = with_odd_features(odd_histories(table.items.externals.tolist(), adversarial_rows, rng), groups, rng)
    histories = sorted(real, key=_length) + sorted(odd, key=_length)  # so that a batch needs little padding
    native = model.recommend(histories, k=_COMPARED_K)
    answers = run_in_batches(open_session(onnx_bytes), _history_feeds(histories, signature))
    certificate = certify(
        Answers(numbers=native.scores.astype(np.float64), names=native.items),
        Answers(numbers=answers["scores"].astype(np.float64), names=answers["items"]),
        sample_rows=len(real),
    )
    return Export(onnx_bytes=onnx_bytes, signature=signature, certificate=certificate)


def _history_feeds(histories: list[History], signature: Signature) -> Iterator[dict[str, Any]]:
    k = np.array([_COMPARED_K], np.int64)
    for start in range(0, len(histories), _HISTORIES_AT_ONCE):
        yield {**history_feeds(histories[start : start + _HISTORIES_AT_ONCE], signature), "k": k}


def _length(history: History) -> int:
    return len(history.items)


def _export_regression(
    model: RegressionModel, sample: pl.DataFrame, adversarial_rows: int, rng: np.random.Generator
) -> Export:
    onnx_bytes = build_regression_graph(model)
    real = sample.select(feature.name for feature in model.features)
    real = real[_draw(list(range(len(real))), rng)]
    odd = odd_frame(real, model.features, model.booster, adversarial_rows, rng)
    frame = pl.concat([real.cast(odd.schema), odd])
    found = run_in_batches(open_session(onnx_bytes), cut_rows(regression_feeds(model, frame)))
    native = np.column_stack([model.predict(frame), model.predict_quantiles(frame)])
    exported = np.column_stack([found["value"], *(found[quantile.name] for quantile in model.quantiles)])
    certificate = certify(
        Answers(numbers=native.astype(np.float64)),
        Answers(numbers=exported.astype(np.float64)),
        sample_rows=len(real),
    )
    return Export(onnx_bytes=onnx_bytes, signature=Signature.of(onnx_bytes), certificate=certificate)


def regression_feeds(model: RegressionModel, frame: pl.DataFrame) -> dict[str, AnyArray]:
    """The columns of `frame` as the exported graph takes them."""
    feeds: dict[str, AnyArray] = {}
    for feature in model.features:
        column = frame[feature.name]
        if feature.categories is not None:
            feeds[feature.name] = as_strings(column.cast(pl.String).fill_null("").to_list())[:, np.newaxis]
        else:
            numbers = column.cast(pl.Float32).fill_null(float("nan")).to_numpy()
            feeds[feature.name] = numbers[:, np.newaxis]
    return feeds


def _export_text(
    model: TextClassifier, sample: Sequence[str], adversarial_rows: int, rng: np.random.Generator
) -> Export:
    onnx_bytes = build_text_graph(model)
    real = _draw(list(sample), rng)
    vocabulary = sorted({term for vectorizer in model.vectorizers for term in vectorizer.vocabulary_})
    texts = real + odd_texts(vocabulary, real, adversarial_rows, rng)
    answers = run_in_batches(open_session(onnx_bytes), cut_rows({"text": as_strings(texts)[:, np.newaxis]}))
    native = model.predict_proba(texts)
    certificate = certify(
        Answers(numbers=native, names=np.array(model.labels, dtype=object)[native.argmax(axis=1)][:, np.newaxis]),
        Answers(numbers=answers["probabilities"].astype(np.float64), names=answers["label"][:, np.newaxis]),
        sample_rows=len(real),
    )
    return Export(onnx_bytes=onnx_bytes, signature=Signature.of(onnx_bytes), certificate=certificate)


def _draw(rows: list[Row], rng: np.random.Generator) -> list[Row]:
    if len(rows) <= _SAMPLE_ROWS:
        return rows
    return [rows[place] for place in sorted(rng.choice(len(rows), _SAMPLE_ROWS, replace=False).tolist())]
