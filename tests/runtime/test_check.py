import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from inferhub.errors import InvalidModel, TooLarge
from inferhub.runtime import check
from inferhub.runtime.check import Budget, check_model
from inferhub.runtime.graph import parse_model
from inferhub.runtime.pool import artifact_digest
from inferhub.runtime.scan import scan_model
from inferhub.runtime.session import load_session

from . import graphs

Save = Callable[[ModelProto | bytes], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(model: ModelProto | bytes) -> Path:
        path = tmp_path / "model.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        return path

    return write


def test_a_good_model_is_reported_with_its_signature_and_digest(save: Save) -> None:
    path = save(graphs.doubling({"task": "regression", "labels": "[1, 2]"}))
    report = check_model(path)
    assert report.digest == report.source_digest == artifact_digest(path.read_bytes())
    assert report.size == path.stat().st_size
    assert (report.task, report.labels, report.operators, report.trial) == ("regression", (1, 2), ("Add",), "ran")
    assert report.signature == load_session(path.read_bytes()).signature
    assert report.rewritten is None
    assert report.memory_bytes > report.size


def test_zipmap_outputs_are_rewritten_to_probabilities(save: Save) -> None:
    path = save(graphs.zipmap_classifier())
    report = check_model(path)
    assert report.rewritten is not None
    assert report.digest == artifact_digest(report.rewritten) != report.source_digest
    assert report.labels == ("ham", "spam")
    outputs = load_session(report.rewritten).run({"x": np.array([[2.0]], np.float32)})
    assert outputs["label"].tolist() == ["spam"]
    assert outputs["scores"].shape == (1, 2)


def test_a_free_dimension_that_a_run_cannot_guess_is_told(save: Save) -> None:
    weights = graphs.tensor("w", np.ones((7, 1)), np.float32)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    x, y = graphs.value("x", TensorProto.FLOAT, ["N", "M"]), graphs.value("y", TensorProto.FLOAT, ["N", 1])
    assert check_model(save(graphs.model([node], [x], [y], [weights]))).trial == "not run: x has free dimensions"


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (graphs.billion_laughs(), "/functions: expected no functions"),
        (graphs.recursive_function(), "/functions: expected no functions"),
        (graphs.endless_loop(), "/graph/node/0: expected an allowed operator, got Loop"),
        (graphs.endless_loop(), "/graph/node/0/attribute/body/0: expected no sub-graph"),
        (graphs.with_external_initializer("/etc/passwd"), "/graph/initializer/0: .* in the file '/etc/passwd'"),
        (graphs.with_external_initializer("../../secrets"), "/graph/initializer/0: "),
        (graphs.with_external_initializer(".env"), "/graph/initializer/0: "),
        (graphs.hidden_external_data(), "/then_branch/0/node/0/attribute/value: expected no external data"),
    ],
)
def test_hostile_structure_is_refused_before_anything_expands(hostile: ModelProto, reason: str) -> None:
    with pytest.raises(InvalidModel, match=reason):
        scan_model(hostile)


def test_external_data_is_found_in_sparse_tensors_and_tensor_lists() -> None:
    external = graphs.with_external_initializer("x").graph.initializer[0]
    model = graphs.doubling()
    model.graph.sparse_initializer.add().values.CopyFrom(external)
    model.graph.node[0].attribute.add(name="list", type=9).tensors.append(external)
    with pytest.raises(InvalidModel) as caught:
        scan_model(model)
    pointers = [error.pointer for error in caught.value.errors]
    assert pointers == ["/graph/sparse_initializer/0/values", "/graph/node/0/attribute/list/0"]


@pytest.mark.parametrize("shape", [[1 << 40], [-1], [1] * 13, [1 << 20, 1 << 20]])
def test_absurd_dimensions_are_refused(shape: list[int | str | None]) -> None:
    model = graphs.doubling()
    model.graph.input.append(graphs.value("z", TensorProto.FLOAT, shape))
    with pytest.raises(InvalidModel, match="/graph/input/1"):
        scan_model(model)


def test_absurd_counts_are_refused() -> None:
    model = graphs.doubling()
    for _ in range(20_001):
        model.graph.node.append(model.graph.node[0])
    with pytest.raises(InvalidModel, match="/graph/node: expected at most 20000, got 20002"):
        scan_model(model)


