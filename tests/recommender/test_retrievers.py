"""One contract for every retriever, on a shop whose right answers are known."""

import math

import polars as pl
import pytest

from recommender import (
    BoughtTogether,
    Ease,
    History,
    ImplicitAls,
    Interactions,
    InvalidData,
    ItemKnn,
    NextItem,
    NotFitted,
    PersonalFrequency,
    Popularity,
    RecentPopularity,
    Retriever,
    SimilarContent,
)

FEATURES = pl.DataFrame(
    {
        "item": [f"item {number:02}" for number in range(20)],
        "text": [("even thing", "odd object")[number % 2] for number in range(20)],
        "category": [("even", "odd")[number % 2] for number in range(20)],
        "price": [float(1 + number % 2) for number in range(20)],
    }
)
PERSONAL: list[Retriever] = [
    Ease(l2=10.0),
    Ease(l2=10.0, neighbours=5),
    ItemKnn(),
    ItemKnn(similarity="tfidf"),
    ItemKnn(similarity="bm25"),
    ImplicitAls(factors=4, l2=1.0),
    NextItem(),
    BoughtTogether(l2=10.0),
    BoughtTogether(measure="confidence"),
    BoughtTogether(measure="lift"),
    BoughtTogether(measure="llr"),
    SimilarContent(FEATURES),
]
ALL: list[Retriever] = [*PERSONAL, PersonalFrequency(), Popularity()]
BY_EVENTS = (NextItem, PersonalFrequency)  # in these a repeated event counts again


def name_of(model: Retriever) -> str:
    return f"{type(model).__name__}-{getattr(model, 'similarity', getattr(model, 'measure', ''))}"


@pytest.mark.parametrize("model", PERSONAL, ids=name_of)
def test_customers_get_items_of_their_own_kind(model: Retriever, checkerboard: Interactions) -> None:
    model.fit(checkerboard)

    found = model.recommend([["item 00", "item 04"], ["item 01", "item 05"]], k=5)

    assert {int(item[-2:]) % 2 for item in found.items[0]} == {0}
    assert {int(item[-2:]) % 2 for item in found.items[1]} == {1}


@pytest.mark.parametrize("model", PERSONAL, ids=name_of)
def test_the_reason_is_another_item_of_the_history(model: Retriever, checkerboard: Interactions) -> None:
    found = model.fit(checkerboard).recommend([["item 00", "item 04", "unknown"]], k=3)

    assert set(found.reasons[0]) <= {"item 00", "item 04", ""}
    assert set(found.reasons[0]) & {"item 00", "item 04"}
    assert not (found.reasons == found.items).any()


@pytest.mark.parametrize("model", ALL, ids=name_of)
def test_an_empty_history_and_one_of_unknown_items_get_the_popular_items(
    model: Retriever, checkerboard: Interactions
) -> None:
    expected = Popularity().fit(checkerboard).recommend([[]], k=4).items.tolist()

    found = model.fit(checkerboard).recommend([[], ["unknown", ""]], k=4)

    assert found.items.tolist() == expected * 2
    assert set(found.reasons.ravel()) == {""}


@pytest.mark.parametrize("model", [model for model in ALL if not isinstance(model, BY_EVENTS)], ids=name_of)
def test_repeating_an_item_changes_nothing(model: Retriever, checkerboard: Interactions) -> None:
    model.fit(checkerboard)

    once, often = model.recommend([["item 03"]]), model.recommend([["item 03"] * 4])

    assert once.items.tolist() == often.items.tolist()
    assert once.scores.tolist() == often.scores.tolist()


@pytest.mark.parametrize("model", ALL, ids=name_of)
def test_excluded_and_unavailable_items_never_appear(model: Retriever, checkerboard: Interactions) -> None:
    found = model.fit(checkerboard).recommend(
        [["item 02"], ["item 02"]], k=20, exclude=[["item 04"], []], unavailable=["item 06"]
    )

    assert "item 04" not in found.items[0]
    assert "item 04" in found.items[1]
    assert "item 06" not in found.items
    assert found.items[0, -2:].tolist() == ["", ""]
    assert found.scores[0, -2:].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("model", ALL, ids=name_of)
def test_k_is_cut_to_the_catalogue_and_fills_every_place(model: Retriever, checkerboard: Interactions) -> None:
    found = model.fit(checkerboard).recommend([["item 02"]], k=1000)

    assert sorted(found.items[0]) == list(checkerboard.items.externals)


@pytest.mark.parametrize("model", [Ease(), Popularity()], ids=name_of)
def test_an_answer_before_fit_is_refused(model: Retriever) -> None:
    with pytest.raises(NotFitted, match=type(model).__name__):
        model.recommend([[]])


