import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import onnx
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from recommender import (
    Ease,
    Interactions,
    InvalidData,
    ItemKnn,
    TwoStage,
    Variant,
    export,
    fit_regression,
    fit_text_classifier,
    keep_outputs,
    optimise,
    pareto_front,
    split_by_user,
)
from recommender.cli import main
from recommender.onnx_export.session import open_session
from recommender.optimisation import draw
from recommender.optimisation.rewrite import fewer_neighbours, fewer_ngrams, fewer_trees
from recommender.tabular import fit_pipeline


@pytest.fixture(scope="module")
def houses() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    rooms, city = rng.integers(1, 8, 500).astype(float), rng.choice(["Ulm", "Ham"], 500)
    price = rooms * 100 + 50 * (city == "Ulm") + rng.normal(size=500)
    return pl.DataFrame({"rooms": rooms, "city": city, "price": price})


@pytest.fixture(scope="module")
def messages() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    spam, ham = ["win", "cash", "prize", "now"], ["see", "you", "home", "now"]
    rows = [("spam", " ".join(rng.choice(spam, 5))) for _ in range(60)]
    rows += [("ham", " ".join(rng.choice(ham, 5))) for _ in range(60)]
    return pl.DataFrame(rows, schema=["label", "text"], orient="row").sample(fraction=1.0, shuffle=True, seed=1)


def variant(name: str, quality: float, row_us: float, file_bytes: int) -> Variant:
    return Variant(
        name=name, onnx_bytes=b"", file_bytes=file_bytes, load_ms=1.0, row_us=row_us, rows_per_second=1.0,
        quality=quality, max_abs_diff=0.0,
    )  # fmt: skip


def test_the_front_holds_what_nothing_beats_in_quality_time_and_size() -> None:
    best, quick, small = variant("best", 0.9, 100, 100), variant("quick", 0.8, 10, 100), variant("small", 0.7, 100, 1)
    beaten = variant("beaten", 0.8, 11, 100)

    assert pareto_front([best, quick, beaten, small]) == [best, quick, small]


def test_fewer_trees_answer_like_the_first_iterations_of_the_booster(houses: pl.DataFrame) -> None:
    model = fit_regression(houses, "price", trees=40)
    quarter = fewer_trees(export(model, houses, adversarial_rows=50).onnx_bytes, 4)

    feed = {"rooms": np.array([[3.0]], np.float32), "city": np.array([["Ulm"]], dtype=object)}
    value = open_session(quarter).run(None, feed)[0]

    encoded = model.encode(pl.DataFrame({"rooms": [3.0], "city": ["Ulm"]})).astype(np.float64)
    expected = np.asarray(model.booster.predict(encoded, num_iteration=10), np.float32)
    np.testing.assert_allclose(value[:, 0], expected, rtol=1e-5)


def test_a_regression_has_pruned_trees_and_a_student(houses: pl.DataFrame) -> None:
    exported = export(fit_regression(houses, "price", trees=80), houses, adversarial_rows=50)

    found = {one.name: one for one in optimise(exported, houses)}

    chosen = [name for name in found if name.endswith("0 % of the trees")]
    assert set(found) == {"original", "1/2 of the trees", "1/4 of the trees", "1/8 of the trees", *chosen, "student"}
    assert [found[name].quality > 0.99 * found["original"].quality for name in chosen] == [True]
    assert found["original"].max_abs_diff == 0.0
    assert found["1/8 of the trees"].file_bytes < found["original"].file_bytes
    assert found["student"].quality > 0.9


def test_a_regression_with_a_range_keeps_it_in_every_variant(houses: pl.DataFrame) -> None:
    exported = export(fit_regression(houses, "price", trees=16, quantiles=(0.1,)), houses, adversarial_rows=50)

    for one in optimise(exported, houses):
        outputs = [output.name for output in open_session(one.onnx_bytes).get_outputs()]
        assert outputs == ["value", "quantile_10"]


def test_a_text_classifier_has_fewer_ngrams_and_smaller_numbers(messages: pl.DataFrame) -> None:
    texts, labels = messages["text"].to_list(), messages["label"].to_list()
    exported = export(fit_text_classifier(texts, labels, positive="spam", rarest=1), texts, adversarial_rows=50)

    found = {one.name: one for one in optimise(exported, messages)}

    assert {"1/2 of the character n-grams", "int8 products", "student"} <= set(found)
    assert found["1/2 of the character n-grams"].file_bytes < found["original"].file_bytes
    assert found["1/2 of the character n-grams"].quality > 0.9


