"""Export of estimators that were not made by this library: any that the converters know."""

import warnings
from collections.abc import Iterator
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
from sklearn.feature_extraction.text import CountVectorizer

from recommender.errors import ExportMismatch
from recommender.ids import as_strings
from recommender.onnx_export.adversarial import ODD_TEXTS, odd_numbers, odd_texts
from recommender.onnx_export.builder import BOOL, FLOAT, INT64
from recommender.onnx_export.certificate import Answers, Certificate, certify
from recommender.onnx_export.estimator_graph import (
    Estimator,
    booster_of,
    build_estimator_graph,
    explain_mismatch,
    is_classifying,
    is_lightgbm,
    last_step,
    steps_of,
)
from recommender.onnx_export.session import cut_rows, open_session, run_in_batches
from recommender.onnx_export.table import Column, Sample, Table
from recommender.trees import categorical_columns
from recommender.types import AnyArray, DoubleArray, FloatArray

_SAMPLE_ROWS = 10_000
_REPLACED = 1 / 3


def export_estimator(
    estimator: Estimator, sample: Sample, adversarial_rows: int, rng: np.random.Generator
) -> tuple[bytes, Certificate]:
    """Convert and compare. Raises ExportMismatch with the best known cause."""
    chosen = getattr(estimator, "best_estimator_", estimator)  # of a search over parameters
    table = Table.of(sample)
    if len(table.frame) > _SAMPLE_ROWS:
        table = table.with_rows(table.frame[sorted(rng.choice(len(table.frame), _SAMPLE_ROWS, replace=False).tolist())])
    try:
        width = _ask(chosen, table.with_rows(table.frame[:1])).numbers.shape[1]
        built = build_estimator_graph(chosen, table, _outputs(chosen, width))
        odd = _OddRows(chosen, table, built.thresholds, rng).frame(adversarial_rows)
        everything = table.with_rows(pl.concat([table.frame, odd]))
        session = open_session(built.onnx_bytes)
        names = [given.name for given in session.get_inputs()]
        found = run_in_batches(session, cut_rows(everything.feeds(names)))
        certificate = certify(_ask(chosen, everything), _exported(found), sample_rows=len(table.frame))
    except ExportMismatch as exc:
        explained = explain_mismatch(chosen, table) or _explain_rounding(chosen, table)
        raise ExportMismatch(f"{explained} ({exc.cause})" if explained else exc.cause) from exc
    return built.onnx_bytes, certificate


def _explain_rounding(estimator: Any, table: Table) -> str | None:
    """What to do where the native model itself answers otherwise to the sample's numbers as float32 holds them."""
    doubles = [pl.col(column.name) for column in table.columns if table.frame.schema[column.name] == pl.Float64]
    rounded = table.with_rows(table.frame.with_columns(column.cast(pl.Float32).cast(pl.Float64) for column in doubles))
    try:
        certify(_ask(estimator, table), _ask(estimator, rounded), sample_rows=len(table.frame))
    except ExportMismatch:
        return (
            "the native model itself answers otherwise to the sample in float32, in which ONNX takes numbers: it was "
            "fitted to numbers that lie on its thresholds, as on an even grid; fit it to numbers in float32, or leave "
            "scalers before trees out, which do not need them"
        )
    return None


def _outputs(estimator: Any, width: int) -> dict[str, int]:
    """Names and widths: label with probabilities or scores, or value."""
    kind = _numbers_of(estimator)
    if isinstance(estimator, lgb.Booster):
        return {"label": 1, "probabilities": width} if is_classifying(estimator) else {"value": width}
    if kind == "predict_proba":
        return {"label": 1, "probabilities": width}
    return {"value": width} if kind in ("predict", "transform") else {"label": 1, "scores": width}


def _numbers_of(estimator: Any) -> str:
    """The method that gives the numbers behind the label, or the answer itself."""
    for method in ("predict_proba", "decision_function"):
        if hasattr(estimator, method):
            return method
    if not hasattr(estimator, "predict"):
        return "transform"
    is_cluster = hasattr(estimator, "transform") and hasattr(estimator, "labels_")
    return "distances" if is_cluster else "predict"


def _ask(estimator: Any, table: Table) -> Answers:
    """What the native model says."""
    given = table.native()
    if is_lightgbm(estimator) and table.container != "numbers":
        given = table.frame.to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of transformers about categories that they do not know
        if isinstance(estimator, lgb.Booster):
            return _booster_answers(estimator, np.asarray(estimator.predict(given)))
        method = _numbers_of(estimator)
        numbers = getattr(estimator, "transform" if method == "distances" else method)(given)
        names = None if method in ("predict", "transform") else _names(estimator.predict(given))
    return Answers(numbers=_table_of_numbers(numbers, len(table.frame)), names=names)


def _booster_answers(booster: lgb.Booster, predicted: DoubleArray) -> Answers:
    if not is_classifying(booster):
        return Answers(numbers=predicted.reshape(len(predicted), -1))
    both = predicted if predicted.ndim == 2 else np.column_stack([1 - predicted, predicted])
    return Answers(numbers=both, names=_names(both.argmax(axis=1)))


