"""What callers may send, as JSON Schema: the same objects check requests and document them."""

from typing import Any

from inferhub.lib.schema import Schema
from inferhub.lib.slug import SLUG_PATTERN
from inferhub.lists.models import LONGEST_VALUE
from inferhub.lists.services import LONGEST_NOTE
from inferhub.recommendations.services import HISTORY_LIMIT, MOST_ITEMS
from inferhub.registry.gates import DOCUMENT as GATES
from inferhub.registry.models import Approval, Task
from inferhub.rulesets.files import FORMATS

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
        "columns": {
            "type": "object",
            "description": "The rows in their other form: input name to the list of its values, one for each row.",
            "additionalProperties": {"type": "array", "minItems": 1, "maxItems": 10_000},
            "minProperties": 1,
        },
        "alias": _SLUG | {"description": "Which version; champion where nothing is said."},
        "version": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1, "description": "A fixed version instead."},
        "parameters": {"type": "object", "description": "Inputs that belong to the whole call, such as k."},
        "key": {
            "type": "string",
            "maxLength": 200,
            "description": "Whom or what it is about. Where an alias has a canary, the same key gets the same version.",
        },
        "explain": {
            "type": "boolean",
            "description": "Answer why as well: of trees, what each feature added; of recommenders, the reasons. "
            "At most 100 rows.",
        },
        "timeout_ms": {
            "type": "integer",
            "minimum": 1,
            "maximum": 3_600_000,
            "description": "How long the model may wait and run; the server's own limit holds in any case.",
        },
    },
    "oneOf": [{"required": ["rows"]}, {"required": ["columns"]}],
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
_TO_DECIDE = {
    "input": {"type": "object", "description": "As the workflow's input schema says."},
    "request_id": {
        "type": "string",
        "minLength": 1,
        "maxLength": 200,
        "description": "The caller's own id. The same id gets the same decision, for ever.",
    },
}
DECIDE: dict[str, Any] = {
    "type": "object",
    "description": "One input, or many at once as rows.",
    "properties": {
        **_TO_DECIDE,
        "rows": {
            "type": "array",
            "description": "Instead of input: each is decided by itself, and all are committed together.",
            "items": {
                "type": "object",
                "properties": _TO_DECIDE,
                "required": ["input"],
                "additionalProperties": False,
            },
            "minItems": 1,
            "maxItems": 1000,
        },
        "dry_run": {
            "type": "boolean",
            "description": "Decide, but store nothing and cause no action: ids and digest in the answer are null.",
        },
        "trace": {"type": "boolean", "description": "false: leave the trace out of the answer. It is stored anyway."},
    },
    "if": {"required": ["rows"]},
    "then": {"not": {"anyOf": [{"required": ["input"]}, {"required": ["request_id"]}]}},
    "else": {"required": ["input"]},
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
        "approval": {
            "type": "string",
            "enum": Approval.values,
            "description": "How the aliases of a new model move; four-eyes where nothing is said.",
        },
        "certificate": {"type": "string", "description": "The parity report, a JSON object."},
        "metrics": {"type": "string", "description": "How well it does, a JSON object: name to number."},
        "lineage": {"type": "string", "description": "Data digest, code version, parameters, trainer: a JSON object."},
        "steps": {"type": "string", "description": "Pre- and postprocess steps, a JSON object."},
        "model_card": {"type": "string", "description": "Markdown."},
    },
    "required": ["file", "task"],
    "additionalProperties": False,
}
_VERSION = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}
_VERSION_OR_NULL = _VERSION | {"type": ["integer", "null"], "description": "null: none any more."}
_REASON = {"type": "string", "minLength": 1, "maxLength": 1000, "pattern": r"\S"}


def _with_reason(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties | {"reason": _REASON},
        "required": [*required, "reason"],
        "additionalProperties": False,
    }


