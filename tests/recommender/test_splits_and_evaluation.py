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
    features = pl.DataFrame(
        [(f"item {n:02}", f"kind {n % 2}") for n in range(20)], schema=["item", "category"], orient="row"
    )

    found = evaluate(split_by_user(checkerboard, 0.25), ["ease", "popularity"], item_features=pl.DataFrame(kinds))

    assert set(found.models) == {"ease", "popularity", BASELINE}
    ease = found.models["ease"]
    assert {
        "precision@10", "recall@10", "recall@20", "ndcg@10", "map@10", "mrr@10", "hit_rate@10", "ndcg@10_new",
        "recall@20_new", "ndcg@10_repeat", "ndcg@10_low", "ndcg@10_high", "coverage", "novelty", "diversity",
        "fit_seconds", "users_per_second",
    } <= ease.keys()  # fmt: skip
    assert ease["ndcg@10_new"] > found.models["popularity"]["ndcg@10_new"]
    assert ease["ndcg@10_low"] <= ease["ndcg@10"] <= ease["ndcg@10_high"]
    assert 0 < ease["coverage"] <= 1


def test_an_unknown_model_is_refused_by_name(checkerboard: Interactions) -> None:
    with pytest.raises(InvalidData, match="got 'magic'"):
        evaluate(split_by_user(checkerboard, 0.25), ["magic"])
