"""Explanations of exported trees, held against LightGBM's own and against Shapley's definition."""

from itertools import combinations
from math import factorial
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
from onnx import TensorProto, helper
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from inferhub.errors import InvalidInput
from inferhub.runtime.column_names import column_names
from inferhub.runtime.explain import Explainer, check_row_count, name_after, read_explainer
from inferhub.runtime.signature import Array
from recommender import export, fit_regression

from . import graphs

RNG = np.random.default_rng(7)
X = RNG.normal(size=(400, 4)).astype(np.float32)
CODES = np.column_stack([X, RNG.integers(0, 9, 400)]).astype(np.float32)
Y = X[:, 0] * X[:, 1] + np.abs(X[:, 2])
QUIET = {"verbosity": -1, "num_leaves": 12, "min_data_per_group": 1, "cat_smooth": 1, "num_threads": 1}


def explained(explainer: Explainer, rows: Array) -> tuple[Array, Array, Array]:
    """Contributions [N, F], base values and values."""
    answers = explainer.explain({"input": rows.astype(np.float32)})
    contributions = [list(answer["contributions"].values()) for answer in answers]
    return (
        np.array(contributions),
        np.array([answer["base_value"] for answer in answers]),
        np.array([answer["value"] for answer in answers]),
    )


def of_estimator(estimator: Any, columns: int = 4) -> Explainer:
    sample = CODES[:, :columns].astype(np.float64)
    return read_explainer(export(estimator, sample, adversarial_rows=50).onnx_bytes)


def boosted(objective: str, y: Array, **more: Any) -> lgb.Booster:
    data = lgb.Dataset(CODES.astype(np.float64), y, categorical_feature=[4])
    return lgb.train(QUIET | {"objective": objective} | more, data, 40)


def test_contributions_are_those_of_lightgbm() -> None:
    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "size": [f"s{int(code)}" for code in CODES[:, 4]], "y": Y})
    frame = frame.with_columns(
        b=pl.when(pl.int_range(pl.len()) % 9 == 0).then(None).otherwise("b"),
        y=pl.col("y") + 2 * pl.col("size").is_in(["s1", "s4", "s6"]).cast(pl.Float64),
    )
    model = fit_regression(frame, "y", trees=60, quantiles=[0.9])
    explainer = read_explainer(export(model, frame, adversarial_rows=300).onnx_bytes)
    feeds = {
        "a": frame["a"].to_numpy()[:, np.newaxis],
        "b": frame["b"].fill_null(float("nan")).to_numpy()[:, np.newaxis],
        "size": np.array(frame["size"].to_list(), dtype=object)[:, np.newaxis],
    }
    answers = explainer.explain({name: column[:100] for name, column in feeds.items()})
    wanted = np.asarray(model.booster.predict(model.encode(frame[:100]).astype(np.float64), pred_contrib=True))
    found = [
        [*(answer["contributions"][name] for name in ("a", "b", "size")), answer["base_value"]] for answer in answers
    ]
    assert np.abs(np.array(found) - wanted).max() < 1e-6


@pytest.mark.parametrize("objective", ["regression", "binary"])
def test_sets_of_categories_are_explained_as_lightgbm_does(objective: str) -> None:
    is_high = (Y + 2 * np.isin(CODES[:, 4], [1, 4, 6]) > 1).astype(float)
    booster = boosted(objective, is_high)
    found, base, _ = explained(of_estimator(booster, columns=5), CODES[:100])
    wanted = np.asarray(booster.predict(CODES[:100].astype(np.float64), pred_contrib=True))
    assert np.abs(np.column_stack([found, base]) - wanted).max() < 1e-6


def test_the_class_that_is_answered_is_the_one_that_is_explained() -> None:
    booster = boosted("multiclass", np.digitize(Y, [0, 1]).astype(float), num_class=3)
    explainer = of_estimator(booster, columns=5)
    found, base, _ = explained(explainer, CODES[:50])
    wanted = np.asarray(booster.predict(CODES[:50].astype(np.float64), pred_contrib=True)).reshape(50, 3, 6)
    best = np.asarray(booster.predict(CODES[:50].astype(np.float64))).argmax(axis=1)
    assert [answer["of"] for answer in explainer.explain({"input": CODES[:50]})] == best.tolist()
    assert np.abs(np.column_stack([found, base]) - wanted[np.arange(50), best]).max() < 1e-6


