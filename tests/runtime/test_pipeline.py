"""Whole pipelines on small real graphs: a picture classifier, a detector, a text classifier, a table."""

import base64
import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper
from PIL import Image

from inferhub.errors import InvalidDefinition, InvalidInput, ModelFailed
from inferhub.runtime.pipeline import parse_pipeline
from inferhub.runtime.session import load_session
from inferhub.runtime.signature import Feeds
from inferhub.runtime.steps import registry

from . import graphs

Document = Mapping[str, list[dict[str, Any]]]


def answer(model: ModelProto, document: Document, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    loaded = load_session(model.SerializeToString())
    pipeline = parse_pipeline(document, loaded.signature)
    prepared = pipeline.prepare(rows)
    return pipeline.rows(loaded.run(prepared.feeds), prepared)


def refusal(model: ModelProto, document: object) -> str:
    signature = load_session(model.SerializeToString()).signature
    with pytest.raises(InvalidDefinition) as caught:
        parse_pipeline(document, signature)
    return str(caught.value)


def base64_of(picture: Image.Image, form: str = "PNG", **options: Any) -> str:
    data = BytesIO()
    picture.save(data, form, **options)
    return base64.b64encode(data.getvalue()).decode()


def colour_classifier() -> ModelProto:
    """logits [N, 3]: how red, green and blue a picture [N, 3, 8, 8] is on average."""
    x, y = value("x", ["N", 3, 8, 8]), value("logits", ["N", 3])
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
    ]
    return graphs.model(nodes, [x], [y])


def window_detector() -> ModelProto:
    """YOLOv8's form [N, 4 + 3, 9]: nine overlapping windows of a picture of 64 x 64, scored by their mean colours."""
    centres = [(16.0 * column + 16, 16.0 * row + 16) for row in range(3) for column in range(3)]
    boxes = np.array([[*centre, 32, 32] for centre in centres], np.float32).T[np.newaxis]
    nodes = [
        helper.make_node("AveragePool", ["x"], ["pooled"], kernel_shape=[32, 32], strides=[16, 16]),
        helper.make_node("Reshape", ["pooled", "flat"], ["scores"]),
        helper.make_node("Shape", ["x"], ["rows"], start=0, end=1),
        helper.make_node("Concat", ["rows", "rest"], ["shape"], axis=0),
        helper.make_node("Expand", ["windows", "shape"], ["boxes"]),
        helper.make_node("Concat", ["boxes", "scores"], ["output"], axis=1),
    ]
    constants = [
        graphs.tensor("flat", [0, 3, 9], np.int64),
        graphs.tensor("rest", [4, 9], np.int64),
        graphs.tensor("windows", boxes, np.float32),
    ]
    return graphs.model(nodes, [value("x", ["N", 3, 64, 64])], [value("output", ["N", 7, 9])], constants)


def word_counter() -> ModelProto:
    """logits [N, 2]: the sum of a weight for each token [N, 6] that is no padding."""
    weights = np.array([[9, 9], [0, 0], [1, 0], [0, 3]], np.float32)  # padding, unknown, hello, prize
    nodes = [
        helper.make_node("Gather", ["weights", "ids"], ["rows"]),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "middle"], ["logits"], keepdims=0),
    ]
    inputs = [graphs.value("ids", TensorProto.INT64, ["N", 6]), value("mask", ["N", 6])]
    constants = [
        graphs.tensor("weights", weights, np.float32),
        graphs.tensor("last", [2], np.int64),
        graphs.tensor("middle", [1], np.int64),
    ]
    return graphs.model(nodes, inputs, [value("logits", ["N", 2])], constants)


def adder(width: int = 4) -> ModelProto:
    """total [N, 1] = the sum of input [N, width]."""
    node = helper.make_node("ReduceSum", ["input", "one"], ["total"], keepdims=1)
    inputs, outputs = [value("input", ["N", width])], [value("total", ["N", 1])]
    return graphs.model([node], inputs, outputs, [graphs.tensor("one", [1], np.int64)])


def value(name: str, shape: list[int | str | None]) -> Any:
    return graphs.value(name, TensorProto.FLOAT, shape)


