"""What a request to decide says besides its body, and how the results of many rows are answered."""

from collections.abc import Mapping
from typing import Any

from inferhub.api.problems import problem_of
from inferhub.errors import Conflict, error_from_dict


def with_idempotency_key(body: Any, key: str | None) -> Any:
    """The body with the header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header) as its request id.

    The key is a quoted string there, and most clients send it bare; both are taken. Where the body has a request id it
    must be the same one: raises Conflict. Rows have request ids of their own: raises Conflict too.
    """
    if not key or not isinstance(body, dict):
        return body
    plain = key[1:-1] if len(key) > 1 and key[0] == key[-1] == '"' else key
    if "rows" in body:
        raise Conflict("The header Idempotency-Key names one decision; rows have a request_id each.")
    if body.get("request_id", plain) != plain:
        raise Conflict("The header Idempotency-Key and the field request_id disagree; send one of them.")
    return body | {"request_id": plain}


def present_decisions(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer of `run_call`, with each row's problem as problem details and with its status."""
    if "results" not in answer:
        return answer
    return {"results": [_row(result) for result in answer["results"]]}


def status_of_decision(answer: Mapping[str, Any]) -> int:
    """201 where a decision was stored, 200 for an earlier one, a dry run and the results of rows."""
    is_new = answer.get("decision_id") is not None and not answer["is_repeat"]
    return 201 if is_new else 200


def _row(result: Mapping[str, Any]) -> dict[str, Any]:
    if result["problem"] is None:
        return {"status": status_of_decision(result["decision"]), **result}
    problem = problem_of(error_from_dict(result["problem"]))
    return {"status": problem["status"], "decision": None, "problem": problem}