def test_k_below_one_and_a_wrong_number_of_exclude_rows_are_refused(checkerboard: Interactions) -> None:
    model = Popularity().fit(checkerboard)

    with pytest.raises(InvalidData, match="k: expected"):
        model.recommend([[]], k=0)
    with pytest.raises(InvalidData, match="exclude: expected 1 rows"):
        model.recommend([[]], exclude=[[], []])


def test_pruned_ease_keeps_the_weights_of_largest_size(checkerboard: Interactions) -> None:
    model = Ease(l2=10.0, neighbours=3, repeat_weight=0.0)
    dense = model.weights(checkerboard.matrix())

    pruned = model.fit(checkerboard).table.matrix.toarray()

    for row, kept in zip(abs(dense), abs(pruned), strict=True):
        assert kept[kept > 0].min() >= sorted(row)[-3] - 1e-6
        assert (kept > 0).sum() == 3


def test_a_repeat_weight_makes_items_speak_for_themselves(checkerboard: Interactions) -> None:
    found = Ease(l2=10.0, repeat_weight=5.0).fit(checkerboard).recommend([["item 07"]], k=1)

    assert (found.items[0, 0], found.reasons[0, 0]) == ("item 07", "")


def test_the_reason_for_an_item_that_was_bought_before_is_another_one(checkerboard: Interactions) -> None:
    found = Ease(l2=10.0, repeat_weight=5.0).fit(checkerboard).recommend([["item 01", "item 07"]], k=2)

    assert dict(zip(found.items[0].tolist(), found.reasons[0].tolist(), strict=True)) == {
        "item 01": "item 07",
        "item 07": "item 01",
    }


def test_ease_of_the_popular_head_leaves_the_other_items_to_themselves(checkerboard: Interactions) -> None:
    model = Ease(l2=10.0, most_items=6, repeat_weight=0.5).fit(checkerboard)

    matrix = model.table.matrix.toarray()

    assert ((matrix != 0).sum(axis=1) == 1).sum() == 14
    assert (matrix.diagonal() == 0.5).all()


def test_personal_frequency_prefers_the_frequent_and_the_recent(checkerboard: Interactions) -> None:
    model = PersonalFrequency(decay_days=30.0).fit(checkerboard)

    often = model.recommend([History(("item 01", "item 02", "item 02"), (5.0, 5.0, 5.0))], k=1)
    lately = model.recommend([History(("item 01", "item 02"), (300.0, 1.0))], k=1)

    assert often.items[0, 0] == lately.items[0, 0] == "item 02"


def test_the_next_item_follows_the_order_of_the_history() -> None:
    rows = {"user": list("aaabbbccc"), "item": ["x", "y", "z"] * 3}
    model = NextItem().fit(Interactions.from_frame(pl.DataFrame(rows)))

    assert model.recommend([["x"]], k=1).items[0, 0] == "y"
    assert model.recommend([["x", "y"]], k=1).items[0, 0] == "z"


def test_an_item_that_nobody_bought_is_found_by_its_content(checkerboard: Interactions) -> None:
    features = pl.concat(
        [FEATURES, pl.DataFrame({"item": ["new"], "text": ["odd object"], "category": ["odd"], "price": [2.0]})]
    )

    found = SimilarContent(features).fit(checkerboard).recommend([["item 01"]], k=11)

    assert "new" in found.items[0]


def test_recent_popularity_forgets(checkerboard: Interactions) -> None:
    rows = {"user": ["a", "b", "c"], "item": ["old", "old", "new"], "time": ["2024-01-01", "2024-01-01", "2024-03-01"]}
    shop = Interactions.from_frame(pl.DataFrame(rows))

    assert RecentPopularity(half_life_days=7).fit(shop).recommend([[]], k=1).items[0, 0] == "new"
    assert RecentPopularity(half_life_days=7000).fit(shop).recommend([[]], k=1).items[0, 0] == "old"


def test_the_log_likelihood_ratio_is_that_of_the_paper() -> None:
    baskets = [{"x", "y"}] * 10 + [{"x"}] * 5 + [{"y"}] * 4 + [{"z"}] * 81
    rows = [(str(number), item) for number, basket in enumerate(baskets) for item in basket]
    shop = Interactions.from_frame(pl.DataFrame(rows, schema=["user", "item"], orient="row"))
    expected = 2 * sum(
        cell * math.log(cell * 100 / (row * column))
        for cell, row, column in ((10, 15, 14), (5, 15, 86), (4, 85, 14), (81, 85, 86))
    )

    model = BoughtTogether(measure="llr").fit(shop)

    assert model.recommend([["x"]], k=1).scores[0, 0] == pytest.approx(expected, rel=1e-5)
