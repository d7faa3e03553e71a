"""LightGBM trees as float32 sees them."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

import lightgbm as lgb
import numpy as np

from recommender.types import AnyArray, DoubleArray

Splits: TypeAlias = tuple[AnyArray, DoubleArray, AnyArray]
"""Feature, threshold and LightGBM's decision bits of every split of all trees."""

_SPLIT_LINES = ("split_feature", "threshold", "decision_type")
_PLAIN_OBJECTIVES = {"mape": "regression", "cross_entropy": "binary sigmoid:1"}
CATEGORICAL, DEFAULT_LEFT, NAN_IS_MISSING = 1, 2, 2 << 2  # bits of a decision; a missing type of 0 takes NaN for 0
ZERO = float(np.float32(1e-35))  # LightGBM reads numbers no farther than this from 0 as 0


def with_float32_thresholds(booster: lgb.Booster) -> lgb.Booster:
    """The same trees with every threshold rounded down to float32.

    A float32 value x is at most t exactly if it is at most the largest float32 not above t, so no answer for float32
    input changes. ONNX stores thresholds in float32, rounded to nearest: rounded up, they would send x = t the wrong
    way. Category splits keep their numbers, which are small and whole.
    """

    def rounded(splits: Splits) -> Splits:
        features, thresholds, decisions = splits
        return features, np.array([_as_float32(threshold) for threshold in thresholds]), decisions

    return with_changed_splits(booster, rounded)


def with_changed_splits(booster: lgb.Booster, change: Callable[[Splits], Splits]) -> lgb.Booster:
    """The same trees with other splits; `change` is asked once for all of them and keeps their number and order."""
    lines = booster.model_to_string(num_iteration=-1).split("\n")
    at = [[number for number, line in enumerate(lines) if line.startswith(f"{name}=")] for name in _SPLIT_LINES]
    values = [[_values(lines[number]) for number in numbers] for numbers in at]
    features, thresholds, decisions = (np.array([value for line in part for value in line]) for part in values)
    changed = change((features.astype(np.int64), thresholds.astype(np.float64), decisions.astype(np.int64)))
    ends = np.cumsum([len(line) for line in values[0]])
    for name, numbers, array in zip(_SPLIT_LINES, at, changed, strict=True):
        for number, part in zip(numbers, np.split(array, ends[:-1]), strict=True):
            lines[number] = f"{name}=" + " ".join(map(repr, part.tolist()))
    return lgb.Booster(model_str="\n".join(without_sizes(lines)))


def with_summed_leaves(booster: lgb.Booster) -> lgb.Booster:
    """The same answers from a random forest whose trees are summed, as the converter does, and not averaged."""
    lines = booster.model_to_string(num_iteration=-1).split("\n")
    if "average_output" not in lines:
        return booster
    rounds = booster.num_trees() // booster.num_model_per_iteration()
    shares = (_divide_line(line, rounds) for line in lines if line != "average_output")
    return lgb.Booster(model_str="\n".join(without_sizes(shares)))


def _divide_line(line: str, divisor: int) -> str:
    name, equals, numbers = line.partition("=")
    if name != "leaf_value" or not equals:
        return line
    return "leaf_value=" + " ".join(repr(float(number) / divisor) for number in numbers.split())


def with_plain_objective(booster: lgb.Booster) -> lgb.Booster:
    """The same answers under the name of an objective that converters know: it says only how sums become answers."""
    text = booster.model_to_string(num_iteration=-1)
    for objective, plain in _PLAIN_OBJECTIVES.items():
        text = text.replace(f"\nobjective={objective}\n", f"\nobjective={plain}\n", 1)
    return lgb.Booster(model_str=text)


def _values(line: str) -> list[float]:
    return [float(value) for value in line.partition("=")[2].split()]


def _as_float32(threshold: float) -> float:
    rounded = round_down(threshold)
    if rounded == -ZERO:  # the input -1e-35f itself counts as 0, which lies above this threshold
        return float(np.nextafter(np.float32(rounded), np.float32(-np.inf)))
    return rounded


def without_sizes(lines: Iterable[str]) -> Iterable[str]:
    """Drop the byte lengths of the trees, which are optional and no longer right."""
    return (line for line in lines if not line.startswith("tree_sizes="))


def round_down(value: float) -> float:
    """The largest float32 not above `value`.

    >>> round_down(0.5), round_down(0.7) <= 0.7
    (0.5, True)
    """
    nearest = np.float32(value)
    if float(nearest) > value:
        nearest = np.nextafter(nearest, np.float32(-np.inf))
    return float(nearest)


def categorical_columns(booster: lgb.Booster) -> list[int]:
    """The features that are split by category, ascending; read from the trees, since a loaded booster knows no more."""
    found: set[int] = set()
    columns: list[str] = []
    for line in booster.model_to_string(num_iteration=-1).split("\n"):
        name, _, values = line.partition("=")
        if name == "split_feature":
            columns = values.split()
        elif name == "decision_type":
            kinds = zip(columns, values.split(), strict=True)
            found.update(int(column) for column, kind in kinds if int(kind) & CATEGORICAL)
    return sorted(found)


def split_thresholds(booster: lgb.Booster) -> dict[int, list[float]]:
    """For each feature that is split as a number, the distinct thresholds in ascending order."""
    found: dict[int, set[float]] = {}
    pending = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    while pending:
        node = pending.pop()
        if "split_feature" not in node:
            continue
        if node["decision_type"] == "<=":
            found.setdefault(node["split_feature"], set()).add(float(node["threshold"]))
        pending += [node["left_child"], node["right_child"]]
    return {feature: sorted(thresholds) for feature, thresholds in found.items()}
