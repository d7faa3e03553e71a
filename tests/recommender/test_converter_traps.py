"""What ONNX converters are known to get silently wrong: each case is cured, or refused with its cause."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from recommender import ExportMismatch, export
from recommender.onnx_export.session import open_session

QUIET: dict[str, Any] = {"verbosity": -1, "num_threads": 1, "seed": 0, "deterministic": True, "min_data_in_leaf": 5}
WORDS = ["free", "prize", "café", "naïve", "привет", "мир", "see", "you", "at", "home", "the", "cash"]


def numbers(rows: int = 600, columns: int = 3) -> Any:
    return np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32).astype(np.float64)


def texts() -> tuple[list[str], list[int]]:
    rng = np.random.default_rng(0)
    labels = [number % 2 for number in range(120)]
    return [" ".join(rng.choice(WORDS[:6] if label else WORDS[4:], 6)) for label in labels], labels


def train(inputs: Any, target: Any, **parameters: Any) -> lgb.Booster:
    categories = parameters.pop("categorical_feature", "auto")
    data = lgb.Dataset(inputs, target, categorical_feature=categories, params={"verbosity": -1})
    return lgb.train(QUIET | {"objective": "regression"} | parameters, data, 30)


def refusal(model: Any, sample: Any) -> str:
    with pytest.raises(ExportMismatch) as caught:
        export(model, sample, adversarial_rows=1500)
    return caught.value.cause


def test_a_scaled_forest_on_an_even_grid_is_refused_with_the_cures_which_cure() -> None:
    """What a forest does not draw lies in the middle of its neighbours, where the threshold is."""
    grid = np.linspace(0, 1, 250)[:, np.newaxis]
    scaled = make_pipeline(StandardScaler(), RandomForestRegressor(20, random_state=0))
    target = np.sin(6 * grid[:, 0])

    assert "fit it to numbers in float32" in refusal(scaled.fit(grid, target), grid)

    single = grid.astype(np.float32)
    for model, sample in ((scaled.fit(single, target), single), (scaled[-1].fit(grid, target), grid)):
        assert export(model, sample, adversarial_rows=1500).certificate.max_rel_diff < 1e-6


def test_zero_as_missing_is_refused_by_name() -> None:
    inputs = np.round(numbers() * 2)
    model = train(inputs, (inputs[:, 0] == 0) * 3.0 + inputs[:, 1], zero_as_missing=True)

    assert "zero_as_missing" in refusal(model, inputs)


def test_linear_trees_are_refused_by_name() -> None:
    inputs = numbers()

    assert "linear_tree" in refusal(train(inputs, inputs @ [1.0, 2.0, 3.0], linear_tree=True), inputs)


def test_fractional_category_codes_are_cut_as_lightgbm_cuts_them() -> None:
    inputs = numbers()
    inputs[:, 1] = np.random.default_rng(1).integers(0, 20, len(inputs))
    model = train(inputs, np.sin(inputs[:, 1] * 3) * 5 + inputs[:, 0], categorical_feature=[1])

    exported = export(model, inputs, adversarial_rows=3000)

    row = np.array([[0.1, 7.9, 0.3]], np.float32)
    value = open_session(exported.onnx_bytes).run(None, {"input": row})[0]
    assert exported.certificate.flips == 0
    assert float(np.asarray(value)[0, 0]) == pytest.approx(
        float(np.asarray(model.predict(row.astype(np.float64)))[0]), rel=1e-5
    )


def test_epoch_seconds_are_refused_with_their_column() -> None:
    inputs = numbers()
    inputs[:, 2] = 1_700_000_000 + np.random.default_rng(2).integers(0, 1000, len(inputs))

    cause = refusal(train(inputs, inputs[:, 2] % 7 + inputs[:, 2] - 1.7e9), inputs)

    assert "column 2 holds numbers that float32 cannot hold, such as 17000" in cause


def test_ean_codes_as_numbers_are_refused_with_their_column() -> None:
    inputs = numbers()
    inputs[:, 0] = 4006381333000 + np.random.default_rng(3).integers(0, 500, len(inputs))

    assert "column 0 holds numbers that float32 cannot hold" in refusal(train(inputs, inputs[:, 0] % 50), inputs)


def test_differences_below_float32_are_refused_whatever_input_type_the_converter_would_take() -> None:
    inputs = 1e6 + np.random.default_rng(4).integers(0, 100, size=(600, 1)) * 1e-4

    assert "column 0 holds numbers that float32 cannot hold" in refusal(
        train(inputs, (inputs[:, 0] - 1e6) * 1e4), inputs
    )


def inputs_with_gaps() -> tuple[Any, Any]:
    inputs = numbers()
    labels = (inputs[:, 0] + inputs[:, 1] > 0).astype(int)
    inputs[np.random.default_rng(5).random(inputs.shape) < 0.3] = np.nan
    return inputs, labels


def test_a_forest_trained_with_gaps_sends_them_where_the_native_one_does() -> None:
    inputs, labels = inputs_with_gaps()
    model = RandomForestClassifier(20, random_state=0).fit(inputs, labels)

    certificate = export(model, inputs, adversarial_rows=1500).certificate

    assert (certificate.flips, certificate.rows) == (0, 2100)
    assert certificate.max_abs_diff < 1e-6


def test_trees_with_gaps_inside_another_estimator_are_refused_by_name() -> None:
    inputs, labels = inputs_with_gaps()

    assert "missing values" in refusal(BaggingClassifier(n_estimators=3, random_state=0).fit(inputs, labels), inputs)


def test_random_forests_of_lightgbm_give_the_mean_of_their_trees() -> None:
    inputs = numbers()
    model = train(inputs, inputs[:, 0], boosting="rf", bagging_fraction=0.5, bagging_freq=1)

    assert export(model, inputs, adversarial_rows=1500).certificate.max_rel_diff < 1e-5


def test_hist_gradient_boosting_is_refused_with_an_alternative() -> None:
    inputs = numbers()

    assert "LightGBM" in refusal(HistGradientBoostingRegressor(max_iter=5).fit(inputs, inputs[:, 0]), inputs)


def test_a_default_tfidf_vectorizer_loads_where_the_only_locale_is_c(tmp_path: Path) -> None:
    sample, labels = texts()
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(sample, labels)
    path = tmp_path / "model.onnx"
    path.write_bytes(export(model, sample, adversarial_rows=500).onnx_bytes)
    program = (
        "import sys, numpy, onnxruntime\n"
        "session = onnxruntime.InferenceSession(sys.argv[1])\n"
        "print(session.run(['label'], {'text': numpy.array([['free prize']], dtype=object)})[0].tolist())"
    )

    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    done = subprocess.run([sys.executable, "-c", program, str(path)], env=environment, capture_output=True, check=True)

    assert done.stdout.decode().strip() == "[1]"


def test_words_with_accents_and_in_cyrillic_count() -> None:
    sample, labels = texts()
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=100)).fit(sample, labels)

    exported = export(model, sample, adversarial_rows=500)

    text = np.array([["café naïve"], ["ПРИВЕТ"]], dtype=object)
    probabilities = open_session(exported.onnx_bytes).run(["probabilities"], {"text": text})[0]
    np.testing.assert_allclose(probabilities, model.predict_proba(text[:, 0]), atol=1e-5)


@pytest.mark.parametrize(
    "vectorizer",
    [
        TfidfVectorizer(sublinear_tf=True),
        TfidfVectorizer(stop_words=["the", "at"], ngram_range=(1, 2)),
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, norm="l1"),
        TfidfVectorizer(analyzer="char", ngram_range=(2, 3)),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5)),
        TfidfVectorizer(token_pattern=r"[a-zà-ÿ]{3,}", use_idf=False),
        CountVectorizer(ngram_range=(2, 3), binary=True),
        CountVectorizer(token_pattern=r"(?u)\b\w+\b", lowercase=False),
        make_pipeline(CountVectorizer(stop_words="english"), TfidfTransformer(sublinear_tf=True)),
        make_union(TfidfVectorizer(ngram_range=(1, 2)), TfidfVectorizer(analyzer="char", ngram_range=(1, 3))),
    ],
    ids=repr,
)
def test_any_analyser_counts_and_weighs_as_scikit_learn_does(vectorizer: Any) -> None:
    sample, labels = texts()
    sample = [
        *sample,
        "free   prize",
        "see \t you\n",
        "free free FREE prize",
        "a ẞ ΠΡΟΣ ΟΔΟΣ aİb İstanbul",
        "²½ ١٢",
    ] * 2
    model = make_pipeline(vectorizer, LogisticRegression(C=100)).fit(sample, [*labels, 0, 1, 0, 1, 0] * 2)

    certificate = export(model, sample, adversarial_rows=1500).certificate

    assert certificate.flips == 0
    assert certificate.max_abs_diff < 1e-5


@pytest.mark.parametrize(
    ("vectorizer", "complaint"),
    [
        (TfidfVectorizer(strip_accents="unicode"), "strip_accents"),
        (TfidfVectorizer(token_pattern=r"\w+(?:-\w+)?"), "token_pattern"),
        (TfidfVectorizer(tokenizer=str.split, token_pattern=None), "tokenizer: Python code"),
        (CountVectorizer(preprocessor=str.upper), "preprocessor: Python code"),
        (CountVectorizer(analyzer=str.split), "analyzer: Python code"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_options_of_a_text_that_have_no_exact_form_are_refused_by_name(vectorizer: Any, complaint: str) -> None:
    sample, labels = texts()

    assert complaint in refusal(make_pipeline(vectorizer, LogisticRegression()).fit(sample, labels), sample)


@pytest.mark.parametrize(
    "classifier",
    [
        LogisticRegression(),
        LinearSVC(),
        SGDClassifier(random_state=0),
        MultinomialNB(),
        ComplementNB(),
        lgb.LGBMClassifier(n_estimators=10, **QUIET),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.parametrize("names", [["ham", "spam"], ["ham", "spam", "tip"]])
def test_any_classifier_may_stand_behind_word_ngrams(classifier: Any, names: list[str]) -> None:
    sample, _ = texts()
    labels = [names[number % len(names)] for number in range(len(sample))]
    sample = [f"{text} {label} word" for text, label in zip(sample, labels, strict=True)]
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), clone(classifier)).fit(sample, labels)

    exported = export(model, sample, adversarial_rows=500)

    text = np.array([["ham word"], ["spam word"]], dtype=object)
    label = open_session(exported.onnx_bytes).run(["label"], {"text": text})[0]
    assert label.tolist() == model.predict(text[:, 0]).tolist()
    assert json.loads(exported.signature.metadata["labels"]) == names


@pytest.mark.parametrize(
    "model",
    [
        lgb.LGBMRegressor(n_estimators=20, **QUIET),
        lgb.LGBMClassifier(n_estimators=20, **QUIET),
        make_pipeline(StandardScaler(), Ridge()),
        make_pipeline(SimpleImputer(), lgb.LGBMRegressor(n_estimators=20, **QUIET)),
        make_pipeline(SimpleImputer(), lgb.LGBMClassifier(n_estimators=20, **QUIET)),
        make_pipeline(StandardScaler(), LogisticRegression()),
        GradientBoostingClassifier(n_estimators=10, random_state=0),
        ExtraTreesRegressor(10, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_estimators_that_convert_well_get_a_clean_certificate(model: Any) -> None:
    inputs = numbers()
    target = inputs[:, 0] * 2 - inputs[:, 1]
    is_regressor = not is_classifier(model)
    model.fit(inputs, target if is_regressor else (target > 0).astype(int))

    certificate = export(model, inputs, adversarial_rows=1000).certificate

    assert certificate.flips == 0
    assert certificate.rows == 1600
