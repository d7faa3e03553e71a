"""Histories as the inputs of an exported recommender, and odd features of customers to test it with."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from recommender.history import History, pad_ages, pad_items
from recommender.ids import as_strings
from recommender.onnx_export.signature import Signature, TensorSpec
from recommender.reranking.user_groups import UserGroups, as_amount
from recommender.types import AnyArray

_PREFIX = "user_"


def input_of(feature: str) -> str:
    """The name of the input of a feature of customers."""
    return _PREFIX + feature


def history_feeds(histories: Sequence[History], signature: Signature) -> dict[str, AnyArray]:
    """N histories as what `signature` takes of them: history and, if it has them, ages and features of customers.

    Give it to `onnxruntime.InferenceSession.run`, with exclude, unavailable and k where they are wanted.
    """
    feeds: dict[str, AnyArray] = {"history": pad_items(histories)}
    for spec in signature.inputs:
        if spec.name == "ages":
            feeds["ages"] = pad_ages(histories)
        elif spec.name.startswith(_PREFIX):
            feeds[spec.name] = _feature(histories, spec)
    return feeds


def _feature(histories: Sequence[History], spec: TensorSpec) -> AnyArray:
    values = [history.features.get(spec.name.removeprefix(_PREFIX)) for history in histories]
    if spec.datatype == "BYTES":
        return as_strings(value if isinstance(value, str) else "" for value in values)[:, np.newaxis]
    return np.array([as_amount(value) for value in values], np.float32)[:, np.newaxis]


def with_odd_features(
    histories: Iterable[History], groups: Sequence[UserGroups], rng: np.random.Generator
) -> list[History]:
    """The same histories, each with some of the features: known and unknown texts, amounts at the limits of bands."""
    choices = {group.name: [None, *_odd_values(group)] for group in groups}
    found = []
    for history in histories:
        drawn = {name: values[rng.integers(len(values))] for name, values in choices.items()}
        features = {name: value for name, value in drawn.items() if value is not None}
        found.append(replace(history, features=features))
    return found


def _odd_values(group: UserGroups) -> list[str] | list[float]:
    if group.labels is not None:
        return [*group.labels, "", "no such group", group.labels[0] + " "]
    at = group.edges
    ends = np.array([np.nan, np.inf, -np.inf, 0.0, 3e38, -3e38], np.float32)
    beside = (np.nextafter(at, np.float32(side)) for side in (np.inf, -np.inf))
    return [float(value) for value in np.concatenate([at, *beside, ends])]
