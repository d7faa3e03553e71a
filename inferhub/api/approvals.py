"""Decide about change requests; say of a change that it waits."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import answers, bodies
from inferhub.api.authentication import caller_of
from inferhub.api.reading import show_change
from inferhub.approvals.models import ChangeRequest
from inferhub.approvals.services import approve_change, reject_change, withdraw_change

WAITS = OpenApiResponse(
    answers.CHANGE, description="It waits for another person's approval, as this change request (Location)."
)
_DECIDED = {200: OpenApiResponse(answers.CHANGE, description="The change request, decided.")}


def change_address(request: Request, change: ChangeRequest) -> str:
    return str(request.build_absolute_uri(f"/api/v1/changes/{change.pk}"))


def waiting(request: Request, change: ChangeRequest) -> Response:
    """The answer to a wish that another person has to approve first."""
    change.refresh_from_db()
    return Response(show_change(change), status=202, headers={"Location": change_address(request, change)})


class ApproveView(APIView):
    scope = Scope.APPROVE

    @extend_schema(
        operation_id="approve_change",
        summary="Approve what another person asked for, and carry it out",
        description="In the name of the API key's owner, who must be an approver and another person.",
        request={"application/json": bodies.MAY_GIVE_REASON},
        responses=_DECIDED,
    )
    def post(self, request: Request, change_id: int) -> Response:
        body: Any = request.data
        bodies.MAY_GIVE_REASON_BODY.check(body)
        actor = caller_of(request).actor
        return Response(show_change(approve_change(change_id=change_id, actor=actor, reason=body.get("reason", ""))))


class RejectView(APIView):
    scope = Scope.APPROVE

    @extend_schema(
        operation_id="reject_change",
        summary="Reject what another person asked for",
        request={"application/json": bodies.GIVE_REASON},
        responses=_DECIDED,
    )
    def post(self, request: Request, change_id: int) -> Response:
        body: Any = request.data
        bodies.GIVE_REASON_BODY.check(body)
        actor = caller_of(request).actor
        return Response(show_change(reject_change(change_id=change_id, actor=actor, reason=body["reason"])))


class WithdrawView(APIView):
    scope = (Scope.REGISTER, Scope.AUTHOR)

    @extend_schema(
        operation_id="withdraw_change",
        summary="Take one's own change request back",
        request={"application/json": bodies.MAY_GIVE_REASON},
        responses=_DECIDED,
    )
    def post(self, request: Request, change_id: int) -> Response:
        body: Any = request.data
        bodies.MAY_GIVE_REASON_BODY.check(body)
        actor = caller_of(request).actor
        return Response(show_change(withdraw_change(change_id=change_id, actor=actor, reason=body.get("reason", ""))))
