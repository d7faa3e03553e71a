"""Trees that read the columns themselves instead of what a scaler or imputer made of them.

A scaled number in float32 may fall on the other side of a threshold than in float64, and a tree jumps there. Where a
feature never falls when its column rises, the threshold has an exact counterpart on the column: the largest float32
number that the native transformer and tree send to the left. It is found by asking the transformer itself.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import lightgbm as lgb
import numpy as np
import onnx
from onnx import helper

from recommender.onnx_export.feature_parts import Rising
from recommender.trees import CATEGORICAL, DEFAULT_LEFT, NAN_IS_MISSING, ZERO, Splits, with_changed_splits
from recommender.types import BoolArray, DoubleArray, FloatArray

TREES = ("TreeEnsembleRegressor", "TreeEnsembleClassifier")
_FLOAT32_STEPS = 33  # halvings that leave one of all float32 numbers
_INT32_TOP = 2**31


def reads_only_trees(model: onnx.ModelProto) -> bool:
    """Whether nothing but tree ensembles takes the model's input."""
    given = model.graph.input[0].name
    readers = [node.op_type for node in model.graph.node if given in node.input]
    return bool(readers) and set(readers) <= set(TREES)


def booster_on_columns(booster: lgb.Booster, features: Sequence[Rising | None]) -> lgb.Booster:
    """LightGBM trees in which every rising feature is its column (float32), with thresholds that decide alike."""

    def moved(splits: Splits) -> Splits:
        places, thresholds, decisions = splits
        for feature in np.unique(places):
            rising = features[int(feature)]
            chosen = (places == feature) & (decisions & CATEGORICAL == 0)
            if rising is None or not chosen.any():
                continue
            limits = thresholds[chosen]
            read = _Read(rising, is_lightgbm=True)
            thresholds[chosen] = _largest_below(read, limits)
            at_gap = read.at_gap()
            if at_gap is not None:
                decisions[chosen] = np.where(at_gap <= limits, DEFAULT_LEFT | NAN_IS_MISSING, NAN_IS_MISSING)
        return places, thresholds, decisions

    return with_changed_splits(booster, moved)


def move_to_columns(model: onnx.ModelProto, features: Sequence[Rising | None]) -> None:
    """The same for converted trees of scikit-learn, which read features as float32."""
    for node in model.graph.node:
        if node.op_type in TREES:
            _move_node(node, features)


def restore_missing_ways(model: onnx.ModelProto, final: Any) -> None:
    """Where trees of scikit-learn that were trained with gaps send them: the converter forgets it."""
    trees: list[Any] = [getattr(tree, "tree_", None) for tree in np.ravel(getattr(final, "estimators_", [final]))]
    nodes = [node for node in model.graph.node if node.op_type in TREES]
    if len(nodes) != 1 or None in trees:
        return
    features = np.concatenate([tree.feature for tree in trees])
    ways = np.concatenate([tree.missing_go_to_left for tree in trees])
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in nodes[0].attribute}
    is_split = features >= 0
    converted = np.array(attributes["nodes_featureids"])
    if len(converted) == len(features) and (converted[is_split] == features[is_split]).all():
        _replace(nodes[0], {"nodes_missing_value_tracks_true": np.where(is_split, ways, 0).tolist()})


def _move_node(node: onnx.NodeProto, features: Sequence[Rising | None]) -> None:
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    places = np.array(attributes["nodes_featureids"])
    limits = np.array(attributes["nodes_values"], np.float64)
    missing = np.array(attributes["nodes_missing_value_tracks_true"])
    is_split = np.array([mode == b"BRANCH_LEQ" for mode in attributes["nodes_modes"]])
    for feature, rising in enumerate(features):
        chosen = is_split & (places == feature)
        if rising is None or not chosen.any():
            continue
        read = _Read(rising, is_lightgbm=False)
        at_gap = read.at_gap()
        if at_gap is not None:
            missing[chosen] = at_gap <= limits[chosen]
        limits[chosen] = _largest_below(read, limits[chosen])
    _replace(node, {"nodes_values": limits.tolist(), "nodes_missing_value_tracks_true": missing.tolist()})


def _replace(node: onnx.NodeProto, changed: Mapping[str, list[Any]]) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name not in changed]
    copies = [onnx.AttributeProto.FromString(attribute.SerializeToString()) for attribute in kept]
    del node.attribute[:]
    node.attribute.extend([*copies, *(helper.make_attribute(name, value) for name, value in changed.items())])


def thresholds_of(model: onnx.ModelProto, features: Sequence[Rising | None]) -> Iterator[tuple[int, FloatArray]]:
    """For every column that trees read, where they split it."""
    for node in model.graph.node:
        if node.op_type in TREES:
            attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
            places, values = np.array(attributes["nodes_featureids"]), np.array(attributes["nodes_values"], np.float32)
            is_split = np.array([mode == b"BRANCH_LEQ" for mode in attributes["nodes_modes"]])
            for feature, rising in enumerate(features):
                found = values[is_split & (places == feature)]
                if rising is not None and len(found):
                    yield rising.place, np.unique(found)


class _Read:
    """A feature as the native trees read it."""

    def __init__(self, rising: Rising, *, is_lightgbm: bool) -> None:
        self._rising = rising
        self._is_lightgbm = is_lightgbm

    def __call__(self, column: DoubleArray) -> DoubleArray:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of transformers about numbers that no sample would hold
            values = self._rising.values(column)
            if not self._is_lightgbm:
                return values.astype(np.float32).astype(np.float64)
        return np.where(np.abs(values) <= ZERO, 0.0, values)

    def at_gap(self) -> float | None:
        """What a missing value becomes; None where the trees see it as missing, or the transformer refuses it."""
        try:
            value = float(self(np.array([np.nan]))[0])
        except ValueError:
            return None
        return None if np.isnan(value) else value


def _largest_below(read: _Read, limits: DoubleArray) -> DoubleArray:
    """For each limit the largest float32 number that `read` makes no larger, by halving the range."""
    unique, places = np.unique(limits, return_inverse=True)
    top = _to_order(np.array([np.finfo(np.float32).max], np.float32))[0]
    low, high = np.full(len(unique), -top, np.int64), np.full(len(unique), top, np.int64)
    for _ in range(_FLOAT32_STEPS):
        middle = (low + high + 1) // 2
        is_below = _is_not_above(read(_from_order(middle).astype(np.float64)), unique)
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle - 1)
    return _from_order(low).astype(np.float64)[places]


def _is_not_above(values: DoubleArray, limits: DoubleArray) -> BoolArray:
    return np.asarray(values <= limits, np.bool_)


def _to_order(numbers: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Whole numbers in the order of float32 numbers, 0 for 0."""
    bits = np.ascontiguousarray(numbers).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits + _INT32_TOP), bits)


def _from_order(order: np.ndarray[tuple[int], np.dtype[np.int64]]) -> FloatArray:
    bits = np.where(order < 0, -order - _INT32_TOP, order)
    return bits.astype(np.int32).view(np.float32)
