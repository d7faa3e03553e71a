"""What an order's features know: everything before it, and nothing at or after it."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from inferhub.starters.samples.dataset import ORDER_SCHEMA, ORDER_TARGET, describe_orders

START = datetime(2025, 3, 7, 17, 30, tzinfo=UTC)  # a Friday
HISTORY = ["previous_orders", "days_since_last", "average_value", "last_value"]


def orders(*rows: tuple[str, float, float]) -> pl.DataFrame:
    """Orders O0, O1, ... from (customer, days after START, value)."""
    return pl.DataFrame(
        {
            "order_id": [f"O{number}" for number in range(len(rows))],
            "user_id": [user for user, _, _ in rows],
            "region": ["Coast"] * len(rows),
            "occurred_at": [START + timedelta(days=day) for _, day, _ in rows],
            "placed_value": [float(value) for *_, value in rows],
            "order_value": [float(value) for *_, value in rows],
        }
    )


def history(described: pl.DataFrame) -> dict[str, tuple[float | None, ...]]:
    return {row[0]: row[1:] for row in described.select("order_id", *HISTORY).iter_rows()}


def test_a_first_order_has_no_history() -> None:
    assert history(describe_orders(orders(("Ann", 0, 10)))) == {"O0": (0, None, None, None)}


def test_later_orders_know_the_number_pause_average_and_last_value() -> None:
    described = describe_orders(orders(("Ann", 0, 10), ("Ann", 2, 30), ("Bob", 3, 99), ("Ann", 2.5, 70)))
    assert history(described) == {
        "O0": (0, None, None, None),
        "O1": (1, 2.0, 10, 10),
        "O3": (2, 0.5, 20, 30),
        "O2": (0, None, None, None),
    }


def test_orders_at_the_same_time_do_not_know_each_other() -> None:
    described = describe_orders(orders(("Ann", 0, 10), ("Ann", 1, 30), ("Ann", 1, 50), ("Ann", 2, 1)))
    assert history(described)["O1"] == history(described)["O2"] == (1, 1.0, 10, 10)
    assert history(described)["O3"] == (3, 1.0, 30, 40)


def test_the_weekday_is_a_name_and_the_hour_a_number() -> None:
    row = describe_orders(orders(("Ann", 0, 10))).row(0, named=True)
    assert (row["weekday"], row["hour"], row["region"]) == ("Friday", 17, "Coast")


def test_history_is_what_was_placed_and_the_target_what_is_left_of_it() -> None:
    cancelled = orders(("Ann", 0, 10), ("Ann", 1, 30)).with_columns(order_value=pl.Series([4.0, 30.0]))
    described = describe_orders(cancelled)
    assert history(described)["O1"] == (1, 1.0, 10, 10)
    assert described[ORDER_TARGET].to_list() == [4.0, 30.0]


rows = st.lists(
    st.tuples(
        st.sampled_from(["Ann", "Bob"]), st.integers(0, 9), st.integers(1, 10_000).map(lambda cents: cents / 100)
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=50)
@given(rows, rows, st.integers(0, 9))
def test_no_order_changes_the_features_of_one_before_it(
    some: list[tuple[str, int, float]], others: list[tuple[str, int, float]], now: int
) -> None:
    """Whatever happens from day `now` on, the features of the orders up to and on that day stay."""
    past = [row for row in some if row[1] < now]
    futures = [[row for row in rows if row[1] >= now] for rows in (some, others, [])]
    seen = [describe_orders(orders(*past, ("Ann", now, 5.0), *future)) for future in futures]
    numbers = [f"O{number}" for number in range(len(past) + 1)]
    features = [frame.filter(pl.col("order_id").is_in(numbers)).drop(ORDER_TARGET).sort("order_id") for frame in seen]
    assert_frame_equal(features[0], features[1], check_exact=True)
    assert_frame_equal(features[0], features[2], check_exact=True)


@settings(deadline=None, max_examples=50)
@given(rows, st.integers(0, 11), st.integers(1, 1000))
def test_no_order_value_shows_in_its_own_features(
    some: list[tuple[str, int, float]], which: int, other_value: int
) -> None:
    changed = which % len(some)
    user, day, _ = some[changed]
    others = [*some[:changed], (user, day, float(other_value)), *some[changed + 1 :]]
    before, after = (history(describe_orders(orders(*each)))[f"O{changed}"] for each in (some, others))
    assert before == after


@settings(deadline=None, max_examples=50)
@given(rows, st.integers(0, 1000))
def test_the_order_of_the_rows_does_not_matter(some: list[tuple[str, int, float]], seed: int) -> None:
    frame = orders(*some)
    shuffled = frame.sample(fraction=1, shuffle=True, seed=seed)
    assert_frame_equal(describe_orders(frame), describe_orders(shuffled), check_exact=True)


def test_the_result_has_the_declared_columns_and_is_sorted_by_time() -> None:
    described = describe_orders(orders(("Ann", 5, 1), ("Bob", 2, 1)))
    assert dict(described.schema) == dict(pl.Schema(ORDER_SCHEMA))
    assert described["occurred_at"].is_sorted()
