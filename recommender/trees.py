"""LightGBM trees as float32 sees them."""

from collections.abc import Iterable

import lightgbm as lgb
import numpy as np

_LIGHTGBM_ZERO = float(np.float32(1e-35))  # LightGBM reads numbers no farther than this from 0 as 0

_CATEGORICAL = 1  # bit of a split's decision_type


def with_float32_thresholds(booster: lgb.Booster) -> lgb.Booster:
    """The same trees with every threshold rounded down to float32.

    A float32 value x is at most t exactly if it is at most the largest float32 not above t, so no answer for float32
    input changes. ONNX stores thresholds in float32, rounded to nearest: rounded up, they would send x = t the wrong
    way. Category splits keep their numbers, which are small and whole.
    """
    lines = (_round_line(line) for line in booster.model_to_string(num_iteration=-1).split("\n"))
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


def _round_line(line: str) -> str:
    name, equals, numbers = line.partition("=")
    if name != "threshold" or not equals:
        return line
    return "threshold=" + " ".join(repr(_as_float32(float(number))) for number in numbers.split())


def _as_float32(threshold: float) -> float:
    rounded = round_down(threshold)
    if rounded == -_LIGHTGBM_ZERO:  # the input -1e-35f itself counts as 0, which lies above this threshold
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
            found.update(int(column) for column, kind in kinds if int(kind) & _CATEGORICAL)
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
