"""Order-fraud screening: which orders ship, which are verified, which a person sees."""

from inferhub.starters.starter import (
    Document,
    Parts,
    Sample,
    Starter,
    fields,
    flag,
    identifier,
    number,
    one_of,
    review,
    table,
    whole,
)
from inferhub.starters.words import DELIVERIES, PAYMENTS

RULES = table(
    {
        "prediction.fraud.probability": ("number", "Probability of fraud"),
        "input.amount": ("number", "Amount"),
        "input.failed_payments": ("number", "Failed payments today"),
        "input.previous_orders": ("number", "Orders before"),
    },
    {"outcome": "Outcome", "reason": "Reason"},
    [
        ["", "", ">= 6", "", '"review"', '"many failed payments"', "somebody tries cards"],
        [">= 0.6", "", "", "", '"review"', '"looks like fraud"', "the model is rather sure"],
        [">= 0.2", ">= 250", "", "", '"review"', '"suspicious and dear"', "a doubt that would cost much"],
        ["", ">= 1500", "", "< 1", '"review"', '"dear first order"', "nothing is known of this customer"],
        [">= 0.2", "", "", "", '"verify"', '"suspicious"', "a small doubt: ask to confirm the payment"],
        [
            "",
            ">= 500",
            "",
            "< 1",
            '"verify"',
            '"large first order"',
            "a stranger spends much: ask to confirm the payment",
        ],
        ["", "", "", "", '"accept"', '"nothing unusual"', "all others ship"],
    ],
)
_USUAL: Document = {
    "order_id": "O-20871",
    "customer_id": "C-5512",
    "amount": 64.9,
    "items": 3,
    "account_age_days": 410,
    "previous_orders": 6,
    "orders_last_hour": 0,
    "failed_payments": 0,
    "hour": 19,
    "payment": "card",
    "delivery": "home",
    "is_new_address": False,
    "country_differs": False,
}
_STRANGE: Document = _USUAL | {
    "order_id": "O-20872",
    "customer_id": "C-9034",
    "amount": 389.0,
    "account_age_days": 0,
    "previous_orders": 0,
    "orders_last_hour": 3,
    "failed_payments": 3,
    "hour": 3,
    "payment": "gift-card",
    "delivery": "locker",
    "is_new_address": True,
    "country_differs": True,
}


def _says(probability: float) -> Document:
    return {"fraud": {"label": "fraud" if probability >= 0.5 else "genuine", "probability": probability}}


STARTER = Starter(
    name="order-fraud",
    title="Order-fraud screening",
    audience="Web shops and payment teams",
    summary="Lets ordinary orders ship at once, asks for confirmation where something is odd, and stops what looks "
    "like fraud until a person has seen it.",
    story=(
        "A model looks at what the shop knows when an order comes in: amount, age of the account, orders before, "
        "failed payments, whether the address is new and the country fits. It gives the probability that the order is "
        "paid with somebody else's money. The data is invented: 6,000 orders, about 3 in 100 of them fraud.\n\n"
        "The rules weigh that number against the amount. Nothing is declined by a machine alone: the strictest outcome "
        "is a review. The price of caution stays visible: every accepted, verified and reviewed order is a decision "
        "that you can count, explain and replay."
    ),
    parts=Parts(
        input="An order: 11 facts that a shop has",
        model="Probability of fraud (LightGBM)",
        rules="7 rows: probability, amount, history",
        actions="Ship, verify, or a person looks",
    ),
    task="classification",
    rules=RULES,
    workflow={
        "input": fields(
            order_id=identifier("Order", "Your own id of the order.", "O-20871"),
            customer_id=identifier("Customer", "Your own id of the customer.", "C-5512"),
            amount=number("Amount", "The total of the order, in your currency.", 64.9),
            items=whole("Articles", "How many pieces are in the basket.", 3, low=1),
            account_age_days=whole("Age of the account", "Days since the customer registered.", 410),
            previous_orders=whole("Orders before", "Orders that were paid and kept.", 6),
            orders_last_hour=whole("Orders in the last hour", "Other orders of the same customer or device.", 0),
            failed_payments=whole("Failed payments", "Payment attempts that failed today.", 0),
            hour=whole("Hour", "Hour of the day in the shop's time zone.", 19, high=23),
            payment=one_of("Payment", "How the customer pays.", list(PAYMENTS), "card"),
            delivery=one_of("Delivery", "Where the parcel goes.", list(DELIVERIES), "home"),
            is_new_address=flag("New address", "Whether nothing was delivered there before."),
            country_differs=flag("Country differs", "Whether the card's country is not that of the delivery."),
        ),
        "subject": "customer_id",
        "predictions": [
            {"name": "fraud", "inputs": {name: name for name in _USUAL if name not in ("order_id", "customer_id")}}
        ],
        "actions": {"review": [review("Is this order genuine? It has not shipped.", approve="accept")]},
    },
    samples=(
        Sample(title="An ordinary order of a known customer", body=_USUAL),
        Sample(title="A night order with failed payments, to a locker", body=_STRANGE),
        Sample(
            title="A large first order",
            body=_USUAL | {"amount": 620.0, "previous_orders": 0, "account_age_days": 12},
        ),
    ),
    tests=(
        {"name": "An ordinary order ships", "input": _USUAL, "expect": {"outcome": "accept", "actions": []}},
        {
            "name": "An order with every sign of fraud waits for a person",
            "input": _STRANGE,
            "expect": {"outcome": "review", "actions": ["review"]},
        },
        {
            "name": "Somebody who tries cards is stopped, whatever the model says",
            "input": _USUAL | {"failed_payments": 6},
            "predictions": _says(0.01),
            "expect": {"outcome": "review", "outputs": {"reason": "many failed payments"}},
        },
        {
            "name": "A small doubt about a small order is verified",
            "input": _USUAL,
            "predictions": _says(0.3),
            "expect": {"outcome": "verify", "actions": []},
        },
        {
            "name": "The same doubt about a dear order goes to a person",
            "input": _USUAL | {"amount": 250},
            "predictions": _says(0.2),
            "expect": {"outcome": "review", "outputs": {"reason": "suspicious and dear"}},
        },
        {
            "name": "What the model is rather sure of goes to a person, however small",
            "input": _USUAL | {"amount": 5},
            "predictions": _says(0.6),
            "expect": {"outcome": "review", "outputs": {"reason": "looks like fraud"}},
        },
        {
            "name": "A large first order is verified",
            "input": _USUAL | {"amount": 500, "previous_orders": 0},
            "predictions": _says(0.02),
            "expect": {"outcome": "verify", "outputs": {"reason": "large first order"}},
        },
        {
            "name": "A very dear first order goes to a person",
            "input": _USUAL | {"amount": 1500, "previous_orders": 0},
            "predictions": _says(0.02),
            "expect": {"outcome": "review", "outputs": {"reason": "dear first order"}},
        },
        {
            "name": "Where the model fails a person looks",
            "input": _USUAL,
            "predictions": {"fraud": None},
            "expect": {"outcome": "review", "actions": ["review"]},
        },
    ),
)
