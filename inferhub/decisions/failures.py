"""What a workflow does where a prediction fails or a fact is missing: a review, unless it says otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inferhub.errors import FieldError, InferhubError, ModelFailed

ON_FAILURE: dict[str, Any] = {
    "description": "Where the model fails or takes too long: review, error (the request fails), or a fallback.",
    "oneOf": [
        {"enum": ["review", "error"]},
        {
            "type": "object",
            "properties": {"fallback": {"type": "object", "minProperties": 1, "description": "Output: value."}},
            "required": ["fallback"],
            "additionalProperties": False,
        },
    ],
}
MISSING_FACTS: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 100,
    "description": "The outcome where the rules miss a fact, or it is null, NaN or of another type: review where "
    "nothing is said; error: the request fails.",
}
_FACTS = ("/input/", "/prediction/")


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictionFailure:
    """What happens where a prediction fails: a review, or one of these."""

    fallback: Mapping[str, Any] | None = None
    is_error: bool = False

    @classmethod
    def parse(cls, written: Any) -> "PredictionFailure":
        """From what passed ON_FAILURE."""
        if isinstance(written, Mapping):
            return cls(fallback=written["fallback"])
        return cls(is_error=written == "error")

    def error_of(self, name: str, error: InferhubError) -> InferhubError:
        """What the request hears: an error that may pass stays one."""
        return ModelFailed(f"The prediction '{name}' failed: {error}") if error.is_permanent else error


REVIEW = PredictionFailure()
"""What happens where nothing is said."""


def missing_facts_of(trace: Mapping[str, Any]) -> list[FieldError]:
    """The facts that the rules could not use; empty where a prediction failed, or where the rules are to blame.

    >>> missing_facts_of({"undecided": [{"pointer": "/rules", "expected": "one row", "got": "two"}]})
    []
    """
    found = [FieldError(**one) for one in trace["undecided"]]
    return found if all(is_of_facts(one.pointer) and one.expected != "a prediction" for one in found) else []


def is_of_facts(where: str) -> bool:
    """Whether what is undecided there is a fact of the request, and not the fault of the rules."""
    return where.startswith(_FACTS)
