"""Explanations on real data: California housing, with gaps and a category."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from inferhub.runtime.explain import read_explainer
from recommender import export, fit_regression

pytestmark = pytest.mark.data
DATA = Path(os.environ.get("REAL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def test_the_price_of_a_district_is_explained_as_lightgbm_does() -> None:
    frame = pl.read_csv(DATA / "california_housing" / "housing.csv")
    model = fit_regression(frame, "median_house_value", trees=200)
    explainer = read_explainer(export(model, frame, adversarial_rows=500).onnx_bytes)
    gaps = frame.filter(pl.col("total_bedrooms").is_null()).head(20)
    rows = pl.concat([frame.head(80), gaps])
    encoded = model.encode(rows)
    wanted = np.asarray(model.booster.predict(encoded.astype(np.float64), pred_contrib=True))
    feeds = {}
    for feature in model.features:
        column = rows[feature.name]
        is_text = feature.categories is not None
        values = column.to_list() if is_text else column.cast(pl.Float32).fill_null(float("nan"))
        feeds[feature.name] = np.array(values, dtype=object if is_text else np.float32)[:, np.newaxis]
    names = [feature.name for feature in model.features]
    found = [
        [*(answer["contributions"][name] for name in names), answer["base_value"]]
        for answer in explainer.explain(feeds)
    ]
    assert np.abs(np.array(found) - wanted).max() / np.abs(wanted).max() < 1e-6
