"""Pipelines over tables of numbers, texts and gaps: one input per column, from fit to a row of JSON."""

from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC

from inferhub.runtime.check import check_model
from inferhub.runtime.rows import feeds_from_rows, rows_from_outputs
from inferhub.runtime.session import load_session
from recommender import Export, ExportMismatch, InvalidData, export

ROWS = 400
NUMBERS = ["age", "items", "price"]


def with_gaps(values: Any, rng: np.random.Generator) -> list[Any]:
    return [None if gap else value for gap, value in zip(rng.random(len(values)) < 0.1, values.tolist(), strict=True)]


@pytest.fixture(scope="module")
def orders() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    size = 500
    return pl.DataFrame(
        {
            "age": with_gaps(rng.normal(40, 9, size), rng),
            "items": rng.integers(1, 9, size),
            "city": with_gaps(rng.choice(["Ulm", "Köln", "Łódź"], size), rng),
            "price": rng.gamma(2.0, 10.0, size),
            "is_member": rng.random(size) < 0.5,
            "note": [" ".join(words) for words in rng.choice(["gift", "Größe", "urgent", "please"], (size, 3))],
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def amount(orders: pl.DataFrame) -> Any:
    return (
        orders["price"] * orders["items"] + 20 * (orders["city"] == "Ulm").fill_null(value=False).cast(pl.Int64)
    ).to_numpy()


@pytest.fixture(scope="module")
def verdict(amount: Any) -> Any:
    return np.where(amount > np.median(amount), "large", "small")


def columns(numbers: Any = None, texts: Any = None, *more: Any) -> ColumnTransformer:
    numbers = numbers or make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    texts = texts or make_pipeline(
        SimpleImputer(missing_values=None, strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    return ColumnTransformer([("numbers", numbers, NUMBERS), ("texts", texts, ["city"]), *more])


def predicted(exported: Export, rows: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Through the hub's check and the hub's rows."""
    path = folder / "model.onnx"
    path.write_bytes(exported.onnx_bytes)
    report = check_model(path)
    outputs = load_session(exported.onnx_bytes).run(feeds_from_rows(report.signature, rows))
    return rows_from_outputs(report.signature, outputs, len(rows))


@pytest.mark.parametrize(
    "final",
    [
        LogisticRegression(),
        LinearSVC(),
        RandomForestClassifier(10, random_state=0),
        GradientBoostingClassifier(n_estimators=10, random_state=0),
        lgb.LGBMClassifier(n_estimators=20, verbosity=-1, num_threads=1),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_pipeline_over_mixed_columns_answers_rows_of_json_as_the_native_one(
    final: Any, orders: pl.DataFrame, verdict: Any, tmp_path: Path
) -> None:
    model = make_pipeline(columns(), clone(final)).fit(orders, verdict)

    exported = export(model, orders, adversarial_rows=ROWS)

    rows = [
        {"age": 31.5, "items": 3, "city": "Ulm", "price": 12.25},
        {"age": None, "items": 8, "city": "", "price": 99.0},
        {"age": 60.0, "items": 1, "city": "nobody was here", "price": 0.5},
    ]
    asked = pl.DataFrame(
        {
            "age": [31.5, None, 60.0],
            "items": [3, 8, 1],
            "city": ["Ulm", None, "nobody was here"],
            "price": [12.25, 99.0, 0.5],
            "is_member": [True] * 3,
            "note": [""] * 3,
        }
    )
    answers = predicted(exported, rows, tmp_path)
    assert [(spec.name, spec.datatype, spec.shape) for spec in exported.signature.inputs] == [
        ("age", "FP32", (-1, 1)), ("items", "INT64", (-1, 1)), ("city", "BYTES", (-1, 1)), ("price", "FP32", (-1, 1))
    ]  # fmt: skip
    assert [answer["label"] for answer in answers] == model.predict(asked).tolist()
    assert exported.certificate.flips == 0


@pytest.mark.parametrize(
    "preparation",
    [
        columns(numbers=make_pipeline(SimpleImputer(), QuantileTransformer(n_quantiles=20))),
        columns(numbers=make_pipeline(SimpleImputer(add_indicator=True))),
        columns(numbers=make_pipeline(SimpleImputer(), PowerTransformer())),
        columns(numbers=make_pipeline(SimpleImputer(), KBinsDiscretizer(4, encode="ordinal"))),
        columns(numbers=make_pipeline(SimpleImputer(), RobustScaler(), PolynomialFeatures(2))),
        columns(texts=OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)),
        columns(texts=OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=160, drop="first")),
        columns(texts=TargetEncoder()),
        columns(None, None, ("note", TfidfVectorizer(ngram_range=(1, 2)), "note")),
        columns(None, None, ("more", OneHotEncoder(handle_unknown="ignore"), ["items", "is_member"])),
        columns(None, None, ("rest", "passthrough", ["is_member"])),
    ],
    ids=range(11),
)
@pytest.mark.parametrize("final", [Ridge(), lgb.LGBMRegressor(n_estimators=20, verbosity=-1, num_threads=1)], ids=repr)
def test_numbers_texts_and_gaps_may_be_prepared_in_many_ways(
    preparation: ColumnTransformer, final: Any, orders: pl.DataFrame, amount: Any
) -> None:
    model = make_pipeline(clone(preparation), clone(final)).fit(orders, amount)

    certificate = export(model, orders, adversarial_rows=ROWS).certificate

    assert certificate.max_rel_diff < 1e-5


def test_trees_behind_a_scaler_are_equal_at_their_own_thresholds(orders: pl.DataFrame, amount: Any) -> None:
    model = make_pipeline(columns(), lgb.LGBMRegressor(n_estimators=50, verbosity=-1, num_threads=1))

    certificate = export(model.fit(orders, amount), orders, adversarial_rows=5000).certificate

    assert certificate.max_rel_diff < 1e-6


@pytest.mark.parametrize("as_array", [True, False])
def test_rows_without_names_get_the_names_that_scikit_learn_gives(
    as_array: bool, orders: pl.DataFrame, verdict: Any, tmp_path: Path
) -> None:
    rows = [list(row) for row in orders.select("price", "city", "age").rows()]
    given = np.array(rows, dtype=object) if as_array else rows
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    encoder = OneHotEncoder(handle_unknown="ignore")
    model = make_pipeline(make_column_transformer((numbers, [0, 2]), (encoder, [1])), LogisticRegression())

    exported = export(model.fit(given, verdict), given, adversarial_rows=ROWS)

    answers = predicted(exported, [{"x0": 10.0, "x1": "Köln", "x2": None}], tmp_path)
    assert answers[0]["label"] == model.predict(np.array([[10.0, "Köln", np.nan]], dtype=object))[0]


def test_columns_by_name_are_a_sample_as_well_as_a_frame(orders: pl.DataFrame, verdict: Any) -> None:
    model = make_pipeline(columns(), LogisticRegression()).fit(orders, verdict)

    one, other = (export(model, sample, adversarial_rows=ROWS) for sample in (orders, orders.to_dict(as_series=False)))

    assert one.digest == other.digest


def test_a_search_over_parameters_exports_its_best_estimator(orders: pl.DataFrame, verdict: Any) -> None:
    model = make_pipeline(columns(), LogisticRegression())
    search = GridSearchCV(model, {"logisticregression__C": [0.1, 1.0]}, cv=2).fit(orders, verdict)

    exported = export(search, orders, adversarial_rows=ROWS)

    assert exported.digest == export(search.best_estimator_, orders, adversarial_rows=ROWS).digest


def test_a_category_that_the_native_model_refuses_is_refused_by_the_graph(orders: pl.DataFrame, verdict: Any) -> None:
    exported = export(
        make_pipeline(columns(texts=OneHotEncoder()), LogisticRegression()).fit(orders, verdict), orders,
        adversarial_rows=ROWS,
    )  # fmt: skip
    feeds: dict[str, Any] = {
        "age": np.array([[1.0]], np.float32),
        "items": np.array([[1]]),
        "price": np.array([[1.0]], np.float32),
        "city": np.array([["Rome"]], object),
    }

    with pytest.raises(Exception, match="Unknown Category"):
        load_session(exported.onnx_bytes).run(feeds)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"when": pl.Series([None] * 500, dtype=pl.Date)}, "column when: expected numbers, text or booleans, got Date"),
        ({"is_member": pl.Series([None, True] * 250)}, "column is_member: booleans with gaps"),
        ({"city": pl.Series(["", None] * 250)}, 'column city has nulls and empty texts, which are both "" to a graph'),
        ({"label": pl.Series([1.0] * 500)}, "column 'label' has the name of an output"),
    ],
)
def test_a_column_that_no_graph_can_take_is_named(
    change: dict[str, pl.Series], complaint: str, orders: pl.DataFrame, verdict: Any
) -> None:
    model = make_pipeline(columns(), LogisticRegression()).fit(orders, verdict)

    with pytest.raises(InvalidData, match=complaint):
        export(model, orders.with_columns(**change))


def test_text_that_no_encoder_takes_is_named(orders: pl.DataFrame, amount: Any) -> None:
    class Length(SimpleImputer):
        def fit(self, rows: Any, _target: Any = None) -> Any:
            self.statistics_ = np.array([0])
            return self

        def transform(self, rows: Any) -> Any:
            return np.array([[len(text)] for text in rows["note"]])

    model = Pipeline([("columns", columns(None, None, ("note", Length(), ["note"]))), ("ridge", Ridge())])

    with pytest.raises(ExportMismatch, match="Length takes the column 'note' of text"):
        export(model.fit(orders, amount), orders)


@pytest.mark.parametrize("analyzer", ["word", "char"])
def test_a_text_pipeline_over_cyrillic_and_accents_is_accepted_and_answers_rows_of_json(
    analyzer: str, tmp_path: Path
) -> None:
    spam = [
        "Срочно! Выиграйте приз сейчас",
        "бесплатный приз, выиграйте",
        "Déjà gagné, réclamez l'été",
        "réclamez déjà",
    ]
    ham = ["Будешь дома вечером?", "ужин дома, мама", "à bientôt à la maison", "je rentre à la maison bientôt"]
    texts, labels = spam + ham, ["spam"] * 4 + ["ham"] * 4
    vectorizer = TfidfVectorizer(analyzer=analyzer, ngram_range=(1, 2))
    model = make_pipeline(vectorizer, LogisticRegression(C=30)).fit(texts, labels)

    exported = export(model, texts, adversarial_rows=ROWS)

    asked = ["ПРИЗ сейчас", "дома, мама?", "RÉCLAMEZ  l'été", "la maison", ""]
    answers = predicted(exported, [{"text": text} for text in asked], tmp_path)
    assert [answer["label"] for answer in answers] == model.predict(asked).tolist()
    found = [answer["probabilities"] for answer in answers]
    np.testing.assert_allclose(found, model.predict_proba(asked), atol=1e-6)
