"""Predict with one registered model."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from inferhub.inference.prediction import Prediction
from inferhub.registry.queries import VersionPlan, find_version
from inferhub.registry.storage import read_artifact
from inferhub.runtime.pool import SessionPool
from inferhub.runtime.rows import Columns, feeds_from_rows, rows_from_outputs
from inferhub.runtime.session import LoadedModel
from inferhub.runtime.signature import Feeds
from inferhub.runtime.tensors import check_output

_pool = SessionPool(settings.CONFIG.session_pool_bytes)


def predict(
    *,
    model: str,
    rows: Sequence[Mapping[str, Any]] | Columns,
    alias: str = "champion",
    version: int | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Prediction:
    """Run `rows` through the version that `alias` or `version` names.

    `parameters` are the inputs that belong to the whole call, such as a recommender's `k`.
    Raises NotFound, InvalidInput (pointers into `{"rows": ..., "parameters": ...}`), ModelFailed and Unavailable.
    """
    return predict_with(find_version(model, alias=alias, number=version), rows=rows, parameters=parameters)


def predict_with(
    plan: VersionPlan, *, rows: Sequence[Mapping[str, Any]] | Columns, parameters: Mapping[str, Any] | None = None
) -> Prediction:
    """The same, with the version at hand."""
    feeds = feeds_from_rows(plan.signature, rows, parameters or {})
    loaded = load_model(plan)
    started = time.perf_counter()
    outputs = loaded.run(feeds)
    duration_ms = (time.perf_counter() - started) * 1000
    return Prediction(
        model=plan.model,
        version=plan.number,
        digest=plan.digest,
        rows=rows_from_outputs(plan.signature, outputs, len(rows)),
        duration_ms=round(duration_ms, 3),
    )


def load_model(plan: VersionPlan) -> LoadedModel:
    """The session of a version, from this process's pool.

    Raises Unavailable where the artifact is missing, ModelFailed where it was changed or does not load.
    """
    return _pool.get(plan.digest, lambda: read_artifact(plan.digest), memory_bytes=plan.memory_bytes)


def infer(plan: VersionPlan, feeds: Feeds) -> Feeds:
    """Run whole tensors, by input name, through a version; gives all of its outputs by name.

    Raises InvalidInput where a tensor disagrees with the signature, ModelFailed and Unavailable.
    """
    outputs = load_model(plan).run(feeds)
    for spec in plan.signature.outputs:
        check_output(spec, outputs[spec.name])
    return outputs


def is_loaded(digest: str) -> bool:
    """Whether this process holds the session of an artifact now."""
    return digest in _pool.digests


def unload(digest: str) -> None:
    """Drop the session of an artifact from this process; the next request that needs it loads it again."""
    _pool.discard(digest)


def pool_bytes() -> int:
    """What the loaded models of this process take."""
    return _pool.used_bytes


def loaded_models() -> int:
    """How many models this process holds in memory now."""
    return len(_pool.digests)


def model_loads() -> int:
    """How often this process has loaded a model."""
    return _pool.loads
