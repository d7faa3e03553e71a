import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender import InvalidData, metrics
from recommender.ids import as_strings


def test_a_perfect_list_scores_one_by_every_metric() -> None:
    hits, relevant = metrics.find_hits(np.array([["a", "b"]], dtype=object), [{"a", "b"}])

    values = [
        metrics.precision(hits),
        metrics.recall(hits, relevant),
        metrics.hit_rate(hits),
        metrics.ndcg(hits, relevant),
        metrics.average_precision(hits, relevant),
        metrics.reciprocal_rank(hits),
    ]

    assert [float(value[0]) for value in values] == [1.0] * 6


def test_a_customer_without_relevant_items_is_refused() -> None:
    with pytest.raises(InvalidData, match="at least one relevant item"):
        metrics.find_hits(np.array([["a"]], dtype=object), [set()])


def test_an_empty_place_is_never_a_hit() -> None:
    hits, _ = metrics.find_hits(np.array([["", "a"]], dtype=object), [{"a"}])

    assert hits.tolist() == [[False, True]]


@given(st.lists(st.booleans(), min_size=2, max_size=12), st.integers(0, 10), st.data())
def test_moving_a_hit_up_never_lowers_a_metric(places: list[bool], more: int, data: st.DataObject) -> None:
    relevant = np.array([max(sum(places) + more, 1)])
    rank = data.draw(st.integers(1, len(places) - 1))
    better = list(places)
    if better[rank] and not better[rank - 1]:
        better[rank], better[rank - 1] = better[rank - 1], better[rank]

    for metric in (metrics.ndcg, metrics.average_precision):
        assert metric(np.array([better]), relevant)[0] >= metric(np.array([places]), relevant)[0] - 1e-12


def test_ids_that_look_alike_when_padded_are_told_apart() -> None:
    hits, _ = metrics.find_hits(as_strings(["a", "a "]).reshape(1, 2), [{"a "}])

    assert hits.tolist() == [[False, True]]
