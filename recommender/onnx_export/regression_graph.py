"""A regression model as one ONNX graph: one input per column, categories as text."""

import json

import lightgbm as lgb
import numpy as np
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from recommender.onnx_export.builder import FLOAT, ML_DOMAIN, STRING, GraphBuilder
from recommender.onnx_export.neighbour_graph import CONVERTER_OPSET
from recommender.onnx_export.tree_counts import write_counts
from recommender.regression import Feature, RegressionModel
from recommender.version import VERSION


def build_regression_graph(model: RegressionModel) -> bytes:
    """Inputs: each feature by its name, [N, 1], float32 (NaN is missing) or string ("" and unknown are missing).

    Outputs: value float32 [N, 1] and, for each quantile, its name (quantile_10, ...) float32 [N, 1]. The metadata
    `allows_nan` names the inputs in which NaN is a missing value.
    """
    graph = GraphBuilder()
    columns = [_column(graph, feature) for feature in model.features]
    encoded = graph.op("Concat", *columns, axis=1) if len(columns) > 1 else columns[0]
    graph.output("value", FLOAT, ["N", 1], _answers(graph, model, model.booster, encoded))
    highest = ""
    for quantile in model.quantiles:
        value = _answers(graph, model, quantile.booster, encoded)
        highest = graph.op("Max", highest, value) if highest else value
        graph.output(quantile.name, FLOAT, ["N", 1], highest)
    gaps = [feature.name for feature in model.features if feature.categories is None]
    metadata = {"task": "regression", "target": model.target, "allows_nan": json.dumps(gaps)}
    return graph.build("regression", metadata | {"library_version": VERSION})


def _answers(graph: GraphBuilder, model: RegressionModel, booster: lgb.Booster, encoded: str) -> str:
    types = [("encoded", FloatTensorType([None, len(model.features)]))]
    trees = convert_lightgbm(booster, initial_types=types, target_opset=CONVERTER_OPSET)
    write_counts(trees, booster)
    answers = graph.reshape(graph.include(trees, {"encoded": encoded})[0], -1, 1)
    if not model.log_target:
        return answers
    return graph.op("Sub", graph.op("Exp", answers), graph.constant(np.float32(1)))


def _column(graph: GraphBuilder, feature: Feature) -> str:
    """The input of one feature as the trees want it: `Feature.encode` in ONNX."""
    if feature.categories is not None:
        text = graph.input(feature.name, STRING, ["N", 1])
        return _category(graph, text, feature.categories)
    number = graph.input(feature.name, FLOAT, ["N", 1])
    if np.isnan(feature.fill):
        return number
    return graph.op("Where", graph.op("IsNaN", number), graph.constant(np.float32(feature.fill)), number)


def _category(graph: GraphBuilder, text: str, categories: tuple[str, ...]) -> str:
    if not categories:  # a column without a single value: missing, whatever comes
        nothing = graph.constant(np.array([[np.nan]], np.float32))
        return graph.op("Expand", nothing, graph.op("Shape", text))
    return graph.op(
        "LabelEncoder",
        text,
        domain=ML_DOMAIN,
        keys_strings=list(categories),
        values_floats=[float(position) for position in range(len(categories))],
        default_float=float("nan"),
    )
