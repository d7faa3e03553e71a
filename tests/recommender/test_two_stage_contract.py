"""The promise of the exported two-stage graph: always k items when the catalogue has them, whatever comes in."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender import History, Interactions, ItemKnn, TwoStage, export, history_feeds
from recommender.ids import as_strings
from recommender.onnx_export.session import open_session

ITEMS = 30
CATALOGUE = [f"item {number:02}" for number in range(ITEMS)]
IDS = st.one_of(
    st.sampled_from(CATALOGUE), st.sampled_from(["", " ", "no such item", "ITEM 01", "item 01 ", "\0", "ä"])
)
AGES = st.floats(width=32, allow_nan=True, allow_infinity=True)
EVENTS = st.lists(st.tuples(IDS, AGES), max_size=25)


class Shop:
    """The same model twice: `native`, and the exported graph behind `ask`."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        start = datetime.fromisoformat("2024-01-01")
        rows = [
            {"user": f"user {user:02}", "item": CATALOGUE[item], "time": start + timedelta(days=day)}
            for user in range(50)
            for day in range(int(rng.integers(0, 20)), 180, int(rng.integers(9, 25)))
            for item in rng.choice(np.arange(user % 3, ITEMS, 3), 3, replace=False).tolist()
        ]
        users = pl.DataFrame({"user": [f"user {n:02}" for n in range(50)], "third": [str(n % 3) for n in range(50)]})
        items = pl.DataFrame({"item": CATALOGUE, "category": [str(number % 3) for number in range(ITEMS)]})
        data = Interactions.from_frame(pl.DataFrame(rows)).with_user_features(users)
        self.native = TwoStage(retriever=ItemKnn(), candidates=8, trees=10, item_features=items).fit(data)
        exported = export(self.native, data, adversarial_rows=300)
        self._signature, self._session = exported.signature, open_session(exported.onnx_bytes)

    def ask(self, histories: list[History], **options: Any) -> dict[str, Any]:
        return self.ask_raw(history_feeds(histories, self._signature) | options)

    def ask_raw(self, feeds: dict[str, Any]) -> dict[str, Any]:
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, feeds), strict=True))


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


def history_of(events: list[tuple[str, float]], third: str) -> History:
    items, ages = zip(*events, strict=True) if events else ((), ())
    return History(items, ages, {"third": third})


@settings(max_examples=150, deadline=None)
@given(
    customers=st.lists(st.tuples(EVENTS, st.sampled_from(["0", "1", "", "unheard of"])), min_size=1, max_size=4),
    k=st.integers(0, ITEMS + 20),
    barred=st.lists(IDS, max_size=40),
    unavailable=st.lists(IDS, max_size=40),
)
def test_every_customer_gets_k_different_allowed_items_as_long_as_there_are_any(
    shop: Shop,
    customers: list[tuple[list[tuple[str, float]], str]],
    k: int,
    barred: list[str],
    unavailable: list[str],
) -> None:
    histories = [history_of(events, third) for events, third in customers]
    options = {
        "exclude": as_strings(barred or [""])[np.newaxis],
        "unavailable": as_strings(unavailable or [""]),
        "k": np.array([k]),
    }
    found = shop.ask(histories, **options)

    allowed = set(CATALOGUE) - set(barred) - set(unavailable)
    given_items = min(k, len(allowed))
    for row, history in enumerate(histories):
        items, scores = found["items"][row].tolist(), found["scores"][row]
        assert len(items) == min(k, ITEMS)
        assert len(set(items[:given_items])) == given_items
        assert set(items[:given_items]) <= allowed
        assert set(items[given_items:]) <= {""}
        assert np.isfinite(scores).all()
        assert (np.diff(scores[:given_items]) <= 0).all()
        assert set(found["reasons"][row]) <= {*history.items, ""}
        assert set(found["sources"][row]) <= {"again", "similar", "trending", ""}
    if k:
        native = shop.native.recommend(histories, k=k, exclude=[barred] * len(histories), unavailable=unavailable)
        np.testing.assert_allclose(found["scores"], native.scores, rtol=1e-5, atol=1e-6)
        assert found["items"].tolist() == native.items.tolist()
        assert found["reasons"].tolist() == native.reasons.tolist()


def test_nothing_known_of_a_customer_gives_the_trend(shop: Shop) -> None:
    for history in ([[""]], [["no such item", ""]], np.empty((1, 0), object)):
        found = shop.ask_raw({"history": np.array(history, object)})

        assert set(found["sources"][0]) == {"trending"}
        assert "" not in found["items"][0]


def test_everything_unavailable_leaves_empty_places(shop: Shop) -> None:
    found = shop.ask_raw({"history": np.array([["item 01"]], object), "unavailable": as_strings(CATALOGUE)})

    assert set(found["items"][0]) == set(found["reasons"][0]) == set(found["sources"][0]) == {""}
    assert found["scores"].tolist() == [[0.0] * 10]


def test_no_customers_and_a_history_of_ten_thousand_events_are_answered(shop: Shop) -> None:
    rng = np.random.default_rng(0)
    events = tuple(CATALOGUE[place] for place in rng.integers(0, ITEMS, 10_000))
    long = History(events, tuple(rng.random(10_000).tolist()))

    found = shop.ask([long])

    assert shop.ask_raw({"history": np.empty((0, 3), object)})["items"].shape == (0, 10)
    assert found["items"].tolist() == shop.native.recommend([long]).items.tolist()


def test_one_call_gives_4096_customers_what_each_gets_alone(shop: Shop) -> None:
    rng = np.random.default_rng(0)
    histories = [
        History(tuple(CATALOGUE[place] for place in rng.integers(0, ITEMS, rng.integers(0, 9)))) for _ in range(4096)
    ]

    together = shop.ask(histories)

    for row in (0, 1, 2047, 4095):
        alone = shop.ask([histories[row]])
        assert together["items"][row].tolist() == alone["items"][0].tolist()
        assert together["sources"][row].tolist() == alone["sources"][0].tolist()


@pytest.mark.parametrize("k", [-1, -100])
def test_a_negative_k_gives_no_places(shop: Shop, k: int) -> None:
    assert shop.ask_raw({"history": np.array([["item 01"]], object), "k": np.array([k])})["items"].shape == (1, 0)


def test_an_age_that_is_no_number_counts_as_unknown_also_in_the_graph(shop: Shop) -> None:
    events = np.array([["item 01", "item 04"]], object)

    odd, new = (
        shop.ask_raw({"history": events, "ages": np.array([ages], np.float32)}) for ages in ([np.nan, 1], [0, 1])
    )

    assert odd["items"].tolist() == new["items"].tolist()
    assert odd["scores"].tolist() == new["scores"].tolist()
