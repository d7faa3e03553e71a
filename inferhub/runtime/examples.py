"""Made-up tensors of a signature: enough to warm a session up and to time it, no test of what it answers."""

import numpy as np

from inferhub.errors import InferhubError
from inferhub.runtime.deadline import Deadline
from inferhub.runtime.session import LoadedModel
from inferhub.runtime.signature import Array, Feeds, Signature, TensorSpec

_FREE_DIM = 8
_WARM_UP_MS = 2000


def example_feeds(signature: Signature, rows: int, *, seed: int = 0) -> Feeds:
    """Every required input with `rows` rows, or as many as a fixed batch has.

    Numbers vary from row to row, since a tree that goes the same way every time looks faster than it is; whole numbers
    are 0 and texts "0", which most models accept as a place, a category or a word.
    """
    rng = np.random.default_rng(seed)
    return {spec.name: _example(spec, rows, rng) for spec in signature.inputs if not spec.is_optional}


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


def _example(spec: TensorSpec, rows: int, rng: np.random.Generator) -> Array:
    dims = [dim if dim is not None else (_FREE_DIM if axis else rows) for axis, dim in enumerate(spec.shape)]
    if spec.is_float:
        return np.asarray(rng.standard_normal(dims), spec.numpy_type)
    return np.full(dims, "0" if spec.datatype == "BYTES" else 0, spec.numpy_type)
