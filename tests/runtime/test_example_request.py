"""The request that a version's page shows is one that the version answers."""

from typing import Any

import pytest
from onnx import ModelProto

from inferhub.runtime.example_request import example_request
from inferhub.runtime.pipeline import parse_pipeline
from inferhub.runtime.session import load_session
from tests.models import fixed_recommender, linear_model
from tests.runtime import graphs
from tests.runtime.test_pipeline import COLOURS, DETECTOR, SALE, adder, colour_classifier, window_detector

RENAMED: dict[str, Any] = {
    "preprocess": [
        {"step": "rename", "columns": {"Farbe": "colour"}},
        {"step": "one-hot", "column": "colour", "categories": ["red", "blue"], "into": "code"},
        {"step": "stack", "columns": ["code"], "widths": [2], "into": "x"},
    ]
}


@pytest.mark.parametrize(
    ("model", "steps"),
    [
        (linear_model(), {}),
        (fixed_recommender(), {}),
        (adder(), {}),
        (adder(), SALE),
        (colour_classifier(), COLOURS),
        (window_detector(), DETECTOR),
        (graphs.tree(), RENAMED),
    ],
    ids=["number", "recommender", "vector", "table", "picture", "detector", "renamed category"],
)
def test_the_example_is_answered(model: ModelProto | bytes, steps: Any) -> None:
    loaded = load_session(model if isinstance(model, bytes) else model.SerializeToString())
    pipeline = parse_pipeline(steps, loaded.signature)
    request = example_request(pipeline, {})
    prepared = pipeline.prepare(request["rows"], request.get("parameters"))
    assert len(pipeline.rows(loaded.run(prepared.feeds), prepared)) == 1


def test_the_example_is_made_of_golden_rows_where_there_are_some() -> None:
    pipeline = parse_pipeline({}, load_session(fixed_recommender()).signature)
    golden = {"history": [["a", "b"], ["c", ""]], "exclude": [["c"], ["a"]], "k": [2]}
    assert example_request(pipeline, golden) == {
        "rows": [{"history": ["a", "b"], "exclude": ["c"]}],
        "parameters": {"k": [2]},
    }


def test_a_category_is_shown_under_the_name_that_callers_use() -> None:
    pipeline = parse_pipeline(RENAMED, load_session(graphs.tree().SerializeToString()).signature)
    assert example_request(pipeline, {}) == {"rows": [{"Farbe": "red"}]}
