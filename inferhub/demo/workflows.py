"""The two workflows of the demo: screening orders, and filtering a shop's mailbox."""

from typing import Any

import polars as pl

from inferhub.starters.catalogue import spam
from inferhub.starters.samples.dataset import ORDER_CATEGORIES, ORDER_NUMBERS, Dataset

SCREENING, MESSAGES = "order-screening", "message-filter"
ENDPOINT = "shop"
_MAYBE_NUMBER = {"type": ["number", "null"]}


def screening_rules(data: Dataset) -> dict[str, Any]:
    """Large orders go to a person, promising customers first into the warehouse; the limits come from past orders."""
    values = data.orders["order_value"]
    large, huge, promising = (_round(values.quantile(part) or 0) for part in (0.95, 0.99, 0.75))
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


def screening_workflow() -> dict[str, Any]:
    categories = {name: {"type": "string", "maxLength": 100} for name in ORDER_CATEGORIES}
    numbers = dict.fromkeys(ORDER_NUMBERS, _MAYBE_NUMBER) | {"previous_orders": {"type": "number", "minimum": 0}}
    return {
        "input": {
            "type": "object",
            "properties": {
                "order_id": {"type": "string", "minLength": 1, "maxLength": 100},
                "customer_id": {"type": "string", "minLength": 1, "maxLength": 100},
                "total": {"type": "number", "minimum": 0, "description": "What the order costs."},
                **categories,
                **numbers,
            },
            "required": ["order_id", "customer_id", "total", *categories, *numbers],
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


def order_input(data: Dataset, *, total: float, is_first: bool) -> dict[str, Any]:
    """An order as a shop would send it, made from the latest order of the data."""
    orders = data.orders.filter((pl.col("previous_orders") == 0) == is_first)
    order = orders.row(-1, named=True)
    features = {name: order[name] for name in (*ORDER_CATEGORIES, *ORDER_NUMBERS)}
    return {"order_id": f"demo-{order['order_id']}", "customer_id": order["user_id"], "total": total} | features


def _round(value: float) -> float:
    """Two digits that a person would write: 1234.5 becomes 1200."""
    digits = 1 - len(str(int(value))) + 1
    return round(value, digits) if digits < 0 else round(value)
