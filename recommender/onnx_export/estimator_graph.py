"""Fitted scikit-learn and LightGBM estimators as ONNX, with what the converters get silently wrong cured first.

Cures: thresholds of trees moved to the columns that they read (`exact_trees`); category codes cut to whole numbers as
LightGBM cuts them; encoders as tables (`category_table`); texts without a locale, in all of Unicode (`text_sequences`).
What has no cure is found by the comparison, and `explain_mismatch` says what it was.
"""

import json
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeAlias

import lightgbm as lgb
import numpy as np
import onnx
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common import data_types as onnxmltools_types
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm as convert_inside_pipeline
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)
from sklearn.base import BaseEstimator, is_classifier
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC, NuSVC

from recommender.errors import ExportMismatch, InvalidData
from recommender.onnx_export.builder import FLOAT, INT64, ML_DOMAIN, ML_OPSET, OPSET, STRING, GraphBuilder
from recommender.onnx_export.exact_trees import (
    booster_on_columns,
    move_to_columns,
    reads_only_trees,
    restore_missing_ways,
    thresholds_of,
)
from recommender.onnx_export.feature_parts import Part, Parts, Rising
from recommender.onnx_export.neighbour_graph import CONVERTER_OPSET
from recommender.onnx_export.table import Inputs, Table
from recommender.onnx_export.tree_counts import write_counts
from recommender.trees import categorical_columns, with_plain_objective, with_summed_leaves
from recommender.types import FloatArray
from recommender.version import VERSION

Estimator: TypeAlias = BaseEstimator | lgb.Booster
_FORESTS = ("RandomForest", "ExtraTree", "DecisionTree", "Bagging")
_UNSUPPORTED = (
    MissingConverter,
    MissingShapeCalculator,
    NotImplementedError,
    RuntimeError,
    ValueError,
    AttributeError,
    TypeError,
)

# So that ensembles of scikit-learn may hold LightGBM.
update_registered_converter(
    lgb.LGBMRegressor,
    "LightGbmLGBMRegressor",
    calculate_linear_regressor_output_shapes,
    convert_inside_pipeline,
    options={"split": None},
)
update_registered_converter(
    lgb.LGBMClassifier,
    "LightGbmLGBMClassifier",
    calculate_linear_classifier_output_shapes,
    convert_inside_pipeline,
    options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
)

_AVERAGING = (ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor)


@dataclass(frozen=True, kw_only=True, slots=True)
class EstimatorGraph:
    """The file, and for every column that trees split, the thresholds on it."""

    onnx_bytes: bytes
    thresholds: dict[int, list[FloatArray]]


def build_estimator_graph(estimator: Estimator, table: Table, outputs: dict[str, int]) -> EstimatorGraph:
    """The estimator as a graph whose inputs are those of `table`.

    `outputs`: the width of each output by its name; the estimator's ONNX form has as many, in this order. label has
    the shape [N], others [N, width]. Raises ExportMismatch where there is no conversion.
    """
    taken = next((column.name for column in table.columns if column.name in outputs), None)
    if taken is not None:
        raise InvalidData(f"sample: column '{taken}' has the name of an output; rename it and train again")
    graph = GraphBuilder()
    inputs = Inputs(graph, table)
    try:
        found, thresholds = _Writer(graph, inputs, table).write(estimator)
    except _UNSUPPORTED as exc:
        first_line = str(exc).strip().partition("\n")[0]
        raise ExportMismatch(
            f"{type(estimator).__name__} has no ONNX form here: {first_line}{_advice(estimator)}"
        ) from exc
    if len(found) != len(outputs):
        raise ExportMismatch(
            f"{type(estimator).__name__}: expected the outputs {', '.join(outputs)} in ONNX, got {len(found)}"
        )
    inputs.declare()
    if outputs.get("scores") == 1:  # some give the score of the other label as well
        scores, datatype = found[1]
        found[1] = (_one_score(graph, scores, is_first=isinstance(last_step(estimator), SVC | NuSVC)), datatype)
    for (name, width), (tensor, datatype) in zip(outputs.items(), found, strict=True):
        _declare(graph, name, tensor, datatype, width)
    gaps = [column.name for column in table.columns if column.has_gaps and column.datatype == FLOAT]
    if table.container == "numbers" and gaps:
        gaps = ["input"]
    metadata = {"task": "classification" if is_classifying(estimator) else "regression", "library_version": VERSION}
    metadata |= {"estimator": type(estimator).__name__, "allows_nan": json.dumps(gaps)}
    if averages_trees(last_step(estimator)):
        metadata["trees"] = "averaged"  # for whoever cuts trees off: each holds its share of the mean
    labels = labels_of(estimator)
    if labels:
        metadata["labels"] = json.dumps(labels)
    return EstimatorGraph(onnx_bytes=graph.build("estimator", metadata), thresholds=thresholds)


