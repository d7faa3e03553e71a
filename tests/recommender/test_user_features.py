"""What is known of customers: read with errors that name the place, used by the two stages, exported as inputs."""

import gzip
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recommender import (
    Export,
    History,
    Interactions,
    InvalidData,
    ItemKnn,
    TwoStage,
    as_user_features,
    export,
    history_feeds,
    read_item_features,
    read_user_features,
    split_by_time,
)
from recommender.onnx_export.session import open_session

CSV = "household,age,kids,spend\n7,45-54,2,10.5\n8,,0,\n9,65+,1,3\n"
ITEMS, USERS = 40, 80


@pytest.fixture(scope="module")
def shop() -> Interactions:
    """Half a year in which the young buy even items and the old odd ones; of one in five nothing is known."""
    rng = np.random.default_rng(0)
    start = datetime.fromisoformat("2024-01-01")
    rows = [
        {"user": f"user {user:02}", "item": f"item {item:02}", "time": start + timedelta(days=day)}
        for user in range(USERS)
        for day in range(int(rng.integers(0, 20)), 180, int(rng.integers(9, 25)))
        for item in rng.choice(np.arange(user % 2, ITEMS, 2), 3, replace=False).tolist()
    ]
    known = [user for user in range(USERS) if user % 5]
    features = {
        "user": [f"user {user:02}" for user in known],
        "generation": ["old" if user % 2 else "young" for user in known],
        "years": [60.0 + user % 9 if user % 2 else 20.0 + user % 9 for user in known],
        "all alike": ["human"] * len(known),
    }
    return Interactions.from_frame(pl.DataFrame(rows)).with_user_features(pl.DataFrame(features))


@pytest.fixture(scope="module")
def model(shop: Interactions) -> TwoStage:
    return TwoStage(retriever=ItemKnn(), candidates=20, trees=10).fit(shop)


@pytest.fixture(scope="module")
def exported(model: TwoStage, shop: Interactions) -> Export:
    return export(model, shop, adversarial_rows=300)


def ask(exported: Export, feeds: dict[str, Any]) -> list[Any]:
    session = open_session(exported.onnx_bytes)
    return list(session.run(["items", "scores"], feeds))


