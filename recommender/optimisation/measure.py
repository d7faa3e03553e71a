"""What a variant of a model costs and how good it is."""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
from sklearn.metrics import f1_score

from recommender import metrics
from recommender.errors import InvalidData
from recommender.ids import as_strings
from recommender.onnx_export.feeds import history_feeds
from recommender.onnx_export.session import cut_rows, open_session
from recommender.onnx_export.signature import Signature, TensorSpec
from recommender.splits import Case
from recommender.types import AnyArray

_SINGLE_ROWS = 200


@dataclass(frozen=True, kw_only=True)
class Holdout:
    """Rows to ask a model, and how good its answers are: `feeds` [N, ...] by input, `quality` larger for better."""

    feeds: Mapping[str, AnyArray]
    quality: Callable[[Mapping[str, AnyArray]], float]
    measure: str

    @property
    def rows(self) -> int:
        return len(next(iter(self.feeds.values())))


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """A form of a model with its costs on this machine; `max_abs_diff` is to the numbers of the original."""

    name: str
    onnx_bytes: bytes
    file_bytes: int
    load_ms: float
    row_us: float
    rows_per_second: float
    quality: float
    max_abs_diff: float

    def to_json(self) -> dict[str, Any]:
        """As plain values for `json.dumps`, without the bytes."""
        return {key: value for key, value in asdict(self).items() if key != "onnx_bytes"}


def holdout_for(signature: Signature, rows: pl.DataFrame | Sequence[Case]) -> Holdout:
    """Build the holdout that fits an exported model.

    Recommendation: cases of a split, nDCG@10. Everything else: a frame with the inputs and the column to predict, which
    is the one that the file names, or `label`, or the only one that is no input. Regression: R². Classification: F1, of
    the positive label where there are two (else of all alike). Raises InvalidData.
    """
    is_recommender = "history" in {spec.name for spec in signature.inputs}
    if is_recommender and not isinstance(rows, pl.DataFrame):
        return _recommendation(rows, signature)
    if is_recommender or not isinstance(rows, pl.DataFrame):
        raise InvalidData("holdout: expected cases for a recommender, a frame for any other model")
    target = _target_of(rows, signature)
    feeds = {spec.name: _feed(rows, spec, target) for spec in signature.inputs}
    if signature.metadata.get("task") == "regression":
        return _regression(feeds, rows[target])
    return _classification(feeds, rows[target], signature)


def _target_of(frame: pl.DataFrame, signature: Signature) -> str:
    inputs = {spec.name for spec in signature.inputs}
    others = [name for name in frame.columns if name not in inputs]
    target = signature.metadata.get("target", "label" if "label" in others else None)
    if target is None and len(others) == 1:
        return others[0]
    if target is None:
        got = ", ".join(others) or "none"
        raise InvalidData(
            f"holdout: expected the column to predict, called label or alone beside those of the model; got {got}"
        )
    if target not in frame.columns:
        raise InvalidData(f"holdout: no column '{target}'; the columns are {', '.join(frame.columns)}")
    return target


def _feed(frame: pl.DataFrame, spec: TensorSpec, target: str) -> AnyArray:
    """The tensor of one input; one of several columns takes all but the target, in their order."""
    if spec.shape[-1] > 1:
        columns = frame.drop(target)
        if columns.width != spec.shape[-1]:
            raise InvalidData(f"holdout: expected {spec.shape[-1]} columns beside {target}, got {columns.width}")
        return columns.cast(pl.Float32).fill_null(float("nan")).to_numpy()
    if spec.name not in frame.columns:
        raise InvalidData(f"holdout: no column '{spec.name}'; the columns are {', '.join(frame.columns)}")
    column = frame[spec.name]
    if spec.datatype == "BYTES":
        return as_strings(column.cast(pl.String).fill_null("").to_list())[:, np.newaxis]
    if spec.datatype == "FP32":
        return column.cast(pl.Float32).fill_null(float("nan")).to_numpy()[:, np.newaxis]
    return column.cast(pl.Int64 if spec.datatype == "INT64" else pl.Boolean).to_numpy()[:, np.newaxis]


