"""Small graphs whose answers are known by construction, and hostile ones."""

import itertools

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]


def model(
    nodes: list[NodeProto],
    inputs: list[ValueInfoProto],
    outputs: list[ValueInfoProto],
    initializers: list[TensorProto] | None = None,
    metadata: dict[str, str] | None = None,
) -> ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers or [])
    made = helper.make_model(graph, opset_imports=OPSETS, ir_version=8)
    for key, value in (metadata or {}).items():
        made.metadata_props.add(key=key, value=value)
    return made


def value(name: str, kind: int, shape: list[int | str | None]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def tensor(name: str, values: object, kind: type) -> TensorProto:
    return numpy_helper.from_array(np.array(values, dtype=kind), name)


def doubling(metadata: dict[str, str] | None = None) -> ModelProto:
    """y = x + x for x of shape [N, 2]."""
    x, y = value("x", TensorProto.FLOAT, ["N", 2]), value("y", TensorProto.FLOAT, ["N", 2])
    return model([helper.make_node("Add", ["x", "x"], ["y"])], [x], [y], metadata=metadata)


def top_k() -> ModelProto:
    """The `k` largest of x [N, 5], k = 3 unless it is given."""
    inputs = [value("x", TensorProto.FLOAT, ["N", 5]), value("k", TensorProto.INT64, [1])]
    outputs = [value("score", TensorProto.FLOAT, ["N", "k"]), value("place", TensorProto.INT64, ["N", "k"])]
    node = helper.make_node("TopK", ["x", "k"], ["score", "place"])
    return model([node], inputs, outputs, [tensor("k", [3], np.int64)])


def text_echo() -> ModelProto:
    """Strings [N, M] out as they came in."""
    inputs, outputs = [value("words", TensorProto.STRING, ["N", "M"])], [value("same", TensorProto.STRING, ["N", "M"])]
    return model([helper.make_node("Identity", ["words"], ["same"])], inputs, outputs)


def logarithm() -> ModelProto:
    """log x: NaN below zero, minus infinity at it."""
    x, y = value("x", TensorProto.FLOAT, ["N"]), value("y", TensorProto.FLOAT, ["N"])
    return model([helper.make_node("Log", ["x"], ["y"])], [x], [y])


def zipmap_classifier() -> ModelProto:
    """Logistic regression on [N, 1] as skl2onnx exports it by default, with ZipMap."""
    classifier = helper.make_node(
        "LinearClassifier",
        ["x"],
        ["label", "raw"],
        domain="ai.onnx.ml",
        coefficients=[-1.0, 1.0],
        intercepts=[0.0, 0.0],
        classlabels_strings=["ham", "spam"],
        post_transform="LOGISTIC",
    )
    zipmap = helper.make_node("ZipMap", ["raw"], ["scores"], domain="ai.onnx.ml", classlabels_strings=["ham", "spam"])
    scores = helper.make_value_info(
        "scores",
        helper.make_sequence_type_proto(
            helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
        ),
    )
    outputs = [value("label", TensorProto.STRING, ["N"]), scores]
    return model([classifier, zipmap], [value("x", TensorProto.FLOAT, ["N", 1])], outputs)


def tree(**changes: list[int] | list[float]) -> ModelProto:
    """One split at 0.5 on feature 0: 1.0 below, 2.0 above; `changes` replace attributes."""
    attributes: dict[str, object] = {
        "n_targets": 1,
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_featureids": [0, 0, 0],
        "nodes_values": [0.5, 0.0, 0.0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
        "target_treeids": [0, 0],
        "target_nodeids": [1, 2],
        "target_ids": [0, 0],
        "target_weights": [1.0, 2.0],
        **changes,
    }
    node = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", **attributes)
    return model([node], [value("x", TensorProto.FLOAT, ["N", 2])], [value("y", TensorProto.FLOAT, ["N", 1])])


def with_external_initializer(location: str) -> ModelProto:
    """x + w where the 16 bytes of w are in another file."""
    weights = tensor("w", [0.0] * 4, np.float32)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, text in (("location", location), ("length", "16")):
        weights.external_data.add(key=key, value=text)
    x, y = value("x", TensorProto.FLOAT, [4]), value("y", TensorProto.FLOAT, [4])
    return model([helper.make_node("Add", ["x", "w"], ["y"])], [x], [y], [weights])


def billion_laughs(depth: int = 24) -> ModelProto:
    """Functions that each call the one below twice."""
    names = [f"f{level}" for level in range(depth)]
    opsets = [*OPSETS, helper.make_opsetid("fun", 1)]
    functions = [helper.make_function("fun", "f0", ["a"], ["b"], [helper.make_node("Neg", ["a"], ["b"])], opsets)]
    for inner, outer in itertools.pairwise(names):
        calls = [
            helper.make_node(inner, ["a"], ["m"], domain="fun"),
            helper.make_node(inner, ["m"], ["b"], domain="fun"),
        ]
        functions.append(helper.make_function("fun", outer, ["a"], ["b"], calls, opsets))
    node = helper.make_node(names[-1], ["x"], ["y"], domain="fun")
    graph = helper.make_graph([node], "g", *_plain_ends())
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=8)


def recursive_function() -> ModelProto:
    opsets = [*OPSETS, helper.make_opsetid("fun", 1)]
    call = helper.make_node("f", ["a"], ["b"], domain="fun")
    function = helper.make_function("fun", "f", ["a"], ["b"], [call], opsets)
    graph = helper.make_graph([helper.make_node("f", ["x"], ["y"], domain="fun")], "g", *_plain_ends())
    return helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=8)