MOVE_ALIAS = _with_reason(("version",), version=_VERSION)
ROLL_BACK = _with_reason(from_version=_VERSION | {"description": "The version that must be in place: else 409."})
SET_CANARY = _with_reason(
    ("version",), version=_VERSION_OR_NULL, percent={"type": "integer", "minimum": 1, "maximum": 99}
)
SET_SHADOW = _with_reason(("version",), version=_VERSION_OR_NULL)
SET_POLICY = _with_reason(approval={"enum": Approval.values}, gates=GATES) | {"minProperties": 2}
GIVE_REASON = _with_reason()
MAY_GIVE_REASON = GIVE_REASON | {"required": []}
EDIT_MODEL: dict[str, Any] = {
    "type": "object",
    "properties": {
        "description": {"type": "string", "maxLength": 5000},
        "owner": {"type": "string", "maxLength": 200, "description": "The person or team that answers for it."},
        "tags": {"type": "array", "items": _SLUG, "maxItems": 20},
    },
    "minProperties": 1,
    "additionalProperties": False,
}
ERASE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "subject": {"type": "string", "minLength": 1, "maxLength": 200, "description": "Exactly as in the decisions."},
        "reason": {"type": "string", "minLength": 1, "maxLength": 1000, "pattern": r"\S"},
        "workflow": _SLUG | {"description": "Only decisions of this workflow."},
    },
    "required": ["subject", "reason"],
    "additionalProperties": False,
}
_LIST_REASON = {"type": "string", "maxLength": 1000, "description": "Kept with the new version."}
SAVE_LIST: dict[str, Any] = {
    "type": "object",
    "properties": {"description": {"type": "string", "maxLength": 5000}},
    "additionalProperties": False,
}
_LIST_VALUE = {"type": "string", "minLength": 1, "maxLength": LONGEST_VALUE}
CHANGE_ENTRIES: dict[str, Any] = {
    "type": "object",
    "properties": {
        "add": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "value": _LIST_VALUE,
                    "note": {"type": "string", "maxLength": LONGEST_NOTE},
                    "expires_at": {
                        "type": ["string", "null"],
                        "format": "date-time",
                        "description": "From then on it does not belong to the list any more.",
                    },
                },
                "required": ["value"],
                "additionalProperties": False,
            },
            "maxItems": 10_000,
        },
        "remove": {"type": "array", "items": _LIST_VALUE, "maxItems": 10_000},
        "reason": _LIST_REASON,
    },
    "additionalProperties": False,
}
IMPORT_LIST: dict[str, Any] = {
    "type": "object",
    "properties": {
        "file": {
            "type": "string",
            "format": "binary",
            "description": "CSV in UTF-8 with a head line: value, and perhaps note and expires_at.",
        },
        "mode": {
            "enum": ["add", "replace"],
            "description": "replace: entries that the file does not hold are removed.",
        },
        "reason": _LIST_REASON,
    },
    "required": ["file", "mode"],
    "additionalProperties": False,
}
IMPORT_RULE_SET: dict[str, Any] = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "As an export of a rule set looks."},
        "format": {"enum": list(FORMATS)},
        "note": {"type": "string", "maxLength": 5000, "description": "What changed, and why."},
    },
    "required": ["file", "format"],
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
ROLL_BACK_BODY = Schema(ROLL_BACK)
SET_CANARY_BODY = Schema(SET_CANARY)
SET_SHADOW_BODY = Schema(SET_SHADOW)
SET_POLICY_BODY = Schema(SET_POLICY)
GIVE_REASON_BODY = Schema(GIVE_REASON)
MAY_GIVE_REASON_BODY = Schema(MAY_GIVE_REASON)
EDIT_MODEL_BODY = Schema(EDIT_MODEL)
ERASE_BODY = Schema(ERASE)
SAVE_LIST_BODY = Schema(SAVE_LIST)
CHANGE_ENTRIES_BODY = Schema(CHANGE_ENTRIES)
START_JOB_BODY = Schema(START_JOB)
