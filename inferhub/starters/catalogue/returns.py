"""Returns approval: which returns are refunded at once, which are inspected, which a person decides."""

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
from inferhub.starters.words import CATEGORIES, REASONS

_OURS = '"defective", "wrong-item", "damaged-in-transit"'
RULES = table(
    {
        "prediction.inspection.probability": ("number", "Probability of a problem"),
        "input.reason": ("string", "Reason"),
        "input.days_since_delivery": ("number", "Days since delivery"),
        "input.price": ("number", "Price"),
    },
    {"outcome": "Outcome", "handling": "What happens to the goods"},
    [
        ["", _OURS, "> 730", "", '"review"', '"ask-first"', "our fault, but older than the guarantee"],
        ["", '"does-not-fit", "changed-mind"', "> 30", "", '"review"', '"ask-first"', "later than the 30 days"],
        ["< 0.5", _OURS, "", "< 10", '"refund"', '"keep"', "sending it back costs more than it is worth"],
        [">= 0.6", "", "", "", '"review"', '"send-back"', "a person decides once it is here"],
        [">= 0.25", "", "", ">= 150", '"review"', '"send-back"', "a doubt about a dear article"],
        [">= 0.25", "", "", "", '"approve"', '"inspect"', "refunded after a look at it"],
        ["", "", "", "", '"refund"', '"send-back"', "refunded at once, against the parcel's receipt"],
    ],
)
_USUAL: Document = {
    "return_id": "R-3301",
    "customer_id": "C-5512",
    "price": 49.95,
    "days_since_delivery": 6,
    "orders_last_year": 9,
    "returns_last_year": 1,
    "reason": "does-not-fit",
    "category": "clothing",
    "is_opened": False,
    "has_photo": False,
}
_STRANGE: Document = _USUAL | {
    "return_id": "R-3302",
    "customer_id": "C-7720",
    "price": 239.0,
    "days_since_delivery": 27,
    "orders_last_year": 12,
    "returns_last_year": 11,
    "reason": "changed-mind",
    "category": "electronics",
    "is_opened": True,
}


def _says(probability: float) -> Document:
    return {"inspection": {"label": "problem" if probability >= 0.5 else "fine", "probability": probability}}


STARTER = Starter(
    name="returns-approval",
    title="Returns approval",
    audience="Customer service and warehouse",
    summary="Refunds most returns at once, has the odd ones inspected, and leaves every refusal to a person.",
    story=(
        "Most customers send things back for good reasons and wait too long for their money. A random forest learns "
        "from 5,000 invented returns how probably the returns desk would find a problem: used goods, wrong claims, "
        "missing parts. Where it is unlikely, the money goes back at once.\n\n"
        "The rules hold your terms: 30 days for a change of mind, two years where the fault is ours, and no parcel "
        "for what is worth less than its postage. They never refuse a return: whatever is late or doubtful goes to a "
        "person. Adapt the days to your own terms and to your country's consumer law."
    ),
    parts=Parts(
        input="A return: article, reason, days, history",
        model="Probability of a problem (random forest)",
        rules="7 rows: terms, price, probability",
        actions="Refund, inspect, or a person decides",
    ),
    task="classification",
    rules=RULES,
    workflow={
        "input": fields(
            return_id=identifier("Return", "Your own id of the return.", "R-3301"),
            customer_id=identifier("Customer", "Your own id of the customer.", "C-5512"),
            price=number("Price", "What the customer paid for the article.", 49.95),
            days_since_delivery=whole("Days since delivery", "Until the return was announced.", 6, high=20_000),
            orders_last_year=whole("Orders in a year", "Articles ordered in the last twelve months.", 9, low=1),
            returns_last_year=whole("Returns in a year", "How many of them came back.", 1),
            reason=one_of("Reason", "What the customer says.", list(REASONS), "does-not-fit"),
            category=one_of("Category", "Of the article.", list(CATEGORIES), "clothing"),
            is_opened=flag("Opened or used", "Whether the customer says that it was opened or used."),
            has_photo=flag("Photo", "Whether a photo of the damage came with it."),
        ),
        "subject": "customer_id",
        "predictions": [
            {
                "name": "inspection",
                "inputs": {name: name for name in _USUAL if name not in ("return_id", "customer_id")},
            }
        ],
        "actions": {"review": [review("Decide about this return", approve="refund")]},
    },
    samples=(
        Sample(title="A shirt that does not fit", body=_USUAL),
        Sample(title="Used electronics, from somebody who returns nearly everything", body=_STRANGE),
        Sample(
            title="A broken cup that is not worth its postage",
            body=_USUAL | {"price": 7.5, "reason": "damaged-in-transit", "category": "home", "has_photo": True},
        ),
    ),
    tests=(
        {
            "name": "A shirt that does not fit is refunded at once",
            "input": _USUAL,
            "expect": {"outcome": "refund", "outputs": {"handling": "send-back"}, "actions": []},
        },
        {
            "name": "Used electronics from a frequent returner go to a person",
            "input": _STRANGE,
            "expect": {"outcome": "review", "actions": ["review"]},
        },
        {
            "name": "The thirtieth day still counts",
            "input": _USUAL | {"days_since_delivery": 30},
            "predictions": _says(0.1),
            "expect": {"outcome": "refund"},
        },
        {
            "name": "A change of mind on day 31 is asked about, not refused",
            "input": _USUAL | {"days_since_delivery": 31, "reason": "changed-mind"},
            "predictions": _says(0.1),
            "expect": {"outcome": "review", "outputs": {"handling": "ask-first"}},
        },
        {
            "name": "A defect on day 31 is still ours",
            "input": _USUAL | {"days_since_delivery": 31, "reason": "defective"},
            "predictions": _says(0.1),
            "expect": {"outcome": "refund"},
        },
        {
            "name": "A defect after more than two years is asked about, not refused",
            "input": _USUAL | {"days_since_delivery": 731, "reason": "defective"},
            "predictions": _says(0.1),
            "expect": {"outcome": "review", "outputs": {"handling": "ask-first"}},
        },
        {
            "name": "What will probably be a problem is decided by a person",
            "input": _USUAL,
            "predictions": _says(0.6),
            "expect": {"outcome": "review", "outputs": {"handling": "send-back"}, "actions": ["review"]},
        },
        {
            "name": "A broken cup may be kept",
            "input": _USUAL | {"price": 7.5, "reason": "damaged-in-transit"},
            "predictions": _says(0.1),
            "expect": {"outcome": "refund", "outputs": {"handling": "keep"}},
        },
        {
            "name": "A doubt means a look at the goods",
            "input": _USUAL,
            "predictions": _says(0.25),
            "expect": {"outcome": "approve", "outputs": {"handling": "inspect"}, "actions": []},
        },
        {
            "name": "A doubt about a dear article goes to a person",
            "input": _USUAL | {"price": 150},
            "predictions": _says(0.25),
            "expect": {"outcome": "review", "outputs": {"handling": "send-back"}},
        },
    ),
)
