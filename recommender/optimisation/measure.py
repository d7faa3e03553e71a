"""What a variant of a model costs and how good it is."""

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
from recommender.onnx_export.signature import Signature
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
    """Build the holdout that fits a model exported here.

    Recommendation: cases of a split, nDCG@10. Regression: a frame with the features and the target, R². Text: a frame
    with the columns text and label, F1 of the positive label. Raises InvalidData.
    """
    inputs = {spec.name for spec in signature.inputs}
    if "history" in inputs and not isinstance(rows, pl.DataFrame):
        return _recommendation(rows, signature)
    if isinstance(rows, pl.DataFrame) and signature.metadata.get("task") == "regression":
        return _regression(rows, signature)
    if isinstance(rows, pl.DataFrame) and "text" in inputs:
        return _text(rows, signature)
    raise InvalidData("holdout: expected cases for a recommender, or a frame for a regression or text classifier")


def _recommendation(cases: Sequence[Case], signature: Signature) -> Holdout:
    cases = sorted(cases, key=lambda case: len(case.history.items))  # so that a piece needs little padding
    feeds = history_feeds([case.history for case in cases], signature)

    def ndcg(found: Mapping[str, AnyArray]) -> float:
        hits, relevant = metrics.find_hits(found["items"][:, :10], [case.relevant for case in cases])
        return float(metrics.ndcg(hits, relevant).mean())

    return Holdout(feeds=feeds, quality=ndcg, measure="nDCG@10")


def _regression(frame: pl.DataFrame, signature: Signature) -> Holdout:
    target = signature.metadata["target"]
    missing = [name for name in (target, *(spec.name for spec in signature.inputs)) if name not in frame.columns]
    if missing:
        raise InvalidData(f"holdout: no column '{missing[0]}'; the columns are {', '.join(frame.columns)}")
    feeds: dict[str, AnyArray] = {}
    for spec in signature.inputs:
        column = frame[spec.name]
        if spec.datatype == "BYTES":
            feeds[spec.name] = as_strings(column.cast(pl.String).fill_null("").to_list())[:, np.newaxis]
        else:
            feeds[spec.name] = column.cast(pl.Float32).fill_null(float("nan")).to_numpy()[:, np.newaxis]
    actual = frame[target].to_numpy().astype(np.float64)

    def r2(found: Mapping[str, AnyArray]) -> float:
        return 1.0 - float(((found["value"][:, 0] - actual) ** 2).sum() / ((actual - actual.mean()) ** 2).sum())

    return Holdout(feeds=feeds, quality=r2, measure="R²")


def _text(frame: pl.DataFrame, signature: Signature) -> Holdout:
    for name in ("text", "label"):
        if name not in frame.columns:
            raise InvalidData(f"holdout: no column '{name}'; the columns are {', '.join(frame.columns)}")
    positive = signature.metadata["positive"]
    actual = [label == positive for label in frame["label"].cast(pl.String).to_list()]

    def f1(found: Mapping[str, AnyArray]) -> float:
        return float(f1_score(actual, found["label"] == positive))

    texts = as_strings(frame["text"].cast(pl.String).fill_null("").to_list())
    return Holdout(feeds={"text": texts[:, np.newaxis]}, quality=f1, measure="F1")


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
    numbers = [name for name, values in original.items() if values.dtype.kind == "f"]
    return max(float(np.abs(found[name] - original[name]).max(initial=0.0)) for name in numbers)
