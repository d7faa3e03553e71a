import polars as pl
import pytest

from recommender import Interactions, InvalidData, evaluate, split_as, split_by_user, split_last_basket
from recommender.evaluation import BASELINE

ROWS = {
    "user": ["a", "a", "a", "b", "b", "c"],
    "item": ["x", "y", "z", "x", "y", "x"],
    "time": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-01", "2024-01-04", "2024-01-05"],
}


@pytest.fixture
def shop() -> Interactions:
    return Interactions.from_frame(pl.DataFrame(ROWS))


def test_the_last_basket_is_left_out_where_there_is_another(shop: Interactions) -> None:
    split = split_last_basket(shop)

    assert split.train.histories() == {"a": ["x", "y"], "b": ["x"], "c": ["x"]}
    assert split.test.histories() == {"a": ["z"], "b": ["y"]}


def test_held_out_customers_are_unknown_to_training_and_keep_their_first_events(checkerboard: Interactions) -> None:
    split = split_by_user(checkerboard, 0.25)
    cases = split.cases()

    assert len(cases) == 10
    assert not {case.user for case in cases} & set(split.train.users.externals)
    assert all(case.history.items and case.relevant for case in cases)
    assert all(case.relevant.isdisjoint(case.history.items) for case in cases)


def test_a_fraction_splits_at_that_share_of_the_events(shop: Interactions) -> None:
    split = split_as(shop, "time:0.5")

    assert len(split.train) == 3
    assert max(split.train.events["time"]) < min(split.test.events["time"])


@pytest.mark.parametrize("text", ["time:soon", "users:many", "users:2", "users:2.5", "time:1.5", "thirds", ""])
def test_a_split_that_makes_no_sense_is_refused(shop: Interactions, text: str) -> None:
    with pytest.raises(InvalidData, match=r"split|share|fraction|expected"):
        split_as(shop, text)


def test_ages_of_a_case_end_at_the_split(shop: Interactions) -> None:
    case = split_as(shop, "time:2024-01-03").cases()[0]

    assert (case.user, case.history.items, case.history.ages) == ("a", ("x", "y"), (2.0, 1.0))
    assert case.relevant == {"z"}


def test_an_evaluation_reports_every_figure_and_always_the_baseline(checkerboard: Interactions) -> None:
    kinds = pl.DataFrame([{"item": f"item {n:02}", "category": f"kind {n % 2}"} for n in range(20)])

    found = evaluate(split_by_user(checkerboard, 0.25), ["ease", "popularity"], item_features=kinds)

    assert set(found.models) == {"ease", "popularity", BASELINE}
    ease = found.models["ease"]
    assert {
        "precision@10", "recall@10", "recall@20", "ndcg@10", "map@10", "mrr@10", "hit_rate@10", "ndcg@10_new",
        "recall@20_new", "ndcg@10_repeat", "ndcg@10_low", "ndcg@10_high", "ndcg@10_new_low", "coverage", "novelty",
        "diversity", "fit_seconds", "users_per_second", "size_bytes",
    } <= ease.keys()  # fmt: skip
    assert ease["ndcg@10_new"] > found.models["popularity"]["ndcg@10_new"]
    assert ease["ndcg@10_low"] <= ease["ndcg@10"] <= ease["ndcg@10_high"]
    assert 0 < ease["coverage"] <= 1


def test_an_unknown_model_is_refused_by_name(checkerboard: Interactions) -> None:
    with pytest.raises(InvalidData, match="got 'magic'"):
        evaluate(split_by_user(checkerboard, 0.25), ["magic"])


def test_what_cannot_learn_from_the_data_is_skipped_with_the_reason_and_the_rest_is_measured() -> None:
    shop = Interactions.from_frame(pl.DataFrame({"user": list("abab" * 3), "item": list("xxyyzzuuvvww")}))

    found = evaluate(split_by_user(shop, 0.5), ["two_stage", "similar_content", "popularity"])

    assert set(found.models) == {"popularity", BASELINE}
    assert "time" in found.skipped["two_stage"]
    assert found.to_json()["skipped"]["similar_content"] == "needs features of the items"


def test_items_that_nobody_bought_yet_count_for_the_content_model_and_free_ones_are_no_error(
    checkerboard: Interactions,
) -> None:
    items = [{"item": f"item {number:02}", "text": f"thing {number % 2}", "price": 0.0} for number in range(30)]

    found = evaluate(split_by_user(checkerboard, 0.25), ["similar_content"], item_features=pl.DataFrame(items))

    assert 0 < found.models["similar_content"]["coverage"] <= 1
    assert found.models["similar_content"]["novelty"] > 0


def test_nothing_new_and_nothing_again_count_as_zero() -> None:
    rows = {"user": ["a", "a", "a", "b"], "item": ["x", "y", "z", "x"], "time": ["2024-01-01"] * 2 + ["2024-02-01"] * 2}

    figures = evaluate(split_as(Interactions.from_frame(pl.DataFrame(rows)), "time:2024-01-15"), []).models[BASELINE]

    assert figures["ndcg@10_repeat"] == figures["ndcg@10_repeat_low"] == 0.0


@pytest.mark.parametrize("text", ["time:2030-01-01", "time:2020-01-01"])
def test_a_split_outside_the_data_says_where_they_lie(shop: Interactions, text: str) -> None:
    with pytest.raises(InvalidData, match="the data are from 2024-01-01 00:00:00 to 2024-01-05 00:00:00"):
        split_as(shop, text)


def test_a_split_with_a_time_zone_is_compared_in_utc(shop: Interactions) -> None:
    split = split_as(shop, "time:2024-01-03T01:00:00+01:00")

    assert split.now == split_as(shop, "time:2024-01-03").now
