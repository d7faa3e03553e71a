"""What this process counted of inference requests, as the statistics extension shows it."""

from functools import lru_cache
from typing import Any

from inferhub.api.metrics import FAILED, TOTAL, Called, Durations, metrics
from inferhub.registry.queries import VersionPlan

INFER = "infer"
_STAGES = {
    "success": TOTAL,
    "fail": FAILED,
    "compute_input": "validate",
    "compute_infer": "model",
    "compute_output": "encode",
}
_NEVER = ("queue", "cache_hit", "cache_miss")  # there is no cache, and no queue that the protocol could see


@lru_cache(1024)
def inferred(model: str, number: int) -> Called:
    return Called(call=INFER, name=model, version=str(number))


def called(plan: VersionPlan) -> Called:
    return inferred(plan.model, plan.number)


def statistics_document(key: Called) -> dict[str, Any]:
    """One entry of `model_stats`; zeros where nothing was asked yet."""
    tally = metrics.tally(key)
    stages = {name: tally.stages.get(stage, Durations()) for name, stage in _STAGES.items()}
    # One request is one execution: the models take whole batches, so that nothing is merged.
    executions = stages["success"].count
    return {
        "name": key.name,
        "version": key.version,
        "last_inference": int(tally.succeeded_at * 1000),
        "inference_count": executions,
        "execution_count": executions,
        "inference_stats": {name: {"count": entry.count, "ns": int(entry.sum * 1e9)} for name, entry in stages.items()}
        | {name: {"count": 0, "ns": 0} for name in _NEVER},
        "batch_stats": [],
    }