COLOURS: Document = {
    "preprocess": [{"step": "image", "column": "picture", "into": "x", "width": 8, "height": 8, "resize": "crop"}],
    "postprocess": [
        {"step": "softmax", "of": "logits", "into": "probabilities"},
        {"step": "argmax", "of": "logits", "into": "label"},
        {"step": "labels", "of": "label", "labels": ["red", "green", "blue"]},
        {"step": "threshold", "of": "probabilities", "place": 1, "at": 0.5, "into": "is_green"},
        {"step": "drop", "outputs": ["logits"]},
    ],
}
SALE: Document = {
    "preprocess": [
        {"step": "rename", "columns": {"Alter": "age"}},
        {"step": "cast", "columns": ["items"], "given": "BYTES"},
        {"step": "impute", "columns": ["age"], "value": 40},
        {"step": "scale", "columns": ["age"], "mean": 40, "scale": 10},
        {"step": "one-hot", "column": "kind", "categories": ["web", "till"], "unknown": "zeros"},
        {"step": "stack", "columns": ["age", "items", "kind"], "widths": [1, 1, 2], "into": "input"},
    ],
    "postprocess": [
        {"step": "inverse", "of": "total", "undo": "log1p", "into": "price"},
        {"step": "clip", "of": "price", "high": 100},
        {"step": "round", "of": "price", "digits": 1},
    ],
}


DETECTOR: Document = {
    "preprocess": [{"step": "image", "column": "photo", "into": "x", "width": 64, "height": 64}],
    "postprocess": [
        {"step": "boxes", "of": "output", "form": "cxcywh", "width": 64, "height": 64, "channels_first": True},
        {"step": "nms", "iou": 0.1, "most": 5},
    ],
}


def test_pictures_of_any_size_and_format_are_classified() -> None:
    pictures = [
        base64_of(Image.new("RGB", (300, 200), "red"), "JPEG"),
        base64_of(Image.new("RGBA", (5, 9), (0, 255, 0, 255))),
        base64_of(Image.new("P", (8, 8)), "GIF"),
    ]
    rows = answer(colour_classifier(), COLOURS, [{"picture": picture} for picture in pictures])
    assert [row["label"] for row in rows] == ["red", "green", "red"]
    assert [row["is_green"] for row in rows] == [False, True, False]
    assert rows[2]["probabilities"] == pytest.approx([1 / 3] * 3)
    assert set(rows[0]) == {"probabilities", "label", "is_green"}


def test_pixels_are_normalised_channel_by_channel() -> None:
    step = {"step": "image", "column": "p", "into": "x", "width": 8, "height": 8, "mean": [0.5, 0, 1], "std": [0.5]}
    picture = base64_of(Image.new("RGB", (8, 8), (255, 102, 0)))
    for colour, expected in (("RGB", [1.0, 0.8, -2.0]), ("BGR", [-1.0, 0.8, 0.0])):
        [row] = answer(colour_classifier(), {"preprocess": [step | {"colour": colour}]}, [{"p": picture}])
        assert row["logits"] == pytest.approx(expected)


@pytest.mark.parametrize("width", [200, 64, 30])
def test_a_detector_answers_in_pixels_of_the_picture_that_was_sent(width: int) -> None:
    """A picture twice as wide as high fills the rows 16 to 48 of the square that the model sees."""
    height = width // 2
    picture = Image.new("RGB", (width, height))
    picture.paste("red", (0, 0, height, height))
    document: Document = {
        "preprocess": [
            {"step": "image", "column": "photo", "into": "x", "width": 64, "height": 64, "resize": "letterbox"}
            | {"size_into": "size"}
        ],
        "postprocess": [
            {"step": "boxes", "of": "output", "form": "cxcywh", "width": 64, "height": 64, "channels_first": True}
            | {"image_size": "size", "letterbox": True},
            {"step": "nms", "iou": 0.2, "score": 0.9, "labels": ["red", "green", "blue"]},
        ],
    }
    [row] = answer(window_detector(), document, [{"photo": base64_of(picture)}])
    [found] = row["detections"]
    assert found["label"] == "red"
    assert found["score"] == pytest.approx(1, abs=0.05)
    assert found["box"] == pytest.approx([0, 0, height, height], abs=0.01)


