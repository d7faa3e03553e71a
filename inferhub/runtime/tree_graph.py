"""The trees inside an ONNX file: splits, leaves and how many training rows went where.

An ONNX tree has a place for the number of training rows at each node, `nodes_hitrates`, which runtimes ignore and most
exporters fill with ones; the export of `recommender` writes the counts there. So the companion that an explanation
needs travels inside the artifact, under its digest, and whatever counts do not add up are not used.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, helper

from inferhub.errors import FieldError, InvalidInput
from inferhub.runtime.shap import Bools, Leaf, PathStep
from inferhub.runtime.signature import Array

KINDS = ("TreeEnsembleRegressor", "TreeEnsembleClassifier")
_PASSING = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_SCALES = {(): "answer", ("Exp",): "log", ("Exp", "Sub"): "log1p", ("Sigmoid",): "log-odds"}
_COMPARISONS = {
    "BRANCH_LEQ": np.less_equal,
    "BRANCH_LT": np.less,
    "BRANCH_GTE": np.greater_equal,
    "BRANCH_GT": np.greater,
    "BRANCH_EQ": np.equal,
    "BRANCH_NEQ": np.not_equal,
}
_TOLERANCE = 1e-3  # counts are float32, and may be sums of weights
Key = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """One comparison, or several on one feature that lead to the same child (a set of categories)."""

    feature: int
    mode: str
    values: tuple[float, ...]
    missing_is_true: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Trees:
    """`classes` is empty for a regression; a single one is the class that the margin speaks for."""

    input: str
    splits: tuple[Split, ...]
    leaves: tuple[Leaf, ...]
    base: tuple[float, ...]
    classes: tuple[str | int, ...]
    post_transform: str

    @property
    def features(self) -> int:
        return max((split.feature for split in self.splits), default=0) + 1

    def decisions(self, rows: Array) -> Bools:
        """[N, splits]: which side each row [N, F] takes at each split."""
        decided = np.zeros((len(rows), len(self.splits)), bool)
        for place, split in enumerate(self.splits):
            column = rows[:, split.feature]
            compare = _COMPARISONS[split.mode]
            for value in split.values:
                decided[:, place] |= compare(column, np.float32(value))
            if split.missing_is_true:
                decided[:, place] |= np.isnan(column)
        return decided


def read_trees(model: ModelProto) -> Trees:
    """The first tree ensemble of a graph. Raises InvalidInput where there is none that can be explained."""
    node = next((node for node in model.graph.node if node.op_type in KINDS), None)
    if node is None:
        raise not_explainable("one without trees")
    return _Reader(node).trees()


def scale_of(graph: GraphProto) -> str:
    """What the sums of the first trees are beside what the model answers, told by what the graph does with them.

    "answer": they are the answer itself; "log" and "log1p": logarithms of it (of 1 + it); "log-odds": those of a
    probability; "margin": anything else.
    """
    node = next(node for node in graph.node if node.op_type in KINDS)
    transform = next((one.s.decode() for one in node.attribute if one.name == "post_transform"), "NONE")
    if transform != "NONE":
        return "log-odds" if transform == "LOGISTIC" else "margin"
    if node.op_type == "TreeEnsembleClassifier":
        return "answer"
    return _SCALES.get(tuple(_done_with(node.output[0], graph)), "margin")


def _done_with(tensor: str, graph: GraphProto) -> Iterator[str]:
    """The operators behind a tensor, up to the first output or fork, without those that only pass values on."""
    outputs = {value.name for value in graph.output}
    while tensor not in outputs:
        readers = [node for node in graph.node if tensor in node.input]
        if len(readers) != 1:
            return
        if readers[0].op_type not in _PASSING:
            yield readers[0].op_type
        tensor = readers[0].output[0]


class _Reader:
    """Walks the trees of one node."""

    def __init__(self, node: NodeProto) -> None:
        self.node = node
        self.attributes: dict[str, Any] = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        keys = zip(self.attributes["nodes_treeids"], self.attributes["nodes_nodeids"], strict=True)
        self.places: dict[Key, int] = {key: place for place, key in enumerate(keys)}
        self.modes = [mode.decode() for mode in self.attributes["nodes_modes"]]
        hits = self.attributes.get("nodes_hitrates", [])
        if len(hits) != len(self.modes):
            raise _no_counts()
        self.hits = hits
        self.missing = self.attributes.get("nodes_missing_value_tracks_true") or [0] * len(self.modes)
        self.prefix = "class" if node.op_type == "TreeEnsembleClassifier" else "target"
        self.columns = self._columns()
        self.values = self._leaf_values()
        self.splits: list[Split] = []
        self.leaves: list[Leaf] = []
        self.factor = 1.0

    def trees(self) -> Trees:
        children = {self._child(place, side) for place in self._branches() for side in (True, False)}
        roots = [key for key in self.places if key not in children]
        self.factor = self._factor(len(roots))
        for root in roots:
            self._walk(root)
        base = self.attributes.get("base_values") or [0.0] * len(self.columns)
        if len(base) != len(self.columns):
            raise not_explainable(f"one with {len(base)} base values for {len(self.columns)} outputs")
        return Trees(
            input=self.node.input[0],
            splits=tuple(self.splits),
            leaves=tuple(self.leaves),
            base=tuple(base),
            classes=self._classes(),
            post_transform=self.attributes.get("post_transform", b"NONE").decode(),
        )

    def _factor(self, trees: int) -> float:
        """What each leaf counts with."""
        kind = self.attributes.get("aggregate_function", b"SUM").decode()
        if kind not in ("SUM", "AVERAGE"):
            raise not_explainable(f"one whose trees are combined by {kind}")
        return 1.0 if kind == "SUM" else 1.0 / trees

    def _columns(self) -> dict[int, int]:
        """Targets or classes that leaves have weights for, as places in `Leaf.values`."""
        return {key: place for place, key in enumerate(sorted(set(self.attributes[f"{self.prefix}_ids"])))}

    def _classes(self) -> tuple[str | int, ...]:
        if self.prefix == "target":
            return ()
        labels = [text.decode() for text in self.attributes.get("classlabels_strings", [])]
        known: list[Any] = labels or list(self.attributes.get("classlabels_int64s", []))
        if len(self.columns) == 1 and len(known) == 2:
            return (known[1],)  # of two classes with one margin, it speaks for the second
        return tuple(known[key] for key in self.columns)

    def _leaf_values(self) -> dict[Key, list[float]]:
        values: dict[Key, list[float]] = {}
        names = ("treeids", "nodeids", "ids", "weights")
        for tree, node, column, weight in zip(
            *(self.attributes[f"{self.prefix}_{name}"] for name in names), strict=True
        ):
            values.setdefault((tree, node), [0.0] * len(self.columns))[self.columns[column]] += weight
        return values

    def _branches(self) -> Iterator[int]:
        return (place for place, mode in enumerate(self.modes) if mode != "LEAF")

    def _child(self, place: int, side: bool) -> Key:
        name = "nodes_truenodeids" if side else "nodes_falsenodeids"
        return self.attributes["nodes_treeids"][place], self.attributes[name][place]

    def _walk(self, root: Key) -> None:
        pending: list[tuple[Key, tuple[PathStep, ...]]] = [(root, ())]
        while pending:
            key, path = pending.pop()
            place = self.places[key]
            if self.modes[place] == "LEAF":
                values = self.values.get(key, [0.0] * len(self.columns))
                self.leaves.append(Leaf(values=tuple(value * self.factor for value in values), path=path))
                continue
            split, children = self._split(place)
            shares = self._shares(place, children)
            for side, child, share in zip((True, False), children, shares, strict=True):
                step = PathStep(node=len(self.splits), feature=split.feature, is_true=side, share=share)
                pending.append((child, (*path, step)))
            self.splits.append(split)

    def _split(self, place: int) -> tuple[Split, tuple[Key, Key]]:
        """A node and, of equalities on one feature with the same true child, the chain of them as one set."""
        feature, mode = self.attributes["nodes_featureids"][place], self.modes[place]
        true, false = self._child(place, True), self._child(place, False)
        values = [self.attributes["nodes_values"][place]]
        while mode == "BRANCH_EQ":
            after = self.places[false]
            is_chain = self.modes[after] == mode and self._child(after, True) == true
            if not is_chain or self.attributes["nodes_featureids"][after] != feature:
                break
            values.append(self.attributes["nodes_values"][after])
            false = self._child(after, False)
        split = Split(feature=feature, mode=mode, values=tuple(values), missing_is_true=bool(self.missing[place]))
        return split, (true, false)

    def _shares(self, place: int, children: tuple[Key, Key]) -> tuple[float, float]:
        true, false = (float(self.hits[self.places[child]]) for child in children)
        total = float(self.hits[place])
        if not (true > 0 and false > 0 and abs(true + false - total) <= _TOLERANCE * total):
            raise _no_counts()
        return true / (true + false), false / (true + false)


def not_explainable(got: str) -> InvalidInput:
    """What a caller reads who asks for an explanation that there is not."""
    expected = (
        "a model of trees that tell how many training rows went where (nodes_hitrates), as recommender exports it"
    )
    return InvalidInput(errors=[FieldError(pointer="/explain", expected=expected, got=got)])


def _no_counts() -> InvalidInput:
    return not_explainable("one whose counts are missing or do not add up")
