from datetime import date

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender import InvalidData, fit_regression
from recommender.trees import round_down, split_thresholds, with_float32_thresholds

FRAME = pl.DataFrame({"x": [float(n) for n in range(60)], "y": [float(n % 7) for n in range(60)]})


@pytest.mark.parametrize(
    ("column", "complaint"),
    [
        (pl.Series("x", [4006381333931 + n for n in range(60)]), "column x: 400638133393. is too large"),
        (pl.Series("x", [1_700_000_000.0 + n for n in range(60)]), "column x: .* days since a date"),
        (pl.Series("x", [date(2024, 1, 1)] * 60), "column x: expected numbers, text or booleans, got Date"),
    ],
)
def test_a_column_that_float32_or_the_trees_cannot_take_is_named(column: pl.Series, complaint: str) -> None:
    with pytest.raises(InvalidData, match=complaint):
        fit_regression(FRAME.with_columns(column), "y")


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        (pl.Series("y", ["a"] * 60), "column y: expected numbers to predict"),
        (pl.Series("y", [1.0] * 59 + [None]), "column y: row 60 has no finite number"),
        (pl.Series("z", [1.0] * 60), "no column 'y' to predict; the columns are x, z"),
    ],
)
def test_a_target_that_cannot_be_learned_is_named(target: pl.Series, complaint: str) -> None:
    with pytest.raises(InvalidData, match=complaint):
        fit_regression(FRAME.drop("y").with_columns(target), "y")


def test_a_column_that_is_missing_or_of_another_type_at_prediction_is_named() -> None:
    model = fit_regression(FRAME, "y", trees=5)

    with pytest.raises(InvalidData, match="no column 'x'"):
        model.predict(FRAME.drop("x"))
    with pytest.raises(InvalidData, match="column x: expected numbers as in training, got String"):
        model.predict(pl.DataFrame({"x": ["1"]}))


def test_a_gap_where_training_had_none_counts_as_the_median() -> None:
    model = fit_regression(FRAME, "y", trees=20)

    assert model.predict(pl.DataFrame({"x": [None]})) == model.predict(pl.DataFrame({"x": [29.5]}))


def test_the_same_seed_gives_the_same_trees() -> None:
    one, other = (fit_regression(FRAME, "y", trees=20, seed=3).booster.model_to_string() for _ in range(2))

    assert one == other


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e38, max_value=1e38), st.floats(width=32))
def test_a_rounded_threshold_sends_every_float32_number_the_same_way(threshold: float, number: float) -> None:
    assert (number <= threshold) == (number <= round_down(threshold))


def test_rounding_the_thresholds_changes_no_answer_for_float32_input() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(500, 3)).astype(np.float32).astype(np.float64)
    booster = lgb.train({"verbosity": -1, "num_threads": 1}, lgb.Dataset(inputs, inputs.sum(axis=1)), 30)

    rounded = with_float32_thresholds(booster)

    thresholds = [value for values in split_thresholds(rounded).values() for value in values]
    assert thresholds == [float(np.float32(value)) for value in thresholds]
    np.testing.assert_array_equal(rounded.predict(inputs), booster.predict(inputs))
