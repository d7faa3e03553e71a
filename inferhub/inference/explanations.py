"""Explainers of versions, the last few of them kept.

For trees: {"scale", "base_value", "value", "contributions": {feature: number}} and, of a classification, "of" (the
class). For recommenders: {"reasons": [the item that led to each recommendation]}.
"""

from functools import lru_cache

from inferhub.errors import ModelFailed
from inferhub.registry.queries import VersionPlan
from inferhub.registry.storage import read_artifact
from inferhub.runtime.explain import Explainer, read_explainer
from inferhub.runtime.pool import artifact_digest


def find_explainer(plan: VersionPlan) -> Explainer:
    """Raises InvalidInput where the model cannot be explained, Unavailable and ModelFailed as loading does."""
    return _explainer(plan.digest)


@lru_cache(maxsize=8)
def _explainer(digest: str) -> Explainer:
    data = read_artifact(digest)
    if artifact_digest(data) != digest:
        raise ModelFailed(f"The stored artifact {digest} is not the one that was registered.")
    return read_explainer(data)