def endless_loop() -> ModelProto:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Identity", ["a"], ["b"])],
        "body",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("a", TensorProto.FLOAT, [2])],
        [value("go_on", TensorProto.BOOL, []), value("b", TensorProto.FLOAT, [2])],
    )
    return model(
        [helper.make_node("Loop", ["", "true", "x"], ["y"], body=body)],
        *_plain_ends(),
        [tensor("true", True, np.bool_)],
    )


def counting() -> ModelProto:
    """y [N] = n, reached by counting up from 0 one by one: as slow as one wants. For one row."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Add", ["a", "one"], ["b"])],
        "body",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("a", TensorProto.FLOAT, [1])],
        [value("go_on", TensorProto.BOOL, []), value("b", TensorProto.FLOAT, [1])],
    )
    return model(
        [helper.make_node("Loop", ["n", "true", "zero"], ["y"], body=body)],
        [value("n", TensorProto.INT64, ["N"])],
        [value("y", TensorProto.FLOAT, ["N"])],
        [tensor("true", True, np.bool_), tensor("zero", [0.0], np.float32), tensor("one", [1.0], np.float32)],
    )


def hidden_external_data() -> ModelProto:
    """External data in a tensor attribute of a node of a sub-graph."""
    constant = with_external_initializer("/etc/passwd").graph.initializer[0]
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=constant)], "branch", [], [value("c", TensorProto.FLOAT, [4])]
    )
    node = helper.make_node("If", ["flag"], ["y"], then_branch=branch, else_branch=branch)
    return model([node], [value("flag", TensorProto.BOOL, [])], [value("y", TensorProto.FLOAT, [4])])


def huge_constant() -> ModelProto:
    """32 GiB of zeros."""
    node = helper.make_node("ConstantOfShape", ["shape"], ["zeros"])
    total = helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0)
    add = helper.make_node("Add", ["x", "sum"], ["y"])
    return model([node, total, add], *_plain_ends(), [tensor("shape", [1 << 33], np.int64)])


def doubling_chain(length: int = 40) -> ModelProto:
    """Concat of a tensor with itself, again and again: 2 ** length elements."""
    nodes = [helper.make_node("Concat", [f"t{step}", f"t{step}"], [f"t{step + 1}"], axis=0) for step in range(length)]
    first = helper.make_node("Identity", ["x"], ["t0"])
    last = helper.make_node("ReduceSum", [f"t{length}"], ["y"], keepdims=1)
    return model([first, *nodes, last], [value("x", TensorProto.FLOAT, [2])], [value("y", TensorProto.FLOAT, [1])])


def slow_graph(products: int = 60, size: int = 1500) -> ModelProto:
    """Matrix products enough for a minute, from a few hundred bytes."""
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["m0"], value=one)]
    nodes += [helper.make_node("MatMul", [f"m{step}", f"m{step}"], [f"m{step + 1}"]) for step in range(products)]
    nodes += [
        helper.make_node("ReduceSum", [f"m{products}"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    return model(nodes, *_plain_ends(), [tensor("shape", [size, size], np.int64)])


def _plain_ends() -> tuple[list[ValueInfoProto], list[ValueInfoProto]]:
    return [value("x", TensorProto.FLOAT, [2])], [value("y", TensorProto.FLOAT, [2])]
