"""Predict with one version: its steps, its time, its turn, and what may not be answered; by REST and by OIP."""

import math
from io import StringIO
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from onnx import ModelProto, load_from_string
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from inferhub.api.answers import PREDICTION
from inferhub.audit.models import AuditEvent
from inferhub.decisions.services import save_workflow
from inferhub.errors import InvalidDefinition
from inferhub.inference import services
from inferhub.inference.services import predict
from inferhub.lib.schema import Schema
from inferhub.registry.models import ModelVersion, RegisteredModel, Tuning
from inferhub.registry.queries import find_version
from inferhub.registry.services import move_alias
from inferhub.registry.storage import write_artifact
from inferhub.runtime.deadline import Deadline
from inferhub.runtime.gate import Gate
from inferhub.runtime.pool import artifact_digest
from inferhub.runtime.session import LoadedModel, load_session
from inferhub.runtime.tuning import Measurement
from recommender import export, fit_regression
from tests.hub_fixtures import ACTOR, WORKFLOW, Api, register_direct
from tests.runtime import graphs

pytestmark = pytest.mark.django_db


def keep(name: str, model: ModelProto, **fields: Any) -> ModelVersion:
    """A version as it is after registration, of a file that the check might refuse."""
    data = model.SerializeToString()
    digest = artifact_digest(data)
    write_artifact(digest, data)
    return ModelVersion.objects.create(
        model=RegisteredModel.objects.create(name=name, task="other", approval="direct"),
        number=1,
        digest=digest,
        source_digest=digest,
        size=len(data),
        signature=load_session(data).signature.to_dict(),
        created_by=ACTOR,
        **fields,
    )


def infer(api: Api, model: str, name: str, value: Any, datatype: str, **parameters: Any) -> Any:
    """Ask by the Open Inference Protocol for one element."""
    tensor = {"name": name, "datatype": datatype, "shape": [1], "data": [value]}
    body = {"inputs": [tensor], "parameters": parameters}
    headers = {"Authorization": f"Bearer {api.secret}"}
    address = f"/v2/models/{model}/versions/1/infer"
    return Client().post(address, orjson.dumps(body), content_type="application/json", headers=headers)


def test_the_steps_of_a_version_stand_before_and_behind_its_graph(api: Api) -> None:
    steps = {
        "preprocess": [{"step": "one-hot", "column": "colour", "categories": ["red", "blue"], "into": "x"}],
        "postprocess": [{"step": "argmax", "of": "y", "into": "best"}, {"step": "drop", "outputs": ["y"]}],
    }
    keep("colours", graphs.doubling(), steps=steps)
    body = {"version": 1, "rows": [{"colour": "blue"}, {"colour": "red"}]}
    assert api.post("models/colours/predictions", body).json()["predictions"] == [{"best": 1}, {"best": 0}]
    wrong = api.post("models/colours/predictions", {"version": 1, "rows": [{"colour": "pink"}]})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["pointer"] == "/rows/0/colour"


def test_a_step_that_is_no_longer_installed_is_a_failure_of_its_model_only(api: Api, price_model: ModelVersion) -> None:
    version = keep("gone", graphs.doubling(), steps={"preprocess": [{"step": "celsius"}]})
    move_alias(version=version, alias="champion", actor=ACTOR, reason="test")
    failed = api.post("models/gone/predictions", {"rows": [{"x": [1, 2]}]})
    assert failed.status_code == 502
    assert "The steps of gone version 1 cannot be run here: /preprocess/0/step" in failed.json()["detail"]
    services.unload(price_model.digest)
    assert api.post("models/price-model/predictions", {"rows": [{"price": 1}]}).status_code == 200


def test_a_workflow_feeds_what_the_steps_take_not_what_the_graph_takes(workflow: str) -> None:
    steps = {"preprocess": [{"step": "rename", "columns": {"amount": "n"}}]}
    keep("counting", graphs.counting(), steps=steps)
    definition = WORKFLOW | {"predictions": [*WORKFLOW["predictions"]]}
    entry = {"name": "count", "model": "counting", "version": 1, "inputs": {"n": "total"}}
    definition["predictions"].append(entry)
    with pytest.raises(InvalidDefinition) as caught:
        save_workflow(name=workflow, definition=definition, actor=ACTOR)
    assert [error.pointer for error in caught.value.errors] == [
        "/predictions/1/inputs/n",
        "/predictions/1/inputs/amount",
    ]
    entry["inputs"] = {"amount": "total"}
    assert save_workflow(name=workflow, definition=definition, actor=ACTOR)


