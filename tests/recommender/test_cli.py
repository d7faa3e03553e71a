import json
from pathlib import Path

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest

from recommender.cli import main


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rooms, city = rng.integers(1, 8, 200), rng.choice(["Ulm", "Ham"], 200)
    frame = pl.DataFrame({"rooms": rooms, "city": city, "price": rooms * 100.0 + 50 * (city == "Ulm")})
    path = tmp_path / "houses.csv"
    frame.write_csv(path)
    return path


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", f"2024-{1 + day // 28:02}-{1 + day % 28:02} 10:00:00")
        for user in range(30)
        for day in range(int(rng.integers(0, 9)), 160, 11)
        for item in rng.choice(np.arange(user % 2, 24, 2), 3, replace=False)
    ]
    path = tmp_path / "sales.csv"
    pl.DataFrame(rows, schema=["user", "item", "time"], orient="row").write_csv(path)
    return path


def test_training_a_regression_writes_the_model_and_its_papers_twice_the_same(
    houses: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("one", "two"):
        arguments = ["train", "regression", "--data", str(houses), "--target", "price", "--quantiles", "0.1,0.9"]
        assert main([*arguments, "--out", str(tmp_path / folder)]) == 0

    one, two = ((tmp_path / folder / "model.onnx").read_bytes() for folder in ("one", "two"))
    signature = json.loads((tmp_path / "one" / "signature.json").read_text(encoding="utf-8"))
    assert one == two
    assert json.loads((tmp_path / "one" / "metrics.json").read_text(encoding="utf-8"))["r2"] > 0.9
    assert json.loads((tmp_path / "one" / "certificate.json").read_text(encoding="utf-8"))["flips"] == 0
    assert "sha256" in (tmp_path / "one" / "model_card.md").read_text(encoding="utf-8")
    assert [output["name"] for output in signature["outputs"]] == ["value", "quantile_10", "quantile_90"]
    assert "r2" in capsys.readouterr().out


@pytest.mark.parametrize("estimator", ["forest", "boosting", "linear"])
def test_scikit_learn_regressors_take_numbers_texts_and_gaps(houses: Path, tmp_path: Path, estimator: str) -> None:
    arguments = ["train", "regression", "--data", str(houses), "--target", "price", "--estimator", estimator]
    assert main([*arguments, "--out", str(tmp_path / "one")]) == 0
    assert json.loads((tmp_path / "one" / "metrics.json").read_text(encoding="utf-8"))["r2"] > 0.7
    certificate = json.loads((tmp_path / "one" / "certificate.json").read_text(encoding="utf-8"))
    assert certificate["adversarial_rows"] >= 10_000
    assert certificate["flips"] == 0
    signature = json.loads((tmp_path / "one" / "signature.json").read_text(encoding="utf-8"))
    assert {put["datatype"] for put in signature["inputs"]} == {"FP32", "BYTES"}


def test_quantiles_are_lightgbms_alone(houses: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "regression", "--data", str(houses), "--target", "price", "--estimator", "forest"]
    assert main([*arguments, "--quantiles", "0.1", "--out", str(tmp_path / "one")]) != 0
    assert "need --estimator lightgbm" in capsys.readouterr().err


def test_training_a_spam_filter_reports_its_f1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("spam", f"win cash prize {n}") for n in range(40)] + [("ham", f"see you at {n} home") for n in range(40)]
    path = tmp_path / "sms.csv"
    pl.DataFrame(rows, schema=["label", "text"], orient="row").write_csv(path)

    status = main(["train", "spam", "--data", str(path), "--positive", "spam", "--out", str(tmp_path / "spam")])

    assert status == 0
    assert json.loads((tmp_path / "spam" / "metrics.json").read_text(encoding="utf-8"))["f1"] == 1.0
    assert "f1" in capsys.readouterr().out


