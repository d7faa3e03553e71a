"""The door lets through what scikit-learn and LightGBM really export: trained here, uploaded, checked for real."""

import json
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import onnx
import onnxmltools
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
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

from inferhub.registry.models import ModelVersion
from inferhub.runtime.pool import artifact_digest
from tests.hub_fixtures import Api

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore")]

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


def name(model: Any) -> str:
    steps = [step for _name, step in model.steps] if hasattr(model, "steps") else [model]
    return " + ".join(type(step).__name__ for step in steps)


def export(model: Any, **options: Any) -> bytes:
    exported = to_onnx(model, X[:1], options={id(model): options} if options else None, target_opset=OPSETS)
    return bytes(exported.SerializeToString())


def upload(api: Api, data: bytes, golden: dict[str, Any] | None = None) -> dict[str, Any]:
    """The answer of the door that everybody uses; the check runs in its own process."""
    form = {"file": SimpleUploadedFile("model", data), "task": "other"}
    if golden:
        form["golden"] = SimpleUploadedFile("golden.json", json.dumps(golden | {"tolerance": 1e-3}).encode())
    headers = {"Authorization": f"Bearer {api.secret}"}
    answer = Client().post("/api/v1/models/any/versions", form, headers=headers)
    return {"status": answer.status_code, **answer.json()}


@pytest.mark.parametrize("model", CLASSIFIERS, ids=name)
def test_a_classifier_is_accepted_as_it_is_exported_and_gives_plain_tensors(api: Api, model: Any) -> None:
    data = export(model.fit(X, CLASSES))
    golden = {"inputs": {"X": X[:5].tolist()}, "outputs": {_label_of(data): model.predict(X[:5]).tolist()}}
    answer = upload(api, data, golden)
    assert answer["status"] == 201, answer
    assert [output["datatype"] for output in answer["signature"]["outputs"]] == ["INT64", "FP32"]
    version = ModelVersion.objects.get()
    assert version.source_digest == artifact_digest(data)
    assert (version.digest != version.source_digest) == (b"ZipMap" in data)


@pytest.mark.parametrize("model", REGRESSORS, ids=name)
def test_a_regressor_is_accepted_as_it_is_exported(api: Api, model: Any) -> None:
    data = export(model.fit(X, NUMBERS))
    golden = {"inputs": {"X": X[:5].tolist()}, "outputs": {"variable": model.predict(X[:5]).ravel().tolist()}}
    assert upload(api, data, golden)["status"] == 201


@pytest.mark.parametrize("model", OTHERS, ids=name)
def test_other_models_are_accepted_as_they_are_exported(api: Api, model: Any) -> None:
    assert upload(api, export(model.fit(X)))["status"] == 201


@pytest.mark.parametrize("model", [KNeighborsClassifier(3), GaussianProcessRegressor()], ids=name)
def test_a_model_of_distances_is_refused_with_a_sub_graph_and_accepted_with_the_cure(api: Api, model: Any) -> None:
    model.fit(X, CLASSES)
    refused = upload(api, export(model))
    assert refused["status"] == 422
    assert "Scan" in refused["detail"]
    assert "optim': 'cdist" in refused["detail"]
    assert upload(api, export(model, optim="cdist"))["status"] == 201


LIGHTGBM: dict[str, Callable[[], Any]] = {
    "classifier": lambda: lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(X, CLASSES),
    "regressor": lambda: lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(X, NUMBERS),
    "ranker": lambda: lightgbm.LGBMRanker(n_estimators=5, verbose=-1).fit(X, CLASSES, group=[30, 30]),
}


@pytest.mark.parametrize("kind", LIGHTGBM)
def test_a_lightgbm_model_is_accepted_as_it_is_exported(api: Api, kind: str) -> None:
    exported = onnxmltools.convert_lightgbm(LIGHTGBM[kind](), initial_types=[("x", FloatTensorType([None, 4]))])
    assert upload(api, exported.SerializeToString())["status"] == 201


def test_a_text_model_of_lightgbm_is_accepted_with_a_certificate_and_its_golden_rows(api: Api) -> None:
    model = LIGHTGBM["classifier"]()
    text = model.booster_.model_to_string().encode()
    golden = {"inputs": {"input": X[:5].tolist()}, "outputs": {"probabilities": model.predict_proba(X[:5]).tolist()}}
    answer = upload(api, text, golden)
    assert answer["status"] == 201, answer
    assert answer["certificate"]["rows"] == 10_000
    version = ModelVersion.objects.get()
    assert version.source_digest == artifact_digest(text) != version.digest
    assert version.golden["outputs"]["probabilities"] == pytest.approx(np.array(golden["outputs"]["probabilities"]))


def test_golden_rows_that_do_not_come_out_refuse_the_upload_and_are_named(api: Api) -> None:
    data = export(LinearRegression().fit(X, NUMBERS))
    refused = upload(api, data, {"inputs": {"X": X[:2].tolist()}, "outputs": {"variable": [NUMBERS[0].item(), 99]}})
    assert (refused["status"], refused["errors"][0]["pointer"]) == (422, "/golden/outputs/variable/1/0")
    assert "row 1 of output 'variable': expected 99.0, got" in refused["detail"]
    assert not ModelVersion.objects.exists()


def test_a_model_that_knows_only_its_own_categories_is_accepted_though_no_made_up_value_runs(api: Api) -> None:
    colours = np.array([["red"], ["green"]] * 5)
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(colours, np.arange(10) % 2)
    exported = to_onnx(model, initial_types=[("colour", StringTensorType([None, 1]))], target_opset=OPSETS)
    assert upload(api, exported.SerializeToString())["status"] == 201


@pytest.mark.parametrize("vectorizer", [CountVectorizer, TfidfVectorizer])
def test_a_text_model_is_accepted_with_a_locale_that_every_machine_has(api: Api, vectorizer: type) -> None:
    words = vectorizer(token_pattern=r"[a-zA-Z]+")
    model = make_pipeline(words, LogisticRegression()).fit(TEXTS, np.arange(len(TEXTS)) % 2)
    options = {id(words): {"locale": "C.UTF-8", "tokenexp": r"[\p{L}\p{N}_]{2,}"}}
    exported = to_onnx(model, initial_types=[("text", StringTensorType([None, 1]))], options=options)
    assert upload(api, exported.SerializeToString())["status"] == 201


def _label_of(data: bytes) -> str:
    """The name of the first output, as the converter chose it."""
    return str(onnx.load_from_string(data).graph.output[0].name)
