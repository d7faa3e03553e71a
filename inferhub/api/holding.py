"""Flags of subjects: what is held, since when and why; hold and release."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import bodies
from inferhub.api import follow_up_answers as answers
from inferhub.api.authentication import caller_of
from inferhub.decisions.flags import change_flag, find_flag, flags_of
from inferhub.decisions.models import Flag, FlagChange
from inferhub.errors import NotFound

_MOST_CHANGES = 100
_FLAG = {200: OpenApiResponse(answers.FLAG_WITH_HISTORY, description="The flag, and its latest changes.")}


class FlagsView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="list_flags",
        summary="Read whether a subject is held, and for what",
        description="An empty list where nothing was ever held. A warehouse asks before it ships.",
        responses={200: OpenApiResponse(answers.FLAGS, description="Every flag that the subject ever had.")},
    )
    def get(self, request: Request, subject: str) -> Response:
        flags = [_flag(flag) for flag in flags_of(subject)]
        return Response({"subject": subject, "is_held": any(flag["is_held"] for flag in flags), "flags": flags})


class FlagView(APIView):
    scope = Scope.READ
    scopes = {"PUT": Scope.HOLD}

    @extend_schema(operation_id="read_flag", summary="Read a flag of a subject with its history", responses=_FLAG)
    def get(self, request: Request, subject: str, name: str) -> Response:
        return Response(_with_history(_find(subject, name)))

    @extend_schema(
        operation_id="change_flag",
        summary="Hold or release a subject",
        request={"application/json": bodies.CHANGE_FLAG},
        responses=_FLAG,
    )
    def put(self, request: Request, subject: str, name: str) -> Response:
        body: Any = request.data
        bodies.CHANGE_FLAG_BODY.check(body)
        actor, words = caller_of(request).actor, {"is_held": body["is_held"], "reason": body["reason"]}
        change_flag(subject=subject, name=name, actor=actor, **words)
        return Response(_with_history(_find(subject, name)))


def _find(subject: str, name: str) -> Flag:
    flag = find_flag(subject, name)
    if flag is None:
        raise NotFound(f"The subject '{subject}' has no flag '{name}'.")
    return flag


def _flag(flag: Flag) -> dict[str, Any]:
    return {"name": flag.name, "is_held": flag.is_held, "changed_at": flag.changed_at}


def _with_history(flag: Flag) -> dict[str, Any]:
    return _flag(flag) | {"history": [_change(change) for change in flag.changes.order_by("-id")[:_MOST_CHANGES]]}


def _change(change: FlagChange) -> dict[str, Any]:
    return {
        "change_id": str(change.pk),
        "is_held": change.is_held,
        "is_applied": change.is_applied,
        "actor": change.actor,
        "reason": change.reason,
        "decision_id": str(change.decision_id) if change.decision_id else None,
        "made_at": change.made_at,
    }
