"""What a starter is: a working example that a newcomer installs, tries, and makes their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]

ALONE = (
    "So that one person can try it at once, its model, rules and workflow change without a second person's approval. "
    "Before real use, have them take four eyes: each of them has a policy."
)
"""Said wherever a starter is installed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A request to try: the body's `input` for a workflow, the whole body for a scenario."""

    title: str
    body: Document


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """The four boxes of the picture on a starter's card: a few words each."""

    input: str
    model: str
    rules: str
    actions: str


@dataclass(frozen=True, kw_only=True)
class Starter:
    """One starter. Everything that it makes in a hub, a model among it, gets the name that the installer chooses.

    `rules` is the definition of its rule set, `steps` those around its model, `workflow` the definition of its workflow
    without the names of model and rule set; a starter without one is a recommendation scenario, and its rules are the
    boosts of that. `tests` are test cases of the workflow, or of the boosts. `story` is plain text with empty
    lines between its paragraphs; `caution` is what nobody may overlook.
    """

    name: str
    title: str
    audience: str
    summary: str
    story: str
    parts: Parts
    task: str
    rules: Document
    samples: Sequence[Sample]
    tests: Sequence[Document]
    caution: str = ""
    steps: Document = field(default_factory=dict)
    workflow: Document | None = None

    @property
    def work(self) -> tuple[str, ...]:
        """The steps of its installation, in words."""
        train = "Train the model, prove its ONNX form equal, and register it"
        if self.workflow is None:
            return (
                "Load the invented shop: articles and a year of purchases",
                train,
                "Write the boosts",
                "Join model and boosts in a scenario",
                "Keep the test cases of the boosts, and run them",
            )
        return (
            train,
            "Write the rules",
            "Join model and rules in a workflow",
            "Keep the test cases of the workflow, and run them",
        )

    def workflow_named(self, name: str, *, model: str = "") -> Document:
        """The definition of the workflow, once its parts are called `name`, and its model too where none is given.

        Only for a starter that has a workflow.
        """
        if self.workflow is None:
            raise ValueError(f"{self.name} has no workflow")
        predictions = [{**entry, "model": model or name} for entry in self.workflow["predictions"]]
        return {**self.workflow, "predictions": predictions, "rule_set": name}


def review(title: str, **answers: str) -> Document:
    """An action that waits for a person; `answers`: where `approve` and `reject` lead, if an outcome fits."""
    return {"kind": "review", "title": title, **answers}


def table(
    inputs: Mapping[str, tuple[str, str]],
    outputs: Mapping[str, str],
    rows: Sequence[Sequence[str]],
    *,
    optional: Sequence[str] = (),
) -> Document:
    """A decision table with the hit policy first. `optional` are inputs that may be missing.

    `inputs` are fields with type and heading, `outputs` those with a heading (texts, but for factor and quantity, which
    are numbers). A row is its conditions, its results, and a note at the end.
    """
    numbers = ("factor", "quantity")
    return {
        "hit_policy": "first",
        "inputs": [
            {"field": name, "type": kind, "label": label} | ({"is_optional": True} if name in optional else {})
            for name, (kind, label) in inputs.items()
        ],
        "outputs": [
            {"field": name, "type": "number" if name in numbers else "string", "label": label}
            for name, label in outputs.items()
        ],
        "rules": [
            {"when": list(row[: len(inputs)]), "then": list(row[len(inputs) : -1]), "note": row[-1]} for row in rows
        ],
    }


def fields(*, optional: Sequence[str] = (), **properties: Document) -> Document:
    """An input schema in which every field is required but the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def identifier(title: str, description: str, example: str) -> Document:
    limits = {"minLength": 1, "maxLength": 100}
    return {"type": "string", "title": title, "description": description, **limits, "examples": [example]}


def number(title: str, description: str, example: float, *, low: float = 0, high: float | None = None) -> Document:
    limits: Document = {"minimum": low} | ({} if high is None else {"maximum": high})
    return {"type": "number", "title": title, "description": description, **limits, "examples": [example]}


def whole(title: str, description: str, example: int, *, low: int = 0, high: int = 1_000_000) -> Document:
    limits = {"minimum": low, "maximum": high}
    return {"type": "integer", "title": title, "description": description, **limits, "examples": [example]}


def flag(title: str, description: str, *, example: bool = False) -> Document:
    return {"type": "boolean", "title": title, "description": description, "examples": [example]}


def one_of(title: str, description: str, words: Sequence[str], example: str) -> Document:
    return {"type": "string", "title": title, "description": description, "enum": list(words), "examples": [example]}
