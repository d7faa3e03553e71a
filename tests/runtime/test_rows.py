import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferhub.errors import InvalidInput, ModelFailed
from inferhub.runtime.cells import problem, to_array
from inferhub.runtime.rows import Columns, feeds_from_rows, rows_from_outputs
from inferhub.runtime.signature import NUMPY_TYPES, Signature, TensorSpec


def spec(name: str, datatype: str, shape: tuple[int | None, ...], **more: bool) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=shape, **more)


def signature(*inputs: TensorSpec) -> Signature:
    return Signature(inputs=inputs, outputs=())


PRICE = spec("price", "FP32", (None, 1))
COUNT = spec("count", "INT64", (None,))
TEXT = spec("text", "BYTES", (None, 1))
HISTORY = spec("history", "BYTES", (None, None))
VECTOR = spec("vector", "FP32", (None, 3))
K = spec("k", "INT64", (1,), is_optional=True)


def errors_of(model: Signature, rows: object, parameters: dict[str, object] | None = None) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as caught:
        feeds_from_rows(model, rows, parameters)
    return [(error.pointer, error.got) for error in caught.value.errors]


def test_scalars_become_columns_of_the_declared_type_and_shape() -> None:
    rows = [{"price": 1, "count": 2, "text": "a"}, {"price": 2.5, "count": 3, "text": "b"}]
    feeds = feeds_from_rows(signature(PRICE, COUNT, TEXT), rows)
    assert feeds["price"].tolist() == [[1.0], [2.5]]
    assert feeds["price"].dtype == np.float32
    assert feeds["count"].tolist() == [2, 3]
    assert feeds["text"].tolist() == [["a"], ["b"]]


def test_lists_become_rows_of_a_matrix() -> None:
    feeds = feeds_from_rows(signature(VECTOR), [{"vector": [1, 2, 3]}, {"vector": [4, 5, 6.5]}])
    assert feeds["vector"].tolist() == [[1, 2, 3], [4, 5, 6.5]]


def test_nested_lists_become_images() -> None:
    image = spec("image", "UINT8", (None, 2, 2))
    feeds = feeds_from_rows(signature(image), [{"image": [[1, 2], [3, 4]]}])
    assert feeds["image"].shape == (1, 2, 2)
    assert errors_of(signature(image), [{"image": [[1, 2], [3, 256]]}]) == [("/rows/0/image/1/1", "256")]


def test_histories_of_different_length_are_filled_up_with_empty_strings() -> None:
    feeds = feeds_from_rows(signature(HISTORY), [{"history": ["a", "b"]}, {"history": []}])
    assert feeds["history"].tolist() == [["a", "b"], ["", ""]]


def test_an_empty_history_still_has_one_column() -> None:
    assert feeds_from_rows(signature(HISTORY), [{"history": []}])["history"].tolist() == [[""]]


def test_numbers_of_different_length_are_refused() -> None:
    free = spec("vector", "FP32", (None, None))
    rows = [{"vector": [1, 2]}, {"vector": [1]}]
    assert errors_of(signature(free), rows) == [("/rows/1/vector", "a list of 1 values")]


def test_padding_cannot_blow_up_a_small_request() -> None:
    rows = [{"history": ["x"] * 5000}] + [{"history": []}] * 999
    assert errors_of(signature(HISTORY), rows) == [("/rows/0/history", "5000000")]


def test_parameters_are_whole_tensors() -> None:
    feeds = feeds_from_rows(signature(PRICE, K), [{"price": 1}], {"k": 5})
    assert feeds["k"].tolist() == [5]
    assert feeds_from_rows(signature(PRICE, K), [{"price": 1}], {"k": [5]})["k"].tolist() == [5]
    assert "k" not in feeds_from_rows(signature(PRICE, K), [{"price": 1}])


def test_an_optional_input_may_stand_in_every_row() -> None:
    exclude = spec("exclude", "BYTES", (None, None), is_optional=True)
    rows = [{"price": 1, "exclude": ["a"]}, {"price": 2, "exclude": []}]
    assert feeds_from_rows(signature(PRICE, exclude), rows)["exclude"].tolist() == [["a"], [""]]
    assert errors_of(signature(PRICE, exclude), [rows[0], {"price": 2}]) == [("/rows/1/exclude", "nothing")]


