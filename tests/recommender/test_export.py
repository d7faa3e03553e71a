import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender import (
    BoughtTogether,
    Ease,
    Export,
    ExportMismatch,
    History,
    IdMap,
    ImplicitAls,
    Interactions,
    InvalidData,
    ItemKnn,
    NeighbourTable,
    NextItem,
    PersonalFrequency,
    Popularity,
    RegressionModel,
    Retriever,
    TextClassifier,
    export,
    fit_regression,
    fit_text_classifier,
    pad_histories,
)
from recommender.ids import as_strings
from recommender.onnx_export.exporting import regression_feeds
from recommender.onnx_export.neighbour_graph import build_neighbour_graph
from recommender.onnx_export.session import open_session

ROWS = 300


@pytest.fixture(scope="module")
def ease(checkerboard: Interactions) -> Ease:
    return Ease(l2=10.0, neighbours=6).fit(checkerboard)


@pytest.fixture(scope="module")
def exported_ease(ease: Ease, checkerboard: Interactions) -> Export:
    return export(ease, checkerboard, adversarial_rows=ROWS)


@pytest.fixture(scope="module")
def orders() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    size = 600
    frame = pl.DataFrame(
        {
            "country": rng.choice(["de", "fr", "ñandú"], size),
            "is_member": rng.random(size) < 0.5,
            "basket_size": rng.integers(1, 20, size),
            "age": np.where(rng.random(size) < 0.2, np.nan, rng.normal(40, 10, size)),
            "price": rng.gamma(2.0, 10.0, size),
        }
    )
    value = pl.col("basket_size") * pl.col("price") + 50 * (pl.col("country") == "fr") + pl.col("age").fill_nan(0)
    country = pl.when(pl.Series(rng.random(size) < 0.1)).then(None).otherwise(pl.col("country"))
    return frame.with_columns(order_value=value).with_columns(country.alias("country"))


@pytest.fixture(scope="module")
def regression(orders: pl.DataFrame) -> RegressionModel:
    return fit_regression(orders, "order_value", trees=60)


@pytest.fixture(scope="module")
def messages() -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(0)
    spam, ham = (
        ["WIN", "FREE", "cash", "prize", "claim", "now", "call", "0800", "£££"],
        ["see", "you", "at", "home", "für", "später", "Привет", "спасибо"],
    )
    texts = [" ".join(rng.choice(words, 8)) for words in (spam, ham) for _ in range(40)]
    return texts, ["spam"] * 40 + ["ham"] * 40


@pytest.fixture(scope="module")
def classifier(messages: tuple[list[str], list[str]]) -> TextClassifier:
    return fit_text_classifier(*messages, positive="spam")


def ask(exported: Export, **feeds: Any) -> list[Any]:
    return list(open_session(exported.onnx_bytes).run(None, feeds))


@pytest.mark.parametrize(
    "model",
    [
        Ease(l2=10.0),
        Ease(l2=10.0, neighbours=1, repeat_weight=0.0),
        Popularity(),
        ItemKnn(),
        ImplicitAls(factors=4),
        BoughtTogether(),
        NextItem(),
        PersonalFrequency(),
    ],
    ids=repr,
)
def test_every_retriever_is_exported_with_a_clean_certificate(model: Retriever, checkerboard: Interactions) -> None:
    certificate = export(model.fit(checkerboard), checkerboard, adversarial_rows=ROWS).certificate

    assert (certificate.rows, certificate.adversarial_rows, certificate.flips) == (40 + ROWS, ROWS, 0)
    assert certificate.max_abs_diff < 1e-5


def test_items_scores_and_reasons_equal_the_native_ones_with_all_options(ease: Ease, exported_ease: Export) -> None:
    histories = [["item 00", "item 00", "zzz"], [], ["item 05", "item 07"]]
    exclude = [["item 02"], ["item 01", "nothing"], []]

    native = ease.recommend(histories, k=7, exclude=exclude, unavailable=["item 04"])
    items, scores, reasons = ask(
        exported_ease,
        history=pad_histories(histories),
        exclude=pad_histories(exclude),
        unavailable=as_strings(["item 04"]),
        k=np.array([7]),
    )

    assert items.tolist() == native.items.tolist()
    assert reasons.tolist() == native.reasons.tolist()
    np.testing.assert_allclose(scores, native.scores, rtol=1e-5, atol=1e-9)


