"""What stands before the last step of a pipeline, in pieces that are each written to ONNX in the way that is exact.

Transformers of numbers go through the converters; those of categories become tables of the native answers to every
known category; texts have a graph of their own (`text_weights`). Trees may take `raw` columns instead (`exact_trees`).
"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from recommender.errors import ExportMismatch
from recommender.onnx_export.builder import FLOAT, ML_DOMAIN, ML_OPSET, OPSET, STRING, GraphBuilder
from recommender.onnx_export.category_table import CategoryTable
from recommender.onnx_export.table import Inputs, Table
from recommender.onnx_export.text_weights import write_text_features
from recommender.types import DoubleArray

_RISING = (StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, PowerTransformer, QuantileTransformer)
_COMPOSITE = (ColumnTransformer, FeatureUnion, CountVectorizer)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rising:
    """A feature that never falls when its only column rises: `values` gives it for float64 [M] of that column."""

    place: int
    values: Callable[[DoubleArray], DoubleArray]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """`width` features that `write` adds to the graph as float32 [N, width]; `rising`: one for each, or none."""

    width: int
    write: Callable[[], str]
    rising: tuple[Rising, ...] = ()


class Parts:
    """Takes a fitted transformer apart."""

    def __init__(self, graph: GraphBuilder, inputs: Inputs, table: Table) -> None:
        self.graph = graph
        self.inputs = inputs
        self.table = table

    def of(self, step: Any, places: Sequence[int]) -> Iterator[Part]:
        """The parts of a step that sees the columns at `places`, in the order of its features."""
        if _is_identity(step):
            yield self._untouched(places)
        elif isinstance(step, ColumnTransformer):
            yield from self._of_columns(step, places)
        elif isinstance(step, FeatureUnion):
            yield from self._of_union(step, places)
        elif isinstance(step, CountVectorizer):
            yield self._texts(step, None, places)
        elif _is_imputer_with_flags(step):
            yield from self._imputed_and_flags(step, places)
        elif isinstance(step, Pipeline) and _begins_with_composite(step):
            yield from self._of_pipeline(step, places)
        else:
            yield self._leaf(step, places)

    def joined(self, parts: Sequence[Part]) -> str:
        """All parts side by side, float32 [N, W]."""
        written = [part.write() for part in parts if part.width]
        return written[0] if len(written) == 1 else self.graph.op("Concat", *written, axis=1)

    def _of_columns(self, step: ColumnTransformer, places: Sequence[int]) -> Iterator[Part]:
        chosen = step._transformer_to_input_indices  # noqa: SLF001 - the only place where names are numbers already
        weights = step.transformer_weights or {}
        for name, inner, _ in step.transformers_:
            if inner != "drop" and len(chosen[name]):
                for part in self.of(inner, [places[index] for index in chosen[name]]):
                    yield self._weighted(part, weights.get(name))

    def _of_union(self, step: FeatureUnion, places: Sequence[int]) -> Iterator[Part]:
        weights = step.transformer_weights or {}
        for name, inner in step.transformer_list:
            if inner != "drop":
                for part in self.of(inner, places):
                    yield self._weighted(part, weights.get(name))

    def _weighted(self, part: Part, weight: float | None) -> Part:
        if weight is None:
            return part
        factor = self.graph.constant(np.float32(weight))
        return Part(width=part.width, write=lambda: self.graph.op("Mul", part.write(), factor))

    def _of_pipeline(self, step: Pipeline, places: Sequence[int]) -> Iterator[Part]:
        (_, first), *rest = [(name, inner) for name, inner in step.steps if inner not in (None, "passthrough")]
        if isinstance(first, CountVectorizer) and rest and isinstance(rest[0][1], TfidfTransformer):
            parts = [self._texts(first, rest.pop(0)[1], places)]
        else:
            parts = list(self.of(first, places))
        if not rest:
            yield from parts
            return
        width = sum(part.width for part in parts)
        tail = Pipeline(rest)
        yield Part(width=_width_behind(tail, width), write=lambda: self._convert(tail, self.joined(parts), width))

    def _texts(self, step: CountVectorizer, behind: TfidfTransformer | None, places: Sequence[int]) -> Part:
        column = self.inputs.columns[places[0]]
        if len(places) != 1 or column.datatype != STRING:
            raise ExportMismatch(f"{type(step).__name__}: expected one column of text, got '{column.name}'")
        return Part(
            width=len(step.vocabulary_),
            write=lambda: write_text_features(self.graph, self.inputs.take(places, STRING), step, behind),
        )

    def _untouched(self, places: Sequence[int]) -> Part:
        self._require_numbers("passthrough", places)
        return Part(
            width=len(places),
            write=lambda: self.inputs.take(places, FLOAT),
            rising=tuple(Rising(place=place, values=lambda values: values) for place in places),
        )

    def _imputed_and_flags(self, step: SimpleImputer, places: Sequence[int]) -> Iterator[Part]:
        """The converters forget add_indicator."""
        flagged = [places[int(index)] for index in step.indicator_.features_]
        plain = copy(step)
        plain.add_indicator = False
        yield self._leaf(plain, places)
        yield Part(
            width=len(flagged),
            write=lambda: self.graph.op("Cast", self.graph.op("IsNaN", self.inputs.take(flagged, FLOAT)), to=FLOAT),
        )

    def _leaf(self, step: Any, places: Sequence[int]) -> Part:
        table = CategoryTable.of(step, self.table, places)
        if table is not None:
            return Part(width=table.width, write=lambda: table.write(self.graph, self.inputs))
        self._require_numbers(type(step).__name__, places)
        answer = _dense(step.transform(self.table.with_rows(self.table.frame[:5]).only(places).native()))
        return Part(
            width=answer.shape[1],
            write=lambda: self._convert(step, self.inputs.take(places, FLOAT), len(places)),
            rising=self._rising(step, places) if _is_rising(step) and answer.shape[1] == len(places) else (),
        )

    def _rising(self, step: Any, places: Sequence[int]) -> tuple[Rising, ...]:
        chosen = self.table.only(places)
        return tuple(Rising(place=place, values=_feature_of(step, chosen, at)) for at, place in enumerate(places))

    def _require_numbers(self, what: str, places: Sequence[int]) -> None:
        for place in places:
            column = self.inputs.columns[place]
            if column.datatype == STRING:
                raise ExportMismatch(
                    f"{what} takes the column '{column.name}' of text as it is, which has no ONNX form; encode it with "
                    "OneHotEncoder, OrdinalEncoder, TargetEncoder or a vectorizer of texts"
                )

    def _convert(self, step: Any, tensor: str, width: int) -> str:
        opsets = {"": OPSET, ML_DOMAIN: ML_OPSET}
        types = [("input", FloatTensorType([None, width]))]
        model = convert_sklearn(step, initial_types=types, target_opset=opsets)
        outputs = self.graph.include(model, {model.graph.input[0].name: tensor})
        return self.graph.op("Cast", outputs[0], to=FLOAT)


def _feature_of(step: Any, table: Table, index: int) -> Callable[[DoubleArray], DoubleArray]:
    """One feature of a transformer as a function of its own column, the other columns at 0."""

    def values(column: DoubleArray) -> DoubleArray:
        rows = np.zeros((len(column), len(table.columns)))
        rows[:, index] = column
        given = table.with_rows(pl.DataFrame(rows, schema=table.frame.columns)).native()
        return np.asarray(_dense(step.transform(given)), np.float64)[:, index]

    return values


def _is_identity(step: Any) -> bool:
    return step in (None, "passthrough") or (isinstance(step, FunctionTransformer) and step.func is None)


def _is_rising(step: Any) -> bool:
    if isinstance(step, Pipeline):
        return all(_is_identity(inner) or _is_rising(inner) for _, inner in step.steps)
    if isinstance(step, SimpleImputer):
        return _fills_nan(step) and not step.add_indicator
    if isinstance(step, KBinsDiscretizer):
        return bool(step.encode == "ordinal")
    return isinstance(step, _RISING)


def _is_imputer_with_flags(step: Any) -> bool:
    return isinstance(step, SimpleImputer) and bool(step.add_indicator) and _fills_nan(step)


def _fills_nan(step: SimpleImputer) -> bool:
    return isinstance(step.missing_values, float) and bool(np.isnan(step.missing_values))


def _begins_with_composite(step: Pipeline) -> bool:
    first = next((inner for _, inner in step.steps if inner not in (None, "passthrough")), None)
    if isinstance(first, Pipeline):
        return _begins_with_composite(first)
    return isinstance(first, _COMPOSITE) or _is_imputer_with_flags(first)


def _width_behind(step: Pipeline, width: int) -> int:
    return int(_dense(step.transform(np.zeros((1, width)))).shape[1])


def _dense(answer: Any) -> Any:
    if hasattr(answer, "toarray"):
        return answer.toarray()
    return answer.to_numpy() if isinstance(answer, pl.DataFrame) else answer
