"""Next week's demand, and what to order from it."""

from inferhub.starters.starter import (
    Document,
    Parts,
    Sample,
    Starter,
    fields,
    identifier,
    number,
    one_of,
    review,
    whole,
)
from inferhub.starters.words import PROMOTIONS, RANGES

_NEED = "prediction.demand.quantile_90 * (input.lead_time_weeks + 1)"
RULES: Document = {
    "hit_policy": "first",
    "inputs": [
        {
            "field": "shortfall",
            "type": "number",
            "label": "Missing pieces until the order after next",
            "expression": f"{_NEED} - input.stock - input.on_order",
        },
        {
            "field": "cost",
            "type": "number",
            "label": "What they cost",
            "expression": f"({_NEED} - input.stock - input.on_order) * input.unit_cost",
        },
        {"field": "input.discount_percent", "type": "number", "label": "Discount in percent"},
    ],
    "outputs": [
        {"field": "outcome", "type": "string", "label": "Outcome"},
        {"field": "quantity", "type": "number", "label": "Pieces to order"},
    ],
    "rules": [
        {"when": ["<= 0", "", ""], "then": ['"wait"', "0"], "note": "stock and open orders are enough"},
        {"when": ["", ">= 2500", ""], "then": ['"review"', "shortfall"], "note": "a dear order: a buyer confirms it"},
        {"when": ["", "", "> 40"], "then": ['"review"', "shortfall"], "note": "cheaper than in any week of the data"},
        {"when": ["", "", ""], "then": ['"order"', "shortfall"], "note": "order what is missing"},
    ],
}
_WEEK: Document = {
    "article_id": "A-1042",
    "range": "drinks",
    "week": 27,
    "price": 4.95,
    "discount_percent": 0,
    "promotion": "none",
    "units_last_week": 40,
    "units_average": 38.5,
    "stock": 55,
    "on_order": 0,
    "lead_time_weeks": 1,
    "unit_cost": 2.1,
}
_LEAFLET = {"discount_percent": 25, "promotion": "leaflet"}


def _says(likely: float, high: float) -> Document:
    return {"demand": {"value": likely, "quantile_90": high}}


STARTER = Starter(
    name="demand-reorder",
    title="Demand and reorder",
    audience="Buying and replenishment",
    summary="How many pieces will sell next week at this price, and how many to order so that the shelf stays full.",
    story=(
        "A model learns from weekly sales of invented articles how price, promotion, season and last weeks' sales move "
        "demand. It answers with two numbers: what will probably sell, and what is not exceeded in nine weeks of ten. "
        "Change the price in the request, and see the demand move.\n\n"
        "The rules order against the second number, so that the shelf stays full in nine weeks of ten: what will be "
        "sold until the order after next arrives, less stock and open orders. Dear orders, and discounts deeper than "
        "any in the data, go to a buyer instead."
    ),
    parts=Parts(
        input="Article, week, price, promotion, stock",
        model="Units next week, likely and high (LightGBM)",
        rules="4 rows: what is missing, and what it costs",
        actions="Order, wait, or a buyer confirms",
    ),
    task="regression",
    steps={
        "postprocess": [
            {"step": "clip", "of": "value", "low": 0},
            {"step": "clip", "of": "quantile_90", "low": 0},
            {"step": "round", "of": "value"},
            {"step": "round", "of": "quantile_90"},
        ]
    },
    rules=RULES,
    workflow={
        "input": fields(
            article_id=identifier("Article", "Your own id of the article.", "A-1042"),
            range=one_of("Range", "The range that it belongs to.", list(RANGES), "drinks"),
            week=whole("Week", "The calendar week to plan for.", 27, low=1, high=53),
            price=number("Price", "The usual price, with tax.", 4.95),
            discount_percent=number("Discount in percent", "How much cheaper it is that week.", 0, high=100),
            promotion=one_of("Promotion", "How the discount is advertised.", list(PROMOTIONS), "none"),
            units_last_week=number("Sold last week", "Pieces sold in the week before.", 40),
            units_average=number("Usual sales", "Pieces sold a week, the average of the last four.", 38.5),
            stock=number("Stock", "Pieces in the shop now.", 55),
            on_order=number("On order", "Pieces that are ordered and have not come yet.", 0),
            lead_time_weeks=number("Delivery time in weeks", "From the order until the goods are there.", 1, high=26),
            unit_cost=number("Cost of a piece", "What you pay the supplier.", 2.1),
        ),
        "subject": "article_id",
        "predictions": [
            {
                "name": "demand",
                "inputs": {
                    name: name
                    for name in (
                        "week",
                        "price",
                        "discount_percent",
                        "range",
                        "promotion",
                        "units_last_week",
                        "units_average",
                    )
                },
            }
        ],
        "actions": {"review": [review("Confirm this order with the supplier", approve="order", reject="wait")]},
    },
    samples=(
        Sample(title="A usual summer week", body=_WEEK),
        Sample(title="The same article in the leaflet, a quarter off", body=_WEEK | _LEAFLET),
        Sample(title="Enough in stock", body=_WEEK | {"stock": 400}),
    ),
    tests=(
        {
            "name": "What is missing is ordered",
            "input": _WEEK,
            "predictions": _says(40, 50),
            "expect": {"outcome": "order", "outputs": {"quantity": 45}, "actions": []},
        },
        {
            "name": "Open orders count as stock",
            "input": _WEEK | {"on_order": 45},
            "predictions": _says(40, 50),
            "expect": {"outcome": "wait", "outputs": {"quantity": 0}, "actions": []},
        },
        {
            "name": "A longer delivery time needs more",
            "input": _WEEK | {"lead_time_weeks": 3},
            "predictions": _says(40, 50),
            "expect": {"outcome": "order", "outputs": {"quantity": 145}},
        },
        {
            "name": "A dear order goes to a buyer",
            "input": _WEEK | {"unit_cost": 100},
            "predictions": _says(40, 50),
            "expect": {"outcome": "review", "outputs": {"quantity": 45}, "actions": ["review"]},
        },
        {
            "name": "A discount deeper than any in the data goes to a buyer",
            "input": _WEEK | {"discount_percent": 60},
            "predictions": _says(40, 50),
            "expect": {"outcome": "review", "actions": ["review"]},
        },
        {
            "name": "A full store waits, whatever the model says",
            "input": _WEEK | {"stock": 5000},
            "expect": {"outcome": "wait", "outputs": {"quantity": 0}},
        },
        {
            "name": "A leaflet in summer empties the shelf",
            "input": _WEEK | _LEAFLET,
            "expect": {"outcome": "order"},
        },
    ),
)
