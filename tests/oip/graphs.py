"""One small model for each datatype, and values to send through it."""

from typing import Any

import numpy as np
from onnx import TensorProto, helper

from inferhub.runtime.signature import NUMPY_TYPES, Array

KINDS = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}
DATATYPES = tuple(KINDS)


def identity(datatype: str, note: str = "") -> bytes:
    """`same` is `x`, [N, M]; another `note` makes other bytes of the same model."""
    x, same = (helper.make_tensor_value_info(name, KINDS[datatype], [None, None]) for name in ("x", "same"))
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["same"])], "graph", [x], [same], doc_string=note)
    return _bytes(graph)


def pair() -> bytes:
    """`twice` is left + left, `text` is word, `count` is k, or 7 where none is given."""
    inputs = [
        helper.make_tensor_value_info("left", TensorProto.FLOAT, [None, 2]),
        helper.make_tensor_value_info("word", TensorProto.STRING, [None]),
        helper.make_tensor_value_info("k", TensorProto.INT64, [1]),
    ]
    outputs = [
        helper.make_tensor_value_info("twice", TensorProto.FLOAT, [None, 2]),
        helper.make_tensor_value_info("text", TensorProto.STRING, [None]),
        helper.make_tensor_value_info("count", TensorProto.INT64, [1]),
    ]
    nodes = [
        helper.make_node("Add", ["left", "left"], ["twice"]),
        helper.make_node("Identity", ["word"], ["text"]),
        helper.make_node("Identity", ["k"], ["count"]),
    ]
    seven = helper.make_tensor("k", TensorProto.INT64, [1], [7])
    return _bytes(helper.make_graph(nodes, "graph", inputs, outputs, [seven]))


def adder() -> bytes:
    """total [N, 1] = the sum of input [N, 3]."""
    x = helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, 3])
    y = helper.make_tensor_value_info("total", TensorProto.FLOAT, [None, 1])
    one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
    return _bytes(
        helper.make_graph([helper.make_node("ReduceSum", ["input", "one"], ["total"])], "graph", [x], [y], [one])
    )


def slow() -> bytes:
    """y = x, [N], behind a product of large matrices that takes a good while."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in ("x", "y"))
    size = helper.make_tensor("size", TensorProto.INT64, [2], [1024, 1024])
    nodes = [helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0)]
    nodes += [helper.make_node("Expand", ["most", "size"], ["m0"])]
    nodes += [helper.make_node("MatMul", [f"m{at}", "m0"], [f"m{at + 1}"]) for at in range(8)]
    nodes += [helper.make_node("ReduceMax", ["m8"], ["found"], keepdims=0)]
    nodes += [helper.make_node("Mul", ["found", "zero"], ["nothing"]), helper.make_node("Add", ["x", "nothing"], ["y"])]
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0])
    return _bytes(helper.make_graph(nodes, "graph", [x], [y], [size, zero]))


STEPS: dict[str, Any] = {
    "preprocess": [
        {"step": "impute", "columns": ["age"], "value": 40},
        {"step": "one-hot", "column": "kind", "categories": ["web", "till"], "unknown": "zeros"},
        {"step": "stack", "columns": ["age", "kind"], "widths": [1, 2], "into": "input"},
    ],
    "postprocess": [
        {"step": "threshold", "of": "total", "at": 41, "into": "is_known"},
        {"step": "inverse", "of": "total", "scale": 0.1},
    ],
}
"""Around `adder`: callers send age [N] and kind [N], and get total [N, 1] and is_known [N, 1]."""


def logarithm() -> bytes:
    """log x, [N]: NaN below zero; a model that does not say that it may answer so."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in ("x", "y"))
    return _bytes(helper.make_graph([helper.make_node("Log", ["x"], ["y"])], "graph", [x], [y]))


def sample(datatype: str) -> Array:
    """[2, 3] with the extremes of the datatype; BYTES as the client wants it, an object array of bytes."""
    if datatype == "BYTES":
        texts = ["", "zażółć gęślą", "a\x00b", "🛒" * 40, '"{[', " "]
        return np.array([text.encode() for text in texts], dtype=object).reshape(2, 3)
    kind = NUMPY_TYPES[datatype]
    if datatype == "BOOL":
        return np.array([[True, False, True], [False, False, True]])
    limits: Any = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    values = [limits.min, limits.max, 0, 1, limits.max // 3 if kind.kind != "f" else limits.smallest_subnormal, 7]
    return np.array(values, dtype=kind).reshape(2, 3)


def _bytes(graph: Any) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())