def test_several_pictures_have_detections_of_their_own() -> None:
    black, red = (base64_of(Image.new("RGB", (64, 64), colour)) for colour in ("black", "red"))
    rows = answer(window_detector(), DETECTOR, [{"photo": black}, {"photo": red}])
    assert rows[0] == {"detections": []}
    assert [found["box"] for found in rows[1]["detections"]] == [
        [0.0, 0.0, 0.5, 0.5],
        [0.5, 0.0, 1.0, 0.5],
        [0.0, 0.5, 0.5, 1.0],
        [0.5, 0.5, 1.0, 1.0],
    ]
    assert {found["label"] for found in rows[1]["detections"]} == {0}


def test_texts_are_normalised_tokenised_and_padded() -> None:
    document: Document = {
        "preprocess": [
            {"step": "text-normalise", "columns": ["text"], "lower": True, "strip_accents": True},
            {"step": "tokenise", "column": "text", "into": "ids", "mask": "mask", "length": 6}
            | {"vocabulary": ["[PAD]", "[UNK]", "hello", "prize"]},
        ],
        "postprocess": [{"step": "top-k", "of": "logits", "k": 2, "into": "best", "scores_into": "score"}],
    }
    texts = ["Héllo, HELLO you", "a prize", "", "prize " * 9]
    rows = answer(word_counter(), document, [{"text": text} for text in texts])
    assert [row["logits"] for row in rows] == [[2, 0], [0, 3], [0, 0], [0, 18]]
    assert rows[1]["best"] == [1, 0]
    assert rows[1]["score"] == [3, 0]


def test_a_table_of_names_numbers_and_categories_becomes_one_tensor() -> None:
    rows = [
        {"Alter": 50, "items": "1", "kind": "web"},
        {"Alter": None, "items": "0.5", "kind": "fax"},
        {"Alter": 40.0, "items": "9", "kind": "till"},
    ]
    answers = answer(adder(), SALE, rows)
    assert [row["total"] for row in answers] == [3.0, 0.5, 10.0]
    assert [row["price"] for row in answers] == [19.1, 0.6, 100.0]


def of_tensors(model: ModelProto, document: Document, tensors: Feeds) -> Feeds:
    loaded = load_session(model.SerializeToString())
    pipeline = parse_pipeline(document, loaded.signature)
    for tensor in tensors.values():
        tensor.flags.writeable = False  # as raw bytes from the network are
    prepared = pipeline.prepare_tensors(tensors)
    return pipeline.tensors(loaded.run(prepared.feeds), prepared)


def test_whole_tensors_are_answered_as_their_rows_are() -> None:
    rows = [{"Alter": 50, "items": "1", "kind": "web"}, {"Alter": None, "items": "0.5", "kind": "fax"}]
    texts = {name: np.array([row[name] for row in rows], object) for name in ("items", "kind")}
    found = of_tensors(adder(), SALE, {"Alter": np.array([50, np.nan], np.float32), **texts})
    answers = answer(adder(), SALE, rows)
    assert found.keys() == {"total", "price"}
    for name, tensor in found.items():
        assert tensor.ravel().tolist() == pytest.approx([row[name] for row in answers])
    assert {tensor.dtype for tensor in found.values()} == {np.dtype(np.float32)}


def test_pictures_sent_as_tensors_have_labels_and_flags_in_their_declared_datatypes() -> None:
    pictures = [base64_of(Image.new("RGB", (8, 8), colour)) for colour in ("red", "green")]
    found = of_tensors(colour_classifier(), COLOURS, {"picture": np.array(pictures, object)})
    assert found["label"].tolist() == ["red", "green"]
    assert (found["is_green"].dtype, found["probabilities"].shape) == (np.dtype(bool), (2, 3))


def test_detections_of_tensors_are_texts_of_the_json_that_rows_get() -> None:
    black, red = (base64_of(Image.new("RGB", (64, 64), colour)) for colour in ("black", "red"))
    found = of_tensors(window_detector(), DETECTOR, {"photo": np.array([black, red], object)})
    rows = answer(window_detector(), DETECTOR, [{"photo": black}, {"photo": red}])
    assert [json.loads(text) for text in found["detections"]] == [row["detections"] for row in rows]


