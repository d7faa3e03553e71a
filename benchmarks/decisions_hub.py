"""The hub that benchmarks/decisions.py asks: one LightGBM model, one 20-row table, one workflow with one action each.

Run with the environment of a hub: `seed` makes all of it and prints an API key, `check FILE` counts what is wrong with
the answers that callers got (JSON lines of request id, decision id, number of actions).
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import django

from benchmarks.table import definition

FEATURES = 20
TREES, LEAVES, ROWS = 200, 31, 20_000
NAME = "screening"


def model() -> bytes:
    """A LightGBM regression: [N, 20] -> [N, 1], from 0 to about 200."""
    import lightgbm as lgb  # noqa: PLC0415 - only `seed` needs it
    import numpy as np  # noqa: PLC0415
    from onnxmltools import convert_lightgbm  # noqa: PLC0415
    from onnxmltools.convert.common.data_types import FloatTensorType  # noqa: PLC0415

    rng = np.random.default_rng(5)
    rows = rng.random((ROWS, FEATURES), np.float32)
    target = 190 * (rows[:, 0] * 0.6 + rows[:, 1] * rows[:, 2] * 0.4) + rng.normal(0, 2, ROWS)
    parameters = {"num_leaves": LEAVES, "verbose": -1, "seed": 1, "deterministic": True, "num_threads": 1}
    booster = lgb.train(parameters, lgb.Dataset(rows, target), num_boost_round=TREES)
    converted = convert_lightgbm(
        booster, initial_types=[("features", FloatTensorType([None, FEATURES]))], target_opset=15, zipmap=False
    )
    data: bytes = converted.SerializeToString()
    return data


def workflow() -> dict[str, Any]:
    outcomes = [*(f"outcome {row}" for row in range(19)), "accept"]
    number = {"type": "number"}
    return {
        "input": {
            "type": "object",
            "properties": {
                "order_id": {"type": "string", "maxLength": 64},
                "country": {"type": "string", "minLength": 1, "maxLength": 2},
                "items": {"type": "integer", "minimum": 0},
                "features": {"type": "array", "items": number, "minItems": FEATURES, "maxItems": FEATURES},
            },
            "required": ["order_id", "country", "items", "features"],
        },
        "subject": "order_id",
        "predictions": [{"name": "score", "model": "value", "inputs": {"features": "features"}}],
        "rule_set": NAME,
        "actions": {outcome: [{"kind": "webhook", "endpoint": "shop"}] for outcome in outcomes},
    }


def seed() -> str:
    from inferhub.accounts.services import create_api_key  # noqa: PLC0415 - Django is set up by then
    from inferhub.decisions.endpoints import save_endpoint  # noqa: PLC0415
    from inferhub.decisions.services import save_workflow  # noqa: PLC0415
    from inferhub.registry.services import register_version  # noqa: PLC0415
    from inferhub.rulesets.services import save_rule_set  # noqa: PLC0415

    actor = "system:benchmark"
    register_version(name="value", task="regression", data=model(), alias="champion", approval="direct", actor=actor)
    save_endpoint(name="shop", url="http://127.0.0.1:9/", actor=actor)
    fields = ("prediction.score.variable", "input.country", "input.items")
    save_rule_set(name=NAME, definition=definition(fields), actor=actor, approval="direct")
    save_workflow(name=NAME, definition=workflow(), actor=actor, approval="direct")
    return create_api_key(name="benchmark", scopes=["decide", "predict"], actor=actor)[1]


def check(path: Path) -> dict[str, int]:
    """Of the acknowledged decisions: how many are not there, there twice, or without their actions."""
    from django.db.models import Count  # noqa: PLC0415

    from inferhub.decisions.models import Action, Decision  # noqa: PLC0415

    told = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    by_request: dict[str, list[str]] = {}
    for request_id, pk in Decision.objects.values_list("request_id", "pk"):
        by_request.setdefault(request_id, []).append(str(pk))
    counts = Action.objects.order_by().values_list("decision").annotate(count=Count("pk"))
    actions = {str(decision_id): count for decision_id, count in counts}
    return {
        "acknowledged": len(told),
        "missing": sum(entry["decision_id"] not in by_request.get(entry["request_id"], []) for entry in told),
        "twice": sum(len(found) > 1 for found in by_request.values()),
        "without_actions": sum(actions.get(pk, 0) != 1 for found in by_request.values() for pk in found),
    }


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("command", choices=["seed", "check"])
    made.add_argument("file", type=Path, nargs="?")
    asked = made.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inferhub.settings")
    django.setup()
    print(json.dumps({"key": seed()} if asked.command == "seed" else check(asked.file)))


if __name__ == "__main__":
    main()
