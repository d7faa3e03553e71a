"""The firewall lets through what scikit-learn and LightGBM really export, trained here."""

from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import onnxmltools
import pytest
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    HuberRegressor,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
    SGDClassifier,
    TweedieRegressor,
)
from sklearn.mixture import GaussianMixture
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    OneHotEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from inferhub.errors import InvalidModel
from inferhub.runtime import check_child

pytestmark = pytest.mark.filterwarnings("ignore")

_generator = np.random.default_rng(0)
X = np.abs(_generator.normal(size=(60, 4))).astype(np.float32)
CLASSES = (X[:, 0] > 0.6).astype(np.int64)
NUMBERS = X @ np.array([1, 2, 0.5, 3], dtype=np.float32)
OPSETS = {"": 20, "ai.onnx.ml": 3}
TEXTS = np.array(["win a prize now", "see you at lunch", "free prize, call", "at home now"] * 5)

CLASSIFIERS: list[Any] = [
    LogisticRegression(),
    SGDClassifier(loss="log_loss"),
    LinearSVC(),
    SVC(),
    DecisionTreeClassifier(),
    RandomForestClassifier(5),
    ExtraTreesClassifier(5),
    GradientBoostingClassifier(n_estimators=5),
    AdaBoostClassifier(n_estimators=5),
    StackingClassifier([("tree", DecisionTreeClassifier())], cv=2),
    GaussianNB(),
    MultinomialNB(),
    MLPClassifier(hidden_layer_sizes=(5,), max_iter=20),
    LinearDiscriminantAnalysis(),
    QuadraticDiscriminantAnalysis(),
    OneVsRestClassifier(LogisticRegression()),
    make_pipeline(StandardScaler(), PCA(2), LogisticRegression()),
    make_pipeline(SimpleImputer(), SelectKBest(k=2), LogisticRegression()),
    make_pipeline(KBinsDiscretizer(3, encode="onehot-dense"), LogisticRegression()),
]
REGRESSORS: list[Any] = [
    LinearRegression(),
    ElasticNet(),
    HuberRegressor(),
    PoissonRegressor(),
    QuantileRegressor(),
    TweedieRegressor(),
    SVR(),
    DecisionTreeRegressor(),
    RandomForestRegressor(5),
    GradientBoostingRegressor(n_estimators=5),
    BaggingRegressor(n_estimators=3),
    VotingRegressor([("line", LinearRegression()), ("tree", DecisionTreeRegressor())]),
    MLPRegressor(hidden_layer_sizes=(5,), max_iter=20),
    PLSRegression(),
    make_pipeline(PolynomialFeatures(2), LinearRegression()),
    make_pipeline(QuantileTransformer(n_quantiles=10), LinearRegression()),
    make_pipeline(make_column_transformer((StandardScaler(), [0, 1]), remainder="passthrough"), LinearRegression()),
]
OTHERS: list[Any] = [KMeans(2, n_init=1), IsolationForest(n_estimators=5), GaussianMixture(2), TruncatedSVD(2), PCA(2)]


def inspect(onnx_bytes: bytes) -> dict[str, Any]:
    """The check of the child process, in this one."""
    report, _rewritten = check_child.inspect(onnx_bytes)
    return report


def name(model: Any) -> str:
    steps = [step for _name, step in model.steps] if hasattr(model, "steps") else [model]
    return " + ".join(type(step).__name__ for step in steps)


def export(model: Any, **options: Any) -> bytes:
    exported = to_onnx(model, X[:1], options={id(model): options} if options else None, target_opset=OPSETS)
    return bytes(exported.SerializeToString())


@pytest.mark.parametrize("model", CLASSIFIERS, ids=name)
def test_a_classifier_is_accepted_as_it_is_exported(model: Any) -> None:
    report = inspect(export(model.fit(X, CLASSES)))
    assert report["trial"] == "ran"
    assert {output["datatype"] for output in report["signature"]["outputs"]} <= {"INT64", "FP32"}


@pytest.mark.parametrize("model", REGRESSORS, ids=name)
def test_a_regressor_is_accepted_as_it_is_exported(model: Any) -> None:
    assert inspect(export(model.fit(X, NUMBERS)))["trial"] == "ran"


@pytest.mark.parametrize("model", OTHERS, ids=name)
def test_other_models_are_accepted_as_they_are_exported(model: Any) -> None:
    assert inspect(export(model.fit(X)))["trial"] == "ran"


@pytest.mark.parametrize("model", [KNeighborsClassifier(3), GaussianProcessRegressor()], ids=name)
def test_a_model_of_distances_is_refused_with_a_sub_graph_and_accepted_with_the_cure(model: Any) -> None:
    model.fit(X, CLASSES)
    with pytest.raises(InvalidModel, match=r"Scan.*optim.*cdist|optim.*cdist.*Scan"):
        inspect(export(model))
    assert inspect(export(model, optim="cdist"))["trial"] == "ran"


@pytest.mark.parametrize(
    "make",
    [
        lambda: lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(X, CLASSES),
        lambda: lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(X, NUMBERS),
        lambda: lightgbm.LGBMRanker(n_estimators=5, verbose=-1).fit(X, CLASSES, group=[30, 30]),
    ],
    ids=["classifier", "regressor", "ranker"],
)
def test_a_lightgbm_model_is_accepted_as_it_is_exported(make: Callable[[], Any]) -> None:
    exported = onnxmltools.convert_lightgbm(make(), initial_types=[("x", FloatTensorType([None, 4]))])
    assert inspect(exported.SerializeToString())["trial"] == "ran"


def test_a_model_that_knows_only_its_own_categories_is_accepted_though_no_made_up_value_runs() -> None:
    colours = np.array([["red"], ["green"]] * 5)
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(colours, np.arange(10) % 2)
    exported = to_onnx(model, initial_types=[("colour", StringTensorType([None, 1]))], target_opset=OPSETS)
    assert inspect(exported.SerializeToString())["trial"] == "not run: made-up values are none of its categories"


@pytest.mark.parametrize("vectorizer", [CountVectorizer, TfidfVectorizer])
def test_a_text_model_is_accepted_with_a_locale_that_every_machine_has(vectorizer: type) -> None:
    words = vectorizer(token_pattern=r"[a-zA-Z]+")
    model = make_pipeline(words, LogisticRegression()).fit(TEXTS, np.arange(len(TEXTS)) % 2)
    options = {id(words): {"locale": "C.UTF-8", "tokenexp": r"[\p{L}\p{N}_]{2,}"}}
    exported = to_onnx(model, initial_types=[("text", StringTensorType([None, 1]))], options=options)
    report = inspect(exported.SerializeToString())
    assert report["trial"] == "ran"
    assert "com.microsoft.Tokenizer" in report["operators"]
