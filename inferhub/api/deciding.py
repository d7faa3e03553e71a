"""What a request to decide says besides its body, and how the results of many rows are answered."""

from collections.abc import Mapping
from typing import Any

from inferhub.api.problems import problem_of
from inferhub.errors import FieldError, InvalidInput, error_from_dict


def with_idempotency_key(body: Any, key: str | None) -> Any:
    """The body with the header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header) as its request id.

    The key is a quoted string there, and most clients send it bare; both are taken. Raises InvalidInput where the body
    has another request id, or rows, which have one each.
    """
    plain = (key or "").strip('"')
    if not plain or not isinstance(body, dict):
        return body
    if "rows" in body:
        got = "the header Idempotency-Key, which names one decision"
        raise InvalidInput(errors=[FieldError(pointer="/rows", expected="a request_id in each row", got=got)])
    if body.get("request_id", plain) != plain:
        raise InvalidInput(errors=[FieldError(pointer="/request_id", expected="the Idempotency-Key", got="another id")])
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