@pytest.fixture
def known(tmp_path: Path) -> list[str]:
    """Options that name what is known of items and users."""
    items, users = tmp_path / "items.csv", tmp_path / "users.csv"
    pl.DataFrame({"sku": [f"i{n}" for n in range(24)], "kind": ["a", "b"] * 12}).write_csv(items)
    pl.DataFrame({"user": [f"u{n}" for n in range(30)], "side": ["left", "right"] * 15}).write_csv(users)
    return ["--items", str(items), "--item-columns", "item=sku,category=kind", "--users", str(users)]


def test_training_a_recommender_writes_one_graph_that_takes_features_of_users(
    sales: Path, known: list[str], tmp_path: Path
) -> None:
    status = main(["train", "recommendation", "--data", str(sales), *known, "--out", str(tmp_path / "shop")])

    signature = json.loads((tmp_path / "shop" / "signature.json").read_text(encoding="utf-8"))
    assert status == 0
    assert [spec["name"] for spec in signature["inputs"]][-1] == "user_side"
    assert [spec["name"] for spec in signature["outputs"]] == ["items", "scores", "reasons", "sources"]


def test_evaluate_writes_the_figures_of_every_model(
    sales: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    columns = "user=user,item=item,time=time"

    status = main(["evaluate", "--data", str(sales), "--columns", columns, "--models", "ease", "--json", str(out)])

    figures = json.loads(out.read_text(encoding="utf-8"))["models"]["ease"]
    assert status == 0
    assert {"ndcg@10", "recall@20", "ndcg@10_new", "recall@20_new", "fit_seconds", "users_per_second"} <= figures.keys()
    assert "ease" in capsys.readouterr().out


def test_features_of_items_and_users_reach_the_evaluation(sales: Path, known: list[str], tmp_path: Path) -> None:
    out = tmp_path / "deep" / "figures.json"
    data = ["--data", str(sales), "--columns", "user=user,item=item,time=time"]

    assert main(["evaluate", *data, *known, "--models", "two_stage,popularity", "--json", str(out)]) == 0

    figures = json.loads(out.read_text(encoding="utf-8"))["models"]
    assert set(figures) == {"two_stage", "popularity", "recent_popularity"}
    assert "diversity" in figures["two_stage"]


def test_no_figure_is_cut_where_the_output_is_narrow(
    sales: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    assert (
        main(["evaluate", "--data", str(sales), "--columns", "user=user,item=item,time=time", "--models", "ease"]) == 0
    )

    assert "…" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["evaluate", "--data", "nothing.csv", "--columns", "user=u,item=i"], "nothing.csv: no such file"),
        (["evaluate", "--data", "nothing.csv", "--columns", "customer=u"], "expected role=column"),
        (["train", "regression", "--data", "nothing.csv", "--out", "x"], "--target"),
        (
            ["evaluate", "--data", "x", "--columns", "user=u,item=i", "--models", "magic"],
            "similar_content, two_stage, got",
        ),
        (
            ["evaluate", "--data", "x", "--columns", "user=u,item=i", "--json", "/proc/no/x.json"],
            "its folder cannot be",
        ),
        (
            ["evaluate", "--data", "x", "--columns", "user=u,item=i", "--user-columns", "user=u"],
            "name the file as well",
        ),
    ],
)
def test_a_mistake_is_one_sentence_and_status_1(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert complaint in capsys.readouterr().err


def test_an_interrupted_training_leaves_nothing_behind(
    houses: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("recommender.cli.train.fit_regression", interrupted)
    out = tmp_path / "out"

    assert main(["train", "regression", "--data", str(houses), "--target", "price", "--out", str(out)]) == 130
    assert not out.exists()


def test_convert_writes_a_proved_model_from_a_text_of_lightgbm(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(100, 2))
    booster = lgb.train({"verbose": -1, "num_leaves": 4, "num_threads": 1}, lgb.Dataset(rows, rows[:, 0]), 3)
    booster.save_model(tmp_path / "model.txt")
    assert main(["convert", str(tmp_path / "model.txt"), "--out", str(tmp_path / "out")]) == 0
    certificate = json.loads((tmp_path / "out" / "certificate.json").read_text())
    assert (certificate["rows"], certificate["sample_rows"], certificate["flips"]) == (10_000, 0, 0)
    assert (tmp_path / "out" / "model.onnx").stat().st_size > 0


@pytest.mark.parametrize("text", ["", "tree\n", "tree\nversion=v4\nnum_class=1\n", "\x00\x01"])
def test_convert_refuses_another_text_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "model.txt").write_text(text)
    assert main(["convert", str(tmp_path / "model.txt"), "--out", str(tmp_path / "out")]) == 1
    assert "error: LightGBM does not read this text" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("content", "options", "complaint"),
    [
        ("a,b\n" + "1,2\n" * 20, ["regression", "--target", "price"], "no column 'price'; the columns are a, b"),
        ("a,b\n" + "1,2\n3,2\n" * 20, ["regression", "--target", "b"], "got 2 in every row"),
        ("a,b\n" + "1,2\n3,\n" * 20, ["regression", "--target", "b"], "has no finite number"),
        ("a,b\n", ["regression", "--target", "b"], "at least 10 rows with a target, got 0"),
        ("", ["regression", "--target", "b"], "data.csv: "),
        ("b\n" + "1\n2\n" * 20, ["regression", "--target", "b"], "columns to predict b from, got none"),
        ("a,b\n1,2\n", ["regression", "--target", "b", "--quantiles", "low"], "--quantiles: expected numbers"),
        ("a,b\n" + "1,-1\n2,3\n" * 20, ["regression", "--target", "b", "--log-target", "yes"], "needs numbers from 0"),
        ("label,text\n" + "ham,hello\n" * 20, ["spam"], "two or more with at least 7 texts each, got ham (20)"),
        ("label,text\n" + "ham,hello\n" * 20 + "spam,win\n", ["spam"], "got ham (20), spam (1)"),
        ("label,text\n" + "ham,hello\n" * 20 + ",win\n", ["spam"], "line 22, column label: expected a label"),
        ("label,body\nham,hello\n", ["spam"], "no column 'text'; the columns are label, body"),
        ("label,text\n" + "0,hello\n1,win\n" * 20, ["spam", "--positive", "spam"], "one of the labels 0, 1"),
    ],
)
def test_a_file_that_cannot_be_learned_from_is_refused_in_one_sentence(
    content: str, options: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data.csv", tmp_path / "out"
    data.write_text(content, encoding="utf-8")

    assert main(["train", *options, "--data", str(data), "--out", str(out)]) == 1
    assert complaint in capsys.readouterr().err.replace("\n", " ")
    assert not out.exists()


@pytest.mark.parametrize("out", ["houses.csv", "houses.csv/model", "/proc/no/model"])
def test_a_place_that_cannot_take_the_model_is_refused_before_the_work(
    out: str, houses: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "regression", "--data", "no such file", "--target", "price", "--out", str(tmp_path / out)]

    assert main(arguments) == 1
    assert "folder" in capsys.readouterr().err


def test_a_skewed_target_is_learned_by_its_logarithm_where_that_helps_and_exported_with_the_way_back(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    size, kind = rng.random(600), rng.integers(0, 9, 600)
    amount = np.expm1(8 * size) * (1 + kind)
    data = tmp_path / "amounts.csv"
    pl.DataFrame({"id": np.arange(600), "size": size, "kind": kind, "amount": amount}).write_csv(data)
    arguments = ["train", "regression", "--data", str(data), "--target", "amount", "--leave-out", "id"]

    assert main([*arguments, "--quantiles", "0.1,0.9", "--out", str(tmp_path / "auto")]) == 0
    assert main([*arguments, "--log-target", "no", "--out", str(tmp_path / "no")]) == 0

    logged, plain = ((tmp_path / name / "model.onnx").read_bytes() for name in ("auto", "no"))
    certificate = json.loads((tmp_path / "auto" / "certificate.json").read_text(encoding="utf-8"))
    assert (b"Exp" in logged, b"Exp" in plain) == (True, False)
    assert certificate["max_rel_diff"] < 1e-4
    assert "log(1 + target)" in (tmp_path / "auto" / "model_card.md").read_text(encoding="utf-8")
