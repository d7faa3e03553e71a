"""Challengers of workflows: start one beside the live traffic, read how it differs, end it."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api.authentication import caller_of
from inferhub.api.backtests import SIDE
from inferhub.api.filtering import Filter
from inferhub.api.listing import answered, page, page_answered, parameters
from inferhub.api.shapes import COUNT, STRING, TIME, TIME_OR_NULL, object_of
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
_SHOWN = {
    "challenger_id": STRING,
    "workflow": STRING,
    "candidate": {"type": "object"},
    "rows": COUNT | {"description": "Decisions seen; the last few seconds are always yet to come."},
    "problem": STRING | {"description": "Why it stands still, where it does."},
    "started_at": TIME,
    "started_by": STRING,
    "ended_at": TIME_OR_NULL,
    "ended_by": STRING,
}
CHALLENGER = object_of(**_SHOWN)
CHALLENGER_WITH_REPORT = object_of(**_SHOWN, report={"type": "object"})
CHANGE = object_of(decision_id={"type": "string", "format": "uuid"}, baseline=STRING, candidate=STRING)
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
        responses=page_answered(CHALLENGER),
    )
    def get(self, request: Request) -> Response:
        rows = Challenger.objects.select_related("workflow")
        return page(self, rows, show_challenger, filters=_FILTERS)

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
        responses=answered(CHALLENGER_WITH_REPORT),
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
        responses=page_answered(CHANGE),
    )
    def get(self, request: Request, challenger_id: str) -> Response:
        rows = find_challenger(challenger_id).changes.all()
        return page(self, rows, _show_change, filters=_CHANGE_FILTERS)


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
