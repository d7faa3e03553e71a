"""Single steps, held against a definition that a person can read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inferhub.errors import InvalidDefinition, InvalidInput, ModelFailed
from inferhub.runtime.signature import Array, TensorSpec
from inferhub.runtime.steps.base import Columns, Stage, Step
from inferhub.runtime.steps.boxes import Boxes, suppress
from inferhub.runtime.steps.columns import Cast, Impute, OneHot, Rename
from inferhub.runtime.steps.images import DecodeImage
from inferhub.runtime.steps.registry import names
from inferhub.runtime.steps.scores import Inverse, Labels, Round, Softmax, Threshold, TopK
from inferhub.runtime.steps.texts import PadHistory, TextNormalise, Tokenise

from .test_pipeline import base64_of

OWN_STEPS = {
    Stage.PREPROCESS: "cast image impute one-hot pad-history rename scale stack text-normalise tokenise",
    Stage.POSTPROCESS: "argmax boxes clip drop element inverse labels nms round softmax threshold top-k",
}
NUMBERS = st.floats(-50, 50, width=32)


def spec(name: str, datatype: str, *shape: int | None, allows_nan: bool = False) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=(None, *shape), allows_nan=allows_nan)


def run(step: Step, wanted: TensorSpec, **columns: Array) -> Columns:
    step.plan({wanted.name: wanted}).run(columns)
    return columns


def texts(*values: object) -> Array:
    return np.array(values, dtype=object)


@pytest.mark.parametrize("stage", Stage)
def test_the_steps_that_come_with_the_hub(stage: Stage) -> None:
    assert set(names(stage)) >= set(OWN_STEPS[stage].split())


@given(st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=5))
def test_softmax_is_positive_sums_to_one_and_keeps_the_order(rows: list[list[float]]) -> None:
    x = np.array(rows, np.float32)
    found = run(Softmax(of="x"), spec("x", "FP32", 3), x=x)["x"]
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (found >= 0).all()
    assert (np.take_along_axis(found, x.argsort(axis=1), axis=1) >= 0).all()
    assert (np.diff(np.take_along_axis(found, x.argsort(axis=1), axis=1), axis=1) >= 0).all()


@given(st.lists(NUMBERS, min_size=4, max_size=4), st.integers(1, 4))
def test_top_k_is_the_head_of_the_sorted_list(row: list[float], k: int) -> None:
    step = TopK(of="x", k=k, into="place", scores_into="score")
    found = run(step, spec("x", "FP64", 4), x=np.array([row]))
    assert found["score"].tolist() == [sorted(row, reverse=True)[:k]]
    assert [row[place] for place in found["place"][0]] == found["score"][0].tolist()


def boxes(count: int) -> st.SearchStrategy[list[tuple[int, int, int, int]]]:
    edge = st.integers(0, 12)
    return st.lists(st.tuples(edge, edge, st.integers(1, 8), st.integers(1, 8)), max_size=count)


@given(boxes(12), st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_what_suppression_keeps_overlaps_little_and_what_it_drops_overlaps_much(
    given_boxes: list[tuple[int, int, int, int]], iou: float
) -> None:
    corners = np.array([(x, y, x + w, y + h) for x, y, w, h in given_boxes], np.float64).reshape(-1, 4)
    kept = suppress(corners, np.zeros(len(corners), np.int64), iou=iou, most=100)
    for place in range(len(corners)):
        overlaps = [overlap(corners[place], corners[other]) > iou for other in kept if other < place]
        assert any(overlaps) is (place not in kept)


def overlap(one: Array, other: Array) -> float:
    """Intersection over union, cell by cell."""
    cells = [
        {(x, y) for x in range(int(box[0]), int(box[2])) for y in range(int(box[1]), int(box[3]))}
        for box in (one, other)
    ]
    return len(cells[0] & cells[1]) / len(cells[0] | cells[1])


def test_boxes_of_different_classes_do_not_suppress_each_other() -> None:
    same = np.array([[0, 0, 4, 4]] * 3, np.float32)
    assert suppress(same, np.array([0, 1, 0]), iou=0.5, most=10) == [0, 1]
    assert suppress(same, np.array([0, 1, 2]), iou=0.5, most=2) == [0, 1]


@pytest.mark.parametrize(
    ("form", "four"), [("xyxy", [10, 20, 30, 60]), ("xywh", [10, 20, 20, 40]), ("cxcywh", [20, 40, 20, 40])]
)
def test_every_form_of_a_box_becomes_its_corners(form: str, four: list[float]) -> None:
    output = np.array([[[*four, 0.5, 0.8]]], np.float32)
    step = Boxes(of="x", form=form, width=100, height=100, objectness=True)
    found = run(step, spec("x", "FP32", 1, 6), x=output)
    assert found["boxes"][0, 0] == pytest.approx([0.1, 0.2, 0.3, 0.6])
    assert found["scores"][0, 0] == pytest.approx([0.4])


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c"]), max_size=5), min_size=1, max_size=4), st.integers(1, 6))
def test_a_padded_history_holds_the_end_that_was_asked_for(histories: list[list[str]], length: int) -> None:
    width = max(map(len, histories), default=0) or 1
    column = np.array([[*items, *[""] * (width - len(items))] for items in histories], dtype=object)
    for keep, side in (("first", "right"), ("last", "left"), ("first", "left"), ("last", "right")):
        step = PadHistory(column="h", length=length, keep=keep, side=side)
        found = run(step, spec("h", "BYTES", length), h=column)["h"]
        for items, row in zip(histories, found.tolist(), strict=True):
            cut = items[:length] if keep == "first" else items[-length:]
            padding = [""] * (length - len(cut))
            assert row == (cut + padding if side == "right" else padding + cut)


def test_a_history_becomes_places_of_a_vocabulary() -> None:
    step = PadHistory(column="h", into="ids", length=4, vocabulary=["tea", "jam"], unknown=9)
    found = run(step, spec("ids", "INT64", 4), h=np.array([["jam", "egg", ""]], dtype=object))
    assert found["ids"].tolist() == [[2, 9, 0, 0]]


def test_wordpiece_takes_the_longest_known_pieces() -> None:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "##a", "!"]
    step = Tokenise(
        column="t", into="ids", vocabulary=vocabulary, length=8, split="wordpiece", start="[CLS]", end="[SEP]"
    )
    found = run(step, spec("ids", "INT64", 8), t=texts("unaffable! unx", "un " * 20))["ids"]
    assert found.tolist() == [[2, 4, 5, 6, 8, 1, 3, 0], [2, 4, 4, 4, 4, 4, 4, 3]]


def test_characters_are_tokens_too() -> None:
    step = Tokenise(column="t", into="ids", vocabulary=["[PAD]", "[UNK]", "a"], length=3, split="characters")
    assert run(step, spec("ids", "INT32", 3), t=texts("ab"))["ids"].tolist() == [[2, 1, 0]]


def test_text_is_normalised_as_far_as_asked_for() -> None:
    column = texts("  Ａe\u0301  B\t")
    plain = TextNormalise(columns=["t"])
    assert run(plain, spec("t", "BYTES"), t=column)["t"].tolist() == ["  Aé  B\t"]
    all_of_it = TextNormalise(columns=["t"], lower=True, strip_accents=True, collapse_spaces=True)
    assert run(all_of_it, spec("t", "BYTES"), t=column)["t"].tolist() == ["ae b"]


@pytest.mark.parametrize(
    ("given_type", "wanted", "column", "expected"),
    [
        ("BYTES", "FP32", texts("0.5", "-1e3"), [0.5, -1000.0]),
        ("BYTES", "INT64", texts("9007199254740993", "-2"), [9007199254740993, -2]),
        ("INT64", "FP32", np.array([3, 16777216]), [3.0, 16777216.0]),
        ("FP64", "INT8", np.array([3.0, -128.0]), [3, -128]),
        ("INT64", "BYTES", np.array([3, 4]), ["3", "4"]),
        ("BOOL", "FP32", np.array([True, False]), [1.0, 0.0]),
    ],
)
def test_a_cast_keeps_the_value(given_type: str, wanted: str, column: Array, expected: list[object]) -> None:
    found = run(Cast(columns=["x"], given=given_type), spec("x", wanted), x=column)["x"]
    assert found.tolist() == expected
    assert found.dtype == spec("x", wanted).numpy_type


@pytest.mark.parametrize(
    ("given_type", "wanted", "column"),
    [
        ("FP64", "INT64", np.array([1.0, 2.5])),
        ("INT64", "INT8", np.array([1, 128])),
        ("INT64", "FP32", np.array([1, 16777217])),
        ("FP64", "FP32", np.array([1, 1e300])),
        ("BYTES", "INT64", texts("1", "2.0")),
        ("BYTES", "INT64", texts("1", "9" * 30)),
        ("BYTES", "FP32", texts("1", "inf")),
    ],
)
def test_a_cast_that_would_change_the_value_names_the_row(given_type: str, wanted: str, column: Array) -> None:
    with pytest.raises(InvalidInput, match="/rows/1/x: expected"):
        run(Cast(columns=["x"], given=given_type), spec("x", wanted), x=column)


def test_empty_texts_are_imputed_and_missing_numbers() -> None:
    found = run(Impute(columns=["x"], value="none"), spec("x", "BYTES"), x=texts("a", ""))
    assert found["x"].tolist() == ["a", "none"]
    found = run(Impute(columns=["x"], value=7), spec("x", "FP32"), x=np.array([1, np.nan], np.float32))
    assert found["x"].tolist() == [1, 7]
    assert found["x"].dtype == np.float32


def test_an_unknown_category_is_an_error_unless_zeros_are_asked_for() -> None:
    step = OneHot(column="c", categories=[3, 5], into="x")
    assert run(step, spec("x", "FP32", 2), c=np.array([5, 3]))["x"].tolist() == [[0, 1], [1, 0]]
    with pytest.raises(InvalidInput, match=r"/rows/1/c: expected one of the categories .* got 4"):
        run(step, spec("x", "FP32", 2), c=np.array([5, 4]))


@given(st.floats(-3, 3))
def test_inverse_undoes_what_training_did(number: float) -> None:
    price = np.exp(number * 0.5 + 1)
    for undo, forward in (("log", np.log), ("log1p", np.log1p), ("none", lambda x: x)):
        trained = (forward(price) - 1) / 0.5
        found = run(Inverse(of="x", undo=undo, mean=1, scale=0.5), spec("x", "FP64"), x=np.array([trained]))["x"]
        assert found[0] == pytest.approx(price)
    share = 1 / (1 + np.exp(-number))
    found = run(Inverse(of="x", undo="logit"), spec("x", "FP64"), x=np.array([number]))["x"]
    assert found[0] == pytest.approx(share)


def test_a_threshold_is_the_decimal_that_people_read() -> None:
    found = run(Threshold(of="x", into="y", at=0.7), spec("x", "FP32"), x=np.array([0.7, 0.69], np.float32))
    assert found["y"].tolist() == [True, False]


def test_rounding_keeps_the_shortest_decimal() -> None:
    found = run(Round(of="x", digits=1), spec("x", "FP32"), x=np.array([0.8499, 2.25], np.float32))["x"]
    assert [str(number) for number in found] == ["0.8", "2.2"]


def test_a_class_without_a_label_is_the_models_failure() -> None:
    with pytest.raises(ModelFailed, match="holds 2; there are 2 labels"):
        run(Labels(of="x", labels=["a", "b"]), spec("x", "INT64"), x=np.array([0, 2]))


def test_a_picture_noted_as_lying_is_stood_up() -> None:
    picture = Image.new("RGB", (40, 20), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    step = DecodeImage(column="p", into="x", width=2, height=4, layout="NHWC", size_into="size")
    text = base64_of(picture, "JPEG", exif=exif)
    found = run(step, spec("x", "UINT8", 4, 2, 3), p=texts(text))
    assert found["size"].tolist() == [[20, 40]]
    assert found["x"].shape == (1, 4, 2, 3)


def test_two_columns_may_change_their_names() -> None:
    step = Rename(columns={"a": "b", "b": "a"})
    planned = step.plan({"a": spec("a", "FP32"), "b": spec("b", "BYTES")})
    assert {name: other.datatype for name, other in planned.specs.items()} == {"a": "BYTES", "b": "FP32"}
    columns = {"a": texts("x"), "b": np.array([1.0])}
    planned.run(columns)
    assert (columns["a"].tolist(), columns["b"].tolist()) == ([1.0], ["x"])


@pytest.mark.parametrize("columns", [{"x": "a", "y": "a"}, {"b": "a"}])
def test_a_new_name_must_be_free_and_an_old_one_given_once(columns: dict[str, str]) -> None:
    with pytest.raises(InvalidDefinition):
        Rename(columns=columns).plan({"a": spec("a", "FP32"), "b": spec("b", "BYTES")})


@pytest.mark.parametrize(
    ("step", "wanted", "column"),
    [
        (OneHot(column="c", categories=["a", "b"], into="x"), spec("x", "FP32", 2), texts("a", "b", "a")),
        (PadHistory(column="c", into="x", length=2), spec("x", "BYTES", 2), np.array([["a"]] * 3, dtype=object)),
        (
            Tokenise(column="c", into="x", vocabulary=["[PAD]", "[UNK]"], length=2),
            spec("x", "INT64", 2),
            texts("a", "b", "c"),
        ),
        (DecodeImage(column="c", into="x", width=1, height=1), spec("x", "FP32", 3, 1, 1), texts("", "", "")),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_step_does_not_turn_a_small_request_into_a_large_one(
    step: Step, wanted: TensorSpec, column: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inferhub.runtime.steps.base.MOST_ELEMENTS", 5)
    with pytest.raises(InvalidInput, match=r"/rows: expected at most [12] rows, as 'c' becomes [23] numbers"):
        run(step, wanted, c=column)
