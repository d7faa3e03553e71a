"""Lines to paste into a shell, one for each thing that a shop asks of a hub."""

from collections.abc import Iterator
from typing import Any

from inferhub.demo.seed import SCENARIO
from inferhub.demo.workflows import MESSAGES, SCREENING, order_input
from inferhub.starters.catalogue.spam import SPAM_TEXT
from inferhub.starters.paste import curl_line
from inferhub.starters.samples.dataset import ORDER_CATEGORIES, ORDER_NUMBERS, Dataset


def curl_lines(address: str, api_key: str, data: Dataset) -> Iterator[tuple[str, str]]:
    """Pairs of a title and a command."""
    for title, path, body in requests(data):
        yield title, curl_line(address, api_key, path, body)
    user = data.sample_customer()
    yield (
        "what the nightly job stored for this customer",
        curl_line(address, api_key, f"scenarios/{SCENARIO}/recommendations/{user}"),
    )


def requests(data: Dataset) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Triples of a title, a path and a body."""
    order = order_input(data, total=42.5, is_first=False)
    features = {name: order[name] for name in (*ORDER_CATEGORIES, *ORDER_NUMBERS)}
    yield (
        "a recommendation",
        f"scenarios/{SCENARIO}/recommendations",
        {"user_id": data.sample_customer(), "k": 5},
    )
    yield (
        "a regression: what will this customer's order be worth",
        "models/order-value/predictions",
        {"rows": [features]},
    )
    message = {"message_id": "m-1", "text": SPAM_TEXT}
    yield "a spam check", "models/spam/predictions", {"rows": [{"text": SPAM_TEXT}]}
    yield "a decision on an order", f"workflows/{SCREENING}/decisions", {"input": order}
    yield "a decision on a message", f"workflows/{MESSAGES}/decisions", {"input": message}