def test_a_value_without_rows_must_be_a_parameter() -> None:
    temperature = spec("temperature", "FP32", ())
    assert feeds_from_rows(signature(PRICE, temperature), [{"price": 1}], {"temperature": 2})["temperature"] == 2
    found = errors_of(signature(temperature), [{"temperature": 1}])
    assert found == [("/parameters/temperature", "it in the rows")]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"price": "12"}], [("/rows/0/price", "the string '12'")]),
        ([{"price": 1}, {"price": True}], [("/rows/1/price", "true")]),
        ([{"price": None}], [("/rows/0/price", "null")]),
        ([{"price": math.nan}], [("/rows/0/price", "NaN")]),
        ([{"price": 1e39}], [("/rows/0/price", "1e+39")]),
        ([{"price": 16777217}], [("/rows/0/price", "16777217")]),
        ([{"price": 4006381333931}], [("/rows/0/price", "4006381333931")]),
        ([{"price": 10**400}], [("/rows/0/price", "a whole number of 1329 bits")]),
        ([{"price": [1, 2]}], [("/rows/0/price", "a list of 2 values")]),
        ([{"price": {}}], [("/rows/0/price", "an object")]),
        ([{}], [("/rows/0/price", "nothing")]),
        ([{"price": 1, "prise": 2}], [("/rows/0/prise", "an unknown key")]),
        ([{"price": 1}, 7], [("/rows/1", "7")]),
        ([], [("/rows", "a list of 0 values")]),
        ({"price": 1}, [("/rows", "an object")]),
        (None, [("/rows", "null")]),
    ],
)
def test_a_bad_row_is_named_with_what_came(rows: object, expected: list[tuple[str, str]]) -> None:
    assert errors_of(signature(PRICE), rows) == expected


@pytest.mark.parametrize(
    ("datatype", "good", "bad"),
    [
        ("BOOL", True, 1),
        ("INT8", -128, -129),
        ("UINT8", 255, 256),
        ("UINT64", 2**64 - 1, -1),
        ("INT64", 2**63 - 1, 2**63),
        ("INT64", 0, 1.0),
        ("INT64", 0, False),
        ("INT64", 0, "0"),
        ("BYTES", "", 5),
        ("FP16", 65504.0, 65520.0),
        ("FP16", 2048, 2049),
        ("FP32", 16777218, 16777219),
        ("FP64", 2**53, 2**53 + 1),
    ],
)
def test_values_are_typed_strictly_and_kept_exactly(datatype: str, good: object, bad: object) -> None:
    model = signature(spec("x", datatype, (None,)))
    assert feeds_from_rows(model, [{"x": good}])["x"].tolist() == [good]
    assert [where for where, _ in errors_of(model, [{"x": good}, {"x": bad}])] == ["/rows/1/x"]


def test_a_rounded_whole_number_is_accepted_when_written_as_a_decimal() -> None:
    assert feeds_from_rows(signature(PRICE), [{"price": 16777217.0}])["price"].tolist() == [[16777216.0]]


def test_null_is_a_missing_value_where_the_model_knows_them() -> None:
    known = spec("price", "FP32", (None, 1), allows_nan=True)
    assert np.isnan(feeds_from_rows(signature(known), [{"price": None}])["price"]).all()
    assert errors_of(signature(known), [{"price": math.inf}]) == [("/rows/0/price", "inf")]


def test_unknown_parameters_are_errors() -> None:
    assert errors_of(signature(PRICE, K), [{"price": 1}], {"K": 3}) == [("/parameters/K", "an unknown key")]
    assert errors_of(signature(PRICE, K), [{"price": 1}], {"k": "3"}) == [("/parameters/k/0", "the string '3'")]


def test_a_fixed_batch_takes_exactly_its_rows() -> None:
    one = spec("x", "FP32", (1, 2))
    assert feeds_from_rows(signature(one), [{"x": [1, 2]}])["x"].shape == (1, 2)
    assert errors_of(signature(one), [{"x": [1, 2]}] * 2) == [("/rows", "2 rows")]


def test_pointers_escape_names() -> None:
    assert errors_of(signature(spec("a/b~", "BOOL", (None,))), [{"a/b~": 1}]) == [("/rows/0/a~1b~0", "1")]


def test_at_most_twenty_errors_are_reported() -> None:
    assert len(errors_of(signature(PRICE), [{"price": "x"}] * 1000)) == 20
    assert len(errors_of(signature(PRICE), [{}] * 1000)) == 20


