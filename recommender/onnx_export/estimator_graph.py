"""Fitted scikit-learn and LightGBM estimators as ONNX, with what the converters get silently wrong cured first.

Cures: thresholds of LightGBM rounded down to float32; category codes cut to whole numbers as LightGBM cuts them; words
that know all of Unicode and a normalizer that needs no locale of a language. What has no cure is found by the
comparison, and `explain_mismatch` says what it was.
"""

import inspect
from collections.abc import Iterator
from copy import copy
from typing import Any, TypeAlias

import lightgbm as lgb
import numpy as np
import onnx
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common import data_types as onnxmltools_types
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm as convert_inside_pipeline
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)
from sklearn.base import BaseEstimator, is_classifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import Pipeline

from recommender.errors import ExportMismatch
from recommender.onnx_export.builder import FLOAT, ML_DOMAIN, ML_OPSET, OPSET, STRING, GraphBuilder
from recommender.onnx_export.neighbour_graph import CONVERTER_OPSET
from recommender.trees import categorical_columns, with_float32_thresholds, with_summed_leaves
from recommender.types import AnyArray
from recommender.version import VERSION

Estimator: TypeAlias = BaseEstimator | lgb.Booster
DEFAULT_WORDS = inspect.signature(CountVectorizer).parameters["token_pattern"].default
WORDS = r"[\p{L}\p{N}_]{2,}"  # what scikit-learn's default (?u)\b\w\w+\b finds, as ONNX Runtime's RE2 wants it
_FORESTS = ("RandomForest", "ExtraTree", "DecisionTree")
_UNSUPPORTED = (MissingConverter, MissingShapeCalculator, NotImplementedError, RuntimeError, ValueError, AttributeError)

# So that scikit-learn's pipelines may end in LightGBM.
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


def build_estimator_graph(estimator: Estimator, *, columns: int | None) -> bytes:
    """The estimator as a graph with one input: `input` float32 [N, columns], or `text` string [N, 1] without columns.

    Outputs as the converters name them, probabilities as a plain tensor. Raises ExportMismatch where there is no
    conversion.
    """
    try:
        model = _convert(estimator, columns)
    except _UNSUPPORTED as exc:
        first_line = str(exc).strip().partition("\n")[0]
        raise ExportMismatch(
            f"{type(estimator).__name__} has no ONNX form here: {first_line}{_advice(estimator)}"
        ) from exc
    graph = GraphBuilder()
    feed = graph.input("text", STRING, ["N", 1]) if columns is None else graph.input("input", FLOAT, ["N", columns])
    if is_lightgbm(estimator) and columns is not None:
        feed = _cut_codes(graph, feed, booster_of(estimator), columns)
    outputs = graph.include(model, {model.graph.input[0].name: feed})
    for name, tensor, declared in zip(_names(model), outputs, model.graph.output, strict=True):
        width = [dim.dim_value or "C" for dim in declared.type.tensor_type.shape.dim[1:]]
        graph.output(name, declared.type.tensor_type.elem_type, ["N", *width], tensor)
    task = "classification" if _is_classifier(estimator) else "regression"
    return graph.build("estimator", {"task": task, "library_version": VERSION, "estimator": type(estimator).__name__})


def is_lightgbm(estimator: Estimator) -> bool:
    """A booster or one of LightGBM's estimators (not a pipeline with one inside)."""
    return isinstance(estimator, lgb.Booster | lgb.LGBMModel)


def booster_of(estimator: Estimator) -> lgb.Booster:
    """The booster of a LightGBM estimator."""
    return estimator if isinstance(estimator, lgb.Booster) else estimator.booster_


def steps_of(estimator: Estimator) -> Iterator[Any]:
    """The estimator itself and everything inside it: pipeline steps, transformers, ensembles."""
    yield estimator
    inner = [step for _, step in getattr(estimator, "steps", ())]
    inner += [step for _, step in getattr(estimator, "transformer_list", ())]
    inner += [step for _, step, _ in getattr(estimator, "transformers_", ())]
    for step in inner:
        yield from steps_of(step)


def _is_classifier(estimator: Estimator) -> bool:
    if isinstance(estimator, lgb.Booster):
        return estimator.params.get("objective") in ("binary", "multiclass")
    return bool(is_classifier(estimator))


