"""Erase what decisions hold about a person."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import bodies
from inferhub.api import follow_up_answers as answers
from inferhub.api.authentication import caller_of
from inferhub.jobs.erasure import erase_person


class ErasuresView(APIView):
    scope = Scope.ERASE

    @extend_schema(
        operation_id="erase_subject",
        summary="Erase what the hub's decisions, flags and lists hold about a subject",
        description="Input, predictions, outputs, trace and subject go; that there was a decision, its outcome and "
        "its digest stay, so that the chain of digests can still be verified. Actions that are not delivered are "
        "cancelled. Deferred calls and answers kept for an Idempotency-Key go as well and, unless one workflow is "
        "named, flags of the subject and entries of look-up lists that are the subject, from their past versions too.",
        request={"application/json": bodies.ERASE},
        responses={200: OpenApiResponse(answers.ERASED, description="What was erased.")},
    )
    def post(self, request: Request) -> Response:
        body: Any = request.data
        bodies.ERASE_BODY.check(body)
        erased = erase_person(
            subject=body["subject"],
            reason=body["reason"],
            workflow=body.get("workflow", ""),
            actor=caller_of(request).actor,
        )
        return Response({**erased.counts(), "lists": erased.lists})
