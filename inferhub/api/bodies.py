"""What callers may send, as JSON Schema: the same objects check requests and document them."""

from typing import Any

from inferhub.decisions.models import Verdict
from inferhub.decisions.review_queue import LONGEST_TEXT
from inferhub.lib.moments import MOMENT_PATTERN
from inferhub.lib.schema import Schema
from inferhub.lib.slug import SLUG_PATTERN
from inferhub.lists.models import LONGEST_VALUE
from inferhub.lists.services import LONGEST_NOTE
from inferhub.recommendations.services import HISTORY_LIMIT, MOST_ITEMS
from inferhub.registry.gates import DOCUMENT as GATES
from inferhub.registry.models import Approval, Task
from inferhub.rulesets.cases import MOST_CASES, RULE_SET_CASE, WORKFLOW_CASE
from inferhub.rulesets.files import FORMATS
from inferhub.runtime.golden_file import MOST_BYTES as MOST_GOLDEN_BYTES

MOST_FORM_BYTES = (1 << 20) + MOST_GOLDEN_BYTES
"""What the form of an upload may hold beside the file."""

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
        "as_of": {
            "type": "string",
            "maxLength": 40,
            "description": "Decide by the versions of workflow and rules that were, or will be, in force at this time "
            "(or day, from its beginning in UTC). Models are those of today.",
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
        "subject": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "Exactly as in decisions and events; the composed and decomposed forms of Unicode are one.",
        },
        "reason": {"type": "string", "minLength": 1, "maxLength": 1000, "pattern": r"\S"},
        "workflow": _SLUG | {"description": "Only what belongs to this workflow."},
        "dry_run": {"type": "boolean", "description": "Only say what would go; false by default."},
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
_NARROW = {"type": "string", "minLength": 1, "maxLength": 100}
_MOMENT = {
    "type": "string",
    "format": "date-time",
    "pattern": MOMENT_PATTERN,
}
REDRIVE: dict[str, Any] = {
    "type": "object",
    "description": "Which dead letters; {} means all of them.",
    "properties": {
        "kind": _NARROW,
        "target": _NARROW | {"description": "Such as webhook:shop."},
        "workflow": _SLUG,
        "from": _MOMENT | {"description": "Only those that were given up at this time or later."},
        "until": _MOMENT | {"description": "Only those that were given up before this time."},
    },
    "additionalProperties": False,
}
SAVE_ENDPOINT: dict[str, Any] = {
    "type": "object",
    "properties": {"url": {"type": "string", "minLength": 1, "maxLength": 500}},
    "required": ["url"],
    "additionalProperties": False,
}
SWITCH_ENDPOINT: dict[str, Any] = {
    "type": "object",
    "properties": {"is_active": {"type": "boolean"}},
    "required": ["is_active"],
    "additionalProperties": False,
}
CHANGE_FLAG = _with_reason(("is_held",), is_held={"type": "boolean"})
START_JOB: dict[str, Any] = {
    "type": "object",
    "properties": {
        "kind": {"const": "bulk-recommendations"},
        "scenario": _SLUG,
    },
    "required": ["kind", "scenario"],
    "additionalProperties": False,
}
_WORKFLOW = _SLUG | {"description": "Only cases of this workflow."}
NOTHING: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
NEXT_REVIEW = NOTHING | {"properties": {"workflow": _WORKFLOW}}
COMMENT: dict[str, Any] = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT, "pattern": r"\S"}},
    "required": ["text"],
    "additionalProperties": False,
}
ASSIGN: dict[str, Any] = {
    "type": "object",
    "properties": {
        "to": {
            "type": "string",
            "maxLength": 200,
            "description": "The user name of a person who may settle reviews; empty: nobody, back to the queue.",
        }
    },
    "required": ["to"],
    "additionalProperties": False,
}
SETTLE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "verdict": {"enum": Verdict.values},
        "outcome": {
            "type": "string",
            "maxLength": 100,
            "description": "Of the verdict changed: one of the outcomes that the review's answers list.",
        },
        "reason": {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT, "pattern": r"\S"},
    },
    "required": ["verdict", "reason"],
    "additionalProperties": False,
}

INSTALL_STARTER: dict[str, Any] = {
    "type": "object",
    "properties": {"as": _SLUG | {"description": "What all that it makes is called; by default as the starter is."}},
    "additionalProperties": False,
}


def _cases(case: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"tests": {"type": "array", "items": case, "maxItems": MOST_CASES}, **more},
        "additionalProperties": False,
    }


_MOMENT_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
PUBLISH = _with_reason(
    ("version",),
    version=_VERSION,
    effective_from=_MOMENT_OR_NULL | {"description": "From when on; null or nothing: from when it is published."},
    effective_until=_MOMENT_OR_NULL | {"description": "Until when; null or nothing: until a later publication begins."},
)
SET_APPROVAL = _with_reason(("approval",), approval={"enum": Approval.values})
SAVE_AUTHORED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "definition": {"type": "object"},
        "description": {"type": "string", "maxLength": 5000},
        "note": {"type": "string", "maxLength": 5000, "description": "What changed, and why."},
        "approval": {"enum": Approval.values, "description": "Of a new one; four-eyes where nothing is said."},
        "is_draft": {"type": "boolean", "description": "true: only save, even where the policy is direct."},
    },
    "required": ["definition"],
    "additionalProperties": False,
}
_TESTED = {"version": _VERSION | {"description": "The version in use where nothing is said."}}
WORKFLOW_TESTS = _cases(WORKFLOW_CASE) | {"required": ["tests"]}
RULE_SET_TESTS = _cases(RULE_SET_CASE) | {"required": ["tests"]}
RUN_WORKFLOW_TESTS = _cases(
    WORKFLOW_CASE, **_TESTED, rule_set_version=_VERSION | {"description": "The rules in use where nothing is said."}
)
RUN_RULE_SET_TESTS = _cases(RULE_SET_CASE, **_TESTED)

VERIFY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "since_seal": {
            "type": "integer",
            "minimum": 0,
            "maximum": 2**53,
            "description": "Check only rows that later seals cover, and those that wait for one; 0: all.",
        },
    },
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
REDRIVE_BODY = Schema(REDRIVE)
SAVE_ENDPOINT_BODY = Schema(SAVE_ENDPOINT)
SWITCH_ENDPOINT_BODY = Schema(SWITCH_ENDPOINT)
CHANGE_FLAG_BODY = Schema(CHANGE_FLAG)
INSTALL_STARTER_BODY = Schema(INSTALL_STARTER)
WORKFLOW_TESTS_BODY = Schema(WORKFLOW_TESTS)
RULE_SET_TESTS_BODY = Schema(RULE_SET_TESTS)
RUN_WORKFLOW_TESTS_BODY = Schema(RUN_WORKFLOW_TESTS)
RUN_RULE_SET_TESTS_BODY = Schema(RUN_RULE_SET_TESTS)
PUBLISH_BODY = Schema(PUBLISH)
SET_APPROVAL_BODY = Schema(SET_APPROVAL)
SAVE_AUTHORED_BODY = Schema(SAVE_AUTHORED)
NOTHING_BODY = Schema(NOTHING)
NEXT_REVIEW_BODY = Schema(NEXT_REVIEW)
COMMENT_BODY = Schema(COMMENT)
ASSIGN_BODY = Schema(ASSIGN)
SETTLE_BODY = Schema(SETTLE)
VERIFY_BODY = Schema(VERIFY)
