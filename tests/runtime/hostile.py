"""Files made to break a server, each with what its refusal must say; `python -m tests.runtime.hostile` checks them all.

It runs in a process of its own, so that the processor time and memory of the checking children are those of these files
alone, and prints one JSON object by name: what was said, and what it took.
"""

import io
import json
import resource
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper

from inferhub.errors import InvalidModel
from inferhub.runtime.check import check_model

from . import graphs


@dataclass(frozen=True, kw_only=True, slots=True)
class Hostile:
    """`says` is a regular expression for the refusal; None where the file may also be harmless."""

    make: Callable[[], ModelProto | bytes]
    says: str | None


def changed(change: Callable[[ModelProto], object]) -> Callable[[], ModelProto]:
    def make() -> ModelProto:
        model = graphs.doubling()
        change(model)
        return model

    return make


def nested_graphs(depth: int = 30) -> ModelProto:
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["z"])], "leaf", [], [])
    for _ in range(depth):
        branch = helper.make_node("If", ["f"], ["z"], then_branch=graph, else_branch=graph) if depth < 3 else None
        node = branch or helper.make_node("If", ["f"], ["z"], then_branch=graph)
        graph = helper.make_graph([node], "deeper", [], [])
    model = graphs.doubling()
    model.graph.node.append(graph.node[0])
    return model


def nested_functions() -> ModelProto:
    model = graphs.billion_laughs(8)
    inner = graphs.billion_laughs(3).graph
    model.functions[0].node.append(helper.make_node("If", ["a"], ["q"], then_branch=inner, else_branch=inner))
    return model


def sub_graph_in_an_allowed_operator() -> ModelProto:
    model = graphs.doubling()
    body = graphs.with_external_initializer(".env").graph
    model.graph.node[0].attribute.append(helper.make_attribute("body", body))
    return model


def deep_protobuf(depth: int = 20_000) -> bytes:
    """TypeProto.sequence_type.elem_type again and again."""
    inner = b""
    for _ in range(depth):
        inner = field(4, field(1, inner))
    return field(7, field(1, b"") + field(11, field(1, b"x") + field(2, inner)))


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def many(place: int, entry: bytes, count: int) -> bytes:
    """A model whose graph holds an entry a million times."""
    model = graphs.doubling()
    model.ClearField("graph")
    return model.SerializeToString() + field(7, field(place, entry) * count)


def node_bytes() -> bytes:
    return helper.make_node("Add", ["x", "x"], ["y"]).SerializeToString()


def input_bytes() -> bytes:
    return graphs.value("x", TensorProto.FLOAT, [1]).SerializeToString()


def sparse() -> ModelProto:
    model = graphs.doubling()
    entry = model.graph.sparse_initializer.add()
    entry.values.CopyFrom(graphs.tensor("w", [1.0], np.float32))
    entry.indices.CopyFrom(graphs.tensor("", [1 << 40], np.int64))
    entry.dims.append(1 << 41)
    return model


def huge_range() -> ModelProto:
    nodes = [
        helper.make_node("Range", ["zero", "many", "one"], ["r"]),
        helper.make_node("ReduceSum", ["r"], ["s"], keepdims=0),
        helper.make_node("Cast", ["s"], ["f"], to=1),
        helper.make_node("Add", ["x", "f"], ["y"]),
    ]
    numbers = [graphs.tensor(name, value, np.int64) for name, value in (("zero", 0), ("many", 1 << 40), ("one", 1))]
    x, y = graphs.value("x", TensorProto.FLOAT, [2]), graphs.value("y", TensorProto.FLOAT, [2])
    return graphs.model(nodes, [x], [y], numbers)


def broad_inputs() -> ModelProto:
    """Each input alone is allowed; all of them together are 64 GB."""
    model = graphs.doubling()
    for index in range(1000):
        model.graph.input.append(graphs.value(f"z{index}", TensorProto.FLOAT, [1 << 24]))
    return model


def zip_bomb() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.onnx", b"\0" * (64 << 20))
    return stream.getvalue()


def renamed(name: str) -> Callable[[], ModelProto]:
    def change(model: ModelProto) -> None:
        model.graph.input[0].name = name
        model.graph.node[0].input[:] = [name, name]

    return changed(change)


def broken_words() -> ModelProto:
    """A label encoder whose labels are no text."""
    words = {"keys_int64s": [0], "values_strings": [b"\xff\xfe"], "default_string": b"\xff"}
    node = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", **words)
    x, y = graphs.value("x", TensorProto.INT64, ["N"]), graphs.value("y", TensorProto.STRING, ["N"])
    return graphs.model([node], [x], [y])


