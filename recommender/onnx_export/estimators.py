"""Export of estimators that were not made by this library: any that the converters know."""

from collections.abc import Iterator, Sequence

import lightgbm as lgb
import numpy as np

from recommender.errors import ExportMismatch, InvalidData
from recommender.ids import as_strings
from recommender.onnx_export.adversarial import odd_numbers, odd_texts
from recommender.onnx_export.certificate import Answers, Certificate, certify
from recommender.onnx_export.estimator_graph import (
    Estimator,
    booster_of,
    build_estimator_graph,
    explain_mismatch,
    is_lightgbm,
    steps_of,
)
from recommender.onnx_export.session import cut_rows, open_session, run_in_batches
from recommender.trees import categorical_columns, split_thresholds
from recommender.types import AnyArray, DoubleArray


def export_estimator(
    estimator: Estimator, sample: AnyArray | Sequence[str], adversarial_rows: int, rng: np.random.Generator
) -> tuple[bytes, Certificate]:
    """Convert and compare. Raises ExportMismatch with the best known cause."""
    real = _as_rows(sample)
    onnx_bytes = build_estimator_graph(estimator, columns=real.shape[1] if real.ndim == 2 else None)
    odd = _odd_rows(estimator, real, adversarial_rows, rng)
    rows = np.concatenate([real, odd])
    feeds = {"text": rows[:, np.newaxis]} if rows.ndim == 1 else {"input": rows.astype(np.float32)}
    try:
        found = run_in_batches(open_session(onnx_bytes), cut_rows(feeds))
        certificate = certify(_native(estimator, rows), _exported(found), sample_rows=len(real))
    except ExportMismatch as exc:
        explained = explain_mismatch(estimator, real)
        raise ExportMismatch(f"{explained} ({exc.cause})" if explained else exc.cause) from exc
    return onnx_bytes, certificate


def _as_rows(sample: AnyArray | Sequence[str]) -> AnyArray:
    """Texts as object [N], numbers as float64 [N, F]."""
    if isinstance(sample, np.ndarray) and sample.ndim == 2 and sample.dtype.kind in "fiub":
        return sample.astype(np.float64)
    texts = list(sample)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise InvalidData("sample: expected an array of numbers [N, F] or a list of texts")
    return as_strings(texts)


def _native(estimator: Estimator, rows: AnyArray) -> Answers:
    given = rows.tolist() if rows.ndim == 1 else rows
    if isinstance(estimator, lgb.Booster):
        return Answers(numbers=_two_columns(np.asarray(estimator.predict(given)), estimator))
    if hasattr(estimator, "predict_proba"):
        names = as_strings(str(label) for label in estimator.predict(given))
        return Answers(numbers=np.asarray(estimator.predict_proba(given)), names=names[:, np.newaxis])
    return Answers(numbers=np.asarray(estimator.predict(given), np.float64).reshape(len(rows), -1))


def _two_columns(predicted: DoubleArray, booster: lgb.Booster) -> DoubleArray:
    if booster.params.get("objective") == "binary":
        return np.column_stack([1 - predicted, predicted])
    return predicted.reshape(len(predicted), -1)


def _exported(found: dict[str, AnyArray]) -> Answers:
    if "probabilities" not in found:
        numbers = found["value"]
        return Answers(numbers=numbers.astype(np.float64).reshape(len(numbers), -1))
    names = as_strings(str(label) for label in found["label"].ravel())
    return Answers(numbers=found["probabilities"].astype(np.float64), names=names[:, np.newaxis])


def _odd_rows(estimator: Estimator, real: AnyArray, count: int, rng: np.random.Generator) -> AnyArray:
    if real.ndim == 1:
        vocabularies = [step.vocabulary_ for step in steps_of(estimator) if hasattr(step, "vocabulary_")]
        words = sorted({str(word) for vocabulary in vocabularies for word in vocabulary})
        return as_strings(odd_texts(words, real.tolist(), count, rng))
    drawn: DoubleArray = real[rng.integers(0, len(real), count)].astype(np.float32).astype(np.float64)
    for column, numbers in _odd_columns(estimator, real).items():
        replaced = rng.random(count) < 1 / 3
        drawn[replaced, column] = rng.choice(numbers, int(replaced.sum()))
    return drawn


def _odd_columns(estimator: Estimator, real: AnyArray) -> dict[int, AnyArray]:
    """For each column that the trees split, its thresholds and their neighbours; NaN only where it may occur."""
    thresholds: dict[int, list[float]] = {}
    for column, found in _thresholds(estimator):
        thresholds.setdefault(column, []).extend(found)
    may_miss = is_lightgbm(estimator) or bool(np.isnan(real).any())
    odd = {column: odd_numbers(found) for column, found in thresholds.items()}
    if is_lightgbm(estimator):
        for column in categorical_columns(booster_of(estimator)):
            odd[column] = np.concatenate([np.arange(-2, 60), np.arange(-1, 30) + 0.5, [np.nan]]).astype(np.float32)
    return {column: numbers if may_miss else numbers[~np.isnan(numbers)] for column, numbers in odd.items()}


def _thresholds(estimator: Estimator) -> Iterator[tuple[int, list[float]]]:
    if is_lightgbm(estimator):
        yield from split_thresholds(booster_of(estimator)).items()
        return
    for tree in getattr(estimator, "estimators_", [estimator]):
        for part in np.ravel(tree):
            inner = getattr(part, "tree_", None)
            if inner is not None:
                for column in np.unique(inner.feature[inner.feature >= 0]):
                    yield int(column), inner.threshold[inner.feature == column].tolist()