@pytest.mark.parametrize(
    ("ages", "kinds", "message"),
    [
        (2, 1, "/kind: expected 2 rows, as many as 'items' has, got 1 rows"),
        (0, 0, "/items: expected at least one row, got 0 rows"),
    ],
)
def test_tensors_whose_rows_do_not_fit_each_other_are_refused(ages: int, kinds: int, message: str) -> None:
    texts = {"items": np.array(["1"] * ages, object), "kind": np.array(["web"] * kinds, object)}
    with pytest.raises(InvalidInput, match=message):
        of_tensors(adder(), SALE, {"Alter": np.ones(ages, np.float32), **texts})


def test_what_callers_send_and_get_is_a_signature_of_its_own() -> None:
    request = parse_pipeline(SALE, load_session(adder().SerializeToString()).signature).request
    assert {spec.name: (spec.datatype, spec.shape, spec.allows_nan) for spec in request.inputs} == {
        "Alter": ("FP32", (None,), True),
        "items": ("BYTES", (None,), False),
        "kind": ("BYTES", (None,), False),
    }
    assert [spec.name for spec in request.outputs] == ["total", "price"]


def test_without_steps_a_pipeline_is_the_model_itself() -> None:
    signature = load_session(adder().SerializeToString()).signature
    for document in ({}, {"preprocess": [], "postprocess": []}):
        pipeline = parse_pipeline(document, signature)
        assert pipeline.request is signature
        assert (pipeline.preprocess, pipeline.postprocess, pipeline.kept) == ((), (), ())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"Alter": "old", "items": "1", "kind": "web"}, "/rows/0/Alter: expected a number or null"),
        ({"Alter": 1, "items": "many", "kind": "web"}, "/rows/0/items: expected a text that reads as a number"),
        ({"Alter": 1, "items": "1e300", "kind": "web"}, "/rows/0/items: expected a number that FP32 holds"),
        ({"Alter": 1, "items": "nan", "kind": "web"}, "/rows/0/items: expected a number that FP32 holds"),
        ({"Alter": 1, "items": "1"}, "/rows/0/kind: expected a string, got nothing"),
        ({"Alter": 1, "items": "1", "kind": "web", "age": 1}, "/rows/0/age"),
    ],
)
def test_a_bad_value_is_named(row: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        answer(adder(), SALE, [row])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ("no base64!", "a picture in base64"),
        (base64.b64encode(b"<svg/>").decode(), "a picture (JPEG, PNG"),
        (base64_of(Image.new("RGB", (50, 50), "red"))[:60], "a picture"),
        (base64_of(Image.new("1", (9000, 9000))), "at most 25000000 pixels"),
    ],
)
def test_what_is_no_picture_is_refused(picture: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        answer(colour_classifier(), COLOURS, [{"picture": picture}])
    assert caught.value.errors[0].pointer == "/rows/0/picture"
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"preprocess": [{"step": "guess"}]}, "/preprocess/0/step: expected one of the preprocess steps cast"),
        ({"preprocess": [{"step": "softmax", "of": "total"}]}, "'softmax', which is a postprocess step"),
        ({"preprocess": [{"columns": ["x"]}]}, "/preprocess/0/step: expected this field"),
        ({"before": []}, "/before: expected only fields that are known here"),
        ([], "an object"),
        ({"preprocess": [{"step": "scale", "columns": ["input"], "means": 1}]}, "/preprocess/0/means"),
        ({"preprocess": [{"step": "scale", "columns": ["age"]}]}, "/preprocess/0/columns/0: expected one of the col"),
        ({"preprocess": [{"step": "scale", "columns": ["input"], "scale": 0}]}, "/preprocess/0/scale"),
        ({"preprocess": [{"step": "scale", "columns": ["input"], "mean": [1, 2]}]}, "/preprocess/0/mean: expected one"),
        ({"preprocess": [{"step": "stack", "columns": ["a"], "into": "input"}]}, "/preprocess/0/columns: expected a"),
        ({"preprocess": [{"step": "one-hot", "column": "input", "categories": ["a"]}]}, "/preprocess/0/categories"),
        ({"preprocess": [{"step": "impute", "columns": ["input"], "value": "x"}]}, "/preprocess/0/value"),
        ({"preprocess": [{"step": "text-normalise", "columns": ["input"]}]}, "'input', which is FP32"),
        ({"postprocess": [{"step": "argmax", "of": "value", "into": "x"}]}, "/postprocess/0/of: expected one of the"),
        ({"postprocess": [{"step": "top-k", "of": "total", "k": 2, "into": "x"}]}, "/postprocess/0/k: expected at mos"),
        ({"postprocess": [{"step": "clip", "of": "total"}]}, "/postprocess/0"),
        ({"postprocess": [{"step": "clip", "of": "total", "low": 2, "high": 1}]}, "/postprocess/0/high"),
        ({"postprocess": [{"step": "labels", "of": "total", "labels": ["a"]}]}, "/postprocess/0/of"),
        ({"postprocess": [{"step": "nms"}]}, "/postprocess/0/boxes: expected one of the columns that are there: total"),
        ({"postprocess": [{"step": "drop", "outputs": ["total"]}, {"step": "drop", "outputs": ["total"]}]}, "/1/outp"),
    ],
)
def test_a_definition_that_cannot_work_is_refused_where_it_is_wrong(document: object, message: str) -> None:
    assert message in refusal(adder(), document)


