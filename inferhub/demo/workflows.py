"""The two workflows of the demo: screening orders, and filtering a shop's mailbox."""

from typing import Any

import polars as pl

from inferhub.starters.catalogue import spam
from inferhub.starters.samples.dataset import ORDER_CATEGORIES, ORDER_NUMBERS, Dataset

SCREENING, MESSAGES = "order-screening", "message-filter"
ENDPOINT = "shop"
_TITLES = {
    "order_id": "Order",
    "customer_id": "Customer",
    "region": "Region",
    "weekday": "Day of the week",
    "hour": "Hour of the day",
    "previous_orders": "Orders before",
    "days_since_last": "Days since the last order",
    "average_value": "Average of the orders before",
    "last_value": "Last order",
}

Document = dict[str, Any]


def screening_rules(data: Dataset) -> dict[str, Any]:
    """Large orders go to a person, promising customers first into the warehouse; the limits come from past orders."""
    large, huge, promising = _limits(data)
    return {
        "hit_policy": "first",
        "inputs": [
            {"field": "input.total", "type": "number", "label": "Order total"},
            {"field": "input.previous_orders", "type": "number", "label": "Orders before"},
            {"field": "prediction.order_value.value", "type": "number", "label": "Expected order value"},
        ],
        "outputs": [
            {"field": "outcome", "type": "string", "label": "Outcome"},
            {"field": "lane", "type": "string", "label": "Lane"},
        ],
        "rules": [
            {"when": [f"> {large}", "< 1", ""], "then": ['"review"', '"hold"'], "note": "a large first order"},
            {"when": [f"> {huge}", "", ""], "then": ['"review"', '"hold"'], "note": "larger than 99 of 100 orders"},
            {"when": ["", "", f">= {promising}"], "then": ['"accept"', '"fast"'], "note": "a customer who buys much"},
            {"when": ["", "", ""], "then": ['"accept"', '"normal"'], "note": "all others"},
        ],
    }


def screening_tests(data: Dataset) -> list[Document]:
    """What must come out at and beside each limit, whatever the model says."""
    large, huge, promising = _limits(data)

    def case(name: str, total: float, previous_orders: int, value: float | None, **expect: Any) -> Document:
        order = order_input(data, total=total, is_first=previous_orders == 0) | {"previous_orders": previous_orders}
        said = None if value is None else {"value": value}
        return {"name": name, "input": order, "predictions": {"order_value": said}, "expect": expect}

    held: Document = {"outcome": "review", "outputs": {"lane": "hold"}, "actions": ["review"]}
    shipped: Document = {"outcome": "accept", "actions": ["webhook"]}
    normal, fast = ({**shipped, "outputs": {"lane": lane}} for lane in ("normal", "fast"))
    return [
        case("A large first order goes to a person", large + 1, 0, 0, **held, rule="a large first order"),
        case("A first order of just the limit ships", large, 0, 0, **normal),
        case("The same order of a known customer ships", large + 1, 5, 0, **normal),
        case("A huge order goes to a person, whoever orders", huge + 1, 50, promising, **held),
        case("Who buys much is packed first", 20, 5, promising, **fast),
        case("Who buys less waits in line", 20, 5, promising - 1, **normal),
        case("Where the model fails a person looks", 20, 5, None, outcome="review", actions=["review"]),
    ]


def screening_workflow(data: Dataset) -> dict[str, Any]:
    categories = {name: _text(name) for name in ORDER_CATEGORIES}
    numbers: Document = {name: {"title": _TITLES[name], "type": ["number", "null"]} for name in ORDER_NUMBERS}
    numbers["previous_orders"] = {"title": _TITLES["previous_orders"], "type": "number", "minimum": 0}
    return {
        "input": {
            "type": "object",
            "properties": {
                "order_id": _text("order_id") | {"minLength": 1},
                "customer_id": _text("customer_id") | {"minLength": 1},
                "total": {"title": "Order total", "type": "number", "minimum": 0},
                **categories,
                **numbers,
            },
            "required": ["order_id", "customer_id", "total", *categories, *numbers],
            "examples": [order_input(data, total=42.5, is_first=False)],
        },
        "subject": "customer_id",
        "predictions": [
            {
                "name": "order_value",
                "model": "order-value",
                "inputs": {name: name for name in (*ORDER_CATEGORIES, *ORDER_NUMBERS)},
            }
        ],
        "rule_set": SCREENING,
        "actions": {
            "accept": [{"kind": "webhook", "endpoint": ENDPOINT}],
            "decline": [{"kind": "webhook", "endpoint": ENDPOINT}],
            "review": [
                {
                    "kind": "review",
                    "title": "Look at this order before it ships",
                    "approve": "accept",
                    "reject": "decline",
                    "due_in_hours": 4,
                    "priority": "high",
                }
            ],
        },
    }


def message_rules() -> dict[str, Any]:
    return spam.STARTER.rules


def message_workflow() -> dict[str, Any]:
    """The spam filter of the starter, and the shop is told what was blocked."""
    definition = spam.STARTER.workflow_named(MESSAGES, model="spam")
    return definition | {"actions": definition["actions"] | {"block": [{"kind": "webhook", "endpoint": ENDPOINT}]}}


def message_tests() -> list[Document]:
    """Those of the starter that hold for any model; what is blocked is told to the shop."""
    told = {"block": {"actions": ["webhook"]}}
    return [
        case | {"expect": case["expect"] | told.get(case["expect"]["outcome"], {})}
        for case in spam.STARTER.tests
        if "predictions" in case
    ]


def order_input(data: Dataset, *, total: float, is_first: bool) -> dict[str, Any]:
    """An order as a shop would send it, made from the latest order of the data."""
    orders = data.orders.filter((pl.col("previous_orders") == 0) == is_first)
    order = orders.row(-1, named=True)
    features = {name: order[name] for name in (*ORDER_CATEGORIES, *ORDER_NUMBERS)}
    return {"order_id": f"demo-{order['order_id']}", "customer_id": order["user_id"], "total": total} | features


def _text(name: str) -> Document:
    return {"title": _TITLES[name], "type": "string", "maxLength": 100}


def _limits(data: Dataset) -> tuple[int, int, int]:
    """What counts as a large order, as a huge one, and as that of a customer who buys much."""
    values = data.orders["order_value"]
    large, huge, promising = (_round(values.quantile(part) or 0) for part in (0.95, 0.99, 0.75))
    return large, huge, promising


def _round(value: float) -> int:
    """Two digits that a person would write: 1234.5 becomes 1200."""
    return round(round(value), min(2 - len(str(int(value))), 0))