def test_keeping_all_ngrams_or_neighbours_changes_no_answer(messages: pl.DataFrame, checkerboard: Interactions) -> None:
    texts = messages["text"].to_list()
    text = export(fit_text_classifier(texts, messages["label"].to_list()), texts, adversarial_rows=50).onnx_bytes
    ease = export(Ease(l2=10.0).fit(checkerboard), checkerboard, adversarial_rows=50).onnx_bytes
    asked_text = {"text": np.array([["win a prize"]], dtype=object)}
    asked_item = {"history": np.array([["item 02"]], dtype=object)}

    for before, after, feed in (
        (text, fewer_ngrams(text, 1), asked_text),
        (ease, fewer_neighbours(ease, 1), asked_item),
    ):
        for one, other in zip(open_session(before).run(None, feed), open_session(after).run(None, feed), strict=True):
            if one.dtype.kind == "f":
                np.testing.assert_allclose(one, other, rtol=1e-5)
            else:
                assert one.tolist() == other.tolist()


def test_a_recommender_has_fewer_neighbours(checkerboard: Interactions) -> None:
    split = split_by_user(checkerboard, 0.5)
    exported = export(Ease(l2=10.0).fit(split.train), split.train, adversarial_rows=50)

    found = {one.name: one for one in optimise(exported, split.cases())}

    assert {"original", "1/2 of the neighbours", "1/4 of the neighbours"} <= set(found)
    assert found["1/4 of the neighbours"].file_bytes < found["original"].file_bytes


def test_a_holdout_of_the_wrong_kind_is_refused(houses: pl.DataFrame, checkerboard: Interactions) -> None:
    exported = export(Ease(l2=10.0).fit(checkerboard), checkerboard, adversarial_rows=50)

    with pytest.raises(InvalidData, match="holdout: expected cases for a recommender"):
        optimise(exported, houses)