def _declare(graph: GraphBuilder, name: str, tensor: str, datatype: int, width: int) -> None:
    """Some converters declare shapes that are not true; the tensor gets the one that is."""
    if name == "label":
        graph.output(name, datatype, ["N"], graph.reshape(tensor, -1))
        return
    if datatype != FLOAT:
        tensor = graph.op("Cast", tensor, to=FLOAT)
    graph.output(name, FLOAT, ["N", width], graph.reshape(tensor, -1, width))


def _one_score(graph: GraphBuilder, tensor: str, *, is_first: bool) -> str:
    """The score of the second label alone, of [N, 1] or [N, 2]."""
    limits = (0, 1, 1) if is_first else (-1, 2, 1)
    return graph.op("Slice", tensor, *(graph.constant(np.array([value], np.int64)) for value in limits))


def is_lightgbm(estimator: Any) -> bool:
    """A booster or one of LightGBM's estimators (not a pipeline with one inside)."""
    return isinstance(estimator, lgb.Booster | lgb.LGBMModel)


def averages_trees(estimator: Any) -> bool:
    """Whether the answer is the mean of the trees, as of a forest, and not their sum."""
    if is_lightgbm(estimator):
        return bool(booster_of(estimator).dump_model(num_iteration=1)["average_output"])
    return isinstance(estimator, _AVERAGING)


def booster_of(estimator: Any) -> lgb.Booster:
    """The booster of a LightGBM estimator."""
    return estimator if isinstance(estimator, lgb.Booster) else estimator.booster_


def last_step(estimator: Any) -> Any:
    """The estimator that answers, at the end of pipelines."""
    return last_step(estimator.steps[-1][1]) if isinstance(estimator, Pipeline) else estimator


def steps_of(estimator: Any) -> Iterator[Any]:
    """The estimator itself and everything inside it: pipeline steps, transformers, ensembles."""
    yield estimator
    inner = [step for _, step in getattr(estimator, "steps", ())]
    inner += [step for _, step in getattr(estimator, "transformer_list", ())]
    inner += [step for _, step, _ in getattr(estimator, "transformers_", ())]
    for step in inner:
        yield from steps_of(step)


def is_classifying(estimator: Any) -> bool:
    """Whether the answers are labels."""
    if isinstance(estimator, lgb.Booster):
        return estimator.params.get("objective") in ("binary", "multiclass")
    return bool(is_classifier(estimator))


def labels_of(estimator: Any) -> list[str | int]:
    """The classes in the order of their probabilities, as JSON knows them."""
    if not is_classifying(estimator) or isinstance(estimator, lgb.Booster):
        return []
    classes = getattr(estimator, "classes_", None)
    if not isinstance(classes, np.ndarray):
        return []
    return [int(label) if classes.dtype.kind in "iub" else str(label) for label in classes.tolist()]


class _Writer:
    """Writes everything but the outputs."""

    def __init__(self, graph: GraphBuilder, inputs: Inputs, table: Table) -> None:
        self.graph = graph
        self.inputs = inputs
        self.table = table
        self.parts = Parts(graph, inputs, table)

    def write(self, estimator: Estimator) -> tuple[list[tuple[str, int]], dict[int, list[FloatArray]]]:
        """The outputs with their datatypes, and the thresholds on the columns."""
        before, final = _cut(estimator)
        places = list(range(len(self.inputs.columns)))
        parts = list(self.parts.of(before, places))
        features = [feature for part in parts for feature in part.rising or (None,) * part.width]
        if is_lightgbm(final):
            return self._trees(self._lightgbm(final, features), parts, features, final)
        model = _without_zipmap(_convert(_convertible(final), len(features)))
        write_counts(model, final)
        if reads_only_trees(model) and any(features):
            restore_missing_ways(model, final)
            move_to_columns(model, features)
            return self._trees(model, parts, features, None)
        return self._included(model, self.parts.joined(parts)), {}

    def _trees(
        self, model: onnx.ModelProto, parts: Sequence[Part], features: Sequence[Rising | None], lightgbm: Any
    ) -> tuple[list[tuple[str, int]], dict[int, list[FloatArray]]]:
        raw = [
            Part(width=part.width, write=lambda part=part: self._columns(part)) if part.rising else part  # type: ignore[misc]
            for part in parts
        ]
        tensor = self.parts.joined(raw)
        if lightgbm is not None:
            tensor = self._cut_codes(tensor, booster_of(lightgbm), len(features))
        thresholds: dict[int, list[FloatArray]] = {}
        for place, found in thresholds_of(model, features):
            thresholds.setdefault(place, []).append(found)
        return self._included(model, tensor), thresholds

    def _columns(self, part: Part) -> str:
        return self.inputs.take([rising.place for rising in part.rising], FLOAT)

    def _included(self, model: onnx.ModelProto, tensor: str) -> list[tuple[str, int]]:
        names = self.graph.include(model, {model.graph.input[0].name: tensor})
        kinds = [declared.type.tensor_type.elem_type for declared in model.graph.output]
        return list(zip(names, kinds, strict=True))

    def _lightgbm(self, final: Any, features: Sequence[Rising | None]) -> Any:
        types = [("input", onnxmltools_types.FloatTensorType([None, len(features)]))]
        exact = with_plain_objective(with_summed_leaves(booster_on_columns(booster_of(final), features)))
        if not isinstance(final, lgb.Booster):
            booster, exact = exact, copy(final)
            exact._Booster = booster  # noqa: SLF001 - the wrapper offers no other way to carry changed trees
        model = convert_lightgbm(exact, initial_types=types, target_opset=CONVERTER_OPSET, zipmap=False)
        write_counts(model, exact)
        return model

    def _cut_codes(self, feed: str, booster: lgb.Booster, columns: int) -> str:
        """LightGBM takes 2.7 for category 2; so does the graph after this."""
        categories = categorical_columns(booster)
        if not categories:
            return feed
        graph = self.graph
        is_category = np.isin(np.arange(columns), categories)[np.newaxis]
        whole = graph.op("Mul", graph.op("Sign", feed), graph.op("Floor", graph.op("Abs", feed)))
        return graph.op("Where", graph.constant(is_category), whole, feed)


