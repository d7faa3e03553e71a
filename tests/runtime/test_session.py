import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from inferhub.errors import InvalidInput, ModelFailed
from inferhub.runtime.session import load_session, sentence

from . import graphs

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("module", ["inferhub.runtime.session", "recommender"])
def test_onnx_runtime_neither_keeps_nor_sends_how_it_is_used(tmp_path: Path, module: str) -> None:
    """Its telemetry starts at import: a database in the home folder, and a thread that sends it."""
    code = f"import {module}, onnxruntime, os; print(sorted(os.listdir(os.environ['HOME'])))"
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_model_answers_with_its_outputs_by_name() -> None:
    loaded = load_session(graphs.doubling().SerializeToString())
    outputs = loaded.run({"x": np.array([[1, 2]], np.float32)})
    assert outputs["y"].tolist() == [[2, 4]]


def test_an_optional_input_may_be_left_out_or_given() -> None:
    loaded = load_session(graphs.top_k().SerializeToString())
    x = np.array([[5, 4, 3, 2, 1]], np.float32)
    assert loaded.run({"x": x})["score"].tolist() == [[5, 4, 3]]
    assert loaded.run({"x": x, "k": np.array([1])})["score"].tolist() == [[5]]


def test_a_wrong_tensor_is_refused_before_the_graph_runs() -> None:
    loaded = load_session(graphs.doubling().SerializeToString())
    with pytest.raises(InvalidInput, match="/x"):
        loaded.run({"x": np.zeros((1, 3), np.float32)})


def test_a_graph_that_stops_says_why_without_source_paths(capfd: pytest.CaptureFixture[str]) -> None:
    loaded = load_session(graphs.top_k().SerializeToString())
    with pytest.raises(ModelFailed, match=r"k argument \[9\] should not be greater") as caught:
        loaded.run({"x": np.zeros((1, 5), np.float32), "k": np.array([9])})
    assert "onnxruntime" not in str(caught.value).lower()
    assert capfd.readouterr().err == ""


def test_text_that_is_not_utf8_is_a_failure_of_the_model() -> None:
    x, y = graphs.value("x", TensorProto.FLOAT, ["N"]), graphs.value("y", TensorProto.STRING, [1])
    text = helper.make_tensor("text", TensorProto.STRING, [1], [b"\xff"])
    made = graphs.model([helper.make_node("Identity", ["text"], ["y"])], [x], [y], [text])
    with pytest.raises(ModelFailed, match="not UTF-8"):
        load_session(made.SerializeToString()).run({"x": np.zeros(1, np.float32)})


@pytest.mark.parametrize("onnx_bytes", [b"", b"garbage", graphs.doubling().SerializeToString()[:-20]])
def test_bytes_that_are_no_model_do_not_load(onnx_bytes: bytes) -> None:
    with pytest.raises(ModelFailed, match="does not load"):
        load_session(onnx_bytes)


def test_external_data_cannot_read_a_file_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(tmp_path, "secrets").write_bytes(b"0123456789abcdef")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFailed):
        load_session(graphs.with_external_initializer("secrets").SerializeToString())


def test_a_missing_locale_is_explained_with_the_cure() -> None:
    text = "[ONNXRuntimeError] : 1 : FAIL : x.cc:2 Locale() Failed to construct locale with name:en_US.UTF-8:not valid"
    assert "locale='C.UTF-8'" in sentence(RuntimeError(text))


def test_source_paths_are_cut_from_messages() -> None:
    text = (
        "[ONNXRuntimeError] : 6 : FAIL : /onnxruntime_src/core/a.cc:235 onnxruntime::F(int) index out of range\nStack"
    )
    assert sentence(RuntimeError(text)) == "index out of range"