def shapley(tree: Any, row: Array) -> list[float]:
    """By definition: over all sets of features, what a feature changes of the mean over the training rows left."""

    def mean(node: int, known: frozenset[int]) -> float:
        left, right = tree.children_left[node], tree.children_right[node]
        if left < 0:
            return float(tree.value[node][0, 0])
        if tree.feature[node] in known:
            return mean(left if row[tree.feature[node]] <= tree.threshold[node] else right, known)
        weights = tree.weighted_n_node_samples
        return (weights[left] * mean(left, known) + weights[right] * mean(right, known)) / weights[node]

    features = range(4)
    return [
        sum(
            factorial(size)
            * factorial(3 - size)
            / factorial(4)
            * (mean(0, frozenset({*some, one})) - mean(0, frozenset(some)))
            for size in range(4)
            for some in combinations([other for other in features if other != one], size)
        )
        for one in features
    ]


def test_contributions_are_the_shapley_values_by_definition() -> None:
    estimator = DecisionTreeRegressor(max_depth=6, random_state=0).fit(X, Y)
    found, _, _ = explained(of_estimator(estimator), X[:10])
    assert found == pytest.approx(np.array([shapley(estimator.tree_, row) for row in X[:10]]), abs=1e-6)


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestRegressor(10, random_state=0),
        GradientBoostingRegressor(n_estimators=20, random_state=0),
        lgb.LGBMRegressor(n_estimators=20, verbosity=-1, n_jobs=1),
        make_pipeline(StandardScaler(), RandomForestRegressor(5, max_depth=4, random_state=0)),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_contributions_add_up_to_the_prediction(estimator: Any) -> None:
    estimator.fit(X, Y)
    found, base, values = explained(of_estimator(estimator), X[:50])
    assert base + found.sum(axis=1) == pytest.approx(values)
    assert values == pytest.approx(estimator.predict(X[:50]), rel=1e-4, abs=1e-4)
    assert base == pytest.approx(float(np.mean(estimator.predict(X))), abs=0.1)


def test_a_forest_explains_the_probability_of_its_class() -> None:
    forest = RandomForestClassifier(10, max_depth=5, random_state=0).fit(X, np.where(Y > 0.5, "high", "low"))
    explainer = of_estimator(forest)
    _, _, values = explained(explainer, X[:50])
    assert values == pytest.approx(forest.predict_proba(X[:50])[:, 1], abs=1e-5)
    assert {answer["of"] for answer in explainer.explain({"input": X[:50]})} == {"low"}


def test_a_tree_without_a_split_is_its_base_value() -> None:
    constant = lgb.train(QUIET | {"objective": "regression"}, lgb.Dataset(np.zeros((50, 4)), np.full(50, 3.0)), 2)
    found, base, _ = explained(of_estimator(constant), X[:3])
    assert found.tolist() == [[0.0] * 4] * 3
    assert base == pytest.approx(3)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (graphs.doubling(), "one without trees"),
        (graphs.tree(), "counts are missing"),
        (graphs.tree(nodes_hitrates=[1.0, 1.0, 1.0]), "do not add up"),
        (graphs.tree(nodes_hitrates=[5.0, 5.0, 0.0]), "do not add up"),
    ],
)
def test_what_cannot_be_explained_says_why(made: Any, why: str) -> None:
    with pytest.raises(InvalidInput, match=f"/explain: expected a model of trees .* got .*{why}"):
        read_explainer(made.SerializeToString())


def test_counts_in_any_file_are_enough() -> None:
    made = graphs.tree(nodes_hitrates=[4.0, 3.0, 1.0])
    [answer] = read_explainer(made.SerializeToString()).explain({"x": np.array([[1, 9]], np.float32)})
    assert answer == {
        "scale": "answer",
        "base_value": 1.25,
        "value": 2.0,
        "contributions": {"x[0]": 0.75, "x[1]": 0.0},
    }


