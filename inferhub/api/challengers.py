"""Challengers of workflows: start one beside the live traffic, read how it differs, end it."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api.answers import page_of
from inferhub.api.authentication import caller_of
from inferhub.api.backtests import SIDE, listed_page, parameters
from inferhub.api.filtering import Filter
from inferhub.api.pagination import NewestFirst
from inferhub.backtests.challengers import challenger_report, end_challenger, find_challenger, start_challenger
from inferhub.backtests.models import Challenger, ChallengerChange
from inferhub.backtests.sides import Asked
from inferhub.lib.schema import Schema
from inferhub.lib.slug import SLUG_PATTERN

START: dict[str, Any] = {
    "type": "object",
    "properties": {"workflow": {"type": "string", "pattern": SLUG_PATTERN}, "candidate": SIDE},
    "required": ["workflow"],
    "additionalProperties": False,
}
_START = Schema(START)


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


_COUNT = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
_SHOWN = {
    "challenger_id": _TEXT,
    "workflow": _TEXT,
    "candidate": {"type": "object"},
    "rows": _COUNT | {"description": "Decisions seen; the last few seconds are always yet to come."},
    "problem": _TEXT | {"description": "Why it stands still, where it does."},
    "started_at": {"type": "string", "format": "date-time"},
    "started_by": _TEXT,
    "ended_at": {"type": ["string", "null"], "format": "date-time"},
    "ended_by": _TEXT,
}
CHALLENGER = _object(**_SHOWN)
CHALLENGER_WITH_REPORT = _object(**_SHOWN, report={"type": "object"})
CHANGE = _object(decision_id={"type": "string", "format": "uuid"}, baseline=_TEXT, candidate=_TEXT)
_FILTERS = (Filter(name="workflow", lookup="workflow__name", meaning="Only those of this workflow."),)
_CHANGE_FILTERS = (
    Filter(name="baseline", lookup="baseline", meaning="Only decisions with this outcome."),
    Filter(name="candidate", lookup="candidate", meaning="Only those that the challenger gives this outcome."),
)


class ChallengersView(APIView):
    scope = Scope.READ
    scopes = {"POST": Scope.RUN_JOBS}

    @extend_schema(
        operation_id="list_challengers",
        summary="List the challengers",
        parameters=parameters(_FILTERS),
        responses={200: OpenApiResponse(page_of(CHALLENGER), description="The answer.")},
    )
    def get(self, request: Request) -> Response:
        rows = Challenger.objects.select_related("workflow")
        return listed_page(self, rows, show_challenger, _FILTERS, NewestFirst())

    @extend_schema(
        operation_id="start_challenger",
        summary="Have other versions decide beside a workflow, without actions",
        request={"application/json": START},
        responses={201: OpenApiResponse(CHALLENGER, description="It runs from now on.")},
    )
    def post(self, request: Request) -> Response:
        body: Any = request.data
        _START.check(body)
        candidate = Asked(**body.get("candidate", {}))
        challenger = start_challenger(workflow=body["workflow"], candidate=candidate, actor=caller_of(request).actor)
        address = request.build_absolute_uri(f"/api/v1/challengers/{challenger.pk}")
        return Response(show_challenger(find_challenger(challenger.pk)), status=201, headers={"Location": address})


class ChallengerView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="read_challenger",
        summary="Read a challenger and how it differs",
        responses={200: OpenApiResponse(CHALLENGER_WITH_REPORT, description="The answer.")},
    )
    def get(self, request: Request, challenger_id: str) -> Response:
        found = find_challenger(challenger_id)
        return Response(show_challenger(found) | {"report": challenger_report(found)})


class ChallengerChangesView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="list_challenger_changes",
        summary="List the decisions that the challenger makes otherwise",
        description="The newest two hundred of each kind of change.",
        parameters=parameters(_CHANGE_FILTERS),
        responses={200: OpenApiResponse(page_of(CHANGE), description="The answer.")},
    )
    def get(self, request: Request, challenger_id: str) -> Response:
        rows = find_challenger(challenger_id).changes.all()
        return listed_page(self, rows, _show_change, _CHANGE_FILTERS, NewestFirst())


class EndChallengerView(APIView):
    scope = Scope.RUN_JOBS

    @extend_schema(
        operation_id="end_challenger",
        summary="End a challenger; what it found stays",
        request=None,
        responses={200: OpenApiResponse(CHALLENGER, description="It is ended.")},
    )
    def post(self, request: Request, challenger_id: str) -> Response:
        end_challenger(challenger=find_challenger(challenger_id), actor=caller_of(request).actor)
        return Response(show_challenger(find_challenger(challenger_id)))


def show_challenger(challenger: Challenger) -> dict[str, Any]:
    names = ("candidate", "rows", "problem", "started_at", "started_by", "ended_at", "ended_by")
    shown = {"challenger_id": str(challenger.pk), "workflow": challenger.workflow.name}
    return shown | {name: getattr(challenger, name) for name in names}


def _show_change(change: ChallengerChange) -> dict[str, Any]:
    return {name: getattr(change, name) for name in ("decision_id", "baseline", "candidate")}
