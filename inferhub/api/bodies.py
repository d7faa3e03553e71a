"""What callers may send, as JSON Schema: the same objects check requests and document them."""

from typing import Any

from inferhub.lib.schema import Schema
from inferhub.lib.slug import SLUG_PATTERN
from inferhub.recommendations.services import HISTORY_LIMIT, MOST_ITEMS
from inferhub.registry.models import Task

_SLUG = {"type": "string", "pattern": SLUG_PATTERN}
_ITEM_IDS = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 100}, "maxItems": HISTORY_LIMIT}

PREDICT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "rows": {
            "type": "array",
            "description": "One object a row: input name to value.",
            "items": {"type": "object"},
            "minItems": 1,
            "maxItems": 10_000,
        },
        "alias": _SLUG | {"description": "Which version; champion where nothing is said."},
        "version": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1, "description": "A fixed version instead."},
        "parameters": {"type": "object", "description": "Inputs that belong to the whole call, such as k."},
        "key": {
            "type": "string",
            "maxLength": 200,
            "description": "Whom or what it is about. Where an alias has a canary, the same key gets the same version.",
        },
    },
    "required": ["rows"],
    "not": {"required": ["alias", "version"]},
    "additionalProperties": False,
}
RECOMMEND: dict[str, Any] = {
    "type": "object",
    "description": "For a known user (user_id) or for a given history.",
    "properties": {
        "user_id": {"type": "string", "minLength": 1, "maxLength": 100},
        "history": _ITEM_IDS | {"description": "Item ids, latest first. Unknown ids are ignored."},
        "exclude": _ITEM_IDS | {"description": "Item ids that must not be recommended."},
        "k": {"type": "integer", "minimum": 1, "maximum": MOST_ITEMS},
    },
    "oneOf": [{"required": ["user_id"]}, {"required": ["history"]}],
    "additionalProperties": False,
}
DECIDE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "input": {"type": "object", "description": "As the workflow's input schema says."},
        "request_id": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "The caller's own id. The same id gets the same decision, for ever.",
        },
    },
    "required": ["input"],
    "additionalProperties": False,
}
REGISTER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "An ONNX file, or a text model of LightGBM."},
        "golden": {
            "type": "string",
            "format": "binary",
            "description": "Golden rows, JSON or .npz: inputs with the outputs that the model must give.",
        },
        "task": {"type": "string", "enum": Task.values},
        "alias": _SLUG | {"description": "Alias to point at the new version, such as champion."},
        "description": {"type": "string", "description": "What the model is for (taken for a new model)."},
        "notes": {"type": "string", "description": "What is new in this version."},
        "certificate": {"type": "string", "description": "The parity report, a JSON object."},
    },
    "required": ["file", "task"],
    "additionalProperties": False,
}
MOVE_ALIAS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "version": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
        "reason": {"type": "string", "minLength": 1, "maxLength": 1000, "pattern": r"\S"},
    },
    "required": ["version", "reason"],
    "additionalProperties": False,
}
START_JOB: dict[str, Any] = {
    "type": "object",
    "properties": {
        "kind": {"const": "bulk-recommendations"},
        "scenario": _SLUG,
    },
    "required": ["kind", "scenario"],
    "additionalProperties": False,
}

PREDICT_BODY = Schema(PREDICT)
RECOMMEND_BODY = Schema(RECOMMEND)
DECIDE_BODY = Schema(DECIDE)
MOVE_ALIAS_BODY = Schema(MOVE_ALIAS)
START_JOB_BODY = Schema(START_JOB)
