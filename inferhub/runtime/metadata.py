"""What a model file says about itself in its metadata properties (strings by key).

| key | value |
|---|---|
| `task` | the vocabulary of the registry: regression, classification, recommendation, ... |
| `labels` | JSON list of class names (strings or whole numbers), in the order of the probabilities |
| `allows_nan` | JSON list of inputs that take missing values and of outputs that may be NaN |
"""

import json
from collections.abc import Mapping

from inferhub.errors import FieldError, InvalidModel
from inferhub.lib.describe import describe, pointer

Label = str | int


def read_task(metadata: Mapping[str, str]) -> str:
    """The declared task, `""` where there is none."""
    return metadata.get("task", "")


def read_labels(metadata: Mapping[str, str]) -> tuple[Label, ...]:
    """The declared class names. Raises InvalidModel where they are not a JSON list of strings or whole numbers."""
    labels = _json_list(metadata, "labels")
    if not all(_is_label(label) for label in labels):
        expected = "a JSON list of strings of Unicode characters without NUL, or whole numbers of 64 bits"
        raise _invalid("labels", expected, describe(metadata["labels"]))
    return tuple(labels)


def allowed_nan(metadata: Mapping[str, str]) -> frozenset[str]:
    """Names of the tensors in which NaN has a meaning. Raises InvalidModel where that is no JSON list of strings."""
    names = _json_list(metadata, "allows_nan")
    if not all(isinstance(name, str) for name in names):
        raise _invalid("allows_nan", "a JSON list of names", describe(metadata["allows_nan"]))
    return frozenset(map(str, names))


def _is_label(label: object) -> bool:
    """What JSON, PostgreSQL and ONNX can all say."""
    if isinstance(label, str):
        return not any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in label)
    return type(label) is int and -(2**63) <= label < 2**63


def _json_list(metadata: Mapping[str, str], key: str) -> list[Label]:
    text = metadata.get(key, "[]")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _invalid(key, "a JSON list", describe(text)) from None
    if not isinstance(found, list):
        raise _invalid(key, "a JSON list", describe(text))
    return found


def _invalid(key: str, expected: str, got: str) -> InvalidModel:
    return InvalidModel(errors=[FieldError(pointer=pointer("metadata_props", key), expected=expected, got=got)])
