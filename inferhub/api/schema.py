"""The OpenAPI document: what drf-spectacular reads off the views, and the problems that each of them can answer."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from inferhub.api import answers
from inferhub.api.preconditions import IF_MATCH

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_ALWAYS = {
    "400": "The request is malformed.",
    "401": "No API key, or not a valid one.",
    "403": "The API key lacks the scope.",
    "404": "There is no such thing.",
    "422": "A field is not as expected; `errors` names it.",
    "406": "Only application/json can be answered.",
    "429": "The API key's quota of this minute is used up; `Retry-After` says when there is more.",
    "503": "A part does not answer now. Try again.",
}
_WITH_BODY = {
    "409": "The present state does not allow it.",
    "411": "The body comes in chunks, without a length.",
    "413": "The body is too large.",
    "415": "The body is not application/json.",
    "502": "The model gave no usable answer.",
}

_OF_WHAT_IS_SEALED = frozenset({"prove_decision", "prove_audit_event"})
_READ_ONLY = frozenset({"predict", "recommend"})
_IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string"},
    "description": "A name of your own for this write: sent again within a day, it is not done again but answered as "
    "it was before. Of a decision it is the request id.",
}


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "inferhub.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API key of this hub: ihk_..."}


def add_problem_answers(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Document the problem answers once for all operations."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = answers.PROBLEM
    for methods in result["paths"].values():
        for method, operation in methods.items():
            if method == "get":
                operation["responses"]["304"] = {"description": "As the ETag in If-None-Match says it was."}
            problems = dict(_ALWAYS)
            if operation["operationId"] in _OF_WHAT_IS_SEALED:
                problems["409"] = "No seal covers it yet: it is sealed within seconds."
            if "requestBody" in operation:
                operation["requestBody"]["required"] = True
                problems |= _WITH_BODY
                if operation["operationId"] not in _READ_ONLY:
                    operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
            if any(parameter["name"] == IF_MATCH for parameter in operation.get("parameters", ())):
                problems["412"] = "It is not as If-Match says any more; nothing was done. Read it again."
            for status, description in problems.items():
                operation["responses"].setdefault(status, {"description": description, "content": _PROBLEM})
    return result
