"""Made-up values of a signature: enough to try a model once, to warm it up and to time it, and to show how it is asked.

They are no test of what it answers.
"""

from typing import Any

import numpy as np

from inferhub.errors import InferhubError
from inferhub.runtime.deadline import Deadline
from inferhub.runtime.session import LoadedModel
from inferhub.runtime.signature import Feeds, Signature, TensorSpec

_FREE_DIM = 8
_WARM_UP_MS = 2000


def example_feeds(signature: Signature, rows: int, *, seed: int = 0) -> Feeds:
    """Every required input with `rows` rows, or as many as a fixed batch has.

    Numbers vary from row to row, since a tree that goes the same way every time looks faster than it is; whole numbers
    are 0 and texts "0", which most models accept as a place, a category or a word.
    """
    rng = np.random.default_rng(seed)
    feeds = plain_feeds(signature, rows)
    floats = [spec for spec in signature.inputs if spec.name in feeds and spec.is_float]
    return feeds | {
        spec.name: np.asarray(rng.standard_normal(feeds[spec.name].shape), spec.numpy_type) for spec in floats
    }


def plain_feeds(signature: Signature, rows: int) -> Feeds:
    """The same with 0 for every number: what no model that takes places or categories has a reason to refuse."""
    required = (spec for spec in signature.inputs if not spec.is_optional)
    return {spec.name: np.full(example_shape(spec, rows), plain_value(spec), spec.numpy_type) for spec in required}


def example_shape(spec: TensorSpec, rows: int) -> tuple[int, ...]:
    return tuple(dim if dim is not None else (_FREE_DIM if axis else rows) for axis, dim in enumerate(spec.shape))


def repeat_rows(signature: Signature, feeds: Feeds, rows: int) -> Feeds:
    """Real `feeds` with `rows` rows: theirs, over and over. What belongs to the whole call stays as it is."""
    free = [spec.name for spec in signature.inputs if spec.name in feeds and spec.shape[:1] == (None,)]
    own = len(feeds[free[0]]) if free else 0
    places = np.arange(rows) % max(own, 1)
    return {name: feed[places] if name in free and len(feed) == own else feed for name, feed in feeds.items()}


def warm_up(model: LoadedModel) -> None:
    """Run a model once, so that its first caller does not wait for what ONNX Runtime prepares on the way.

    A model that refuses made-up values (an unknown category, a shape that free dimensions do not tell) stays as it is.
    """
    try:
        model.run(example_feeds(model.signature, 1), Deadline.after(_WARM_UP_MS))
    except InferhubError:
        return


def plain_value(spec: TensorSpec) -> Any:
    """0, false, or "0", which reads as a word, a category and a number."""
    if spec.datatype == "BYTES":
        return "0"
    return False if spec.datatype == "BOOL" else 0
