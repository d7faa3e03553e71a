import dataclasses
from datetime import datetime, timedelta
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
    NotFitted,
    PersonalFrequency,
    TwoStage,
    export,
    histories_at,
)
from recommender.history import last_histories, pad_ages, pad_items
from recommender.ids import as_strings
from recommender.onnx_export.session import open_session

ITEMS = 60
FEATURES = pl.DataFrame(
    {
        "item": [f"item {number:02}" for number in range(ITEMS)],
        "category": [f"kind {number % 4}" for number in range(ITEMS)],
        "price": [1.0 + number / 10 for number in range(ITEMS)],
    }
)


@pytest.fixture(scope="module")
def shop() -> Interactions:
    """Half a year in which everybody buys again and again from one of four kinds, on days of their own."""
    rng = np.random.default_rng(0)
    start = datetime.fromisoformat("2024-01-01")
    rows = [
        {"user": f"user {user:02}", "item": f"item {item:02}", "time": start + timedelta(days=day)}
        for user in range(60)
        for day in range(int(rng.integers(0, 20)), 180, int(rng.integers(9, 25)))
        for item in rng.choice(np.arange(user % 4, ITEMS, 4), 4, replace=False).tolist()
    ]
    return Interactions.from_frame(pl.DataFrame(rows))


@pytest.fixture(scope="module")
def model(shop: Interactions) -> TwoStage:
    return TwoStage(retriever=ItemKnn(), candidates=30, trees=20, item_features=FEATURES).fit(shop)


@pytest.fixture(scope="module")
def exported(model: TwoStage, shop: Interactions) -> Export:
    return export(model, shop, adversarial_rows=300)


def ask(exported: Export, histories: list[History], **more: Any) -> dict[str, Any]:
    session = open_session(exported.onnx_bytes)
    feeds = {"history": pad_items(histories), "ages": pad_ages(histories), **more}
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def test_the_export_is_equal_on_real_and_odd_histories(exported: Export) -> None:
    assert exported.certificate.flips == 0
    assert exported.certificate.max_rel_diff < 1e-5


def test_items_scores_reasons_and_options_equal_the_native_ones(
    model: TwoStage, exported: Export, shop: Interactions
) -> None:
    histories = [*list(last_histories(shop).values())[:20], History(), History(("unknown",))]
    exclude = [["item 00", "item 05"]] * len(histories)

    native = model.recommend(histories, k=12, exclude=exclude, unavailable=["item 10"])
    found = ask(
        exported,
        histories,
        exclude=pad_items([History(("item 00", "item 05"))]),
        unavailable=as_strings(["item 10"]),
        k=np.array([12]),
    )

    np.testing.assert_allclose(found["scores"], native.scores, rtol=1e-5, atol=1e-6)
    assert found["items"].tolist() == native.items.tolist()
    assert found["reasons"].tolist() == native.reasons.tolist()


def test_customers_are_offered_their_own_kind(model: TwoStage, shop: Interactions) -> None:
    histories = last_histories(shop)

    found = model.recommend([histories["user 00"], histories["user 03"]], k=5)

    assert {int(item[-2:]) % 4 for item in found.items[0]} == {0}
    assert {int(item[-2:]) % 4 for item in found.items[1]} == {3}


def test_the_source_says_whether_an_item_comes_from_own_purchases_links_or_the_trend(
    exported: Export, shop: Interactions
) -> None:
    history = last_histories(shop)["user 01"]
    found = ask(exported, [history, History()], k=np.array([40]))

    bought = np.isin(found["items"][0], history.items)
    assert set(found["sources"][0][bought]) == {"again"}
    assert set(found["sources"][0][~bought]) <= {"similar", "trending"}
    assert set(found["sources"][1]) == {"trending"}
    assert set(found["reasons"][1]) == {""}


def test_the_reason_for_an_item_that_was_bought_before_is_another_one(exported: Export, shop: Interactions) -> None:
    history = last_histories(shop)["user 01"]
    found = ask(exported, [history], k=np.array([40]))

    again = found["sources"][0] == "again"
    assert again.any()
    assert not (found["items"][0] == found["reasons"][0]).any()
    assert set(found["reasons"][0][again]) & set(history.items)


def test_an_empty_history_gets_what_sells_now(model: TwoStage) -> None:
    trend = model.model.first.profile.trend
    best = int(np.argmax(trend))

    assert model.recommend([[]], k=1).items[0, 0] == f"item {best:02}"


def test_more_places_than_candidates_are_filled_from_the_whole_catalogue(model: TwoStage, exported: Export) -> None:
    native = model.recommend([["item 01"]], k=1000)
    found = ask(exported, [History(("item 01",))], k=np.array([1000]))

    assert sorted(native.items[0]) == sorted(found["items"][0]) == FEATURES["item"].to_list()


def test_what_happens_after_the_training_window_changes_nothing_in_it(shop: Interactions) -> None:
    cut = datetime.fromisoformat("2024-04-01")
    past = shop.where(pl.col("time") < cut)
    model = TwoStage(retriever=ItemKnn(), candidates=30)

    examples = [next(iter(model._examples(data, datetime.fromisoformat("2024-02-15")))) for data in (shop, past)]

    np.testing.assert_array_equal(examples[0][0], examples[1][0])
    np.testing.assert_array_equal(examples[0][1], examples[1][1])


def test_the_same_data_and_seed_give_the_same_bytes(shop: Interactions) -> None:
    digests = {
        export(TwoStage(retriever=ItemKnn(), trees=5).fit(shop), shop, adversarial_rows=10).digest for _ in range(2)
    }

    assert len(digests) == 1


def test_a_retriever_that_weighs_events_and_data_without_times_are_refused(shop: Interactions) -> None:
    with pytest.raises(InvalidData, match="PersonalFrequency weighs events"):
        TwoStage(retriever=PersonalFrequency()).fit(shop)
    with pytest.raises(InvalidData, match="time"):
        TwoStage().fit(Interactions.from_frame(pl.DataFrame({"user": ["a"], "item": ["b"]})))
    with pytest.raises(InvalidData, match="no customer of the last 90 days"):
        TwoStage().fit(shop.where(pl.col("time") < pl.col("time").min() + timedelta(days=1)))


def test_an_answer_before_fit_is_refused() -> None:
    with pytest.raises(NotFitted, match="TwoStage"):
        TwoStage().recommend([[]])


def test_ages_count_for_what_is_offered_again(model: TwoStage, shop: Interactions) -> None:
    history = histories_at(shop, datetime.fromisoformat("2024-07-01"))["user 02"]
    older = dataclasses.replace(history, ages=tuple(age + 500 for age in history.ages))

    assert model.recommend([history]).scores.tolist() != model.recommend([older]).scores.tolist()
