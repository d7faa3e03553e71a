"""Regression on tables with LightGBM: numbers and categories, both with gaps, from one polars frame.

Whatever the model sees is what the exported graph can see as well: numbers are float32 before training, thresholds are
rounded to float32, and a category is one of those known from training or missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl

from recommender.errors import InvalidData
from recommender.trees import with_float32_thresholds
from recommender.types import DoubleArray, FloatArray

_SKEWED = 1.0
_FLOAT32_WHOLE = 2**24  # above it float32 skips whole numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class Feature:
    """One input column: a number, or a category when `categories` (sorted) is given.

    `fill` replaces a missing number: NaN where training had gaps (the trees learned what a gap means), else the median.
    """

    name: str
    categories: tuple[str, ...] | None = None
    fill: float = float("nan")

    def encode(self, column: pl.Series) -> FloatArray:
        """The column as float32 [N]; categories become their position, NaN where missing or not known."""
        if self.categories is not None:
            return _positions(column, self.categories)
        if not (column.dtype.is_numeric() or column.dtype == pl.Null):
            raise InvalidData(f"column {self.name}: expected numbers as in training, got {column.dtype}")
        numbers = column.cast(pl.Float32).fill_null(float("nan")).to_numpy()
        return np.where(np.isnan(numbers), np.float32(self.fill), numbers)


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantile:
    """A booster for the value that is not exceeded with probability `level`."""

    level: float
    booster: lgb.Booster

    @property
    def name(self) -> str:
        """quantile_10 for the level 0.1."""
        return f"quantile_{self.level * 100:g}".replace(".", "_")


@dataclass(frozen=True, kw_only=True)
class RegressionModel:
    """A fitted model; `booster` takes the encoded columns of `features` in their order.

    The thresholds of all boosters are float32 numbers, which changes no answer for float32 input. `quantiles` are in
    ascending order of their levels. With `log_target` the boosters answer log(1 + target), and the model the target.
    """

    booster: lgb.Booster
    features: tuple[Feature, ...]
    target: str
    quantiles: tuple[Quantile, ...] = ()
    log_target: bool = False

    def encode(self, frame: pl.DataFrame) -> FloatArray:
        """The features as float32 [N, F]. Raises InvalidData for a missing or wrongly typed column."""
        for feature in self.features:
            if feature.name not in frame.columns:
                raise InvalidData(f"no column '{feature.name}'; the columns are {', '.join(frame.columns)}")
        return np.column_stack([feature.encode(frame[feature.name]) for feature in self.features])

    def predict(self, frame: pl.DataFrame) -> FloatArray:
        """The expected target, float32 [N], for a frame with the columns of training (the target may be absent)."""
        return self._answers(self.booster, self.encode(frame).astype(np.float64))

    def predict_quantiles(self, frame: pl.DataFrame) -> FloatArray:
        """float32 [N, Q]: the quantiles in the order of their levels, none below the one before it."""
        encoded = self.encode(frame).astype(np.float64)
        columns = [self._answers(quantile.booster, encoded) for quantile in self.quantiles]
        return (
            np.maximum.accumulate(np.column_stack(columns), axis=1)
            if columns
            else np.empty((len(frame), 0), np.float32)
        )

    def _answers(self, booster: lgb.Booster, encoded: DoubleArray) -> FloatArray:
        answers = np.asarray(booster.predict(encoded), np.float64)
        return (np.expm1(answers) if self.log_target else answers).astype(np.float32)


def fit_regression(
    frame: pl.DataFrame,
    target: str,
    *,
    trees: int = 400,
    learning_rate: float = 0.05,
    leaves: int = 31,
    quantiles: Sequence[float] = (),
    log_target: bool = False,
    seed: int = 0,
) -> RegressionModel:
    """Learn to predict the column `target` from all other columns.

    Columns of text, booleans and categories become categories; numbers stay numbers; nulls are missing values. The same
    frame and seed give the same model. For each level of `quantiles` (0.1 and 0.9 give a range that holds four of five
    cases) the model also learns that quantile of the target. `log_target` learns log(1 + target), which suits amounts
    that differ by factors (see `prefers_log_target`). Raises InvalidData for a column of another type, for whole
    numbers that float32 cannot tell apart, and for a target with gaps, of one value or, with `log_target`, below 0.

    >>> frame = pl.DataFrame({"size": ["S", "L"] * 50, "price": [float(i % 7) for i in range(100)]})
    >>> frame = frame.with_columns(sales=pl.when(pl.col("size") == "L").then(30.0).otherwise(10.0))
    >>> model = fit_regression(frame, "sales", trees=200)
    >>> model.predict(pl.DataFrame({"size": ["L", "S"], "price": [3.0, None]})).round().tolist()
    [30.0, 10.0]
    """
    if target not in frame.columns:
        raise InvalidData(f"no column '{target}' to predict; the columns are {', '.join(frame.columns)}")
    values = target_values(frame[target])
    if log_target:
        if values.min() < 0:
            raise InvalidData(f"column {target}: its logarithm needs numbers from 0, got {values.min():g}")
        values = np.log1p(values)
    if len(frame.columns) < 2:
        raise InvalidData(f"expected columns to predict {target} from, got none")
    features = tuple(describe_feature(frame[name]) for name in frame.columns if name != target)
    parameters = _parameters(learning_rate, leaves, seed) | {"num_threads": _threads(len(frame) * len(features))}
    booster = train_booster(frame, features, values, trees=trees, parameters=parameters)
    ranges = []
    for level in sorted(set(quantiles)):
        if not 0 < level < 1:
            raise InvalidData(f"quantiles: expected levels between 0 and 1, got {level}")
        objective = {"objective": "quantile", "alpha": level}
        learned = train_booster(frame, features, values, trees=trees, parameters=parameters | objective)
        ranges.append(Quantile(level=level, booster=learned))
    return RegressionModel(
        booster=booster, features=features, target=target, quantiles=tuple(ranges), log_target=log_target
    )


def prefers_log_target(frame: pl.DataFrame, target: str, *, seed: int = 0) -> bool:
    """Whether log(1 + target) gives the smaller mean squared error of the target on a random fifth of the rows.

    Only asked for targets from 0 that are skewed to the right (skewness above 1); for all others the answer is no.
    """
    values = target_values(frame[target])
    if values.min() < 0 or float(frame[target].cast(pl.Float64).skew() or 0.0) <= _SKEWED:
        return False
    rows = np.random.default_rng(seed).permutation(len(frame))
    held, rest = frame[rows[: len(rows) // 5].tolist()], frame[rows[len(rows) // 5 :].tolist()]
    if rest[target].n_unique() < 2:
        return False
    actual = held[target].to_numpy().astype(np.float64)
    plain, logged = (
        float(((fit_regression(rest, target, log_target=log, seed=seed).predict(held) - actual) ** 2).mean())
        for log in (False, True)
    )
    return logged < plain


def train_booster(
    frame: pl.DataFrame, features: tuple[Feature, ...], values: DoubleArray, *, trees: int, parameters: dict[str, Any]
) -> lgb.Booster:
    """Train on the encoded features and round the thresholds."""
    encoded = np.column_stack([feature.encode(frame[feature.name]) for feature in features])
    data = lgb.Dataset(
        encoded.astype(np.float64),
        values,
        feature_name=[f"f{place}" for place in range(len(features))],
        categorical_feature=[place for place, feature in enumerate(features) if feature.categories is not None],
    )
    return with_float32_thresholds(lgb.train(parameters, data, num_boost_round=trees))


def describe_feature(column: pl.Series) -> Feature:
    """Decide how a column enters the model. Raises InvalidData."""
    if column.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Boolean):
        known = column.cast(pl.String).drop_nulls().unique().sort().to_list()
        return Feature(name=column.name, categories=tuple(value for value in known if value))
    if not column.dtype.is_numeric():
        raise InvalidData(
            f"column {column.name}: expected numbers, text or booleans, got {column.dtype}; give dates as numbers that "
            "matter (month, weekday, age in days)"
        )
    _refuse_unlike_float32(column)
    numbers = column.cast(pl.Float32).fill_nan(None)
    median = numbers.median()
    fill = float(np.float32(median)) if isinstance(median, float) and not numbers.has_nulls() else float("nan")
    return Feature(name=column.name, fill=fill)


def _refuse_unlike_float32(column: pl.Series) -> None:
    large = column.drop_nulls().cast(pl.Float64)
    large = large.filter((large.abs() > _FLOAT32_WHOLE) & (large == large.round()))
    changed = large.filter(large.cast(pl.Float32).cast(pl.Float64) != large)
    if len(changed):
        raise InvalidData(
            f"column {column.name}: {changed[0]:.0f} is too large to be told from its neighbours in float32; give "
            "codes such as EAN-13 as text, and times as days since a date"
        )


def _positions(column: pl.Series, categories: tuple[str, ...]) -> FloatArray:
    known = {category: float(position) for position, category in enumerate(categories)}
    values = column.cast(pl.String).to_list()
    return np.array([known.get(value, np.nan) for value in values], np.float32)


def target_values(column: pl.Series) -> DoubleArray:
    """The numbers to predict, float64 [N]. Raises InvalidData for gaps, texts, and one value in every row."""
    if not column.dtype.is_numeric():
        raise InvalidData(f"column {column.name}: expected numbers to predict, got {column.dtype}")
    values = column.cast(pl.Float64).to_numpy()
    if not np.isfinite(values).all():
        raise InvalidData(f"column {column.name}: row {int(np.argmin(np.isfinite(values))) + 1} has no finite number")
    if len(values) == 0 or values.min() == values.max():
        got = f"{values[0]:g} in every row" if len(values) else "no rows"
        raise InvalidData(f"column {column.name}: expected different numbers to learn from, got {got}")
    return np.asarray(values, np.float64)


def _threads(values: int) -> int:
    """One for small data, where threads wait for each other longer than they work; 0 lets LightGBM take all cores."""
    return 1 if values < 1_000_000 else 0


def _parameters(learning_rate: float, leaves: int, seed: int) -> dict[str, Any]:
    return {
        "objective": "regression",
        "learning_rate": learning_rate,
        "num_leaves": leaves,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
