"""Every common kind of scikit-learn and LightGBM estimator is exported with a clean certificate."""

from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import (
    BayesianRidge,
    ElasticNet,
    HuberRegressor,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    PoissonRegressor,
    QuantileRegressor,
    RidgeClassifier,
    SGDClassifier,
    TweedieRegressor,
)
from sklearn.mixture import GaussianMixture
from sklearn.multioutput import MultiOutputRegressor
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.svm import SVC, SVR, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from recommender import export

X = np.abs(np.random.default_rng(0).normal(size=(60, 4))).astype(np.float32)
NUMBERS = X @ np.array([1, 2, 0.5, 3], dtype=np.float32)
TREES: dict[str, Any] = {"n_estimators": 5, "random_state": 0}
LIGHT: dict[str, Any] = {"n_estimators": 5, "verbosity": -1, "num_threads": 1}

KINDS: list[Any] = [
    LogisticRegression(),
    SGDClassifier(loss="log_loss", random_state=0),
    SGDClassifier(random_state=0),
    Perceptron(),
    RidgeClassifier(),
    LinearSVC(),
    SVC(),
    NuSVC(),
    DecisionTreeClassifier(random_state=0),
    RandomForestClassifier(**TREES),
    ExtraTreesClassifier(**TREES),
    GradientBoostingClassifier(**TREES),
    AdaBoostClassifier(**TREES),
    BaggingClassifier(**TREES),
    StackingClassifier([("tree", DecisionTreeClassifier(random_state=0))], cv=2),
    VotingClassifier([("line", LogisticRegression()), ("tree", DecisionTreeClassifier(random_state=0))], voting="soft"),
    CalibratedClassifierCV(LinearSVC(), cv=2),
    GaussianNB(),
    MultinomialNB(),
    BernoulliNB(),
    LinearDiscriminantAnalysis(),
    QuadraticDiscriminantAnalysis(),
    KNeighborsClassifier(3),
    lgb.LGBMClassifier(**LIGHT),
    lgb.LGBMClassifier(objective="cross_entropy", **LIGHT),
    LinearRegression(),
    ElasticNet(),
    BayesianRidge(),
    HuberRegressor(max_iter=1000),
    PoissonRegressor(),
    QuantileRegressor(),
    TweedieRegressor(),
    SVR(),
    KNeighborsRegressor(3),
    DecisionTreeRegressor(random_state=0),
    RandomForestRegressor(**TREES),
    GradientBoostingRegressor(**TREES),
    BaggingRegressor(**TREES),
    VotingRegressor([("line", LinearRegression()), ("tree", DecisionTreeRegressor(random_state=0))]),
    MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", max_iter=2000, random_state=0),
    PLSRegression(),
    MultiOutputRegressor(LinearRegression()),
    lgb.LGBMRegressor(**LIGHT),
    lgb.LGBMRegressor(objective="tweedie", **LIGHT),
    lgb.LGBMRegressor(objective="quantile", **LIGHT),
    lgb.LGBMRegressor(objective="mape", **LIGHT),
    lgb.LGBMRegressor(boosting_type="dart", **LIGHT),
    KMeans(2, n_init=1, random_state=0),
    IsolationForest(**TREES),
    GaussianMixture(2, random_state=0),
    PCA(2),
]


@pytest.mark.filterwarnings("ignore")  # the estimators' own, about so few rows
@pytest.mark.parametrize("model", KINDS, ids=lambda model: type(model).__name__)
def test_an_estimator_of_this_kind_has_an_equal_form(model: Any) -> None:
    target = (np.median(NUMBERS) < NUMBERS).astype(int) if is_classifier(model) else NUMBERS
    fitted = clone(model).fit(X, np.column_stack([target] * 2) if isinstance(model, MultiOutputRegressor) else target)

    certificate = export(fitted, X, adversarial_rows=500).certificate

    assert (certificate.flips, certificate.rows) == (0, 560)