def test_the_command_writes_variants_and_a_picture(
    houses: pl.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "houses.csv", tmp_path / "model"
    houses.write_csv(data)
    assert main(["train", "regression", "--data", str(data), "--target", "price", "--out", str(out)]) == 0

    assert main(["optimise", str(out), "--holdout", str(data)]) == 0

    content = json.loads((out / "variants.json").read_text(encoding="utf-8"))
    assert content["measure"] == "R²"
    assert content["front"]
    assert ET.parse(out / "tradeoff.svg").getroot().tag.endswith("svg")
    assert list(out.glob("variant_*.onnx"))
    assert "original" in capsys.readouterr().out


def test_the_command_takes_other_names_of_the_columns_of_texts_and_says_which_is_missing(
    messages: pl.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts, out = messages["text"].to_list(), tmp_path / "model"
    out.mkdir()
    exported = export(
        fit_text_classifier(texts, messages["label"].to_list(), positive="spam"), texts, adversarial_rows=9
    )
    (out / "model.onnx").write_bytes(exported.onnx_bytes)
    messages.rename({"text": "body", "label": "kind"}).write_csv(tmp_path / "mail.csv")
    command = ["optimise", str(out), "--holdout", str(tmp_path / "mail.csv"), "--text", "body"]

    assert main([*command, "--target", "kind"]) == 0
    assert main(command) == 1
    assert "mail.csv: no column 'label'; the columns are" in capsys.readouterr().err


def test_the_command_measures_a_recommender_with_what_is_known_of_its_users(tmp_path: Path) -> None:
    days = [f"2024-01-{day:02}" for day in range(1, 29)]
    rows = [(f"u{user}", f"i{(user + day) % 9}", days[day]) for user in range(24) for day in range(user % 3, 28, 3)]
    sales = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
    users = pl.DataFrame({"user": [f"u{user}" for user in range(24)], "side": ["left", "right"] * 12})
    sales.write_csv(tmp_path / "sales.csv")
    users.write_csv(tmp_path / "users.csv")
    shop = Interactions.from_frame(sales).with_user_features(users)
    model = TwoStage(retriever=ItemKnn(), trees=10, windows=1, window_days=7).fit(shop)
    exported = export(model, shop, adversarial_rows=50)
    (tmp_path / "model.onnx").write_bytes(exported.onnx_bytes)

    status = main(
        ["optimise", str(tmp_path), "--holdout", str(tmp_path / "sales.csv"), "--users", str(tmp_path / "users.csv")]
    )

    content = json.loads((tmp_path / "variants.json").read_text(encoding="utf-8"))
    assert status == 0
    assert content["measure"] == "nDCG@10"
    assert "1/2 of the neighbours" in [one["name"] for one in content["variants"]]
    assert exported.signature.inputs[-1].name == "user_side"


def test_names_in_the_picture_keep_apart_even_where_the_dots_do_not() -> None:
    alike = [variant(f"variant number {place}", 0.9, 100.0, 1000 + place) for place in range(5)]

    root = ET.fromstring(draw([*alike, variant("far", 0.5, 10.0, 10)], alike[:1], "R²"))

    names = [text for text in root.iter("{http://www.w3.org/2000/svg}text") if (text.text or "").startswith("variant")]
    places = {(round(float(text.get("x", "0"))), round(float(text.get("y", "0")))) for text in names}
    assert len(names) == len(places) == 5
    assert all(abs(x - u) > 90 or abs(y - v) > 14 for x, y in places for u, v in places if (x, y) != (u, v))


def test_fewer_trees_of_a_forest_are_still_their_mean(houses: pl.DataFrame) -> None:
    exported = export(fit_pipeline(houses, "price", regressor="forest"), houses.drop("price"))
    found = {one.name: one for one in optimise(exported, houses)}
    assert found["original"].quality > 0.8
    assert found["1/4 of the trees"].quality > 0.9 * found["original"].quality


def test_a_classifier_over_one_tensor_is_measured_by_its_labels() -> None:
    rows = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    labels = (rows.sum(axis=1) > 0).astype(np.int64)
    exported = export(RandomForestClassifier(20, random_state=0).fit(rows[:200], labels[:200]), rows[:200])
    holdout = pl.DataFrame(rows[200:], schema=["a", "b"]).with_columns(label=pl.Series(labels[200:]))
    found = {one.name: one for one in optimise(exported, holdout)}
    assert found["original"].quality > 0.9
    assert found["1/2 of the trees"].quality > 0.85


def test_a_text_pipeline_of_scikit_learn_has_a_student(messages: pl.DataFrame) -> None:
    texts, labels = messages["text"].to_list(), messages["label"].to_list()
    pipeline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression()).fit(texts, labels)
    found = {one.name for one in optimise(export(pipeline, texts), messages)}
    assert {"original", "student"} <= found


def test_a_text_classifier_with_words_is_pruned_as_well(messages: pl.DataFrame) -> None:
    texts, labels = messages["text"].to_list(), messages["label"].to_list()
    exported = export(fit_text_classifier(texts, labels, positive="spam", words=(1, 2)), texts, adversarial_rows=50)
    found = {one.name: one for one in optimise(exported, messages)}
    assert found["1/2 of the character n-grams"].file_bytes < found["original"].file_bytes
    assert found["1/2 of the character n-grams"].quality > 0.9


def test_a_holdout_whose_target_cannot_be_told_names_the_columns(houses: pl.DataFrame) -> None:
    exported = export(fit_pipeline(houses, "price", regressor="linear"), houses.drop("price"))
    with pytest.raises(InvalidData, match="called label or alone beside those of the model; got price, other"):
        optimise(exported, houses.with_columns(other=pl.lit(1)))


def test_the_command_measures_what_scikit_learns_regressors_made(houses: pl.DataFrame, tmp_path: Path) -> None:
    data, out = tmp_path / "houses.csv", tmp_path / "model"
    houses.with_columns(note=pl.lit("x")).write_csv(data)
    houses.write_csv(tmp_path / "train.csv")
    train = ["train", "regression", "--data", str(tmp_path / "train.csv"), "--target", "price", "--out", str(out)]
    assert main([*train, "--estimator", "boosting"]) == 0
    assert main(["optimise", str(out), "--holdout", str(data), "--target", "price"]) == 0
    assert json.loads((out / "variants.json").read_text(encoding="utf-8"))["measure"] == "R²"


def test_a_graph_without_its_reasons_gives_the_same_items_by_fewer_nodes(checkerboard: Interactions) -> None:
    whole = export(Ease(l2=10.0).fit(checkerboard), checkerboard, adversarial_rows=50).onnx_bytes
    less = keep_outputs(whole, ["items", "scores"])
    asked = {"history": np.array([["item 02"], [""]], dtype=object)}
    items, scores = open_session(less).run(None, asked)
    whole_items, whole_scores = open_session(whole).run(["items", "scores"], asked)
    assert items.tolist() == whole_items.tolist()
    np.testing.assert_array_equal(scores, whole_scores)
    assert len(onnx.load_from_string(less).graph.node) < len(onnx.load_from_string(whole).graph.node)
    with pytest.raises(InvalidData, match="outputs: expected some of items, scores, reasons, got nothing_known"):
        keep_outputs(whole, ["nothing_known"])