def _cut(estimator: Any) -> tuple[Any, Any]:
    """What prepares the features (None for nothing) and what answers."""
    if not isinstance(estimator, Pipeline):
        return None, estimator
    *steps, (name, last) = estimator.steps
    if isinstance(last, Pipeline):
        return _cut(Pipeline([*steps, *((f"{name} {inner}", step) for inner, step in last.steps)]))
    return (Pipeline(steps) if steps else None), last


def _convert(final: Any, width: int) -> Any:
    opsets = {"": OPSET, ML_DOMAIN: ML_OPSET}
    return convert_sklearn(final, initial_types=[("input", FloatTensorType([None, width]))], target_opset=opsets)


def _convertible(final: Any) -> Any:
    """The same answers from an estimator that the converters get right."""
    if isinstance(final, LinearDiscriminantAnalysis):  # whose own converter forgets how scores become probabilities
        logistic = LogisticRegression()
        logistic.coef_, logistic.intercept_, logistic.classes_ = final.coef_, final.intercept_, final.classes_
        logistic.n_iter_ = np.array([0])
        return logistic
    if isinstance(final, VotingClassifier) and final.flatten_transform:  # concerns `transform` alone
        plain = copy(final)
        plain.flatten_transform = False
        return plain
    return final


def _without_zipmap(model: onnx.ModelProto) -> onnx.ModelProto:
    """Probabilities as the tensor that they were before they became a list of dictionaries."""
    for node in [node for node in model.graph.node if node.op_type == "ZipMap"]:
        output = next(output for output in model.graph.output if output.name == node.output[0])
        output.CopyFrom(onnx.helper.make_tensor_value_info(node.input[0], FLOAT, None))
        model.graph.node.remove(node)
    return model


def _advice(estimator: Any) -> str:
    if any(type(step).__name__.startswith("HistGradientBoosting") for step in steps_of(estimator)):
        return "; train LightGBM instead, which learns the same kind of trees"
    return ""


def explain_mismatch(estimator: Any, table: Table) -> str | None:
    """What is known to go wrong with such an estimator or sample, as a sentence; None where nothing is known."""
    return next((sentence for sentence in _suspicions(estimator, table) if sentence), None)


def _suspicions(estimator: Any, table: Table) -> Iterator[str]:
    final = last_step(estimator)
    if is_lightgbm(final):
        text = booster_of(final).model_to_string()
        if "[zero_as_missing: 1]" in text:
            yield "LightGBM was trained with zero_as_missing=True, which ONNX does not know; code missing values as NaN"
        if "is_linear=1" in text:
            yield "LightGBM was trained with linear_tree=True, whose leaves the converter ignores; train without it"
    yield from (_unlike_float32(table, place) for place in range(len(table.columns)))
    has_gaps = any(column.has_gaps and column.datatype != STRING for column in table.columns)
    if has_gaps and any(type(step).__name__.startswith(_FORESTS) for step in steps_of(estimator)):
        yield "trees of scikit-learn inside another estimator lose their way at missing values in ONNX; impute them"


def _unlike_float32(table: Table, place: int) -> str:
    column = table.columns[place]
    if column.datatype not in (FLOAT, INT64):
        return ""
    values = table.frame[column.name].to_numpy().astype(np.float64)
    with np.errstate(over="ignore"):
        changed = (values != values.astype(np.float32)) & np.isfinite(values) & (np.abs(values) > 1e5)
    if not changed.any():
        return ""
    name = place if table.container == "numbers" else column.name
    return (
        f"column {name} holds numbers that float32 cannot hold, such as {values[changed][0]:.10g}; give codes "
        "such as EAN-13 as categories, and times as days since a date"
    )
