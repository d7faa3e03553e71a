"""What a prediction is; a plain value."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What a model said of some rows, and which model it was. `rows` are JSON objects, one a row, in order.

    `explanations`, where they were asked for, are one object a row: see `inferhub.inference.explanations`.
    """

    model: str
    version: int
    digest: str
    rows: list[dict[str, Any]]
    duration_ms: float
    explanations: list[dict[str, Any]] | None = None
