import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferhub.inference.differences import Difference, compare

EQUAL = Difference(largest=0.0, is_flipped=False)
values = st.recursive(
    st.floats(allow_nan=False) | st.integers() | st.text() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(answer=values)
def test_an_answer_is_equal_to_itself(answer: object) -> None:
    assert compare(answer, answer).is_equal


@given(first=values, second=values)
def test_who_is_compared_with_whom_does_not_matter(first: object, second: object) -> None:
    assert compare(first, second) == compare(second, first)


def test_the_largest_difference_of_a_measure_is_told() -> None:
    first = [{"value": 1.0, "scores": [0.5, 0.25]}, {"value": 2.0, "scores": [0.5, 0.5]}]
    second = [{"value": 1.0, "scores": [0.5, 0.0]}, {"value": 2.125, "scores": [0.5, 0.5]}]
    assert compare(first, second) == Difference(largest=0.25, is_flipped=False)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([{"label": "a"}], [{"label": "b"}]),
        ([{"label": 1}], [{"label": 2}]),
        ([{"label": "a"}], [{"name": "a"}]),
        ([{"value": 1.0}], [{"value": None}]),
        ([{"items": ["a", "b"]}], [{"items": ["b", "a"]}]),
        ([{"items": ["a"]}], [{"items": ["a", "b"]}]),
        ({"x": np.array([1])}, {"x": np.array([2])}),
        ({"x": np.array(["a"], object)}, {"x": np.array(["b"], object)}),
        ({"x": np.zeros(2)}, {"x": np.zeros(3)}),
        ({"x": np.array([np.nan])}, {"x": np.array([1.0])}),
    ],
)
def test_what_is_no_measure_is_flipped_when_it_differs(first: object, second: object) -> None:
    assert compare(first, second).is_flipped


def test_tensors_differ_by_their_largest_gap_and_nan_is_equal_to_nan() -> None:
    first = {"x": np.array([1, np.nan, np.inf, 2], np.float32), "label": np.array(["a"], object)}
    second = {"x": np.array([1, np.nan, np.inf, 2.5], np.float32), "label": np.array(["a"], object)}
    assert compare(first, second) == Difference(largest=0.5, is_flipped=False)
    assert compare(first, first) == EQUAL