def test_a_large_catalogue_with_many_equal_scores_is_searched_exactly() -> None:
    size = 5000
    rng = np.random.default_rng(0)
    table = NeighbourTable(
        items=IdMap(as_strings(f"{number:05}" for number in range(size))),
        neighbours=np.sort(np.stack([rng.choice(size, 8, replace=False) for _ in range(size)]), axis=1).astype(
            np.int32
        ),
        weights=rng.integers(1, 3, (size, 8)).astype(np.float32),
        popularity=rng.integers(0, 3, size).astype(np.float64),
    )
    session = open_session(build_neighbour_graph(table))
    names = table.items.externals
    histories = [names[rng.integers(0, size, length)].tolist() for length in (0, 1, 5, 40)]

    for k in (1, 10, 60, 5000):
        native = table.recommend(histories, k=k, unavailable=names[:3].tolist())
        feeds = {"history": pad_histories(histories), "unavailable": names[:3], "k": np.array([k])}
        items, scores, reasons = session.run(None, feeds)

        assert items.tolist() == native.items.tolist()
        assert reasons.tolist() == native.reasons.tolist()
        np.testing.assert_allclose(scores, native.scores, rtol=1e-6)
    assert session.run(["items"], {"history": np.empty((0, 2), dtype=object)})[0].shape == (0, 10)
    assert [part.shape for part in session.run(None, {"history": names[:4, np.newaxis], "k": np.array([0])})] == [
        (4, 0)
    ] * 3


@pytest.mark.parametrize("k", [0, -1])
def test_no_places_are_no_error(exported_ease: Export, k: int) -> None:
    assert ask(exported_ease, history=np.array([["item 00"]], object), k=np.array([k]))[0].shape == (1, 0)


def test_an_age_that_is_no_number_counts_as_unknown(checkerboard: Interactions) -> None:
    model = PersonalFrequency().fit(checkerboard)
    session = open_session(export(model, checkerboard, adversarial_rows=ROWS).onnx_bytes)
    history = History(("item 00", "item 02"), (float("nan"), 1e300))

    feeds = {"history": np.array([history.items], object), "ages": np.array([[np.nan, np.inf]], np.float32)}
    items, scores, _ = session.run(None, feeds)

    assert items.tolist() == model.recommend([history]).items.tolist()
    np.testing.assert_allclose(scores, model.recommend([history]).scores, rtol=1e-6)


def test_one_row_of_exclude_holds_for_every_customer(exported_ease: Export) -> None:
    items, _, _ = ask(
        exported_ease,
        history=pad_histories([["item 00"], ["item 02"]]),
        exclude=pad_histories([["item 04", "item 06"]]),
    )

    assert not {"item 04", "item 06"} & set(items.ravel())


def test_thousands_of_customers_in_one_call_get_what_each_gets_alone(exported_ease: Export) -> None:
    histories = [["item 00", "item 02"], ["item 07"], [], ["item 19", "item 01"]] * 1024

    together = ask(exported_ease, history=pad_histories(histories))

    for row in range(4):
        alone = ask(exported_ease, history=pad_histories([histories[row]]))
        assert [part[row].tolist() for part in together] == [part[0].tolist() for part in alone]
        assert (together[0][row::4] == together[0][row]).all()


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_no_customers_or_no_history_at_all_are_no_error(exported_ease: Export, shape: tuple[int, int]) -> None:
    items, scores, reasons = ask(exported_ease, history=np.empty(shape, dtype=object))

    assert items.shape == scores.shape == reasons.shape == (shape[0], 10)


