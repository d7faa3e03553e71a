"""What a caller may send to a version: one request that it answers, to show on pages and to paste."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from inferhub.runtime.examples import example_shape, plain_value
from inferhub.runtime.pipeline import Pipeline
from inferhub.runtime.signature import Signature, TensorSpec


def example_request(pipeline: Pipeline, golden: Mapping[str, Any]) -> dict[str, Any]:
    """`rows` (one of them) and, where something belongs to the whole call, `parameters`, as a caller would send them.

    The first of `golden`, the inputs of golden rows, where no step stands before the model; else made up.
    """
    given = golden if golden and not pipeline.preprocess else {}
    row: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    own = [spec.name for spec in pipeline.request.inputs if spec.shape and not spec.is_optional and spec.name in given]
    count = len(given[own[0]]) if own else 0
    for spec in pipeline.request.inputs:
        if spec.name in given and spec.shape and len(given[spec.name]) == count:
            row[spec.name] = _cell(spec, given[spec.name][0])
        elif spec.name in given:
            parameters[spec.name] = given[spec.name]
        elif not spec.is_optional and not spec.shape:
            parameters[spec.name] = plain_value(spec)
        elif not spec.is_optional:
            made = np.full(example_shape(spec, 1)[1:], plain_value(spec), spec.numpy_type).tolist()
            row[spec.name] = pipeline.examples.get(spec.name, _cell(spec, made))
    return {"rows": [row] * _batch(pipeline.request)} | ({"parameters": parameters} if parameters else {})


def _cell(spec: TensorSpec, value: Any) -> Any:
    return value[0] if spec.shape[1:] == (1,) and isinstance(value, list) else value


def _batch(signature: Signature) -> int:
    """Rows that a model with a fixed batch takes; of others one is enough."""
    return max((spec.shape[0] or 1 for spec in signature.inputs if spec.shape and not spec.is_optional), default=1)
