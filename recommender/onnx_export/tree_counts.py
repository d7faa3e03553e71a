"""How many training rows went where, written into the trees of an ONNX file for those who explain them.

ONNX has a place for it, `nodes_hitrates`, which runtimes ignore and converters fill with ones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import onnx
from onnx import helper
from sklearn.base import BaseEstimator

_KINDS = ("TreeEnsembleRegressor", "TreeEnsembleClassifier")
Key = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """How many rows came to a node and, where it is a split, its feature and children (true first)."""

    count: float
    feature: int = -1
    children: "tuple[Counted, Counted] | None" = None


def write_counts(model: onnx.ModelProto, estimator: BaseEstimator | lgb.Booster) -> None:
    """Fill `nodes_hitrates` of the only tree ensemble in `model`, in place.

    A model whose trees are not those of the estimator one by one (or that has none) is left as it is.
    """
    nodes = [node for node in model.graph.node if node.op_type in _KINDS]
    trees = list(_trees_of(estimator))
    if len(nodes) == 1 and trees:
        _write(nodes[0], trees)


def _trees_of(estimator: BaseEstimator | lgb.Booster) -> Iterator[Counted]:
    if isinstance(estimator, lgb.LGBMModel):
        estimator = estimator.booster_
    if isinstance(estimator, lgb.Booster):
        yield from (_of_lightgbm(tree["tree_structure"]) for tree in estimator.dump_model()["tree_info"])
        return
    steps = getattr(estimator, "steps", None)
    last = steps[-1][1] if steps else estimator
    for part in np.ravel(getattr(last, "estimators_", [last])):
        if isinstance(part, lgb.LGBMModel):
            yield from _trees_of(part)
        elif hasattr(part, "tree_"):
            yield _of_sklearn(part.tree_, 0)


def _of_lightgbm(node: dict[str, Any]) -> Counted:
    if "left_child" not in node:
        return Counted(count=float(node.get("leaf_count", 1)))
    children = _of_lightgbm(node["left_child"]), _of_lightgbm(node["right_child"])
    return Counted(count=float(node["internal_count"]), feature=int(node["split_feature"]), children=children)


def _of_sklearn(tree: Any, place: int) -> Counted:
    count = float(tree.weighted_n_node_samples[place])
    left, right = int(tree.children_left[place]), int(tree.children_right[place])
    if left < 0:
        return Counted(count=count)
    children = _of_sklearn(tree, left), _of_sklearn(tree, right)
    return Counted(count=count, feature=int(tree.feature[place]), children=children)


def _write(node: onnx.NodeProto, trees: Sequence[Counted]) -> None:
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    reader = _Reader(attributes)
    roots = reader.roots()
    if len(roots) != len(trees) or not all(map(reader.match, roots, trees)):
        return
    attributes["nodes_hitrates"] = reader.counts
    del node.attribute[:]
    node.attribute.extend(helper.make_attribute(name, value) for name, value in sorted(attributes.items()))


class _Reader:
    """Goes down an ONNX tree and the estimator's side by side."""

    def __init__(self, attributes: dict[str, Any]) -> None:
        self.trees: list[int] = attributes["nodes_treeids"]
        self.nodes: list[int] = attributes["nodes_nodeids"]
        self.modes = [mode.decode() for mode in attributes["nodes_modes"]]
        self.features: list[int] = attributes["nodes_featureids"]
        self.sides = attributes["nodes_truenodeids"], attributes["nodes_falsenodeids"]
        self.places: dict[Key, int] = {key: at for at, key in enumerate(zip(self.trees, self.nodes, strict=True))}
        self.counts = [0.0] * len(self.modes)

    def roots(self) -> list[int]:
        """In the order of the trees."""
        children = {self._child(at, side) for at, mode in enumerate(self.modes) if mode != "LEAF" for side in (0, 1)}
        return sorted(set(self.places.values()) - children, key=lambda at: self.trees[at])

    def match(self, root: int, counted: Counted) -> bool:
        """Write down the counts of one tree; False where it has another form."""
        pending = [(root, counted)]
        while pending:
            at, node = pending.pop()
            self.counts[at] = node.count
            if node.children is None:
                if self.modes[at] != "LEAF":
                    return False
            elif self.modes[at] == "LEAF" or self.features[at] != node.feature:
                return False
            else:
                pending += zip((self._child(at, 0), self._end_of_set(at, node.count)), node.children, strict=True)
        return True

    def _end_of_set(self, at: int, count: float) -> int:
        """The false child; of a set of categories, which ONNX asks one by one, that of the last one."""
        false = self._child(at, 1)
        while (
            self.modes[at] == self.modes[false] == "BRANCH_EQ"
            and self.features[at] == self.features[false]
            and self._child(at, 0) == self._child(false, 0)
        ):
            self.counts[false] = count
            false = self._child(false, 1)
        return false

    def _child(self, at: int, side: int) -> int:
        return self.places[self.trees[at], self.sides[side][at]]