def test_excluding_the_whole_catalogue_leaves_empty_places_and_no_infinite_number(
    exported_ease: Export, checkerboard: Interactions
) -> None:
    everything = checkerboard.items.externals[np.newaxis]

    items, scores, reasons = ask(exported_ease, history=pad_histories([["item 00"]]), exclude=everything)

    assert set(items.ravel()) == set(reasons.ravel()) == {""}
    assert scores.tolist() == [[0.0] * 10]


@settings(max_examples=60, deadline=None)
@given(
    histories=st.lists(
        st.lists(st.sampled_from([f"item {n:02}" for n in range(20)] + ["", "ß"]), max_size=9), min_size=1
    ),
    k=st.integers(1, 30),
)
def test_the_graph_answers_any_history_like_the_native_model(
    ease: Ease, exported_ease: Export, histories: list[list[str]], k: int
) -> None:
    native = ease.recommend(histories, k=k)

    items, scores, _ = ask(exported_ease, history=pad_histories(histories), k=np.array([k]))

    np.testing.assert_allclose(scores, native.scores, rtol=1e-4, atol=1e-7)
    assert [sorted(row) for row in items.tolist()] == [sorted(row) for row in native.items.tolist()] or k < 20


def test_the_graph_has_no_operator_outside_the_standard_domains(exported_ease: Export) -> None:
    model = onnx.load_from_string(exported_ease.onnx_bytes)

    assert {node.domain for node in model.graph.node} == {"", "ai.onnx.ml"}
    assert not {node.op_type for node in model.graph.node} & {"Loop", "If", "Scan"}


def test_the_signature_says_which_inputs_may_be_left_out(exported_ease: Export) -> None:
    inputs = {spec.name: (spec.datatype, spec.shape, spec.is_optional) for spec in exported_ease.signature.inputs}

    assert inputs == {
        "history": ("BYTES", (-1, -1), False),
        "exclude": ("BYTES", (-1, -1), True),
        "unavailable": ("BYTES", (-1,), True),
        "k": ("INT64", (1,), True),
    }
    assert exported_ease.signature.metadata["task"] == "recommendation"


def test_certificate_and_signature_are_plain_json(exported_ease: Export) -> None:
    certificate = json.loads(json.dumps(exported_ease.certificate.to_json()))

    assert {"max_abs_diff", "max_rel_diff", "flips", "rows"} <= certificate.keys()
    assert json.loads(json.dumps(exported_ease.signature.to_json()))["outputs"][0]["name"] == "items"


def test_the_same_data_gives_the_same_bytes(
    checkerboard: Interactions, orders: pl.DataFrame, messages: tuple[list[str], list[str]]
) -> None:
    def digests() -> list[str]:
        return [
            export(Ease(l2=10.0).fit(checkerboard), checkerboard, adversarial_rows=10).digest,
            export(fit_regression(orders, "order_value", trees=10), orders, adversarial_rows=10).digest,
            export(fit_text_classifier(*messages), messages[0], adversarial_rows=10).digest,
        ]

    assert digests() == digests()