def _table_of_numbers(numbers: Any, rows: int) -> DoubleArray:
    dense = numbers.toarray() if hasattr(numbers, "toarray") else numbers
    return np.asarray(dense, np.float64).reshape(rows, -1)


def _names(labels: AnyArray) -> AnyArray:
    return as_strings(str(label) for label in np.asarray(labels).ravel().tolist())[:, np.newaxis]


def _exported(found: dict[str, AnyArray]) -> Answers:
    *label, numbers = found.values()
    return Answers(numbers=numbers.astype(np.float64), names=_names(label[0]) if label else None)


class _OddRows:
    """Rows of the sample in which about a third of the values are replaced by odd ones, column by column."""

    def __init__(
        self, estimator: Any, table: Table, thresholds: dict[int, list[FloatArray]], rng: np.random.Generator
    ) -> None:
        self.estimator = estimator
        self.table = table
        self.thresholds = thresholds
        self.rng = rng
        self.vectorizers = [step for step in steps_of(estimator) if isinstance(step, CountVectorizer)]

    def frame(self, count: int) -> pl.DataFrame:
        drawn = self.table.frame[self.rng.integers(0, len(self.table.frame), count).tolist()]
        columns = []
        for place, column in enumerate(self.table.columns):
            series = drawn[column.name]
            if column.datatype == FLOAT:  # as both sides will see it
                series = series.cast(pl.Float32).cast(pl.Float64)
            odd = list(self._odd(place, column))
            if odd:
                chosen = pl.Series([odd[at] for at in self.rng.integers(0, len(odd), count)], dtype=series.dtype)
                is_kept = self.table.container != "texts" and pl.Series(self.rng.random(count) > _REPLACED)
                series = chosen if is_kept is False else series.zip_with(is_kept, chosen)
            columns.append(series.alias(column.name))
        return pl.DataFrame(columns)

    def _odd(self, place: int, column: Column) -> Iterator[Any]:
        given = self.table.frame[column.name]
        if column.datatype == BOOL:
            yield from (True, False)
        elif column.datatype == INT64:
            yield from self._odd_whole(place, given)
        elif column.datatype == FLOAT:
            yield from self._odd_numbers(place, column, given).tolist()
        else:
            yield from self._odd_texts(column, given)

    def _odd_whole(self, place: int, given: pl.Series) -> Iterator[int]:
        numbers = given.unique().sort().to_list()[:1000]
        numbers += [int(limit) for found in self.thresholds.get(place, ()) for limit in found if abs(limit) < 2**24]
        yield from self._accepted(given.name, [number + step for number in numbers for step in (-1, 0, 1)])

    def _odd_numbers(self, place: int, column: Column, given: pl.Series) -> FloatArray:
        limits = np.concatenate([*self.thresholds.get(place, ()), np.empty(0, np.float32)])
        if len(limits) and np.isfinite(limits).any():
            odd = odd_numbers(limits.tolist())
        else:
            known = given.drop_nans().unique().sort().to_numpy().astype(np.float32)
            ends = known[[0, -1]] * np.float32(1.5) if len(known) else known
            odd = np.concatenate([np.nextafter(known, np.float32(np.inf)), known, ends])[:20_000]
        odd = np.concatenate([odd, self._odd_codes(place)])
        may_miss = column.has_gaps or is_lightgbm(self.estimator)
        odd = odd if may_miss else odd[~np.isnan(odd)]
        return np.array(self._accepted(column.name, odd.tolist()), np.float32)

    def _odd_codes(self, place: int) -> FloatArray:
        final = last_step(self.estimator)
        if is_lightgbm(self.estimator) and place in categorical_columns(booster_of(final)):
            return np.concatenate([np.arange(-2, 60), np.arange(-1, 30) + 0.5, [np.nan]]).astype(np.float32)
        return np.empty(0, np.float32)

    def _odd_texts(self, column: Column, given: pl.Series) -> Iterator[str | None]:
        known = given.drop_nulls().unique().sort().to_list()
        if self.vectorizers:
            words = sorted({str(word) for step in self.vectorizers for word in step.vocabulary_})
            count = 10_000 if self.table.container == "texts" else 2_000
            odd = odd_texts(words, known, count, self.rng)
        else:
            odd = [*known[:500] * (1 + len(ODD_TEXTS) // max(len(known), 1)), *ODD_TEXTS]
        if column.has_gaps:  # where "" is what a graph gets for a gap
            odd = [text for text in odd if text]
            yield None
        yield from self._accepted(column.name, odd)

    def _accepted(self, name: str, values: list[Any]) -> list[Any]:
        """The values, without those outside the sample where the native model refuses any of them."""
        if self.table.container == "texts":
            return values
        dtype = self.table.frame.schema[name]
        first = self.table.frame[[0] * len(values)].with_columns(pl.Series(name, values, dtype))
        try:
            _ask(self.estimator, self.table.with_rows(first))
        except (ValueError, TypeError):
            known = set(self.table.frame[name].to_list())
            return [value for value in values if value in known]
        return values