JSON_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**24 - 2, 2**24 + 3),
    st.floats(),
    st.text(max_size=3),
    st.just([]),
)


@given(st.sampled_from(sorted(NUMPY_TYPES)), st.booleans(), st.lists(JSON_VALUES, min_size=1, max_size=4))
def test_the_quick_conversion_refuses_exactly_what_the_precise_one_explains(
    datatype: str, allows_nan: bool, cells: list[Any]
) -> None:
    one = spec("x", datatype, (None,), allows_nan=allows_nan)
    converted = to_array(one, cells)
    assert (converted is None) == any(problem(one, cell) for cell in cells)
    if converted is not None and datatype in ("BYTES", "BOOL", "INT64", "UINT8"):
        assert converted.tolist() == cells


def outputs_of(*specs: TensorSpec) -> Signature:
    return Signature(inputs=(), outputs=specs)


def test_outputs_become_one_object_per_row() -> None:
    model = outputs_of(spec("value", "FP32", (None, 1)), spec("items", "BYTES", (None, None)))
    outputs = {
        "value": np.array([[0.9], [2]], np.float32),
        "items": np.array([["a"], ["b"]], dtype=object),
    }
    assert rows_from_outputs(model, outputs, 2) == [{"value": 0.9, "items": ["a"]}, {"value": 2.0, "items": ["b"]}]


@pytest.mark.parametrize("datatype", sorted(NUMPY_TYPES))
def test_every_datatype_becomes_json(datatype: str) -> None:
    one = spec("x", datatype, (None,))
    output = np.array(["1"] if datatype == "BYTES" else [1], dtype=one.numpy_type)
    assert json.dumps(rows_from_outputs(outputs_of(one), {"x": output}, 1))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_printed_float_names_the_same_float32(number: float) -> None:
    [row] = rows_from_outputs(outputs_of(spec("x", "FP32", (None,))), {"x": np.array([number], np.float32)}, 1)
    assert np.float32(row["x"]) == np.float32(number)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_output_that_is_no_number_is_an_error(bad: float) -> None:
    output = np.array([[1, 2], [3, bad]], np.float32)
    with pytest.raises(ModelFailed, match="'x' is NaN or infinite in row 1"):
        rows_from_outputs(outputs_of(spec("x", "FP32", (None, 2))), {"x": output}, 2)


def test_an_output_may_be_missing_where_the_signature_says_so() -> None:
    one = spec("x", "FP32", (None,), allows_nan=True)
    assert rows_from_outputs(outputs_of(one), {"x": np.array([math.nan], np.float32)}, 1) == [{"x": None}]


def test_an_output_with_another_number_of_rows_is_an_error() -> None:
    with pytest.raises(ModelFailed, match=r"'x' has the shape \[3\] for 2 rows"):
        rows_from_outputs(outputs_of(spec("x", "FP32", (None,))), {"x": np.zeros(3, np.float32)}, 2)


def test_columns_are_the_same_rows_in_another_form() -> None:
    model = signature(PRICE, COUNT, HISTORY, VECTOR)
    rows = [
        {"price": 1, "count": 2, "history": ["a"], "vector": [1, 2, 3]},
        {"price": 2.5, "count": 3, "history": [], "vector": [4, 5, 6]},
    ]
    columns = Columns(values={name: [row[name] for row in rows] for name in rows[0]})
    by_rows, by_columns = feeds_from_rows(model, rows), feeds_from_rows(model, columns)
    assert len(columns) == 2
    for name, array in by_rows.items():
        assert array.dtype == by_columns[name].dtype
        assert array.tolist() == by_columns[name].tolist()


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"price": [1, 2], "count": [1]}, [("/columns/count", "1 values")]),
        ({"price": [1, 2]}, [("/columns/count", "nothing")]),
        ({"price": [1], "count": [1], "size": [1]}, [("/columns/size", "an unknown key")]),
        ({"price": [1, "2"], "count": [1, 2]}, [("/columns/price/1", "the string '2'")]),
        ({"price": [1], "count": [1.5]}, [("/columns/count/0", "1.5")]),
        ({"price": [], "count": []}, [("/columns", "none")]),
    ],
)
def test_wrong_columns_are_pointed_at(columns: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert errors_of(signature(PRICE, COUNT), Columns(values=columns)) == expected