def _recommendation(cases: Sequence[Case], signature: Signature) -> Holdout:
    cases = sorted(cases, key=lambda case: len(case.history.items))  # so that a piece needs little padding
    feeds = history_feeds([case.history for case in cases], signature)

    def ndcg(found: Mapping[str, AnyArray]) -> float:
        hits, relevant = metrics.find_hits(found["items"][:, :10], [case.relevant for case in cases])
        return float(metrics.ndcg(hits, relevant).mean())

    return Holdout(feeds=feeds, quality=ndcg, measure="nDCG@10")


def _regression(feeds: Mapping[str, AnyArray], target: pl.Series) -> Holdout:
    actual = target.to_numpy().astype(np.float64)

    def r2(found: Mapping[str, AnyArray]) -> float:
        return 1.0 - float(((found["value"][:, 0] - actual) ** 2).sum() / ((actual - actual.mean()) ** 2).sum())

    return Holdout(feeds=feeds, quality=r2, measure="R²")


def _classification(feeds: Mapping[str, AnyArray], labels: pl.Series, signature: Signature) -> Holdout:
    positive = positive_label(signature)
    actual = labels.cast(pl.String).to_list()

    def f1(found: Mapping[str, AnyArray]) -> float:
        said = [str(label) for label in found["label"]]
        if positive is None:
            return float(f1_score(actual, said, average="macro"))
        return float(f1_score([label == positive for label in actual], [label == positive for label in said]))

    return Holdout(feeds=feeds, quality=f1, measure="F1")


def positive_label(signature: Signature) -> str | None:
    """The label of interest: the one that the file names, else the last of two; None of more."""
    labels = json.loads(signature.metadata.get("labels", "[]"))
    return signature.metadata.get("positive") or (str(labels[-1]) if len(labels) == 2 else None)


def measure(name: str, onnx_bytes: bytes, holdout: Holdout, original: Mapping[str, AnyArray] | None) -> Variant:
    """Load, ask row by row, ask in bulk, judge. Raises ExportMismatch when the variant does not load."""
    started = time.perf_counter()
    session = open_session(onnx_bytes)
    loaded = time.perf_counter()
    row_us = _median_row_us(session, holdout)
    bulk_started = time.perf_counter()
    found = answers(session, holdout)
    seconds = time.perf_counter() - bulk_started
    return Variant(
        name=name,
        onnx_bytes=onnx_bytes,
        file_bytes=len(onnx_bytes),
        load_ms=(loaded - started) * 1000,
        row_us=row_us,
        rows_per_second=holdout.rows / seconds,
        quality=holdout.quality(found),
        max_abs_diff=_largest_difference(found, original or found),
    )


def answers(session: onnxruntime.InferenceSession, holdout: Holdout) -> dict[str, AnyArray]:
    """All outputs for all rows."""
    names = [output.name for output in session.get_outputs()]
    parts = [session.run(names, _without_padding(piece)) for piece in cut_rows(holdout.feeds)]
    return {name: np.concatenate(column) for name, column in zip(names, zip(*parts, strict=True), strict=True)}


def _without_padding(feed: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Histories no wider than the longest among these rows, as a shop would ask."""
    if "history" not in feed:
        return dict(feed)
    width = 1 + int(np.flatnonzero((feed["history"] != "").any(axis=0)).max(initial=0))
    return {name: rows[:, :width] if name in ("history", "ages") else rows for name, rows in feed.items()}


def _median_row_us(session: onnxruntime.InferenceSession, holdout: Holdout) -> float:
    times = []
    for row in np.linspace(0, holdout.rows - 1, min(holdout.rows, _SINGLE_ROWS)).astype(int).tolist():
        feed = _without_padding({name: rows[row : row + 1] for name, rows in holdout.feeds.items()})
        started = time.perf_counter()
        session.run(None, feed)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


def _largest_difference(found: Mapping[str, AnyArray], original: Mapping[str, AnyArray]) -> float:
    numbers = [name for name, values in original.items() if values.dtype.kind == "f" and name in found]
    return max((float(np.abs(found[name] - original[name]).max(initial=0.0)) for name in numbers), default=0.0)
