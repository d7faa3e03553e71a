"""The codec alone: what goes out comes back, and what is wrong is said, whatever it is."""

import tracemalloc
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inferhub.errors import InvalidInput, ModelFailed
from inferhub.runtime.signature import Array, TensorSpec
from inferhub.runtime.tensors import (
    check_output,
    read_shape,
    tensor_from_bytes,
    tensor_from_json,
    tensor_to_bytes,
    tensor_to_json,
)
from tests.oip.graphs import DATATYPES

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


def spec_of(datatype: str, array: Array | None = None, *, allows_nan: bool = False) -> TensorSpec:
    shape = (None,) * (1 if array is None else array.ndim)
    return TensorSpec(name="x", datatype=datatype, shape=shape, allows_nan=allows_nan)


@st.composite
def tensors(draw: st.DrawFn) -> tuple[TensorSpec, Array]:
    datatype = draw(st.sampled_from(DATATYPES))
    kind = spec_of(datatype).numpy_type
    elements: Any = TEXTS if datatype == "BYTES" else None
    if kind.kind == "f":
        elements = hnp.from_dtype(kind, allow_infinity=False)
    array = draw(hnp.arrays(kind, SHAPES, elements=elements))
    return spec_of(datatype, array, allows_nan=True), array


@given(tensors())
def test_raw_bytes_bring_every_tensor_back(case: tuple[TensorSpec, Array]) -> None:
    spec, array = case
    back = tensor_from_bytes(spec, array.shape, memoryview(tensor_to_bytes(array)), place="")
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@given(tensors())
def test_json_brings_every_tensor_back(case: tuple[TensorSpec, Array]) -> None:
    spec, array = case
    data = orjson.loads(orjson.dumps(tensor_to_json(array), option=orjson.OPT_SERIALIZE_NUMPY))
    back = tensor_from_json(spec, array.shape, data, place="")
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@given(tensors())
def test_nested_lists_say_the_same_as_flat_ones(case: tuple[TensorSpec, Array]) -> None:
    spec, array = case
    if array.ndim and array.size:
        elements = orjson.loads(orjson.dumps(tensor_to_json(array), option=orjson.OPT_SERIALIZE_NUMPY))
        nested = np.array(elements, dtype=object).reshape(array.shape).tolist()
        np.testing.assert_array_equal(tensor_from_json(spec, array.shape, nested, place=""), array)


@given(st.integers(0, 5), st.binary(max_size=40))
def test_random_bytes_are_texts_or_an_error(count: int, raw: bytes) -> None:
    spec = spec_of("BYTES")
    try:
        texts = tensor_from_bytes(spec, (count,), memoryview(raw), place="")
    except InvalidInput:
        return
    assert tensor_to_bytes(texts) == raw


@given(st.data())
def test_views_of_other_layouts_are_written_row_by_row(data: st.DataObject) -> None:
    array = data.draw(hnp.arrays(np.int32, (3, 4)))
    for view in (array.T, array[::-1, ::2], np.asfortranarray(array), array.astype(">i4")):
        raw = memoryview(tensor_to_bytes(view))
        np.testing.assert_array_equal(tensor_from_bytes(_matrix(), view.shape, raw, place=""), view)


def _matrix() -> TensorSpec:
    return TensorSpec(name="x", datatype="INT32", shape=(None, None))


def test_a_tensor_at_an_odd_offset_is_read_right() -> None:
    raw = memoryview(b"?" + np.arange(4, dtype=np.float64).tobytes())[1:]
    array = tensor_from_bytes(spec_of("FP64"), (4,), raw, place="")
    assert array.flags.aligned
    assert array.tolist() == [0, 1, 2, 3]


WRONG_SHAPES: list[tuple[Any, str]] = [
    (None, "got null"),
    ("[2, 2]", "a list of whole numbers"),
    ([2, 2.0], "a list of whole numbers"),
    ([True, 2], "a list of whole numbers"),
    ([-1, 2], "got [-1, 2]"),
    ([2], "expected [N, 2] for 'x', got [2]"),
    ([2, 3], "expected [N, 2] for 'x', got [2, 3]"),
    ([1, 2, 1], "expected [N, 2]"),
    ([2**63, 2], "at most 64 bytes of FP32"),
    ([2**31, 2], "at most 64 bytes of FP32"),
    ([9, 2], "at most 64 bytes of FP32"),
    ([1] * 1_000_000, "a list of 1000000 values"),
]


@pytest.mark.parametrize(("shape", "message"), WRONG_SHAPES)
def test_a_shape_that_is_not_the_declared_one_is_an_error(shape: Any, message: str) -> None:
    spec = TensorSpec(name="x", datatype="FP32", shape=(None, 2))
    assert read_shape(spec, [8, 2], place="", max_bytes=64) == (8, 2)
    with pytest.raises(InvalidInput, match=r"^/shape: ") as wrong:
        read_shape(spec, shape, place="", max_bytes=64)
    assert message in str(wrong.value)


