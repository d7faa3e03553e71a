"""ONNX Runtime, as the export uses it: one thread, silent, in batches."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    NotImplemented,
    RuntimeException,
)

from recommender.errors import ExportMismatch
from recommender.types import AnyArray

_ROWS_AT_ONCE = 64


def open_session(onnx_bytes: bytes) -> onnxruntime.InferenceSession:
    """Load a model. Raises ExportMismatch with ONNX Runtime's own words when it refuses."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, NotImplemented, RuntimeException) as exc:
        raise ExportMismatch(f"ONNX Runtime does not load the exported model: {exc}") from exc


def run_in_batches(session: onnxruntime.InferenceSession, feeds: Iterable[dict[str, Any]]) -> dict[str, AnyArray]:
    """Run one feed after the other; every output joined along its rows. Raises ExportMismatch where a run fails."""
    names = [output.name for output in session.get_outputs()]
    try:
        parts = [session.run(names, feed) for feed in feeds]
    except (Fail, InvalidArgument, NotImplemented, RuntimeException) as exc:
        raise ExportMismatch(f"the exported model does not run: {exc}") from exc
    return {name: np.concatenate(column) for name, column in zip(names, zip(*parts, strict=True), strict=True)}


def cut_rows(columns: Mapping[str, AnyArray]) -> Iterator[dict[str, Any]]:
    """Arrays of N rows each, in pieces that fit the processor's cache."""
    rows = len(next(iter(columns.values())))
    for start in range(0, rows, _ROWS_AT_ONCE):
        yield {name: array[start : start + _ROWS_AT_ONCE] for name, array in columns.items()}
