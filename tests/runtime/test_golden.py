"""Golden rows: read strictly, run with the model, and refused value by value."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from inferhub.errors import InvalidInput, InvalidModel, ModelFailed, TooLarge
from inferhub.runtime.check import check_model
from inferhub.runtime.golden import GoldenRows, run_golden
from inferhub.runtime.golden_file import MOST_BYTES, parse_golden, read_golden
from inferhub.runtime.session import LoadedModel, load_session
from inferhub.runtime.signature import Signature

from . import graphs

DOUBLING = load_session(graphs.doubling({"allows_nan": '["x", "y"]'}).SerializeToString())
ECHO = load_session(graphs.text_echo().SerializeToString())
ROWS: dict[str, Any] = {"inputs": {"x": [[1, 2], [3, 4]]}, "outputs": {"y": [[2, 4], [6, 8]]}}


def read(document: object, signature: Signature = DOUBLING.signature) -> GoldenRows:
    return parse_golden(json.dumps(document).encode(), signature)


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **{name.replace("__", "/"): value for name, value in arrays.items()})
    return stream.getvalue()


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "/"), content)
    return stream.getvalue()


def sentences(loaded: LoadedModel, golden: GoldenRows) -> list[str]:
    return [mismatch.sentence for mismatch in run_golden(loaded, golden).mismatches]


def test_rows_that_come_out_as_expected_pass() -> None:
    report = run_golden(DOUBLING, read(ROWS))
    assert (report.passed, report.values) == (True, 4)


def test_a_difference_is_told_by_row_output_expected_and_got() -> None:
    golden = read(ROWS | {"outputs": {"y": [[2, 4], [6, 9]]}})
    assert sentences(DOUBLING, golden) == ["row 1 of output 'y': expected 9.0, got 8.0"]


def test_the_tolerance_is_relative_above_one_and_absolute_below() -> None:
    far = {"inputs": {"x": [[0, 500]]}, "outputs": {"y": [[0.0009, 1000.9]]}, "tolerance": 0.001}
    assert run_golden(DOUBLING, read(far)).passed
    assert run_golden(DOUBLING, read(far | {"tolerance": 0.0005})).mismatch_count == 2


def test_a_missing_value_is_null_and_equals_only_itself() -> None:
    golden = read({"inputs": {"x": [[None, 1], [1, 1]]}, "outputs": {"y": [[None, 2], [None, 2]]}})
    assert sentences(DOUBLING, golden) == ["row 1 of output 'y': expected nan, got 2.0"]


def test_texts_must_be_equal() -> None:
    golden = read({"inputs": {"words": [["a", "b"]]}, "outputs": {"same": [["a", "c"]]}}, ECHO.signature)
    assert sentences(ECHO, golden) == ["row 0 of output 'same': expected the string 'c', got the string 'b'"]


def test_another_shape_is_one_mismatch() -> None:
    golden = read(ROWS | {"outputs": {"y": [[2, 4]]}})
    assert sentences(DOUBLING, golden) == ["output 'y': expected a tensor [1, 2], got a tensor [2, 2]"]


def test_many_differences_are_counted_and_the_first_are_told() -> None:
    golden = read({"inputs": {"x": [[1, 1]] * 50}, "outputs": {"y": [[1, 1]] * 50}})
    report = run_golden(DOUBLING, golden)
    assert (report.mismatch_count, len(report.mismatches)) == (100, 20)


def test_a_flat_list_fills_the_one_free_dimension() -> None:
    golden = read({"inputs": {"x": [1, 2, 3, 4]}, "outputs": {"y": [2, 4, 6, 8]}})
    assert golden.inputs["x"].shape == (2, 2)
    assert run_golden(DOUBLING, golden).passed


def test_an_npz_is_the_same_as_json() -> None:
    data = npz(inputs__x=np.array([[1, 2.5]]), outputs__y=np.array([[2, 5.0]]), tolerance=0.5)
    golden = parse_golden(data, DOUBLING.signature)
    assert golden.to_dict() == {"inputs": {"x": [[1.0, 2.5]]}, "outputs": {"y": [[2.0, 5.0]]}, "tolerance": 0.5}
    assert golden.inputs["x"].dtype == np.float32


def test_an_npz_carries_texts() -> None:
    words = np.array([["ä", "prize"]])
    assert run_golden(ECHO, parse_golden(npz(inputs__words=words, outputs__same=words), ECHO.signature)).passed


@given(st.lists(st.tuples(*[st.floats(width=32, allow_infinity=False)] * 2), min_size=1, max_size=5))
def test_a_stored_document_reads_back_as_the_same_rows(rows: list[tuple[float, float]]) -> None:
    array = np.array(rows, np.float32)
    golden = GoldenRows(inputs={"x": array}, outputs={"y": array}, tolerance=0.25)
    again = read_golden(json.loads(json.dumps(golden.to_dict(), allow_nan=False)), DOUBLING.signature)
    assert again.tolerance == 0.25
    assert np.array_equal(again.inputs["x"], array, equal_nan=True)


@pytest.mark.parametrize(
    ("document", "where", "expected"),
    [
        ([], "/golden", "the keys inputs and outputs"),
        ({"inputs": {}}, "/golden", "the keys inputs and outputs"),
        (ROWS | {"comment": "x"}, "/golden", "the keys inputs and outputs"),
        (ROWS | {"inputs": []}, "/golden/inputs", "an object of inputs by name"),
        (ROWS | {"inputs": {}}, "/golden/inputs", "the inputs x"),
        (ROWS | {"inputs": {"z": [1]}}, "/golden/inputs/z", "one of the inputs x"),
        (ROWS | {"outputs": {}}, "/golden/outputs", "at least one output"),
        (ROWS | {"inputs": {"x": [[1, "2"]]}}, "/golden/inputs/x/1", "a number"),
        (ROWS | {"inputs": {"x": [[1, 2, 3]]}}, "/golden/inputs/x/shape", r"\[N, 2\]"),
        (ROWS | {"inputs": {"x": [[1, 2], [3]]}}, "/golden/inputs/x", "lists of 2 values"),
        (ROWS | {"inputs": {"x": []}}, "/golden/inputs/x", "from 1 to 1000000 values"),
        (ROWS | {"inputs": {"x": {}}}, "/golden/inputs/x", "from 1 to"),
        (ROWS | {"tolerance": "1"}, "/golden/tolerance", "a number from 0 to 1"),
        (ROWS | {"tolerance": True}, "/golden/tolerance", "a number from 0 to 1"),
        (ROWS | {"tolerance": -1}, "/golden/tolerance", "a number from 0 to 1"),
    ],
)
def test_a_bad_document_names_the_place(document: object, where: str, expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected) as caught:
        read(document)
    assert caught.value.errors[0].pointer.startswith(where)


@pytest.mark.parametrize("text", ["\x00", "a\x00b"])
def test_texts_that_no_database_keeps_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="without NUL"):
        read({"inputs": {"words": [[text]]}, "outputs": {"same": [["a"]]}}, ECHO.signature)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\x80\x04\x95",
        b"PK\x03\x04broken",
        npz(inputs__x=np.array([[object()]], dtype=object), outputs__y=[[1.0]]),
        npz(inputs__x=np.array([["1", "2"]]), outputs__y=[[1.0, 2.0]]),
        npz(inputs__x=[[np.inf, 1.0]], outputs__y=[[1.0, 2.0]]),
        npz(inputs__x=np.array([[1j, 2j]]), outputs__y=[[1.0, 2.0]]),
        npz(x=[[1.0, 2.0]], y=[[1.0, 2.0]]),
        archive(inputs__x=b"not a npy file", outputs__y=b""),
        archive(**{"../../etc/cron.d/x": b"* * * * *"}),
        archive(inputs__x=b"\0" * (MOST_BYTES + 1)),
        archive(**{f"inputs/x{index}": b"" for index in range(1001)}),
        archive(inputs__x=b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': "
                b"(1000000000000, 2)}".ljust(118)),
    ],
    ids=[
        "empty", "cut JSON", "a pickle", "a broken archive", "pickled objects", "texts for numbers", "infinity",
        "complex numbers", "other names", "no npy", "traversal", "a bomb", "too many", "a shape of terabytes",
    ],
)  # fmt: skip
def test_a_file_that_holds_no_golden_rows_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="expected"):
        parse_golden(data, DOUBLING.signature)


def test_the_check_runs_golden_rows_and_gives_them_back(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(graphs.doubling().SerializeToString())
    report = check_model(path, golden=json.dumps(ROWS).encode())
    assert report.golden is not None
    assert report.golden["outputs"] == ROWS["outputs"]
    with pytest.raises(InvalidModel, match=r"row 0 of output 'y': expected 7\.0, got 4\.0") as caught:
        check_model(path, golden=json.dumps(ROWS | {"outputs": {"y": [[2, 7], [6, 8]]}}).encode())
    assert caught.value.errors[0].pointer == "/golden/outputs/y/0/1"
    with pytest.raises(InvalidModel, match="golden: expected JSON or"):
        check_model(path, golden=b"nothing")
    with pytest.raises(TooLarge, match="golden rows"):
        check_model(path, golden=b" " * (MOST_BYTES + 1))


def test_golden_rows_that_stop_the_model_are_an_error() -> None:
    x, y = graphs.value("x", TensorProto.INT64, ["N"]), graphs.value("y", TensorProto.FLOAT, ["N"])
    table = graphs.tensor("table", [1.0, 2.0], np.float32)
    loaded = load_session(
        graphs.model([helper.make_node("Gather", ["table", "x"], ["y"])], [x], [y], [table]).SerializeToString()
    )
    golden = read({"inputs": {"x": [9]}, "outputs": {"y": [1]}}, loaded.signature)
    with pytest.raises(ModelFailed):
        run_golden(loaded, golden)