def test_a_definition_inside_another_is_pointed_at_there() -> None:
    signature = load_session(adder().SerializeToString()).signature
    for document, place in (
        ({"before": []}, "/steps/before"),
        ({"preprocess": [{"step": "x"}]}, "/steps/preprocess/0"),
    ):
        with pytest.raises(InvalidDefinition) as caught:
            parse_pipeline(document, signature, at="/steps")
        assert caught.value.errors[0].pointer.startswith(place)


def test_a_model_that_fails_is_not_hidden_by_a_step() -> None:
    document: Document = {"postprocess": [{"step": "clip", "of": "y", "low": 0}]}
    with pytest.raises(ModelFailed, match="NaN or infinite"):
        answer(graphs.logarithm(), document, [{"x": -1}])


def test_what_a_step_makes_of_an_output_must_be_finite_too() -> None:
    document: Document = {"postprocess": [{"step": "inverse", "of": "total", "undo": "log"}]}
    with pytest.raises(ModelFailed, match="'total' is NaN or infinite in row 0"):
        answer(adder(1), document, [{"input": 1000}])


def test_a_package_adds_a_step_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = """
from dataclasses import dataclass, replace
from inferhub.runtime.steps.base import Planned, Stage, parameters, NAME

@dataclass(frozen=True, kw_only=True)
class Celsius:
    name, stage, schema = "celsius", Stage.PREPROCESS, parameters({"column": NAME})
    column: str

    def plan(self, specs):
        def run(columns):
            columns[self.column] = (columns[self.column] - 32) / 1.8
        return Planned(specs=specs, run=run)
"""
    install(tmp_path, monkeypatch, name="weather", program=program, entry="celsius = weather_steps:Celsius")
    document: Document = {"preprocess": [{"step": "celsius", "column": "input"}]}
    assert answer(adder(1), document, [{"input": 212}]) == [{"total": 100.0}]
    assert "/preprocess/0/column: expected this field" in refusal(adder(1), {"preprocess": [{"step": "celsius"}]})


def test_a_package_cannot_take_the_name_of_another_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, name="evil", program="", entry="scale = evil_steps:Scale")
    assert "which 2 packages claim" in refusal(adder(), {"preprocess": [{"step": "scale", "columns": ["input"]}]})


def test_a_package_that_is_broken_harms_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, name="broken", program="import nothing_here", entry="odd = broken_steps:Odd")
    assert "which cannot be loaded: broken_steps:Odd" in refusal(adder(), {"preprocess": [{"step": "odd"}]})
    assert answer(adder(1), {"preprocess": [{"step": "scale", "columns": ["input"]}]}, [{"input": 2}]) == [
        {"total": 2.0}
    ]


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *, name: str, program: str, entry: str) -> None:
    """A distribution as pip would leave it, importable for one test."""
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[inferhub.steps]\n{entry}\n")
    (folder / f"{name}_steps.py").write_text(program)
    monkeypatch.syspath_prepend(folder)
    registry.forget()


@pytest.fixture(autouse=True)
def _steps_as_installed() -> Any:
    yield
    registry.forget()
