"""The id of the request that is answered now: in the answer, in each log line and in the audit log."""

import itertools
import os
import secrets
from contextvars import ContextVar
from typing import Any

current_request_id: ContextVar[str] = ContextVar("request_id", default="")


class _Ids:
    """Ids that no other process gives: a random word of this process, and a number."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._word = secrets.token_hex(8)
        self._numbers = itertools.count(1)

    def make(self) -> str:
        return f"{self._word}-{next(self._numbers):x}"


_ids = _Ids()
os.register_at_fork(after_in_child=_ids.reset)
make_request_id = _ids.make


def add_request_id(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """A processor of structlog."""
    request_id = current_request_id.get()
    return event | {"request_id": request_id} if request_id else event