def test_a_prediction_that_takes_too_long_is_a_504(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    keep("counting", graphs.counting())
    assert api.post("models/counting/predictions", {"version": 1, "rows": [{"n": 5}]}).json()["predictions"] == [
        {"y": 5.0}
    ]
    body = {"version": 1, "rows": [{"n": 1 << 40}], "timeout_ms": 30}
    late = api.post("models/counting/predictions", body)
    assert late.status_code == 504
    assert late.json()["type"] == "urn:inferhub:problem:timed-out"
    assert late.json()["detail"] == "The model did not answer within 30 ms; its run was stopped."
    monkeypatch.setattr(services, "_LONGEST_MS", 40)
    body["timeout_ms"] = 3_600_000
    assert "within 40 ms" in api.post("models/counting/predictions", body).json()["detail"]
    late = infer(api, "counting", "n", 1 << 40, "INT64")
    assert late.status_code == 504
    assert "within 40 ms" in late.json()["error"]
    late = infer(api, "counting", "n", 1 << 40, "INT64", timeout=20_001)
    assert "within 21 ms" in late.json()["error"]
    assert infer(api, "counting", "n", 1, "INT64", timeout="soon").status_code == 400


def test_too_many_predictions_at_once_are_a_503_with_retry_after(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    keep("counting", graphs.counting())
    gate = Gate(runs=1, queue=0)
    monkeypatch.setattr(services, "_gate", gate)
    with gate.turn(Deadline.after(60_000)):
        busy = api.post("models/counting/predictions", {"version": 1, "rows": [{"n": 1}]})
        busy_too = infer(api, "counting", "n", 1, "INT64")
    assert (busy.status_code, busy["Retry-After"]) == (503, "1")
    assert (busy_too.status_code, busy_too["Retry-After"]) == (503, "1")
    assert "1 models run already" in busy_too.json()["error"]
    assert api.post("models/counting/predictions", {"version": 1, "rows": [{"n": 1}]}).status_code == 200


@pytest.fixture(autouse=True)
def _quick_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inferhub.runtime.tuning._SECONDS", 0.0)


@pytest.mark.parametrize("x", [-1.0, 0.0])
def test_nan_and_infinity_are_failures_of_the_model(api: Api, x: float) -> None:
    keep("log", graphs.logarithm())
    failed = api.post("models/log/predictions", {"version": 1, "rows": [{"x": x}]})
    assert failed.status_code == 502
    assert failed.json()["detail"] == "Output 'y' is NaN or infinite in row 0."
    assert infer(api, "log", "x", x, "FP32").status_code == 502


def test_nan_is_null_where_the_signature_allows_it(api: Api) -> None:
    made = graphs.logarithm()
    made.metadata_props.add(key="allows_nan", value='["y"]')
    keep("log", made)
    answer = api.post("models/log/predictions", {"version": 1, "rows": [{"x": -1}, {"x": 1}]})
    assert answer.json()["predictions"] == [{"y": None}, {"y": 0.0}]
    assert infer(api, "log", "x", -1, "FP32").json()["outputs"][0]["data"] == [None]


def test_champions_are_pinned_when_something_is_loaded(price_model: ModelVersion) -> None:
    services.unload(price_model.digest)
    predict(model="price-model", rows=[{"price": 1}])
    assert services._pool._pinned == {price_model.digest}


def test_a_session_is_loaded_with_the_newest_tuning() -> None:
    version = keep("tuned", graphs.doubling({"note": "tuned"}))
    for optimisation in ("none", "basic"):
        Tuning.objects.create(
            version=version, settings={"threads": 1, "optimisation": optimisation, "batch": 8}, measured={}, machine="m"
        )
    predict(model="tuned", version=1, rows=[{"x": [1, 2]}])
    [loaded] = [model for digest, model in services._pool._models.items() if digest == version.digest]
    assert loaded.session.get_session_options().graph_optimization_level.name == "ORT_ENABLE_BASIC"


def test_many_rows_run_in_the_batches_that_tune_found(
    price_model: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = {"threads": 1, "optimisation": "all", "batch": 2}
    Tuning.objects.create(version=price_model, settings=best, measured={}, machine="m")
    services.unload(price_model.digest)
    sizes: list[int] = []
    run = LoadedModel.run

    def counted(self: LoadedModel, feeds: Any, deadline: Any = None) -> Any:
        sizes.append(len(feeds["price"]))
        return run(self, feeds, deadline)

    services.load_model(find_version("price-model"))
    monkeypatch.setattr(LoadedModel, "run", counted)
    answer = predict(model="price-model", rows=[{"price": price} for price in range(5)])
    assert answer.rows == [{"value": 2.0 * price + 1} for price in range(5)]
    assert sizes == [2, 2, 1]
    services.unload(price_model.digest)


def test_tune_measures_keeps_and_tells(price_model: ModelVersion) -> None:
    out = StringIO()
    call_command("tune", "price-model", "--dry-run", stdout=out)
    assert not Tuning.objects.exists()
    call_command("tune", "price-model", stdout=out)
    tuning = Tuning.objects.get(version=price_model)
    assert set(tuning.settings) == {"threads", "optimisation", "batch"}
    assert {run["optimisation"] for run in tuning.measured["runs"]} == {"none", "basic", "extended", "all"}
    assert AuditEvent.objects.get(action="model_version.tuned").subject == "model:price-model/1"
    assert "price-model version 1" in out.getvalue()
    assert "Best: " in out.getvalue()


def test_golden_rows_are_what_is_measured(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = {"inputs": {"n": [3, 3]}, "outputs": {"y": [3.0, 3.0]}}
    keep("counting", graphs.counting(), golden=golden)
    given: list[Any] = []
    monkeypatch.setattr(
        "inferhub.registry.management.commands.tune.measure",
        lambda data, settings, feeds: (
            given.append(feeds["n"].tolist()) or [Measurement(threads=1, optimisation="all", batch=1, run_us=1.0)]
        ),
    )
    call_command("tune", "counting", "--version-number", "1", stdout=StringIO())
    assert {tuple(rows) for rows in given} == {(3, 3)}


def test_a_model_that_is_not_there_cannot_be_tuned(db: None) -> None:
    with pytest.raises(CommandError, match="no registered model"):
        call_command("tune", "nothing")


def test_trees_explain_themselves_on_request(api: Api) -> None:
    keep("trees", graphs.tree(nodes_hitrates=[4.0, 3.0, 1.0]))
    body = {"version": 1, "rows": [{"x": [1, 0]}, {"x": [0, 0]}], "explain": True}
    answer = api.post("models/trees/predictions", body).json()
    assert answer["predictions"] == [{"y": 2.0}, {"y": 1.0}]
    assert [row["contributions"]["x[0]"] for row in answer["explanations"]] == [0.75, -0.25]
    assert Schema(PREDICTION).check(answer) is None
    assert "explanations" not in api.post("models/trees/predictions", body | {"explain": False}).json()


def test_an_explanation_speaks_of_what_was_sent(api: Api) -> None:
    steps = {
        "preprocess": [
            {"step": "rename", "columns": {"Farbe": "colour"}},
            {"step": "one-hot", "column": "colour", "categories": ["red", "blue"], "into": "code"},
            {"step": "stack", "columns": ["code"], "widths": [2], "into": "x"},
        ]
    }
    keep("trees", graphs.tree(nodes_hitrates=[4.0, 3.0, 1.0]), steps=steps)
    body = {"version": 1, "rows": [{"Farbe": "red"}, {"Farbe": "blue"}], "explain": True}
    answer = api.post("models/trees/predictions", body).json()
    assert [row["contributions"] for row in answer["explanations"]] == [{"Farbe": 0.75}, {"Farbe": -0.25}]


def test_a_model_of_the_logarithm_is_explained_in_logarithms(api: Api) -> None:
    """Value and answer belong together by what `scale` says."""
    size = np.linspace(1, 40, 200)
    frame = pl.DataFrame({"size": size, "price": np.exp(size / 4)})
    exported = export(fit_regression(frame, "price", trees=20, log_target=True), frame, adversarial_rows=100)
    register_direct(name="log-price", task="regression", data=exported.onnx_bytes)
    body = {"version": 1, "rows": [{"size": 30.5}, {"size": None}], "explain": True}
    answer = api.post("models/log-price/predictions", body).json()
    for row, explanation in zip(answer["predictions"], answer["explanations"], strict=True):
        assert explanation["scale"] == "log1p"
        assert explanation["base_value"] + explanation["contributions"]["size"] == pytest.approx(explanation["value"])
        assert math.expm1(explanation["value"]) == pytest.approx(row["value"], rel=1e-4)


def test_an_explanation_names_features_and_categories_of_a_pipeline(api: Api) -> None:
    frame = pl.DataFrame({"country": ["DE", "FR", "BE", "DE"] * 50, "price": np.linspace(1, 9, 200)})
    encoders = ColumnTransformer([("c", OneHotEncoder(), ["country"]), ("n", "passthrough", ["price"])])
    worth = (frame["country"] == "DE").to_numpy() * 5 + frame["price"].to_numpy()
    pipeline = make_pipeline(encoders, RandomForestRegressor(3, random_state=0)).fit(frame, worth)
    exported = export(pipeline, frame, adversarial_rows=50)
    steps = {"preprocess": [{"step": "rename", "columns": {"Land": "country"}}]}
    keep("worth", load_from_string(exported.onnx_bytes), steps=steps)
    body = {"version": 1, "rows": [{"Land": "DE", "price": 2}], "explain": True}
    [explanation] = api.post("models/worth/predictions", body).json()["explanations"]
    shares = explanation["contributions"]
    assert list(shares) == ["Land = BE", "Land = DE", "Land = FR", "price"]
    assert shares["Land = DE"] > 1
    assert explanation["base_value"] + sum(shares.values()) == pytest.approx(explanation["value"])


def test_what_cannot_be_explained_is_refused(api: Api, price_model: ModelVersion) -> None:
    refused = api.post("models/price-model/predictions", {"rows": [{"price": 1}], "explain": True})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/explain"
    many = api.post("models/price-model/predictions", {"rows": [{"price": 1}] * 101, "explain": True})
    assert many.json()["errors"][0] == {
        "pointer": "/rows",
        "expected": "at most 100 rows with explain",
        "got": "101 rows",
    }


def test_a_recommender_explains_by_its_reasons(api: Api, scenario: str) -> None:
    body = {"rows": [{"history": ["a"]}], "parameters": {"k": 2, "unavailable": [""]}, "explain": True}
    answer = api.post("models/items/predictions", body).json()
    assert answer["explanations"] == [{"reasons": ["", ""]}]
    assert Schema(PREDICTION).check(answer) is None
