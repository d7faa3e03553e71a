"""scikit-learn's regressors over a frame of numbers and texts with gaps, as one pipeline that exports exactly."""

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from recommender.errors import InvalidData
from recommender.regression import target_values

REGRESSORS: Mapping[str, Callable[[int], Any]] = {
    "forest": lambda seed: RandomForestRegressor(100, min_samples_leaf=5, random_state=seed),
    "boosting": lambda seed: GradientBoostingRegressor(n_estimators=200, max_depth=5, random_state=seed),
    "linear": lambda _: Ridge(),
}
"""By name: makes the regressor for a seed."""

_RAREST = 5  # rows: a rarer category counts as one of the infrequent ones


def fit_pipeline(frame: pl.DataFrame, target: str, *, regressor: str, seed: int = 0) -> Pipeline:
    """Fit a regressor of `REGRESSORS` on every other column of `frame`: gaps in numbers become the median, texts become
    one column for each category, of which an unknown or missing one has none.

    Raises InvalidData where there is no such regressor, no column to learn from, or a target with gaps or one value.

    >>> frame = pl.DataFrame({"size": [1.0, 2.0, None, 4.0] * 3, "kind": ["a", "b", None, "a"] * 3})
    >>> frame = frame.with_columns(price=pl.col("size").fill_null(2.0) * 3)
    >>> fit_pipeline(frame, "price", regressor="linear").predict(frame.head(2)).round(1).tolist()
    [3.4, 6.0]
    """
    if regressor not in REGRESSORS:
        raise InvalidData(f"regressor: expected one of {', '.join(REGRESSORS)}, got '{regressor}'")
    known = frame.drop(target)
    numbers = [name for name in known.columns if known[name].dtype.is_numeric() or known[name].dtype == pl.Boolean]
    texts = [name for name in known.columns if known[name].dtype == pl.String]
    if not numbers and not texts:
        raise InvalidData("no column of numbers or texts to learn from")
    scaled = Pipeline([("gaps", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
    encoded = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=_RAREST, sparse_output=False)
    columns = ColumnTransformer([("numbers", scaled, numbers), ("texts", encoded, texts)])
    pipeline = Pipeline([("columns", columns), ("regressor", REGRESSORS[regressor](seed))])
    pipeline.fit(known, target_values(frame[target]))
    return pipeline
