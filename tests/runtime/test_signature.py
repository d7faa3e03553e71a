import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from inferhub.errors import InvalidDefinition, InvalidInput, InvalidModel
from inferhub.runtime.graph import read_signature
from inferhub.runtime.metadata import read_labels
from inferhub.runtime.session import load_session
from inferhub.runtime.signature import Signature, TensorSpec

from . import graphs

X = TensorSpec(name="x", datatype="FP32", shape=(None, 2))
Y = TensorSpec(name="y", datatype="FP32", shape=(None, 2))


def test_a_signature_is_read_from_the_graph() -> None:
    assert read_signature(graphs.doubling().SerializeToString()) == Signature(inputs=(X,), outputs=(Y,))


def test_an_input_with_an_initializer_is_optional_and_comes_last() -> None:
    model = graphs.top_k()
    model.graph.input.insert(0, model.graph.input.pop(1))
    signature = read_signature(model.SerializeToString())
    assert [(spec.name, spec.is_optional) for spec in signature.inputs] == [("x", False), ("k", True)]


def test_weights_of_old_files_are_no_inputs() -> None:
    model = graphs.top_k()
    model.ir_version = 3
    assert [spec.name for spec in read_signature(model.SerializeToString()).inputs] == ["x"]


@pytest.mark.parametrize("ir_version", [3, 8])
@pytest.mark.parametrize("model", [graphs.doubling(), graphs.top_k(), graphs.text_echo(), graphs.tree()])
def test_the_graph_and_the_session_agree_on_the_inputs(model: ModelProto, ir_version: int) -> None:
    model.ir_version = ir_version
    onnx_bytes = model.SerializeToString()
    assert load_session(onnx_bytes).signature.inputs == read_signature(onnx_bytes).inputs


def test_the_session_knows_output_shapes_that_the_graph_leaves_open() -> None:
    model = graphs.tree()
    model.graph.output[0].type.tensor_type.shape.dim[1].Clear()
    onnx_bytes = model.SerializeToString()
    assert read_signature(onnx_bytes).outputs[0].shape == (None, None)
    assert load_session(onnx_bytes).signature.outputs[0].shape == (None, 1)


def test_metadata_marks_the_tensors_that_know_missing_values() -> None:
    model = graphs.doubling({"allows_nan": '["x"]', "labels": '["a", "b"]'})
    signature = read_signature(model.SerializeToString())
    assert signature.inputs[0].allows_nan
    assert not signature.outputs[0].allows_nan
    assert load_session(model.SerializeToString()).signature == signature


@pytest.mark.parametrize("labels", ["spam", '{"a": 1}', "[1.5]", "[[]]", "[" * 5000])
def test_labels_that_are_no_list_of_names_are_refused(labels: str) -> None:
    with pytest.raises(InvalidModel, match="/metadata_props/labels"):
        read_labels({"labels": labels})


def test_a_sequence_output_is_refused_with_the_cure() -> None:
    with pytest.raises(InvalidModel, match=r"zipmap.*False"):
        read_signature(graphs.zipmap_classifier().SerializeToString())


def test_a_datatype_outside_the_protocol_is_refused_by_name() -> None:
    y = graphs.value("y", TensorProto.COMPLEX64, [1])
    model = graphs.model([helper.make_node("Identity", ["x"], ["y"])], [graphs.value("x", 1, [1])], [y])
    with pytest.raises(InvalidModel, match="'y' of COMPLEX64"):
        read_signature(model.SerializeToString())


def test_a_signature_survives_json() -> None:
    signature = read_signature(graphs.top_k().SerializeToString())
    assert Signature.from_dict(signature.to_dict()) == signature


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"datatype": "FLOAT"}, "/inputs/0/datatype"),
        ({"shape": [None, -1]}, "/inputs/0/shape/1"),
        ({"shape": [True]}, "/inputs/0/shape/0"),
        ({"shape": "2"}, "/inputs/0/shape"),
        ({"name": 3}, "/inputs/0/name"),
        ({"is_optional": 1}, "/inputs/0/is_optional"),
        ({"colour": "red"}, "/inputs/0"),
    ],
)
def test_a_bad_signature_document_is_refused_where_it_is_bad(change: dict[str, object], pointer: str) -> None:
    document = Signature(inputs=(X,), outputs=(Y,)).to_dict()
    document["inputs"][0].update(change)
    with pytest.raises(InvalidDefinition) as caught:
        Signature.from_dict(document)
    assert [error.pointer for error in caught.value.errors] == [pointer]


@pytest.mark.parametrize("document", [None, [], {}, {"inputs": []}, {"inputs": [], "outputs": {}}])
def test_what_is_no_signature_document_is_refused(document: object) -> None:
    with pytest.raises(InvalidDefinition):
        Signature.from_dict(document)


def test_names_may_not_repeat() -> None:
    with pytest.raises(InvalidDefinition, match="'x' twice"):
        Signature.from_dict({"inputs": [X.to_dict(), X.to_dict()], "outputs": []})


@pytest.mark.parametrize(
    ("feeds", "sentence"),
    [
        ({}, r"/x: expected a tensor FP32 \[N, 2\], got nothing"),
        ({"x": np.zeros((1, 2))}, "/x: expected datatype FP32, got float64"),
        ({"x": np.zeros((1, 3), np.float32)}, r"/x: expected shape \[N, 2\], got \[1, 3\]"),
        ({"x": np.zeros(2, np.float32)}, r"/x: expected shape \[N, 2\], got \[2\]"),
        ({"x": np.zeros((1, 2), np.float32), "z": np.zeros(1)}, "/z: expected one of the inputs x, got an unknown"),
    ],
)
def test_feeds_that_disagree_with_the_signature_are_named(feeds: dict[str, np.ndarray], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        Signature(inputs=(X,), outputs=(Y,)).check_feeds(feeds)