@pytest.mark.parametrize("name", ["users.csv", "users.csv.gz", "users.parquet"])
def test_features_are_read_as_groups_or_amounts(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("parquet"):
        pl.DataFrame(
            {"household": [7, 8, 9], "age": ["45-54", None, "65+"], "kids": ["2", "0", "1"], "spend": [10.5, None, 3]}
        ).write_parquet(path)
    else:
        path.write_bytes(gzip.compress(CSV.encode()) if name.endswith("gz") else CSV.encode())

    found = read_user_features(path, "user=household,age,children=kids,spend:number")

    assert found.rows() == [("7", "45-54", "2", 10.5), ("8", None, "0", None), ("9", "65+", "1", 3.0)]
    assert found.columns == ["user", "age", "children", "spend"]


@pytest.mark.parametrize(
    ("columns", "csv", "complaint"),
    [
        ("user=household,spend:number", CSV.replace("3\n", "much\n"), "line 4, column spend: expected a finite number"),
        (
            "user=household,age",
            CSV.replace("\n9", "\n7"),
            "line 4, column household: expected one row for each customer",
        ),
        ("user=household,age", CSV.replace("\n8", "\n"), "line 3, column household: expected the id of a customer"),
        ("user=household,town", CSV, "no column 'town'; the columns are household, age, kids, spend"),
        ("age,kids", CSV, "expected the column user and at least one feature"),
        ("user=household,age=", CSV, "expected name=column with every name once"),
        ("user=household,age,age=kids", CSV, "expected name=column with every name once"),
        ("", CSV, "expected the column user"),
    ],
)
def test_a_mistake_in_the_features_is_named_by_file_line_and_column(
    tmp_path: Path, columns: str, csv: str, complaint: str
) -> None:
    path = tmp_path / "users.csv"
    path.write_text(csv, encoding="utf-8")

    with pytest.raises(InvalidData) as caught:
        read_user_features(path, columns)

    assert complaint in str(caught.value)


def test_features_of_items_are_found_by_a_mapping_and_a_bad_price_is_named(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("sku,group,cost\ntea,drinks,2.5\ntea,other,9\n,drinks,1\njam,,\n", encoding="utf-8")

    found = read_item_features(path, "item=sku,category=group,price=cost")

    assert found.rows() == [("tea", "drinks", 2.5), ("jam", None, None)]
    with pytest.raises(InvalidData, match=r"items\.csv, line 2, column group: expected a finite number, got 'drinks'"):
        read_item_features(path, "item=sku,price=group")
    with pytest.raises(InvalidData, match="expected the column item and some of text, category, price"):
        read_item_features(path)


def test_features_follow_their_users_through_a_split(shop: Interactions) -> None:
    split = split_by_time(shop, 0.8)

    assert {case.user: case.history.features for case in split.cases()}.items() >= {
        "user 01": {"generation": "old", "years": 61.0, "all alike": "human"},
        "user 10": {},
    }.items()
    assert split.train.where(pl.col("user") == 1).user_features is not None


def test_groups_with_nothing_to_tell_are_left_out_and_the_others_say_who_buys_what(model: TwoStage) -> None:
    groups = {group.name: group for group in model.model.first.groups}

    assert set(groups) == {"generation", "years"}
    old, young, unknown = groups["generation"].lifts
    assert (old[1::2].min() > 1.1, old[::2].max() < 0.9) == (True, True)
    assert (young[::2].min() > 1.1, young[1::2].max() < 0.9) == (True, True)
    assert set(unknown.tolist()) == {1.0}


def test_a_new_customer_gets_what_sells_to_people_alike(model: TwoStage, exported: Export) -> None:
    old, young = History(features={"generation": "old", "years": 65}), History(features={"generation": "young"})

    native = model.recommend([old, young, History()], k=5)
    items, _ = ask(exported, history_feeds([old, young, History()], exported.signature) | {"k": np.array([5])})

    assert {int(item[-2:]) % 2 for item in native.items[0]} == {1}
    assert {int(item[-2:]) % 2 for item in native.items[1]} == {0}
    assert items.tolist() == native.items.tolist()


def test_the_export_is_equal_also_at_the_limits_of_the_groups(exported: Export) -> None:
    assert exported.certificate.flips == 0
    assert exported.certificate.max_rel_diff < 1e-5


def test_features_are_optional_inputs_that_may_be_left_out_unknown_or_nonsense(
    model: TwoStage, exported: Export
) -> None:
    specs = {spec.name: spec for spec in exported.signature.inputs}
    plain = History(("item 01", "item 03"), (3.0, 1.0))
    odd = [plain, History(plain.items, plain.ages, {"generation": 7, "years": "old"}),
           History(plain.items, plain.ages, {"generation": "ancient", "years": float("nan"), "else": "x"})]  # fmt: skip

    left_out = ask(exported, {"history": np.array([plain.items], object), "ages": np.array([plain.ages], np.float32)})
    items, scores = ask(exported, history_feeds(odd, exported.signature))

    assert (specs["user_generation"].datatype, specs["user_years"].datatype) == ("BYTES", "FP32")
    assert specs["user_generation"].is_optional
    assert specs["user_years"].is_optional
    assert exported.signature.metadata["allows_nan"] == '["user_years"]'
    for row in range(3):
        assert items[row].tolist() == left_out[0][0].tolist() == model.recommend(odd).items[row].tolist()
        assert scores[row].tolist() == left_out[1][0].tolist()


def test_one_row_of_a_feature_holds_for_every_customer(exported: Export) -> None:
    histories = [History(), History()]
    one = {"history": history_feeds(histories, exported.signature)["history"]}
    one["user_generation"] = np.array([["old"]], object)

    items, _ = ask(exported, one)

    assert items[0].tolist() == items[1].tolist()
    assert {int(item[-2:]) % 2 for item in items[0]} == {1}


def test_a_frame_without_a_user_or_with_a_huge_number_is_refused() -> None:
    with pytest.raises(InvalidData, match="expected the column user"):
        as_user_features(pl.DataFrame({"age": ["1"]}))
    with pytest.raises(InvalidData, match="line 2, column spend: expected a finite number, got '1e\\+300'"):
        as_user_features(pl.DataFrame({"user": ["a"], "spend": [1e300]}))
