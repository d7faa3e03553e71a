"""One attempt: ask the kind of an action where it goes and let it do its work, whatever other packages do and say.

A kind that raises, says nonsense or takes too long is an attempt that failed, like any other: recorded, tried again and
given up in the end. It must not keep a worker from the actions of others.
"""

from dataclasses import replace
from datetime import timedelta

import structlog
from celery.exceptions import SoftTimeLimitExceeded

from inferhub.decisions.actions.base import ActionKind, DeliveryResult
from inferhub.decisions.models import Action
from inferhub.errors import InferhubError, InvalidInput
from inferhub.lib.describe import describe

log = structlog.get_logger(__name__)

_LONGEST_TARGET = 100
_LARGEST_CODE = 999
_LONGEST_REST_ASKED = timedelta(hours=1)  # as long as the hub itself waits at most between two attempts


def target_of(kind: ActionKind | None, action: Action) -> tuple[str, DeliveryResult | None]:
    """The system that the action is sent to, empty where there is none; the second value is what failed instead."""
    try:
        target: object = kind.target(action.settings) if kind else ""
    except Exception as exc:  # the boundary to other packages
        return "", _unforeseen(action, exc)
    if not isinstance(target, str):
        return "", _own_fault(f"the kind of action '{action.kind}' names a target that is no text: {describe(target)}")
    if len(target) > _LONGEST_TARGET:
        return "", _own_fault(
            f"the kind of action '{action.kind}' names a target of more than {_LONGEST_TARGET} characters"
        )
    return target, None


def try_once(kind: ActionKind | None, action: Action) -> DeliveryResult:
    """Let the kind do it. Never fails: what it raises is how the attempt ended."""
    if kind is None:
        missing = f"no installed package offers the kind of action '{action.kind}'"
        return DeliveryResult(is_success=False, is_permanent=True, is_own_fault=True, detail=missing)
    try:
        return _storable(action, kind.deliver(action))
    except InferhubError as exc:
        is_own_fault = isinstance(exc, InvalidInput)
        failed = DeliveryResult(
            is_success=False, is_permanent=exc.is_permanent, is_own_fault=is_own_fault, detail=str(exc)
        )
        return _storable(action, failed)
    except SoftTimeLimitExceeded:
        return DeliveryResult(is_success=False, detail="there was no end to it")
    except (
        Exception
    ) as exc:  # the worker's boundary: a fault of ours is an attempt like any other, kept and tried again
        return _unforeseen(action, exc)


def _storable(action: Action, result: object) -> DeliveryResult:
    """`result` as the database can hold it."""
    if not isinstance(result, DeliveryResult):
        gave = f"the kind of action '{action.kind}' gave {describe(result)} instead of a DeliveryResult"
        return _own_fault(gave)
    detail = "" if result.detail is None else str(result.detail)
    if "\x00" in detail or not detail.isascii():
        detail = detail.replace("\x00", "?").encode("utf-8", "replace").decode()
    code = result.status_code
    is_code = type(code) is int and 0 <= code <= _LARGEST_CODE
    asked = result.retry_after if isinstance(result.retry_after, timedelta) else None
    return replace(
        result,
        detail=detail,
        status_code=code if is_code else None,
        retry_after=asked and min(max(asked, timedelta(0)), _LONGEST_REST_ASKED),
    )


def _own_fault(detail: str) -> DeliveryResult:
    return DeliveryResult(is_success=False, is_own_fault=True, detail=detail)


def _unforeseen(action: Action, exc: Exception) -> DeliveryResult:
    log.exception("unforeseen error in an attempt", action=str(action.pk), exc_info=exc)
    return _own_fault(f"unforeseen {type(exc).__name__}; see the worker's log")