def _convert(estimator: Estimator, columns: int | None) -> Any:
    if is_lightgbm(estimator):
        types = [("input", onnxmltools_types.FloatTensorType([None, columns]))]
        exact = with_float32_thresholds(booster_of(estimator))
        if isinstance(estimator, lgb.Booster):
            exact = with_summed_leaves(exact)
        else:
            booster, exact = exact, copy(estimator)
            exact._Booster = booster  # noqa: SLF001 - the wrapper offers no other way to carry changed trees
        return convert_lightgbm(exact, initial_types=types, target_opset=CONVERTER_OPSET, zipmap=False)
    kind = StringTensorType([None, 1]) if columns is None else FloatTensorType([None, columns])
    opsets = {"": OPSET, ML_DOMAIN: ML_OPSET}
    return convert_sklearn(estimator, initial_types=[("input", kind)], options=_options(estimator), target_opset=opsets)


def _options(estimator: Estimator) -> dict[int, dict[str, Any]]:
    options: dict[int, dict[str, Any]] = {}
    for step in steps_of(estimator):
        if isinstance(step, CountVectorizer):
            options[id(step)] = {"locale": "C.UTF-8"}
            if step.analyzer == "word" and step.token_pattern == DEFAULT_WORDS:
                options[id(step)]["tokenexp"] = WORDS
        elif is_classifier(step) and not isinstance(step, Pipeline):
            options[id(step)] = {"zipmap": False}
    return options


def _cut_codes(graph: GraphBuilder, feed: str, booster: lgb.Booster, columns: int) -> str:
    """LightGBM takes 2.7 for category 2; so does the graph after this."""
    categories = categorical_columns(booster)
    if not categories:
        return feed
    is_category = np.isin(np.arange(columns), categories)[np.newaxis]
    whole = graph.op("Mul", graph.op("Sign", feed), graph.op("Floor", graph.op("Abs", feed)))
    return graph.op("Where", graph.constant(is_category), whole, feed)


def _names(model: onnx.ModelProto) -> list[str]:
    """label and probabilities, or value."""
    return ["label", "probabilities"] if len(model.graph.output) == 2 else ["value"]


def _advice(estimator: Estimator) -> str:
    if any(type(step).__name__.startswith("HistGradientBoosting") for step in steps_of(estimator)):
        return "; train LightGBM instead, which learns the same kind of trees"
    return ""


def explain_mismatch(estimator: Estimator, sample: AnyArray) -> str | None:
    """What is known to go wrong with such an estimator or sample, as a sentence; None where nothing is known."""
    return next((sentence for sentence in _suspicions(estimator, sample) if sentence), None)


def _suspicions(estimator: Estimator, sample: AnyArray) -> Iterator[str]:
    if is_lightgbm(estimator):
        text = booster_of(estimator).model_to_string()
        if "[zero_as_missing: 1]" in text:
            yield "LightGBM was trained with zero_as_missing=True, which ONNX does not know; code missing values as NaN"
        if "is_linear=1" in text:
            yield "LightGBM was trained with linear_tree=True, whose leaves the converter ignores; train without it"
    if sample.dtype.kind == "f":
        yield _unlike_float32(sample)
        if np.isnan(sample).any() and any(type(step).__name__.startswith(_FORESTS) for step in steps_of(estimator)):
            yield "a forest of scikit-learn loses its way at missing values in ONNX; impute them, or train LightGBM"
    for step in steps_of(estimator):
        if isinstance(step, CountVectorizer):
            yield _text_trouble(step)


def _unlike_float32(sample: AnyArray) -> str:
    with np.errstate(over="ignore"):
        changed = (sample != sample.astype(np.float32)) & np.isfinite(sample) & (np.abs(sample) > 1e5)
    if not changed.any():
        return ""
    row, column = np.argwhere(changed)[0]
    return (
        f"column {column} holds numbers that float32 cannot hold, such as {sample[row, column]:.10g}; give codes "
        "such as EAN-13 as categories, and times as days since a date"
    )


def _text_trouble(step: CountVectorizer) -> str:
    if getattr(step, "sublinear_tf", False):
        return "sublinear_tf=True is wrong in ONNX for repeated words; train with sublinear_tf=False"
    if step.stop_words is not None and step.ngram_range[1] > 1:
        return "stop words together with n-grams of several words are wrong in ONNX; leave one of them out"
    if step.analyzer == "char":
        return "ONNX does not join repeated white space before it makes n-grams of characters; use fit_text_classifier"
    if step.analyzer == "word" and step.ngram_range[1] > 1:
        return "n-grams of several words differ in ONNX; use single words or fit_text_classifier"
    return ""