def test_a_dimension_of_zero_does_not_hide_a_huge_one() -> None:
    spec = TensorSpec(name="x", datatype="FP32", shape=(None, None))
    assert read_shape(spec, [0, 16], place="", max_bytes=64) == (0, 16)
    with pytest.raises(InvalidInput, match="at most 64 bytes"):
        read_shape(spec, [0, 2**40], place="", max_bytes=64)


WRONG_DATA: list[tuple[str, Any, str]] = [
    ("FP32", "12", "/data: expected a list of values, got the string '12'"),
    ("FP32", [1.5], "/data: expected 2 values for the shape [2], got 1"),
    ("FP32", [1.5, "2"], "/data/1: expected a number for 'x', got the string '2'"),
    ("FP32", [True, 1.0], "/data/0: expected a number for 'x', got true"),
    ("FP32", [None, 1.0], "/data/0: expected a number for 'x', got null"),
    ("FP32", [1e39, 1.0], "/data/0: expected a number from"),
    ("FP16", [70000.0, 1.0], "/data/0: expected a number from -65504 to 65504"),
    ("FP32", [2**24 + 1, 1], "holds exactly"),
    ("INT8", [1, 128], "/data/1: expected a whole number from -128 to 127"),
    ("UINT64", [-1, 1], "/data/0: expected a whole number from 0 to 18446744073709551615"),
    ("UINT64", [1.8446744073709552e19, 1], "/data/0: expected a whole number"),
    ("INT64", [1.0, 2], "/data/0: expected a whole number"),
    ("INT64", [True, 2], "/data/0: expected a whole number"),
    ("BOOL", [1, True], "/data/0: expected true or false"),
    ("BYTES", ["a", 1], "/data/1: expected a string"),
    ("FP32", [[1.5], [2.5]], "/data/0: expected a number for 'x', got a list of 1 values"),
    ("FP32", [[1.5, 2.5]], "/data: expected lists of 2 values at depth 0"),
]


@pytest.mark.parametrize(("datatype", "data", "message"), WRONG_DATA)
def test_a_value_that_is_not_of_the_datatype_is_named(datatype: str, data: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as wrong:
        tensor_from_json(spec_of(datatype), (2,), data, place="/data")
    assert message in str(wrong.value)


WRONG_BYTES: list[tuple[str, bytes, str]] = [
    ("FP32", b"\0" * 7, "expected 8 bytes for FP32 [2], got 7"),
    ("FP32", b"", "expected 8 bytes for FP32 [2], got 0"),
    ("INT64", b"\0" * 8, "expected 16 bytes"),
    ("BOOL", b"\1\2", "bytes of 0 and 1"),
    ("FP32", np.array([1, np.nan], np.float32).tobytes(), "finite numbers"),
    ("FP16", np.array([1, np.inf], np.float16).tobytes(), "finite numbers"),
    ("BYTES", b"\1\0\0\0a", "expected 2 elements, each a length"),
    ("BYTES", b"\1\0\0\0a\0\0", "expected 2 elements, each a length"),
    ("BYTES", b"\1\0\0\0a\xff\xff\xff\xff", "element 1 that ends after the data"),
    ("BYTES", b"\2\0\0\0ab\0\0", "element 1 that ends after the data"),
    ("BYTES", b"\1\0\0\0a\1\0\0\0\xff", "element 1, which is not: invalid start byte"),
    ("BYTES", b"\1\0\0\0a\0\0\0\0b", "expected 2 elements of together 9 bytes, got 10 bytes"),
]


@pytest.mark.parametrize(("datatype", "raw", "message"), WRONG_BYTES)
def test_raw_bytes_that_do_not_fit_say_why(datatype: str, raw: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as wrong:
        tensor_from_bytes(spec_of(datatype), (2,), memoryview(raw), place="/inputs/0")
    assert message in str(wrong.value)
    assert str(wrong.value).startswith("/inputs/0: ")


def test_missing_values_pass_where_the_model_knows_them_and_infinity_nowhere() -> None:
    spec = spec_of("FP32", allows_nan=True)
    missing, infinite = (memoryview(np.array([value], np.float32).tobytes()) for value in (np.nan, np.inf))
    assert np.isnan(tensor_from_bytes(spec, (1,), missing, place="")).all()
    assert np.isnan(tensor_from_json(spec, (1,), [None], place="")).all()
    with pytest.raises(InvalidInput, match="finite numbers or NaN"):
        tensor_from_bytes(spec, (1,), infinite, place="")


def test_an_output_may_be_nan_only_where_it_says_so() -> None:
    array = np.array([np.nan], np.float32)
    check_output(spec_of("FP32", allows_nan=True), array)
    with pytest.raises(ModelFailed, match="'x' is NaN or infinite"):
        check_output(spec_of("FP32"), array)


@pytest.mark.parametrize("datatype", ["BYTES", "FP32"])
def test_what_a_shape_claims_is_not_allocated(datatype: str) -> None:
    spec = spec_of(datatype)
    shape = read_shape(spec, [1 << 26], place="", max_bytes=1 << 40)
    tracemalloc.start()
    with pytest.raises(InvalidInput):
        tensor_from_bytes(spec, shape, memoryview(bytes(8)), place="")
    with pytest.raises(InvalidInput):
        tensor_from_json(spec, shape, [1.0], place="")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