@pytest.mark.parametrize(
    ("objective", "scale", "undo"),
    [
        ("regression", "answer", np.array),
        ("poisson", "log", np.exp),
        ("binary", "log-odds", lambda margin: 1 / (1 + np.exp(-margin))),
    ],
)
def test_the_scale_says_how_a_value_becomes_the_answer(objective: str, scale: str, undo: Any) -> None:
    booster = boosted(objective, (Y > 0.5).astype(float))
    answers = of_estimator(booster, columns=5).explain({"input": CODES[:20]})
    assert {answer["scale"] for answer in answers} == {scale}
    said = undo(np.array([answer["value"] for answer in answers]))
    assert said == pytest.approx(booster.predict(CODES[:20].astype(np.float64)), abs=1e-5)


def test_a_model_of_the_logarithm_is_explained_in_logarithms() -> None:
    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": np.exp(Y)})
    model = fit_regression(frame, "y", trees=20, quantiles=[0.9], log_target=True)
    explainer = read_explainer(export(model, frame, adversarial_rows=300).onnx_bytes)
    feeds = {name: frame[name].to_numpy()[:20, np.newaxis] for name in ("a", "b")}
    answers = explainer.explain(feeds)
    wanted = np.asarray(model.booster.predict(model.encode(frame[:20]).astype(np.float64), pred_contrib=True))
    found = [[*answer["contributions"].values(), answer["base_value"]] for answer in answers]
    assert np.abs(np.array(found) - wanted).max() < 1e-6
    assert {answer["scale"] for answer in answers} == {"log1p"}
    assert np.expm1([answer["value"] for answer in answers]) == pytest.approx(model.predict(frame[:20]), rel=1e-4)


