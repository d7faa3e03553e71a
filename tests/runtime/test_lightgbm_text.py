"""LightGBM's text models: what save_model writes is taken, converted and proved; ONNX cannot say it all."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from inferhub.errors import InvalidModel
from inferhub.runtime.check import check_model
from inferhub.runtime.explain import read_explainer
from inferhub.runtime.lightgbm_text import is_lightgbm_text, scan_lightgbm_text
from inferhub.runtime.pool import artifact_digest
from inferhub.runtime.session import load_session
from recommender.onnx_export.lightgbm_text import export_lightgbm_text

_random = np.random.default_rng(5)
X = np.column_stack([_random.normal(size=(400, 3)), _random.integers(0, 12, 400)])
X[::7, 0] = np.nan
CLASSES = ((X[:, 1] > 0).astype(int) + (X[:, 3] > 6)) % 3
NUMBERS = 3 * X[:, 1] + (X[:, 3] % 4)
KINDS: dict[str, tuple[dict[str, Any], Any]] = {
    "regression": ({"objective": "regression"}, NUMBERS),
    "mean absolute error": ({"objective": "regression_l1"}, NUMBERS),
    "quantile": ({"objective": "quantile", "alpha": 0.9}, NUMBERS),
    "poisson": ({"objective": "poisson"}, CLASSES),
    "binary": ({"objective": "binary"}, CLASSES > 0),
    "three classes": ({"objective": "multiclass", "num_class": 3}, CLASSES),
    "random forest": (
        {"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        NUMBERS,
    ),
    "random forest of classes": (
        {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        CLASSES > 0,
    ),
    "dart": ({"objective": "regression", "boosting": "dart"}, NUMBERS),
    "stumps and constants": ({"objective": "regression", "min_data_in_leaf": 300}, NUMBERS),
}


def train(parameters: dict[str, Any], target: Any, **options: Any) -> lightgbm.Booster:
    dataset = lightgbm.Dataset(X, target, categorical_feature=[3], group=options.pop("group", None))
    settings = {"verbose": -1, "num_leaves": 7, "min_data_in_leaf": 5, "num_threads": 1} | parameters
    return lightgbm.train(settings, dataset, num_boost_round=6)


@pytest.mark.parametrize("kind", KINDS)
def test_what_lightgbm_writes_passes_the_scan_and_is_proved_equal(kind: str) -> None:
    booster = train(*KINDS[kind])
    text = booster.model_to_string()
    assert is_lightgbm_text(text.encode())
    scan_lightgbm_text(text.encode())
    exported = export_lightgbm_text(text, adversarial_rows=500)
    assert (exported.certificate.sample_rows, exported.certificate.rows) == (0, 500)


def test_a_ranker_passes_the_scan_and_is_proved_equal() -> None:
    text = train({"objective": "lambdarank"}, CLASSES, group=[40] * 10).model_to_string()
    scan_lightgbm_text(text.encode())
    assert export_lightgbm_text(text, adversarial_rows=500).certificate.flips == 0


def test_codes_of_categories_are_cut_to_whole_numbers_as_lightgbm_does() -> None:
    booster = train({"objective": "regression"}, NUMBERS)
    session = load_session(export_lightgbm_text(booster.model_to_string(), adversarial_rows=500).onnx_bytes)
    rows = np.array([[0, 1, 0, code] for code in (2.7, 2.0, -0.5, 99.0, np.nan)])
    found = session.run({"input": rows.astype(np.float32)})["value"].ravel()
    assert found == pytest.approx(booster.predict(rows), abs=1e-5)


def named(*names: str) -> str:
    """The text of a model of four features with these names."""
    dataset = lightgbm.Dataset(X, NUMBERS, categorical_feature=[3], feature_name=list(names))
    settings = {"objective": "regression", "verbose": -1, "num_leaves": 7, "min_data_in_leaf": 5, "num_threads": 1}
    return lightgbm.train(settings, dataset, num_boost_round=6).model_to_string()


def test_features_with_names_are_inputs_by_their_names() -> None:
    text = named("age", "total_value", "größe", "shop")
    exported = export_lightgbm_text(text, adversarial_rows=500)
    loaded = load_session(exported.onnx_bytes)
    assert [(spec.name, spec.shape, spec.allows_nan) for spec in loaded.signature.inputs] == [
        (name, (None, 1), True) for name in ("age", "total_value", "größe", "shop")
    ]
    feeds = {spec.name: X[:, [place]].astype(np.float32) for place, spec in enumerate(loaded.signature.inputs)}
    wanted = lightgbm.Booster(model_str=text).predict(X.astype(np.float32))
    assert loaded.run(feeds)["value"].ravel() == pytest.approx(wanted, abs=1e-5)
    [explained] = read_explainer(exported.onnx_bytes).explain({name: feed[:1] for name, feed in feeds.items()})
    assert list(explained["contributions"]) == ["age", "total_value", "größe", "shop"]
    assert (exported.certificate.rows, exported.certificate.flips) == (500, 0)


@pytest.mark.parametrize(
    "names", [("Column_0", "Column_1", "Column_2", "Column_3"), ("a", "b", "value", "d"), ("a", "b", "1c", "d")]
)
def test_features_whose_names_cannot_be_inputs_are_one_tensor(names: tuple[str, ...]) -> None:
    [one] = load_session(export_lightgbm_text(named(*names), adversarial_rows=300).onnx_bytes).signature.inputs
    assert (one.name, one.shape, one.allows_nan) == ("input", (None, 4), True)


def test_linear_trees_are_refused_with_the_cause() -> None:
    dataset = lightgbm.Dataset(X[:, 1:3], NUMBERS, params={"linear_tree": True, "verbose": -1})
    parameters = {"objective": "regression", "linear_tree": True, "verbose": -1, "num_leaves": 4, "num_threads": 1}
    text = lightgbm.train(parameters, dataset, num_boost_round=2).model_to_string()
    with pytest.raises(InvalidModel, match="train without linear_tree"):
        scan_lightgbm_text(text.encode())


def test_zeros_that_mean_missing_are_refused_with_the_cause() -> None:
    text = train({"objective": "regression", "zero_as_missing": True}, NUMBERS).model_to_string()
    with pytest.raises(InvalidModel, match="train without zero_as_missing"):
        scan_lightgbm_text(text.encode())


def test_the_check_gives_onnx_with_a_certificate_and_both_digests(tmp_path: Path) -> None:
    booster = train({"objective": "binary"}, CLASSES > 0)
    path = tmp_path / "model.txt"
    booster.save_model(path)
    report = check_model(path)
    assert report.rewritten is not None
    assert (report.source_digest, report.digest) == (
        artifact_digest(path.read_bytes()),
        artifact_digest(report.rewritten),
    )
    assert report.certificate is not None
    assert report.certificate["rows"] == 10_000
    assert report.trial == "ran"
    found = load_session(report.rewritten).run({"input": X.astype(np.float32)})["probabilities"][:, 1]
    assert found == pytest.approx(booster.predict(X.astype(np.float32)), abs=1e-5)
    assert read_explainer(report.rewritten).explain({"input": X[:1].astype(np.float32)})
