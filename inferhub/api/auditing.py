"""The audit log over REST: read it, prove what stands in it, have it verified."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import bodies, listing
from inferhub.api import follow_up_answers as answers
from inferhub.api.authentication import caller_of
from inferhub.api.filtering import Filter, time_filters
from inferhub.api.pagination import NewestFirst
from inferhub.audit.chain import header_as_json
from inferhub.audit.models import AuditEvent, Seal, Verification
from inferhub.errors import FieldError, InvalidInput, NotFound
from inferhub.jobs.proving import prove, request_verification
from inferhub.lib.describe import describe

_EVENT_FILTERS = (
    Filter(name="action", lookup="action", meaning="Only events of this kind, such as alias.moved."),
    Filter(name="actor", lookup="actor", meaning="Only what this actor did, such as user:alice."),
    Filter(name="subject", lookup="subject", meaning="Only what was done to this, such as model:price."),
    *time_filters("occurred_at", "that happened"),
)
_SEAL_FILTERS = (Filter(name="stream", lookup="stream", meaning="Only seals over audit-event, or over decision."),)
_HEAD = OpenApiParameter(
    "head", {"type": "integer", "minimum": 1}, description="Up to this seal; by default the newest."
)


class EventsView(APIView):
    scope = Scope.AUDIT

    @extend_schema(
        operation_id="list_audit_events",
        summary="List the audit events",
        parameters=listing.parameters(_EVENT_FILTERS),
        responses=listing.page_answered(answers.AUDIT_EVENT),
    )
    def get(self, request: Request) -> Response:
        return listing.page(self, AuditEvent.objects.all(), _event, filters=_EVENT_FILTERS)


class SealsView(APIView):
    scope = Scope.AUDIT

    @extend_schema(
        operation_id="list_seals",
        summary="List the seals, the newest first",
        parameters=listing.parameters(_SEAL_FILTERS),
        responses=listing.page_answered(answers.SEAL),
    )
    def get(self, request: Request) -> Response:
        seals = Seal.objects.defer("records")
        return listing.page(self, seals, _seal, filters=_SEAL_FILTERS, pages=_HighestFirst)


class _HighestFirst(NewestFirst):
    ordering = "-number"


class DecisionProofView(APIView):
    scope = Scope.AUDIT

    @extend_schema(
        operation_id="prove_decision",
        summary="Prove a decision",
        description="A document that `inferhub audit checker` checks without the hub. It holds the decision's content. "
        "409 while no seal covers it: a decision is sealed within seconds.",
        parameters=[_HEAD],
        responses=listing.answered(answers.PROOF),
    )
    def get(self, request: Request, decision_id: str) -> Response:
        return Response(prove("decision", str(decision_id), head=_asked_head(request)))


class EventProofView(APIView):
    scope = Scope.AUDIT

    @extend_schema(
        operation_id="prove_audit_event",
        summary="Prove an audit event",
        parameters=[_HEAD],
        responses=listing.answered(answers.PROOF),
    )
    def get(self, request: Request, number: int) -> Response:
        return Response(prove("audit-event", str(number), head=_asked_head(request)))


class VerificationsView(APIView):
    scope = Scope.AUDIT

    @extend_schema(
        operation_id="list_verifications",
        summary="List the verifications",
        parameters=listing.parameters(),
        responses=listing.page_answered(answers.VERIFICATION),
    )
    def get(self, request: Request) -> Response:
        return listing.page(self, Verification.objects.all(), _verification)

    @extend_schema(
        operation_id="verify",
        summary="Have the log verified by a worker",
        request={"application/json": bodies.VERIFY},
        responses=listing.answered(answers.VERIFICATION, 202),
    )
    def post(self, request: Request) -> Response:
        body: Any = request.data
        bodies.VERIFY_BODY.check(body)
        asked = request_verification(since_seal=body.get("since_seal", 0), actor=caller_of(request).actor)
        asked.refresh_from_db()
        address = request.build_absolute_uri(f"/api/v1/audit/verifications/{asked.pk}")
        return Response(_verification(asked), status=202, headers={"Location": address, "Retry-After": "1"})


class VerificationView(APIView):
    scope = Scope.AUDIT

    @extend_schema(
        operation_id="read_verification",
        summary="Read how a verification is going, and what it found",
        responses=listing.answered(answers.VERIFICATION),
    )
    def get(self, request: Request, verification_id: str) -> Response:
        found = Verification.objects.filter(pk=verification_id).first()
        if found is None:
            raise NotFound(f"There is no verification {verification_id}.")
        return Response(_verification(found))


def _asked_head(request: Request) -> int | None:
    given = request.query_params.get("head")
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal() and len(given) < 17):
        raise InvalidInput(errors=[FieldError(pointer="/head", expected="the number of a seal", got=describe(given))])
    return int(given)


def _event(event: AuditEvent) -> dict[str, Any]:
    names = ("id", "occurred_at", "action", "actor", "subject", "request_id", "details", "digest")
    return {name: getattr(event, name) for name in names}


def _seal(seal: Seal) -> dict[str, Any]:
    return header_as_json(seal.header) | {"digest": seal.digest}


def _verification(found: Verification) -> dict[str, Any]:
    return {
        "verification_id": str(found.pk),
        "state": found.state,
        "since_seal": found.since_seal,
        "head": found.head,
        "rows": found.rows,
        "total": found.total,
        "report": found.report,
        "problem": found.problem,
        "requested_by": found.requested_by,
        "created_at": found.created_at,
        "started_at": found.started_at,
        "finished_at": found.finished_at,
    }