COUNTRIES = ["BE", "DE", "FR"]
SHOP = pl.DataFrame(
    {
        "country": [COUNTRIES[int(code) % 3] for code in CODES[:, 4]],
        "size": [["s", "m", "l"][int(code) // 3] for code in CODES[:, 4]],
        "code": CODES[:, 4].astype(np.int64) % 4,
        "price": X[:, 0],
        "age": [None if place % 7 == 0 else float(value) for place, value in enumerate(X[:, 1])],
    }
)


def names_of(transformer: Any, frame: Any = SHOP, *, trees: Any = None) -> list[str]:
    """What a forest behind `transformer` says its columns are."""
    worth = Y + (CODES[:, 4] == 1)
    pipeline = make_pipeline(transformer, trees or RandomForestRegressor(3, max_depth=4, random_state=0))
    explainer = read_explainer(export(pipeline.fit(frame, worth), frame, adversarial_rows=20).onnx_bytes)
    return list(explainer.columns)


@pytest.mark.parametrize("trees", [None, lgb.LGBMRegressor(n_estimators=5, verbosity=-1, n_jobs=1)])
def test_columns_that_a_pipeline_encodes_have_the_names_of_features_and_categories(trees: Any) -> None:
    encoders = ColumnTransformer(
        [
            ("one-hot", OneHotEncoder(handle_unknown="ignore"), ["country"]),
            ("ordinal", OrdinalEncoder(categories=[["s", "m", "l"]]), ["size"]),
            ("scaled", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "price"]),
        ]
    )
    wanted = ["country = BE", "country = DE", "country = FR", "size", "age", "price"]
    assert names_of(encoders, trees=trees) == wanted


@pytest.mark.parametrize(
    ("transformer", "wanted"),
    [
        (OneHotEncoder(drop="first"), ["country = DE", "country = FR"]),
        (make_pipeline(OneHotEncoder(sparse_output=False), StandardScaler()), [f"country = {c}" for c in COUNTRIES]),
        (OneHotEncoder(max_categories=2), ["country = BE", "country = DE or FR"]),
    ],
)
def test_kinds_of_one_hot_columns(transformer: Any, wanted: list[str]) -> None:
    assert names_of(ColumnTransformer([("c", transformer, ["country"]), ("n", "passthrough", ["price"])])) == [
        *wanted,
        "price",
    ]


def test_numbers_as_categories_and_gaps_have_names_too() -> None:
    flags = SimpleImputer(add_indicator=True)
    encoders = ColumnTransformer([("codes", OneHotEncoder(), ["code"]), ("ages", flags, ["age"])])
    assert names_of(encoders) == ["code = 0", "code = 1", "code = 2", "code = 3", "age", "age is missing"]


def test_columns_of_an_array_are_called_by_their_places() -> None:
    encoders = ColumnTransformer([("codes", OneHotEncoder(), [4]), ("rest", "passthrough", [2, 0])])
    codes = [f"input[4] = {code}" for code in range(9)]
    assert names_of(encoders, CODES.astype(np.float64)) == [*codes, "input[2]", "input[0]"]


def test_a_category_that_is_missing_is_said_to_be() -> None:
    frame = SHOP.with_columns(country=pl.when(pl.int_range(400) % 5 == 0).then(None).otherwise("country"))
    encoders = ColumnTransformer([("c", OneHotEncoder(), ["country"]), ("n", "passthrough", ["price"])])
    assert names_of(encoders, frame)[:4] == [*(f"country = {one}" for one in COUNTRIES), "country is missing"]


def test_what_a_graph_mixes_keeps_the_name_of_its_tensor() -> None:
    encoders = ColumnTransformer([("mixed", PCA(2), ["price", "code"]), ("c", OneHotEncoder(), ["country"])])
    names = names_of(encoders)
    assert names[2:] == [f"country = {one}" for one in COUNTRIES]
    assert [name[-3:] for name in names[:2]] == ["[0]", "[1]"]


def test_contributions_of_one_feature_are_added_up_and_none_is_lost() -> None:
    encoders = ColumnTransformer([("a", "passthrough", ["price"]), ("b", StandardScaler(), ["price", "code"])])
    pipeline = make_pipeline(encoders, RandomForestRegressor(3, max_depth=4, random_state=0)).fit(SHOP, Y)
    explainer = read_explainer(export(pipeline, SHOP, adversarial_rows=20).onnx_bytes)
    feeds = {"price": X[:20, :1], "code": SHOP["code"].to_numpy()[:20, np.newaxis]}
    for answer in explainer.explain(feeds):
        assert set(answer["contributions"]) == {"price", "code"}
        assert answer["base_value"] + sum(answer["contributions"].values()) == pytest.approx(answer["value"])


def test_a_category_keeps_its_name_where_callers_call_its_feature_another() -> None:
    explanation = {"contributions": {"c1 = DE": 1.0, "c1": 2.0, "c10 = x": 3.0, "input[3] is missing": 4.0}}
    named = name_after({"c1": "country", "input[3]": "age"}, explanation)["contributions"]
    assert named == {"country = DE": 1.0, "country": 2.0, "c10 = x": 3.0, "age is missing": 4.0}


def test_a_graph_made_to_be_read_for_ever_is_not() -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])
    doubled = [
        helper.make_node("Concat", [name, name], [f"{name}x"], axis=1) for name in ("x" * n for n in range(1, 40))
    ]
    deep = [helper.make_node("Identity", [f"{n}" if n else "x"], [f"{n + 1}"]) for n in range(5000)]
    mixed = [helper.make_node("MatMul", ["x", "x"], ["0"])]
    mixed += [helper.make_node("Concat", [f"{n}", "x"], [f"{n + 1}"], axis=1) for n in range(5000)]
    for nodes, tensor in ((doubled, "x" * 40), (deep, "5000"), (mixed, "5000")):
        graph = helper.make_graph(nodes, "g", [value], [])
        assert len(column_names(graph, tensor, 4)) == 4
        assert len(column_names(graph, tensor, 30_000)) == 30_000


def test_an_input_of_any_width_is_called_by_its_places() -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "F"])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [])
    assert column_names(graph, "y", 3) == ["x[0]", "x[1]", "x[2]"]


def test_the_number_of_rows_is_bounded() -> None:
    check_row_count(100)
    with pytest.raises(InvalidInput, match="/rows: expected at most 100 rows with explain, got 101 rows"):
        check_row_count(101)


def test_the_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    explainer = of_estimator(DecisionTreeRegressor(max_depth=3, random_state=0).fit(X, Y))
    monkeypatch.setattr("inferhub.runtime.explain._MOST_MULTIPLICATIONS", 2 * explainer.leaves.cost_of_row)
    explainer.explain({"input": X[:2]})
    with pytest.raises(InvalidInput, match="/rows: expected at most 2 rows with explain"):
        explainer.explain({"input": X[:3]})