def regex_bomb() -> ModelProto:
    node = helper.make_node("RegexFullMatch", ["x"], ["y"], pattern="(" * 500 + "a" + "{1000})" * 500)
    x, y = graphs.value("x", TensorProto.STRING, ["N"]), graphs.value("y", TensorProto.BOOL, ["N"])
    made = graphs.model([node], [x], [y])
    made.opset_import[0].version = 20
    return made


TEXT = """tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=1
objective=regression
feature_names=a b
feature_infos=[0:1] [0:1]

Tree=0
num_leaves=3
num_cat=0
split_feature=0 1
split_gain=1 1
threshold=0.5 0.25
decision_type=2 2
left_child=1 -1
right_child=-2 -3
leaf_value=1 2 3
leaf_weight=1 1 1
leaf_count=1 1 1
internal_value=0 0
internal_weight=0 0
internal_count=3 2
is_linear=0
shrinkage=1


end of trees

feature_importances:
a=1

parameters:
[objective: regression]
[zero_as_missing: 0]
end of parameters

pandas_categorical:null
"""
"""A LightGBM text model: a > 0.5 gives 2; else b <= 0.25 gives 1, above it 3."""


def text(old: str, new: str) -> Callable[[], bytes]:
    assert old in TEXT
    return lambda: TEXT.replace(old, new).encode()


LIGHTGBM = {
    "text cut in a tree": Hostile(make=TEXT[: TEXT.index("leaf_count")].encode, says="end of trees"),
    "text of one line": Hostile(make=lambda: b"tree\n", says="end of trees"),
    "text that is not UTF-8": Hostile(make=lambda: TEXT.encode().replace(b"a b", b"a \xff"), says="UTF-8 text"),
    "text with 4e9 leaves": Hostile(make=text("num_leaves=3", "num_leaves=4000000000"), says="/Tree/0/num_leaves"),
    "text with no leaves": Hostile(make=text("num_leaves=3", "num_leaves=0"), says="/Tree/0/num_leaves"),
    "text with leaves below 0": Hostile(make=text("num_leaves=3", "num_leaves=-1"), says="/Tree/0/num_leaves"),
    "text with 1e9 features": Hostile(make=text("idx=1", "idx=999999999"), says="/header/max_feature_idx"),
    "text that splits feature 1e9": Hostile(make=text("feature=0 1", "feature=0 1000000000"), says="split_feature"),
    "text that splits feature -5": Hostile(make=text("feature=0 1", "feature=0 -5"), says="split_feature"),
    "text with a child out of range": Hostile(make=text("right_child=-2 -3", "right_child=-2 -300"), says="each but"),
    "text with a cycle": Hostile(make=text("left_child=1 -1", "left_child=1 0"), says="each but the root"),
    "text with a split of itself": Hostile(make=text("left_child=1 -1", "left_child=0 -1"), says="each but the root"),
    "text with children missing": Hostile(make=text("left_child=1 -1", "left_child=1"), says="2 numbers, got 1"),
    "text with NaN in a leaf": Hostile(make=text("leaf_value=1 2 3", "leaf_value=1 nan 3"), says="finite numbers"),
    "text with a NaN threshold": Hostile(make=text("threshold=0.5 0.25", "threshold=0.5 nan"), says="finite numbers"),
    "text with infinite gains": Hostile(make=text("split_gain=1 1", "split_gain=1 inf"), says="/Tree/0/split_gain"),
    "text with words for numbers": Hostile(make=text("threshold=0.5 0.25", "threshold=0.5 x"), says="other words"),
    "text with a key twice": Hostile(make=text("num_cat=0", "num_cat=0\nnum_cat=0"), says="'num_cat' once"),
    "text with categories of nowhere": Hostile(make=text("type=2 2", "type=1 2"), says="num_cat"),
    "text with sets out of bounds": Hostile(
        make=text("num_cat=0\n", "num_cat=1\ncat_boundaries=0 900\ncat_threshold=1\n"), says="cat_boundaries"
    ),
    "text with linear leaves": Hostile(make=text("is_linear=0", "is_linear=1"), says="train without linear_tree"),
    "text where zero is missing": Hostile(
        make=text("missing: 0", "missing: 1"), says="train without zero_as_missing"
    ),
    "text where zero is missing in a split": Hostile(make=text("type=2 2", "type=6 2"), says="zero_as_missing"),
    "text with 1e6 classes": Hostile(make=text("num_class=1", "num_class=1000000"), says="/header/num_class"),
    "text with a strange objective": Hostile(make=text("objective=reg", "objective=../"), says="/header/objective"),
    "text that is well": Hostile(make=TEXT.encode, says=None),
}  # fmt: skip

