"""What a workflow version may say, and the frozen plan that it becomes. Knows no database."""

from dataclasses import dataclass
from typing import Any

from inferhub.decisions.failures import MISSING_FACTS, ON_FAILURE, REVIEW, UNDECIDED, PredictionFailure
from inferhub.errors import FieldError, InvalidDefinition, InvalidInput
from inferhub.lib.describe import describe, pointer
from inferhub.lib.schema import Schema
from inferhub.lib.slug import SLUG_PATTERN

LONGEST_OUTCOME = 100
_NAME = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"}
_SLUG = {"type": "string", "pattern": SLUG_PATTERN}
_WEBHOOK = {
    "type": "object",
    "properties": {"kind": {"const": "webhook"}, "endpoint": _SLUG},
    "required": ["kind", "endpoint"],
    "additionalProperties": False,
}
_REVIEW = {
    "type": "object",
    "properties": {"kind": {"const": "review"}, "title": {"type": "string", "minLength": 1, "maxLength": 200}},
    "required": ["kind", "title"],
    "additionalProperties": False,
}
DEFINITION = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Workflow definition",
    "type": "object",
    "properties": {
        "input": {
            "type": "object",
            "description": "JSON Schema of what the caller sends: an object.",
            "properties": {"type": {"const": "object"}, "properties": {"type": "object"}},
            "required": ["type", "properties"],
        },
        "subject": {"type": "string", "description": "The input field that tells whom or what the decision is about."},
        "predictions": {
            "type": "array",
            "maxItems": 10,
            "items": {
                "type": "object",
                "properties": {
                    "name": _NAME | {"description": "The rules see it as prediction.NAME.OUTPUT."},
                    "model": _SLUG,
                    "alias": _SLUG,
                    "version": {"type": "integer", "minimum": 1},
                    "inputs": {
                        "type": "object",
                        "description": "Input of the model: field of the caller's input.",
                        "additionalProperties": {"type": "string"},
                        "minProperties": 1,
                    },
                    "timeout_ms": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": 3_600_000,
                        "description": "How long the model may wait and run; the server's own limit holds in any case.",
                    },
                    "on_failure": ON_FAILURE,
                },
                "required": ["name", "model", "inputs"],
                "additionalProperties": False,
            },
        },
        "rule_set": _SLUG,
        "missing_facts": MISSING_FACTS,
        "retention_months": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1200,
            "description": "Months after which the content of a decision is erased; all is kept where nothing is said.",
        },
        "actions": {
            "type": "object",
            "description": "By outcome: what is to be done.",
            "additionalProperties": {
                "type": "array",
                "maxItems": 10,
                "items": {
                    "type": "object",
                    "properties": {"kind": {"enum": ["webhook", "review"]}},
                    "required": ["kind"],
                    "if": {"properties": {"kind": {"const": "webhook"}}},
                    "then": _WEBHOOK,
                    "else": _REVIEW,
                },
            },
        },
    },
    "required": ["input", "predictions", "rule_set", "actions"],
    "additionalProperties": False,
}
_DEFINITION = Schema(DEFINITION)


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictionPlan:
    """One prediction of a workflow: which model, and which input field feeds which of its inputs."""

    name: str
    model: str
    alias: str
    version: int | None
    inputs: tuple[tuple[str, str], ...]
    timeout_ms: int | None = None
    on_failure: PredictionFailure = REVIEW


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkflowPlan:
    """A workflow version, ready to be run."""

    input_schema: Schema
    subject: str
    predictions: tuple[PredictionPlan, ...]
    rule_set: str
    actions: dict[str, tuple[dict[str, Any], ...]]
    missing_facts: str = UNDECIDED
    retention_months: int | None = None


def parse_workflow(definition: Any) -> WorkflowPlan:
    """Check a definition and freeze it. Raises InvalidDefinition with pointers into it."""
    _DEFINITION.check(definition, error=InvalidDefinition)
    plan = WorkflowPlan(
        input_schema=_input_schema(definition["input"]),
        subject=definition.get("subject", ""),
        predictions=tuple(_prediction(entry) for entry in definition["predictions"]),
        rule_set=definition["rule_set"],
        actions={outcome: tuple(actions) for outcome, actions in definition["actions"].items()},
        missing_facts=definition.get("missing_facts", UNDECIDED),
        retention_months=definition.get("retention_months"),
    )
    errors = _unknown_fields(plan, definition["input"]["properties"]) + _repeated_names(plan)
    errors += _wrong_examples(plan, definition["input"])
    if errors:
        raise InvalidDefinition(errors=errors)
    return plan


def _input_schema(definition: dict[str, Any]) -> Schema:
    """A misspelt field is an error, unless the author says that more fields may come."""
    try:
        return Schema({"additionalProperties": False, **definition})
    except InvalidDefinition as exc:
        raise InvalidDefinition(
            errors=[FieldError(pointer="/input" + e.pointer, expected=e.expected, got=e.got) for e in exc.errors]
        ) from exc


def _prediction(entry: dict[str, Any]) -> PredictionPlan:
    return PredictionPlan(
        name=entry["name"],
        model=entry["model"],
        alias=entry.get("alias", "champion"),
        version=entry.get("version"),
        inputs=tuple(entry["inputs"].items()),
        timeout_ms=entry.get("timeout_ms"),
        on_failure=PredictionFailure.parse(entry.get("on_failure", UNDECIDED)),
    )


def _unknown_fields(plan: WorkflowPlan, fields: dict[str, Any]) -> list[FieldError]:
    """References to input fields that the input schema does not know."""
    expected = f"a field of the input ({', '.join(fields)})"
    used = [
        (pointer("predictions", position, "inputs", model_input), field)
        for position, prediction in enumerate(plan.predictions)
        for model_input, field in prediction.inputs
    ]
    if plan.subject:
        used.append(("/subject", plan.subject))
    return [
        FieldError(pointer=place, expected=expected, got=describe(field))
        for place, field in used
        if field not in fields
    ]


def _repeated_names(plan: WorkflowPlan) -> list[FieldError]:
    names = [prediction.name for prediction in plan.predictions]
    return [
        FieldError(pointer=pointer("predictions", position, "name"), expected="a name of its own", got=describe(name))
        for position, name in enumerate(names)
        if name in names[:position]
    ]


def _wrong_examples(plan: WorkflowPlan, schema: dict[str, Any]) -> list[FieldError]:
    """Examples of the input that the input schema itself would refuse."""
    examples = schema.get("examples", [])
    if not isinstance(examples, list):
        return [FieldError(pointer="/input/examples", expected="a list of inputs", got=describe(examples))]
    errors: list[FieldError] = []
    for place, example in enumerate(examples):
        try:
            plan.input_schema.check(example, at=pointer("input", "examples", place))
        except InvalidInput as exc:
            errors += exc.errors
    return errors
