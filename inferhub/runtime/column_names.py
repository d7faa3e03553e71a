"""What callers call the columns of a tensor inside a graph: the inputs that they are made of, and the categories.

A model that encodes its inputs gives its trees columns that nobody sent. The graph tells what they are: parts that are
joined, numbers that are filled and scaled, categories that are looked up in a table with a row for each (as
`recommender` exports encoders) or that become one column each (`OneHotEncoder`, as skl2onnx does).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, helper, numpy_helper

from inferhub.runtime.signature import Array

Names = list[str]

_OF_ONE = frozenset(
    {
        "Cast",
        "Clip",
        "Exp",
        "Flatten",
        "Identity",
        "Imputer",
        "Log",
        "Reshape",
        "Scaler",
        "Sqrt",
        "Squeeze",
        "Unsqueeze",
    }
)
_OF_SEVERAL = frozenset({"Add", "Div", "Max", "Min", "Mul", "Pow", "Sub", "Where"})
_NUMBERING = frozenset({"ArgMax", "Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_KEYS = ("cats_strings", "cats_int64s", "keys_strings", "keys_int64s", "keys_floats")
_MOST_TOLD = 3
_MOST_COLUMNS = 1_000_000  # a small file can join a tensor with itself again and again
_DEEPEST = 100


def column_names(graph: GraphProto, tensor: str, width: int) -> Names:
    """The `width` names of the columns of `tensor`; columns of one name are parts of one input.

    `price` is an input, `x[3]` a place in one, `country = DE` the column of a category; what the graph does not tell is
    called by the tensor and the place there.
    """
    return _Graph(graph).names_of(tensor, width)


def renamed(origins: Mapping[str, str], name: str) -> str:
    """A name of `column_names` under what callers call the input that it begins with."""
    if name in origins:
        return origins[name]
    source = max((one for one in origins if name.startswith(f"{one} ")), key=len, default="")
    return origins[source] + name.removeprefix(source) if source else name


class _Graph:
    def __init__(self, graph: GraphProto) -> None:
        self.makers = {output: node for node in graph.node for output in node.output}
        self.inputs = {value.name: [one.dim_value for one in value.type.tensor_type.shape.dim] for value in graph.input}
        self.constants = {one.name: one for one in graph.initializer}
        self.known: dict[str, Names | None] = {}
        self.depth = 0
        self.readers: dict[str, Callable[[NodeProto], Names | None]] = {
            "Concat": self._joined,
            "Gather": self._gathered,
            "ArrayFeatureExtractor": self._gathered,
            "OneHotEncoder": self._spread,
            "IsNaN": self._missing,
            **dict.fromkeys(_OF_ONE, lambda node: self.names(node.input[0])),
            **dict.fromkeys(_OF_SEVERAL, self._agreed),
        }

    def names_of(self, tensor: str, width: int, *, depth: int = 0) -> Names:
        """As far as the graph tells them, and places where it does not."""
        found = self.names(tensor)
        if found is not None and len(found) == width:
            return found
        joined = self.makers.get(tensor)
        if joined is not None and joined.op_type == "Concat" and depth < _DEEPEST:
            parts = [self.names(name) for name in joined.input]
            unknown = [place for place, part in enumerate(parts) if part is None]
            rest = width - sum(len(part) for part in parts if part is not None)
            if unknown and (rest == len(unknown) or len(unknown) == 1) and rest > 0:
                widths = 1 if rest == len(unknown) else rest
                told = [
                    self.names_of(name, widths, depth=depth + 1) if part is None else part
                    for name, part in zip(joined.input, parts, strict=True)
                ]
                return [name for part in told for name in part]
        origins = self._origins(tensor)
        if len(origins) == width:  # an operator that is not known, and most likely takes each column by itself
            return origins
        source = origins[0] if len(origins) == 1 else tensor
        return [f"{source}[{place}]" for place in range(width)]

    def names(self, tensor: str) -> Names | None:
        """One name for each column, None where the graph does not tell."""
        if tensor not in self.known:
            self.depth += 1
            found = self._read(tensor) if self.depth <= _DEEPEST else None
            self.depth -= 1
            self.known[tensor] = found if found is None or len(found) <= _MOST_COLUMNS else None
        return self.known[tensor]

    def _read(self, tensor: str) -> Names | None:
        if tensor in self.inputs:
            return self._places(tensor, self.inputs[tensor])
        node = self.makers.get(tensor)
        reader = self.readers.get(node.op_type) if node is not None else None
        return reader(node) if node is not None and reader is not None else None

    def _places(self, tensor: str, shape: Sequence[int]) -> Names | None:
        if len(shape) < 2 or list(shape[1:]) == [1]:
            return [tensor]
        is_known = len(shape) == 2 and 0 < shape[1] <= _MOST_COLUMNS
        return [f"{tensor}[{place}]" for place in range(shape[1])] if is_known else None

    def _spread(self, node: NodeProto) -> Names | None:
        category = self._category(node.output[0])
        return None if category is None else [_named(*category, [row]) for row in sorted(category[1])]

    def _missing(self, node: NodeProto) -> Names | None:
        found = self.names(node.input[0])
        return None if found is None else [f"{name} is missing" for name in found]

    def _joined(self, node: NodeProto) -> Names | None:
        parts = [self.names(name) for name in node.input]
        if _attribute(node, "axis", 1) not in (1, -1):
            return None
        told = [part for part in parts if part is not None]
        is_whole = len(told) == len(parts) and sum(map(len, told)) <= _MOST_COLUMNS
        return [name for part in told for name in part] if is_whole else None

    def _agreed(self, node: NodeProto) -> Names | None:
        """Of operators on one element at a time: what all inputs are that are no constants, and are no conditions."""
        values = node.input[1:] if node.op_type == "Where" else node.input
        found = [self.names(name) for name in values if self.constant(name) is None]
        return found[0] if found and all(one == found[0] for one in found) else None

    def _gathered(self, node: NodeProto) -> Names | None:
        table, places = self.constant(node.input[0]), self.constant(node.input[1])
        if table is not None and table.ndim == 2 and _attribute(node, "axis", 0) == 0:
            category = self._category(node.input[1])
            return None if category is None else _of_table(*category, table)
        found = self.names(node.input[0])
        last = node.op_type == "ArrayFeatureExtractor" or _attribute(node, "axis", 0) in (1, -1)
        if found is None or places is None or not last:
            return None
        chosen = places.ravel().tolist()
        return (
            [found[place] for place in chosen] if all(-len(found) <= place < len(found) for place in chosen) else None
        )

    def _category(self, tensor: str) -> tuple[str, dict[int, str]] | None:
        """Of the number of a category: the column that it is of, and what each number stands for."""
        node = self.makers.get(tensor)
        for _ in range(_DEEPEST):
            if node is None or node.op_type not in _NUMBERING:
                break
            node = self.makers.get(node.input[0])
        if node is None or node.op_type not in ("Where", "LabelEncoder", "OneHotEncoder"):
            return None
        return self._with_missing(node) if node.op_type == "Where" else self._keys(node)

    def _keys(self, node: NodeProto) -> tuple[str, dict[int, str]] | None:
        source = self.names(node.input[0])
        keys = next((found for kind in _KEYS if (found := _attribute(node, kind, None))), None)
        if source is None or len(source) != 1 or not keys:
            return None
        numbers = range(len(keys)) if node.op_type == "OneHotEncoder" else _attribute(node, "values_int64s", ())
        return (source[0], dict(zip(numbers, map(_text, keys), strict=False))) if numbers else None

    def _with_missing(self, node: NodeProto) -> tuple[str, dict[int, str]] | None:
        """A number for what is not a number, others for the rest."""
        missing, encoder = self.constant(node.input[1]), self.makers.get(node.input[2])
        found = self._keys(encoder) if encoder is not None and encoder.op_type == "LabelEncoder" else None
        if found is None or missing is None or missing.size != 1:
            return None
        return found[0], found[1] | {int(missing.ravel()[0]): ""}

    def _origins(self, tensor: str) -> Names:
        """The columns of the only input that a tensor is made of; none where there are several inputs."""
        found: set[str] = set()
        pending, seen = [tensor], set()
        while pending:
            name = pending.pop()
            if name in self.inputs:
                found.add(name)
            elif name not in seen and name in self.makers:
                pending += self.makers[name].input
            seen.add(name)
        source = found.pop() if len(found) == 1 else ""
        return (self.names(source) or [source]) if source else []

    def constant(self, tensor: str) -> Array | None:
        if tensor in self.constants:
            return np.asarray(numpy_helper.to_array(self.constants[tensor]))
        node = self.makers.get(tensor)
        value = _attribute(node, "value", None) if node is not None and node.op_type == "Constant" else None
        return None if value is None else np.asarray(numpy_helper.to_array(value))


def _of_table(source: str, labels: Mapping[int, str], table: Array) -> Names:
    """Of a table with a row for each category. A column of two values says whether the category is one of some."""
    if table.shape[1] == 1:
        return [source]
    return [_of_column(source, labels, column) for column in table.T]


def _of_column(source: str, labels: Mapping[int, str], column: Array) -> str:
    values = np.unique(column)
    return _named(source, labels, np.flatnonzero(column == values[-1]).tolist()) if len(values) == 2 else source


def _named(source: str, labels: Mapping[int, str], rows: Sequence[int]) -> str:
    """The name of what is so for these categories; a row without a label is that of the unknown ones."""
    known = [labels[row] for row in rows if labels.get(row)]
    if known:
        more = [f"{len(known) - _MOST_TOLD} more"] if len(known) > _MOST_TOLD else []
        return f"{source} = {' or '.join([*known[:_MOST_TOLD], *more])}"
    return f"{source} is missing" if any(row in labels for row in rows) else f"{source} is unknown"


def _text(category: object) -> str:
    if isinstance(category, bytes):
        return category.decode("utf-8", "replace")
    return f"{category:g}" if isinstance(category, float) else str(category)


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(one) for one in node.attribute if one.name == name), default)
