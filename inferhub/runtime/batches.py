"""Many rows in runs of the size that `inferhub tune` found to be the best for a model: large ones leave the cache."""

from collections.abc import Collection, Sequence

import numpy as np

from inferhub.runtime.deadline import Deadline
from inferhub.runtime.session import LoadedModel
from inferhub.runtime.signature import Feeds


def run_in_batches(
    model: LoadedModel, feeds: Feeds, *, rows: int, whole: Collection[str] = (), deadline: Deadline | None = None
) -> Feeds:
    """What one run of all `rows` answers, from runs of at most `model.batch` rows.

    Inputs named in `whole` belong to the call and go into each run as they are. Where not every other tensor is one of
    rows, or answers do not fit each other, all rows go in one run.
    """
    if not model.batch or rows <= model.batch or not _is_cuttable(model, feeds, whole):
        return model.run(feeds, deadline)
    pieces = [
        model.run(_cut(feeds, start, start + model.batch, whole), deadline) for start in range(0, rows, model.batch)
    ]
    return _joined(pieces) or model.run(feeds, deadline)


def _is_cuttable(model: LoadedModel, feeds: Feeds, whole: Collection[str]) -> bool:
    signature = model.signature
    cut = [spec for spec in signature.inputs if spec.name in feeds and spec.name not in whole]
    return all(spec.shape[:1] == (None,) for spec in (*cut, *signature.outputs))


def _cut(feeds: Feeds, start: int, stop: int, whole: Collection[str]) -> Feeds:
    return {name: feed if name in whole else feed[start:stop] for name, feed in feeds.items()}


def _joined(pieces: Sequence[Feeds]) -> Feeds | None:
    """None where the pieces of an output differ in more than their rows."""
    shapes = {tuple(piece[name].shape[1:] for name in piece) for piece in pieces}
    if len(shapes) > 1:
        return None
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
