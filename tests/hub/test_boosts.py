"""Boosts: rules that move recommended items."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferhub.catalog.services import save_items
from inferhub.errors import InvalidInput
from inferhub.jobs.bulk import run_job, start_bulk_job
from inferhub.recommendations.boosts import Boost, _reorder
from inferhub.recommendations.queries import find_stored
from inferhub.recommendations.services import save_scenario
from inferhub.rulesets.services import save_rule_set
from tests.hub_fixtures import ACTOR, Api

# The fixed recommender gives a, b, c, d, e to everybody, in this order.
ITEMS = [
    ("a", "Ale", "drinks", 9.0),
    ("b", "Bread", "food", 2.0),
    ("c", "Cola", "drinks", 1.0),
    ("d", "Dip", "food", None),
]


def boosts(
    *rows: list[str], field: str = "item.category", kind: str = "string", output: str = "factor"
) -> dict[str, Any]:
    return {
        "hit_policy": "first",
        "inputs": [{"field": field, "type": kind}],
        "outputs": [{"field": output, "type": "number"}],
        "rules": [{"when": [when], "then": [then], "note": note} for when, then, note in [*rows, ["", "1", "others"]]],
    }


@pytest.fixture
def shop(scenario: str) -> str:
    save_items(ITEMS, actor=ACTOR)
    return scenario


def recommended(api: Api, shop: str, definition: dict[str, Any], *, k: int = 5) -> list[dict[str, Any]]:
    save_rule_set(name="campaign", definition=definition, actor=ACTOR, approval="direct")
    save_scenario(name=shop, model="items", k=3, boosts="campaign", actor=ACTOR)
    items: list[dict[str, Any]] = api.post(f"scenarios/{shop}/recommendations", {"user_id": "ann", "k": k}).json()[
        "items"
    ]
    return items


def order(items: list[dict[str, Any]]) -> str:
    return "".join(item["item_id"] for item in items)


def test_a_factor_of_three_lifts_the_third_above_the_second_and_says_why(api: Api, shop: str) -> None:
    items = recommended(api, shop, boosts(['"drinks"', "3", "drinks first"]))
    assert order(items) == "acbde"
    assert [item.get("boost") for item in items[:3]] == [{"factor": 3, "rule": "drinks first"}] * 2 + [None]


def test_a_factor_of_zero_takes_items_off_and_others_move_up(api: Api, shop: str) -> None:
    assert order(recommended(api, shop, boosts(['"drinks"', "0", "dry week"]), k=2)) == "bd"


def test_an_item_that_the_rules_cannot_judge_keeps_its_place_and_says_so(api: Api, shop: str) -> None:
    items = recommended(api, shop, boosts(["< 5", "1", "cheap"], field="item.price", kind="number"))
    assert order(items) == "abcde"
    problems = {item["item_id"]: item["boost"]["problem"] for item in items if "boost" in item}
    assert problems.keys() == {"d", "e"}  # d has no price, e is not in the catalogue
    assert "/item/price: expected a finite number" in problems["d"]


def test_a_factor_below_zero_moves_nothing_and_is_named(api: Api, shop: str) -> None:
    items = recommended(api, shop, boosts(['"food"', "-2", "odd"]))
    assert order(items) == "abcde"
    assert "factor of 0 or more" in items[1]["boost"]["problem"]


def test_a_bulk_job_stores_what_is_recommended_now(api: Api, shop: str) -> None:
    items = recommended(api, shop, boosts(['"food"', "5", "food first"]), k=3)
    run_job(start_bulk_job(scenario=shop, actor=ACTOR).pk)
    assert "".join(find_stored(shop, "ben").items) == order(items) == "bda"


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (boosts(output="weight"), "a number named factor"),
        (boosts(field="input.total", kind="number"), "that looks at item.item_id"),
        (boosts() | {"hit_policy": "collect"}, "hit policy first or unique"),
    ],
)
def test_rules_that_cannot_serve_as_boosts_are_refused(shop: str, definition: dict[str, Any], expected: str) -> None:
    save_rule_set(name="other", definition=definition, actor=ACTOR, approval="direct")
    with pytest.raises(InvalidInput, match=expected) as refused:
        save_scenario(name=shop, model="items", boosts="other", actor=ACTOR)
    assert [error.pointer for error in refused.value.errors] == ["/boosts"]


def test_boosts_that_are_not_there_are_refused(shop: str) -> None:
    with pytest.raises(InvalidInput, match="the name of a rule set"):
        save_scenario(name=shop, model="items", boosts="nope", actor=ACTOR)


@given(st.lists(st.sampled_from([0, 0.5, 1, 2, 10]), max_size=20))
def test_boosts_lose_nothing_but_what_they_hide_and_keep_the_order_of_equals(factors: list[float]) -> None:
    entries = [{"item_id": str(place)} for place in range(len(factors))]
    moved = [int(e["item_id"]) for e in _reorder(entries, {str(p): Boost(factor=f) for p, f in enumerate(factors)})]
    assert sorted(moved) == [place for place, factor in enumerate(factors) if factor > 0]
    for factor in set(factors):
        same = [place for place in moved if factors[place] == factor]
        assert same == sorted(same)


def in_sequence(field: str = "item.category") -> dict[str, Any]:
    first = boosts(['"drinks"', "1", "drinks"], field=field, output="points")
    last = boosts(["1", "3", "drinks first"], field="kind.points", kind="number")
    return {"tables": [first | {"name": "kind"}, last | {"name": "factor"}]}


def test_the_last_of_several_tables_sees_what_the_earlier_ones_say(api: Api, shop: str) -> None:
    definition = in_sequence()
    definition["tables"][0]["rules"][1]["then"] = ["0"]
    assert order(recommended(api, shop, definition)) == "acbde"


def test_earlier_tables_look_at_items_only_too(api: Api, shop: str) -> None:
    with pytest.raises(InvalidInput, match=r"input\.country"):
        recommended(api, shop, in_sequence("input.country"))


def test_boosts_may_ask_for_the_time(api: Api, shop: str) -> None:
    assert order(recommended(api, shop, boosts([">= 0", "2", "always"], field="time.hour", kind="number"))) == "abcde"
