"""Ask a running hub everything that a shop would ask, and hold each answer against what is known to be right."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from inferhub.demo.client import HubClient
from inferhub.demo.receiver import WebhookReceiver
from inferhub.demo.seed import SCENARIO
from inferhub.demo.workflows import MESSAGES, SCREENING, order_input
from inferhub.registry.models import ModelVersion
from inferhub.starters.catalogue.spam import SPAM_TEXT
from inferhub.starters.samples.dataset import ORDER_CATEGORIES, ORDER_NUMBERS, Dataset

_DELIVERY_SECONDS = 30
_K = 10


@dataclass(kw_only=True)
class _Check:
    """One run: what to ask, whom, and what was wrong so far."""

    client: HubClient
    data: Dataset
    receiver: WebhookReceiver
    report: Callable[[str], None]
    problems: list[str] = field(default_factory=list)

    def expect(self, is_right: bool, sentence: str) -> None:
        self.report(f"  {'ok   ' if is_right else 'WRONG'} {sentence}")
        if not is_right:
            self.problems.append(sentence)

    def answer(self, response: httpx.Response, *, status: int = 200) -> dict[str, Any]:
        self.expect(response.status_code == status, f"{response.request.url.path} answers {status}")
        body: dict[str, Any] = response.json()
        return body


def check_hub(
    client: HubClient,
    data: Dataset,
    versions: Sequence[ModelVersion],
    receiver: WebhookReceiver,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """The summary of the check; `problems` is empty where everything was right."""
    check = _Check(client=client, data=data, receiver=receiver, report=report)
    report("checking the answers")
    summary: dict[str, Any] = {
        "models": [_check_model(check, version) for version in versions],
        "recommendation": _check_recommendation(check),
        "regression": _check_regression(check),
        "spam": _check_spam(check),
        "decision": _check_decision(check),
        "test_cases": _check_test_cases(check),
        "bulk": _check_bulk(check),
    }
    summary["actions_delivered"] = _check_deliveries(check)
    _check_refusals(check)
    return summary | {"data": data.name, "data_digest": data.digest, "problems": check.problems}


def _check_model(check: _Check, version: ModelVersion) -> dict[str, Any]:
    shown = check.answer(check.client.get(f"models/{version.model.name}/versions/{version.number}"))
    check.expect(shown["digest"] == version.digest, f"{version.model.name} has the digest that was registered")
    check.expect("champion" in shown["aliases"], f"{version.model.name} is the champion")
    return {
        "name": version.model.name,
        "task": version.model.task,
        "version": version.number,
        "digest": version.digest,
        "parity": {"max_abs_diff": version.certificate["max_abs_diff"]},
        "metrics": version.metrics,
    }


def _check_recommendation(check: _Check) -> dict[str, Any]:
    path, user = f"scenarios/{SCENARIO}/recommendations", check.data.sample_customer()
    answer = check.answer(check.client.post(path, {"user_id": user, "k": _K}))
    items = [item["item_id"] for item in answer["items"]]
    scores = [item["score"] for item in answer["items"]]
    check.expect(len(set(items)) == _K, f"{_K} different items are recommended")
    check.expect(set(items) <= set(check.data.items["item_id"]), "every recommended item is in the catalogue")
    check.expect(scores == sorted(scores, reverse=True), "the best item stands first")
    _check_odd_histories(check, path, items)
    later = _deferred(check, path, {"user_id": user, "k": _K})
    check.expect(later.get("items") == answer["items"], "a worker recommends what the web process recommends")
    return {"user_id": user, "items": items, "model_version": answer["version"]}


def _check_odd_histories(check: _Check, path: str, items: list[str]) -> None:
    history = check.data.popular_items(3)
    given, with_unknown, empty = (
        [item["item_id"] for item in check.answer(check.client.post(path, {"history": ids, "k": _K}))["items"]]
        for ids in (history, [*history, "no-such-item"], [])
    )
    check.expect(given == with_unknown, "an unknown item id is ignored")
    check.expect(len(empty) == _K, "an empty history gets what is popular")
    without = check.answer(check.client.post(path, {"history": history, "exclude": given[:2], "k": _K}))
    check.expect(not {item["item_id"] for item in without["items"]} & set(given[:2]), "excluded items stay away")


def _check_regression(check: _Check) -> dict[str, Any]:
    orders = check.data.orders.tail(200)
    rows = orders.select(*ORDER_CATEGORIES, *ORDER_NUMBERS).rows(named=True)
    answer = check.answer(check.client.post("models/order-value/predictions", {"rows": rows}))
    values = [row["value"] for row in answer["predictions"]]
    truth = orders["order_value"].to_list()
    error = sum(abs(value - true) for value, true in zip(values, truth, strict=True)) / len(truth)
    median = float(check.data.orders["order_value"].median() or 0)  # type: ignore[arg-type]
    naive = sum(abs(median - true) for true in truth) / len(truth)
    check.expect(len(values) == len(rows), "every order gets a prediction")
    check.expect(error < 1.1 * naive, "the predictions are at least about as close as the median order")
    later = _deferred(check, "models/order-value/predictions", {"rows": rows})
    check.expect(later.get("predictions") == answer["predictions"], "a worker predicts what the web process predicts")
    return {"rows": len(rows), "mean_absolute_error": round(error, 3), "of_the_median": round(naive, 3)}


def _check_spam(check: _Check) -> dict[str, Any]:
    messages = check.data.messages.tail(300)
    rows = [{"text": text} for text in messages["text"]]
    answer = check.answer(check.client.post("models/spam/predictions", {"rows": [{"text": SPAM_TEXT}, *rows]}))
    first, *others = answer["predictions"]
    right = sum(row["label"] == label for row, label in zip(others, messages["label"], strict=True))
    check.expect(first["label"] == "spam", "a prize to be claimed is spam")
    check.expect(right / len(rows) > 0.9, "more than nine of ten messages get their label")
    return {"rows": len(rows), "accuracy": round(right / len(rows), 4), "probability": first["probability"]}


def _check_decision(check: _Check) -> dict[str, Any]:
    path = f"workflows/{SCREENING}/decisions"
    usual = order_input(check.data, total=20.0, is_first=False)
    large = order_input(check.data, total=1e7, is_first=True)
    body = {"input": usual, "request_id": f"check-{time.time_ns()}"}
    answer = check.answer(check.client.post(path, body), status=201)
    check.expect(answer["outcome"] == "accept", "a usual order is accepted")
    again = check.answer(check.client.post(path, body))
    check.expect(again["decision_id"] == answer["decision_id"], "the same request gets the same decision")
    held = check.answer(check.client.post(path, {"input": large}), status=201)
    check.expect(held["outcome"] == "review", "a huge first order goes to a person")
    blocked = check.answer(
        check.client.post(f"workflows/{MESSAGES}/decisions", {"input": {"message_id": "check", "text": SPAM_TEXT}}),
        status=201,
    )
    check.expect(blocked["outcome"] in ("block", "review"), "a spam message is not delivered")
    read = check.answer(check.client.get(f"decisions/{answer['decision_id']}"))
    check.expect(read["digest"] == answer["digest"], "the decision reads back as it was made")
    return {
        "decision_id": answer["decision_id"],
        "outcome": answer["outcome"],
        "rule_set_version": answer["rule_set_version"],
        "timings_ms": answer["timings_ms"],
        "outcomes": [answer["outcome"], held["outcome"], blocked["outcome"]],
    }


def _check_test_cases(check: _Check) -> int:
    """Run those of both workflows; count them."""
    count = 0
    for name in (SCREENING, MESSAGES):
        report = check.answer(check.client.post(f"workflows/{name}/test-runs", {}))
        count += len(report["results"])
        check.expect(all(result["passed"] for result in report["results"]), f"the test cases of {name} pass")
    check.expect(count > 0, "the workflows have test cases")
    return count


def _check_deliveries(check: _Check) -> int:
    """Wait until no action of any decision waits any more; count what was delivered."""
    ends = time.monotonic() + _DELIVERY_SECONDS
    while True:
        decisions = check.client.get("decisions?page_size=50").json()["results"]
        actions = [action for decision in decisions for action in decision["actions"]]
        waiting = [action for action in actions if action["state"] == "pending"]
        if not waiting or time.monotonic() > ends:
            break
        time.sleep(0.1)
    webhooks = {a["action_id"] for a in actions if a["kind"] == "webhook" and a["state"] == "delivered"}
    check.expect(not waiting, "every action is delivered")
    check.expect(bool(check.receiver.seen) and check.receiver.seen <= webhooks, "the shop received what was delivered")
    check.expect(check.receiver.refused == 0, "every webhook was signed rightly")
    return sum(action["state"] == "delivered" for action in actions)


def _check_bulk(check: _Check) -> dict[str, Any]:
    _wait_for_other_jobs(check)
    started = time.monotonic()
    response = check.client.post("jobs", {"kind": "bulk-recommendations", "scenario": SCENARIO})
    job = check.client.poll(f"jobs/{check.answer(response, status=202)['job_id']}", seconds=120)
    seconds = time.monotonic() - started
    customers = check.data.purchases["user_id"].n_unique()
    check.expect(job["state"] == "succeeded", "the bulk job succeeds")
    check.expect(job["done"] == customers, f"all {customers} customers have their list")
    user = check.data.sample_customer()
    stored = check.answer(check.client.get(f"scenarios/{SCENARIO}/recommendations/{user}"))
    online = check.client.post(f"scenarios/{SCENARIO}/recommendations", {"user_id": user}).json()
    same = [item["item_id"] for item in stored["items"]] == [item["item_id"] for item in online["items"]]
    check.expect(same, "the stored list is what would be recommended now")
    return {"customers": job["done"], "seconds": round(seconds, 2)}


def _wait_for_other_jobs(check: _Check) -> None:
    """A schedule may have started one; of one scenario one runs at a time."""
    for job in check.client.get("jobs").json()["results"]:
        if job["scenario"] == SCENARIO and job["state"] in ("queued", "running"):
            check.client.poll(f"jobs/{job['job_id']}", seconds=120)


def _check_refusals(check: _Check) -> None:
    post = check.client.post
    for response, status, what in (
        (check.client.without_key("models"), 401, "a caller without a key is refused"),
        (post("models/nope/predictions", {"rows": [{}]}), 404, "an unknown model is named"),
        (post("models/spam/predictions", {"rows": [{"text": 7}]}), 422, "a wrong type is named"),
        (post(f"workflows/{SCREENING}/decisions", {"input": {}}), 422, "missing fields are named"),
    ):
        is_problem = response.headers["content-type"] == "application/problem+json"
        check.expect(response.status_code == status and is_problem, what)


def _deferred(check: _Check, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer of a worker."""
    accepted = check.answer(check.client.post(path, body, Prefer="respond-async"), status=202)
    call = check.client.poll(f"calls/{accepted['call_id']}")
    check.expect(call["state"] == "succeeded", f"a worker answers {path}")
    return call["answer"] or {}
