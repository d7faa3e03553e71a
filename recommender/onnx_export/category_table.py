"""Encoders of categories as tables: the native answer to every known category, to a missing and to an unknown one."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from sklearn.pipeline import Pipeline

from recommender.errors import ExportMismatch
from recommender.onnx_export.builder import BOOL, FLOAT, INT64, ML_DOMAIN, STRING, GraphBuilder
from recommender.onnx_export.table import Column, Inputs, Table
from recommender.types import AnyArray, FloatArray, IndexArray

_UNSEEN: dict[int, Any] = {STRING: "\u2047 no such category", INT64: -(2**53) - 7, FLOAT: -3.0e33}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Encoded:
    """One column: its known values, the features that it decides, and those features for each value [V (+ 2), F].

    Behind the known values come a missing one, where that may be, and an unknown one, where the native model takes it.
    """

    place: int
    known: tuple[Any, ...]
    takes_missing: bool
    takes_unknown: bool
    features: IndexArray
    answers: FloatArray


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoryTable:
    """A transformer of categories in which each feature depends on one column."""

    width: int
    columns: tuple[_Encoded, ...]
    constants: FloatArray  # [width], for features that no value changes

    @classmethod
    def of(cls, step: Any, table: Table, places: Sequence[int]) -> "CategoryTable | None":
        """The table of `step`, which sees the columns at `places`; None where it is no encoder of categories."""
        known = next((inner.categories_ for inner in _inner(step) if hasattr(inner, "categories_")), None)
        if known is None or len(known) != len(places):
            return None
        asker = _Asker(step, table, places)
        columns = tuple(asker.column(index, values) for index, values in enumerate(known))
        constants = asker.answer(table.frame[:1])[0]
        taken = [feature for column in columns for feature in column.features.tolist()]
        if len(taken) != len(set(taken)):
            return None
        return cls(width=len(constants), columns=columns, constants=constants)

    def write(self, graph: GraphBuilder, inputs: Inputs) -> str:
        """float32 [N, width]."""
        written, order = [], []
        for column in self.columns:
            if len(column.features):
                number = _number(graph, inputs, column)
                row = graph.op("Gather", graph.constant(column.answers), number)
                written.append(graph.reshape(row, -1, len(column.features)))
                order += column.features.tolist()
        rest = sorted(set(range(self.width)) - set(order))
        if rest or not written:
            rows = graph.op(
                "Shape", inputs.take([self.columns[0].place], inputs.columns[self.columns[0].place].datatype)
            )
            shape = graph.op("Mul", rows, graph.constant(np.array([1, len(rest)], np.int64)))
            written.append(graph.op("Expand", graph.constant(self.constants[rest][np.newaxis]), shape))
            order += rest
        together = written[0] if len(written) == 1 else graph.op("Concat", *written, axis=1)
        if order == list(range(self.width)):
            return together
        return graph.op("Gather", together, graph.constant(np.argsort(order).astype(np.int64)), axis=1)


class _Asker:
    """Asks the native transformer about one column, the others as in the first row of the sample."""

    def __init__(self, step: Any, table: Table, places: Sequence[int]) -> None:
        self.step = step
        self.table = table
        self.places = places

    def column(self, index: int, values: AnyArray) -> _Encoded:
        column = self.table.columns[self.places[index]]
        known = tuple(_plain(value, column) for value in values.tolist() if not _is_gap(value))
        takes_missing = column.has_gaps and self._takes(column, None)
        takes_unknown = column.datatype in _UNSEEN and self._takes(column, _UNSEEN[column.datatype])
        asked = [*known, *[None] * takes_missing, *[_UNSEEN.get(column.datatype)] * takes_unknown]
        answers = self.answer(self._rows(column, asked))
        features = np.flatnonzero((answers != answers[:1]).any(axis=0)).astype(np.int32)
        return _Encoded(
            place=self.places[index],
            known=known,
            takes_missing=takes_missing,
            takes_unknown=takes_unknown,
            features=features,
            answers=np.ascontiguousarray(answers[:, features]),
        )

    def answer(self, frame: pl.DataFrame) -> FloatArray:
        given = self.table.with_rows(frame).only(self.places).native()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about categories that it does not know, which is what we ask for
            answer = self.step.transform(given)
        dense = answer.toarray() if hasattr(answer, "toarray") else answer
        return np.asarray(dense, np.float64).astype(np.float32)

    def _takes(self, column: Column, value: Any) -> bool:
        try:
            self.answer(self._rows(column, [value]))
        except (ValueError, TypeError):
            return False
        return True

    def _rows(self, column: Column, values: Sequence[Any]) -> pl.DataFrame:
        first = self.table.frame[[0] * len(values)]
        dtype = first.schema[column.name]
        gaps = [float("nan") if value is None and column.datatype == FLOAT else value for value in values]
        return first.with_columns(pl.Series(column.name, gaps, dtype))


def _number(graph: GraphBuilder, inputs: Inputs, column: _Encoded) -> str:
    """Which row of the answers: int64 [N, 1]. An unknown category that the native model refuses is refused here."""
    declared = inputs.columns[column.place]
    datatype = INT64 if declared.datatype == BOOL else declared.datatype
    value = inputs.take([column.place], datatype)
    count = len(column.known)
    missing, unknown = count, count + column.takes_missing
    keys = [int(key) if datatype == INT64 else key for key in column.known]
    values = list(range(count))
    if datatype == STRING and column.takes_missing:
        keys, values = [*keys, ""], [*values, missing]
    if not column.takes_unknown and datatype in (STRING, INT64):
        return _refusing(graph, value, keys, datatype)
    spellings: dict[int, str] = {STRING: "keys_strings", INT64: "keys_int64s", FLOAT: "keys_floats"}
    number = graph.op(
        "LabelEncoder",
        value,
        domain=ML_DOMAIN,
        values_int64s=values,
        default_int64=unknown if column.takes_unknown else 0,
        **{spellings[datatype]: keys},
    )
    if datatype == FLOAT and column.takes_missing:
        return graph.op("Where", graph.op("IsNaN", value), graph.constant(np.int64(missing)), number)
    return number


def _refusing(graph: GraphBuilder, value: str, keys: list[Any], datatype: int) -> str:
    spelled = {"cats_strings": keys} if datatype == STRING else {"cats_int64s": keys}
    one_hot = graph.op("OneHotEncoder", value, domain=ML_DOMAIN, zeros=0, **spelled)
    return graph.op("ArgMax", one_hot, axis=2, keepdims=0)


def _inner(step: Any) -> Iterator[Any]:
    yield step
    for _, inner in step.steps if isinstance(step, Pipeline) else ():
        yield from _inner(inner)


def _is_gap(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _plain(value: Any, column: Column) -> Any:
    """A category as the graph compares it."""
    if column.datatype == STRING:
        if not isinstance(value, str):
            raise ExportMismatch(f"column '{column.name}' is text, but {value!r} is one of its categories")
        return value
    if column.datatype == FLOAT:
        if float(np.float32(value)) != float(value):
            raise ExportMismatch(f"column '{column.name}': the category {value} is no float32 number; give it as text")
        return float(value)
    return bool(value) if column.datatype == BOOL else int(value)