def test_a_graph_that_answers_otherwise_is_refused_with_the_cause(
    ease: Ease, checkerboard: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = dataclasses.replace(ease.table, weights=ease.table.weights * np.float32(1.01))
    graph = build_neighbour_graph(wrong)
    monkeypatch.setattr("recommender.onnx_export.exporting.build_neighbour_graph", lambda table: graph)

    with pytest.raises(ExportMismatch) as caught:
        export(ease, checkerboard, adversarial_rows=ROWS)

    assert "differs from the native model" in caught.value.cause


def test_a_regression_is_equal_also_at_its_own_thresholds(regression: RegressionModel, orders: pl.DataFrame) -> None:
    certificate = export(regression, orders, adversarial_rows=3000).certificate

    assert certificate.max_rel_diff < 1e-5
    assert certificate.rows == 3600


def test_a_regression_takes_one_input_per_column_and_knows_its_gaps(
    regression: RegressionModel, orders: pl.DataFrame
) -> None:
    exported = export(regression, orders, adversarial_rows=ROWS)
    frame = pl.DataFrame(
        {"country": ["fr", "xx", None], "is_member": ["true", "false", None], "basket_size": [3, 4, None],
         "age": [30.0, None, None], "price": [9.5, 1e9, None]}
    )  # fmt: skip

    value = ask(exported, **regression_feeds(regression, frame))[0]

    np.testing.assert_allclose(value[:, 0], regression.predict(frame), rtol=1e-5)
    assert {spec.name: spec.datatype for spec in exported.signature.inputs} == {
        "country": "BYTES", "is_member": "BYTES", "basket_size": "FP32", "age": "FP32", "price": "FP32"
    }  # fmt: skip


def test_a_text_classifier_is_equal_on_unicode_white_space_and_repetition(
    classifier: TextClassifier, messages: tuple[list[str], list[str]]
) -> None:
    certificate = export(classifier, messages[0], adversarial_rows=1000).certificate

    assert certificate.max_abs_diff < 1e-5
    assert certificate.flips == 0


def test_a_text_classifier_gives_label_and_probabilities(
    classifier: TextClassifier, messages: tuple[list[str], list[str]]
) -> None:
    exported = export(classifier, messages[0], adversarial_rows=ROWS)

    label, probability, probabilities = ask(exported, text=as_strings(["FREE cash", "Привет"])[:, np.newaxis])

    assert label.tolist() == ["spam", "ham"]
    assert (label.shape, probability.shape, probabilities.shape) == ((2,), (2, 1), (2, 2))
    np.testing.assert_allclose(probability[:, 0], probabilities[:, 1])
    assert json.loads(exported.signature.metadata["labels"]) == ["ham", "spam"]


def test_three_labels_are_exported_too(messages: tuple[list[str], list[str]]) -> None:
    texts, labels = messages
    model = fit_text_classifier([*texts, *["buy shares now stock tip"] * 20], [*labels, *["tip"] * 20], positive="tip")

    label, _, probabilities = ask(
        export(model, texts, adversarial_rows=ROWS), text=np.array([["stock tip"]], dtype=object)
    )

    assert label.tolist() == ["tip"]
    np.testing.assert_allclose(probabilities.sum(), 1.0, rtol=1e-5)


def test_a_text_classifier_loads_and_answers_where_the_only_locale_is_c(
    classifier: TextClassifier, messages: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(export(classifier, messages[0], adversarial_rows=ROWS).onnx_bytes)
    program = (
        "import sys, numpy, onnxruntime\n"
        "session = onnxruntime.InferenceSession(sys.argv[1])\n"
        "print(ascii(session.run(['label'], {'text': numpy.array([['ПРИВЕТ']], dtype=object)})[0].tolist()))"
    )
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "LOCPATH": str(tmp_path / "no locales here")}

    done = subprocess.run([sys.executable, "-c", program, str(path)], env=environment, capture_output=True, check=True)

    assert done.stdout.decode().strip() == "['ham']"


def test_a_sample_of_the_wrong_kind_is_refused(ease: Ease, orders: pl.DataFrame) -> None:
    with pytest.raises(InvalidData, match="Ease does not go with a sample of DataFrame"):
        export(ease, orders)


def test_onnx_runtime_loads_the_graph_with_its_default_options(exported_ease: Export) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3

    session = onnxruntime.InferenceSession(exported_ease.onnx_bytes, options)

    assert [value.name for value in session.get_inputs()] == ["history"]
    assert [value.name for value in session.get_overridable_initializers()] == ["exclude", "unavailable", "k"]


def test_n_grams_of_words_count_beside_those_of_characters_and_export_exactly(
    messages: tuple[list[str], list[str]],
) -> None:
    texts = [*messages[0], *["Бесплатный приз, звони!", "café à midi ?"] * 3]
    labels = [*messages[1], *["spam", "ham"] * 3]
    model = fit_text_classifier(texts, labels, positive="spam", words=(1, 2))
    assert "бесплатный приз" in model.vectorizers[1].vocabulary_
    certificate = export(model, texts).certificate
    assert certificate.adversarial_rows == 10_000
    assert certificate.flips == 0
    assert certificate.max_abs_diff < 1e-5
