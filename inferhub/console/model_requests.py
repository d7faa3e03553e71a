"""What a version is asked and answers: tables, lines to paste, and a form that asks it."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from inferhub.console import fields, html
from inferhub.console.model_sections import signature_table
from inferhub.console.pages import Answer, ServiceForm
from inferhub.console.sections import Section, Text
from inferhub.errors import FieldError
from inferhub.inference.services import predict
from inferhub.lib.schema import Schema
from inferhub.registry.models import ModelVersion
from inferhub.registry.queries import find_request
from inferhub.runtime.rows import Columns

_MOST_ROWS = 1000


def request_sections(version: ModelVersion, origin: str, *, is_pinned: bool) -> Sequence[Section]:
    """`origin` is where this hub answers; `is_pinned` asks this version, else whichever is champion."""
    request = find_request(version)
    if request is None:
        return ()
    body = request["example"] if is_pinned else _without_version(request["example"])
    return (
        signature_table("What a row holds", request["inputs"]),
        signature_table("What is answered", request["outputs"]),
        Text(title="To paste into a shell, with an API key in KEY", text=_curl(version, origin, body), is_code=True),
    )


def _curl(version: ModelVersion, origin: str, body: Mapping[str, Any]) -> str:
    return (
        f"curl -s {origin.rstrip('/')}/api/v1/models/{version.model.name}/predictions \\\n"
        '  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(orjson.dumps(body).decode())}"
    )


def _without_version(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "version"}


class AskForm(ServiceForm):
    """One request, answered by a version as a system would get it; nothing is recorded."""

    fallback = "request"
    request = fields.JsonField(
        label="Request",
        rows=14,
        help_text="JSON, as systems send it: rows or columns, and where they are wanted parameters and explain.",
    )

    def __init__(self, *args: Any, version: ModelVersion, **options: Any) -> None:
        super().__init__(*args, **options)
        self._version = version

    def save(self, *, actor: str) -> Answer:
        body = self.cleaned_data["request"]
        _schema(self._version.number).check(body)
        answer = predict(
            model=self._version.model.name,
            version=self._version.number,
            rows=Columns(values=body["columns"]) if "columns" in body else body["rows"],
            parameters=body.get("parameters"),
            explain=body.get("explain", False),
        )
        said: dict[str, Any] = {"predictions": answer.rows, "duration_ms": answer.duration_ms}
        said |= {"explanations": answer.explanations} if answer.explanations else {}
        return Answer(sections=(Text(title="Answer", text=html.json_text(said), is_code=True),))

    def _place(self, error: FieldError) -> tuple[str | None, str]:
        return self.fallback, error.sentence


def _schema(number: int) -> Schema:
    return Schema(
        {
            "type": "object",
            "properties": {
                "rows": {"type": "array", "minItems": 1, "maxItems": _MOST_ROWS},
                "columns": {"type": "object", "additionalProperties": {"type": "array", "maxItems": _MOST_ROWS}},
                "parameters": {"type": "object"},
                "explain": {"type": "boolean"},
                "version": {"const": number},
            },
            "oneOf": [{"required": ["rows"]}, {"required": ["columns"]}],
            "additionalProperties": False,
        }
    )