def test_the_allow_list_is_widened_by_name_and_then_takes_sub_graphs_too(save: Save) -> None:
    model = graphs.doubling()
    branch = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["b"])], "branch", [], [graphs.value("b", TensorProto.FLOAT, ["N", 2])]
    )
    model.graph.node.append(helper.make_node("If", ["flag"], ["z"], then_branch=branch, else_branch=branch))
    model.graph.initializer.append(graphs.tensor("flag", True, np.bool_))
    with pytest.raises(InvalidModel, match="got If"):
        check_model(save(model))
    assert "If" in check_model(save(model), more_operators=frozenset({"If"})).operators
    branch.node[0].op_type = "Loop"
    model.graph.node[1].attribute[0].g.CopyFrom(branch)
    with pytest.raises(InvalidModel, match="_branch/0/node/0: expected an allowed operator, got Loop"):
        check_model(save(model), more_operators=frozenset({"If"}))


def test_training_random_numbers_and_foreign_operators_are_refused() -> None:
    model = graphs.doubling()
    model.training_info.add()
    model.graph.node.append(helper.make_node("RandomNormalLike", ["x"], ["z"]))
    model.graph.node.append(helper.make_node("Attention", ["x"], ["z"], domain="com.microsoft"))
    with pytest.raises(InvalidModel) as caught:
        scan_model(model)
    assert [error.pointer for error in caught.value.errors] == ["/training_info", "/graph/node/1", "/graph/node/2"]


@pytest.mark.parametrize(
    "hostile",
    [graphs.huge_constant(), graphs.doubling_chain()],
    ids=["a constant of 32 GiB", "a tensor that doubles forty times"],
)
def test_a_model_that_needs_too_much_memory_is_refused(save: Save, hostile: ModelProto) -> None:
    with pytest.raises(InvalidModel, match="bytes of memory"):
        check_model(save(hostile))


def test_a_model_that_needs_too_much_processor_time_is_refused(save: Save) -> None:
    with pytest.raises(InvalidModel, match="1 s of processor time"):
        check_model(save(graphs.slow_graph()), budget=Budget(cpu_seconds=1))


def test_a_model_that_takes_too_long_is_refused(save: Save) -> None:
    with pytest.raises(InvalidModel, match=r"within 0\.01 s"):
        check_model(save(graphs.doubling()), budget=Budget(wall_seconds=0.01))


@pytest.mark.parametrize(
    "hostile",
    [
        graphs.tree(nodes_truenodeids=[9, 0, 0]),
        graphs.tree(nodes_truenodeids=[0, 0, 0]),
        graphs.tree(nodes_featureids=[10**9, 0, 0]),
    ],
    ids=["a child out of range", "a cycle", "a feature out of range"],
)
def test_a_broken_tree_is_refused(save: Save, hostile: ModelProto) -> None:
    with pytest.raises(InvalidModel, match="Expected a model that"):
        check_model(save(hostile))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "with a graph"),
        (b"\x00\x01garbage", "an ONNX file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a git-lfs pointer"),
        (graphs.doubling().SerializeToString()[:-20], "an ONNX file"),
    ],
)
def test_a_file_that_is_no_model_is_refused(save: Save, content: bytes, reason: str) -> None:
    with pytest.raises(InvalidModel, match=reason):
        check_model(save(content))


def test_an_invalid_graph_is_refused_by_the_checker(save: Save) -> None:
    model = graphs.doubling()
    model.graph.node[0].input[0] = "nowhere"
    with pytest.raises(InvalidModel, match="a valid ONNX model"):
        check_model(save(model))


def test_a_large_file_is_refused_unread(save: Save) -> None:
    with pytest.raises(TooLarge, match="more than the 10"):
        check_model(save(graphs.doubling()), max_bytes=10)


def test_altered_bytes_are_accepted_or_refused_but_never_break_the_check(save: Save) -> None:
    generator = random.Random(7)
    original = graphs.tree().SerializeToString()
    outcomes = set()
    for _ in range(12):
        altered = bytearray(original)
        for _ in range(generator.randint(1, 6)):
            altered[generator.randrange(len(altered))] = generator.randrange(256)
        try:
            outcomes.add(type(check_model(save(bytes(altered)))))
        except InvalidModel as exc:
            outcomes.add(type(exc))
    assert outcomes <= {check.ModelReport, InvalidModel}
    assert InvalidModel in outcomes


def test_parsing_keeps_what_was_written() -> None:
    assert parse_model(graphs.doubling().SerializeToString()) == graphs.doubling()