ONNX = {
    "functions that nest": Hostile(make=graphs.billion_laughs, says="no functions"),
    "a function that calls itself": Hostile(make=graphs.recursive_function, says="no functions"),
    "functions with sub-graphs": Hostile(make=nested_functions, says="no functions"),
    "a loop without end": Hostile(make=graphs.endless_loop, says="got Loop"),
    "sub-graphs 30 deep": Hostile(make=nested_graphs, says="no sub-graph"),
    "a sub-graph in an Add": Hostile(make=sub_graph_in_an_allowed_operator, says="no sub-graph.*no external data"),
    "the server's .env": Hostile(make=lambda: graphs.with_external_initializer(".env"), says="no external data"),
    "/etc/passwd": Hostile(make=lambda: graphs.with_external_initializer("/etc/passwd"), says="no external data"),
    "/proc/self/environ": Hostile(
        make=lambda: graphs.with_external_initializer("/proc/self/environ"), says="no external data"
    ),
    "a file far up": Hostile(make=lambda: graphs.with_external_initializer("../../../x"), says="no external data"),
    "external data in a sub-graph": Hostile(make=graphs.hidden_external_data, says="no external data"),
    "a constant of 32 GiB": Hostile(make=graphs.huge_constant, says="bytes of memory"),
    "a range of 8 TiB": Hostile(make=huge_range, says="bytes of memory"),
    "a tensor that doubles": Hostile(make=graphs.doubling_chain, says="bytes of memory"),
    "inputs of 64 GB": Hostile(make=broad_inputs, says="bytes of memory"),
    "products for minutes": Hostile(make=graphs.slow_graph, says="processor time|bytes of memory"),
    "a regular expression of exabytes": Hostile(make=regex_bomb, says="xpected"),
    "a dimension of 2**62": Hostile(
        make=changed(lambda m: m.graph.input.append(graphs.value("z", 1, [1 << 62]))), says="/graph/input/1"
    ),
    "an initializer without its data": Hostile(
        make=changed(lambda m: m.graph.initializer.append(TensorProto(name="w", data_type=1, dims=[1 << 27]))),
        says="xpected",
    ),
    "a sparse tensor of terabytes": Hostile(make=sparse, says="sparse_initializer/0: expected at most"),
    "a million nodes": Hostile(make=lambda: many(1, node_bytes(), 1_000_000), says="/graph/node: expected at most"),
    "a million inputs": Hostile(make=lambda: many(11, input_bytes(), 1_000_000), says="/graph/input: expected at"),
    "a million initializers": Hostile(make=lambda: many(5, b"\x10\x01", 1_000_000), says="/graph/initializer: exp"),
    "a million annotations": Hostile(make=lambda: many(14, b"", 1_000_000), says="quantization_annotation: exp"),
    "a million empty attributes": Hostile(
        make=lambda: many(1, node_bytes() + field(5, b"") * 1_000_000, 1), says="/attribute: expected at most 1000"
    ),
    "a million functions": Hostile(
        make=lambda: graphs.doubling().SerializeToString() + field(25, b"") * 1_000_000, says="no functions"
    ),
    "a description of 64 MB": Hostile(
        make=changed(lambda m: setattr(m, "doc_string", "x" * (64 << 20))), says="/doc_string: expected at most"
    ),
    "metadata of 64 MB": Hostile(
        make=changed(lambda m: m.metadata_props.add(key="k", value="x" * (64 << 20))), says="/metadata_props: exp"
    ),
    "a name of 8 MB": Hostile(make=renamed("x" * (8 << 20)), says="1 to 256 printable characters"),
    "a name with NUL": Hostile(make=renamed("a\0b"), says="/graph/input/0: expected a name"),
    "a name with a line break": Hostile(make=renamed("a\r\nSet-Cookie: b"), says="/graph/input/0: expected a name"),
    "a name without letters": Hostile(make=renamed(""), says="/graph/input/0: expected a name"),
    "a name that goes up": Hostile(make=renamed("../../../../etc/cron.d/x"), says=None),
    "one name for two inputs": Hostile(
        make=changed(lambda m: m.graph.input.append(m.graph.input[0])), says="/graph/input/1: expected names used once"
    ),
    "one name for two outputs": Hostile(
        make=changed(lambda m: m.graph.output.append(m.graph.output[0])), says="/graph/output/1: expected names"
    ),
    "a node's name with NUL": Hostile(
        make=changed(lambda m: m.graph.node.append(helper.make_node("Add", ["x", "no\0where"], ["z"], name="a\0b"))),
        says="a valid ONNX model",
    ),
    "labels that are no text": Hostile(make=broken_words, says="not UTF-8"),
    "a name that is no text": Hostile(
        make=lambda: renamed("name")().SerializeToString().replace(b"name", b"n\xff\xfee"), says="graph/input/0: exp"
    ),
    "metadata that are no text": Hostile(
        make=lambda: graphs.doubling({"task": "name"}).SerializeToString().replace(b"name", b"n\xff\xfee"),
        says="texts in UTF-8 without NUL",
    ),
    "an operator that is no text": Hostile(
        make=lambda: graphs.doubling().SerializeToString().replace(b"Add", b"\xffdd"), says="an allowed operator"
    ),
    "metadata with NUL": Hostile(
        make=changed(lambda m: m.metadata_props.add(key="task", value="\0")), says="texts in UTF-8 without NUL"
    ),
    "labels with NUL": Hostile(
        make=changed(lambda m: m.metadata_props.add(key="labels", value='["\\u0000"]')), says="/metadata_props/labels"
    ),
    "labels with half a character": Hostile(
        make=changed(lambda m: m.metadata_props.add(key="labels", value='["\\ud800"]')), says="/metadata_props/labels"
    ),
    "labels beyond 64 bits": Hostile(
        make=changed(lambda m: m.metadata_props.add(key="labels", value="[1" + "0" * 4000 + "]")), says="/labels"
    ),
    "labels nested without end": Hostile(
        make=changed(lambda m: m.metadata_props.add(key="labels", value="[" * 500_000)), says="/metadata_props/labels"
    ),
    "a foreign operator": Hostile(
        make=changed(lambda m: m.graph.node.append(helper.make_node("Run", ["x"], ["z"], domain="evil"))),
        says=r"evil\.Run",
    ),
    "a foreign domain": Hostile(
        make=lambda: (m := graphs.doubling(), m.opset_import.append(helper.make_opsetid("evil", 1)))[0], says=None
    ),
    "training information": Hostile(make=changed(lambda m: m.training_info.add()), says="no training information"),
    "operator set 314159": Hostile(make=changed(lambda m: setattr(m.opset_import[0], "version", 314159)), says="xp"),
    "format version 999": Hostile(make=changed(lambda m: setattr(m, "ir_version", 999)), says="xpected"),
    "format version -1": Hostile(make=changed(lambda m: setattr(m, "ir_version", -1)), says="xpected"),
    "no operator sets": Hostile(make=changed(lambda m: m.ClearField("opset_import")), says="/opset_import"),
    "a tree with a child out of range": Hostile(make=lambda: graphs.tree(nodes_truenodeids=[9, 0, 0]), says="xpected"),
    "a tree with a cycle": Hostile(make=lambda: graphs.tree(nodes_truenodeids=[0, 0, 0]), says="xpected"),
    "a tree with feature 1e9": Hostile(make=lambda: graphs.tree(nodes_featureids=[10**9, 0, 0]), says="xpected"),
    "a tree with feature -1": Hostile(make=lambda: graphs.tree(nodes_featureids=[-1, 0, 0]), says="xpected"),
    "a tree with 2**40 targets": Hostile(make=lambda: graphs.tree(n_targets=1 << 40), says="xpected"),
    "protobuf 20,000 deep": Hostile(make=deep_protobuf, says="an ONNX file"),
    "a zip bomb": Hostile(make=zip_bomb, says="a zip archive"),
    "a pickle": Hostile(make=lambda: b"\x80\x04\x95\x05\x00", says="a pickle, which can hold any program"),
    "zeros": Hostile(make=lambda: b"\0" * (1 << 20), says="an ONNX file"),
    "nothing": Hostile(make=lambda: b"", says="with a graph"),
}  # fmt: skip

FILES = ONNX | LIGHTGBM

_OUT_OF_TIME = "processor time"


def _verdict(path: Path) -> dict[str, Any]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        said = "accepted, " + str(check_model(path))
    except InvalidModel as exc:
        said = str(exc)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "said": said,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "most_bytes": after.ru_maxrss * 1024,  # of any child so far
    }


def main() -> None:
    """Check every file, in the present folder, and say how each went."""
    path = Path(sys.argv[1])
    verdicts = {}
    for name, hostile in FILES.items():
        made = hostile.make()
        path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
        verdicts[name] = _verdict(path)
        if _OUT_OF_TIME in verdicts[name]["said"] and _OUT_OF_TIME not in (hostile.says or ""):
            verdicts[name] = _verdict(path)  # a machine whose host was busy for a moment takes thrice the time
    json.dump(verdicts, sys.stdout)


if __name__ == "__main__":
    main()
