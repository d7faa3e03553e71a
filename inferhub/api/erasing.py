"""Erase what the hub holds about a person."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import bodies
from inferhub.api import follow_up_answers as answers
from inferhub.api.authentication import caller_of
from inferhub.erasure.services import erase_person


class ErasuresView(APIView):
    scope = Scope.ERASE

    @extend_schema(
        operation_id="erase_subject",
        summary="Erase what the hub holds about a subject",
        description="Input, predictions, outputs, trace and subject of its decisions go; that there was a decision, "
        "its outcome, its request id and its digest stay, so that the chain of digests can still be verified. Actions "
        "that are not delivered are cancelled. Test cases, rows of back-test files, deferred calls and answers kept "
        "for an Idempotency-Key go as well and, unless one workflow is named, flags of the subject, entries of look-up "
        "lists that are the subject, from their past versions too, its events of the catalogue and its "
        "recommendations. All or nothing; 503 while a worker answers a deferred call about the subject.",
        request={"application/json": bodies.ERASE},
        responses={200: OpenApiResponse(answers.ERASED, description="What was erased, or would be.")},
    )
    def post(self, request: Request) -> Response:
        body: Any = request.data
        bodies.ERASE_BODY.check(body)
        erased = erase_person(
            subject=body["subject"],
            reason=body["reason"],
            workflow=body.get("workflow", ""),
            is_dry_run=body.get("dry_run", False),
            actor=caller_of(request).actor,
        )
        erasure_id = str(erased.erasure_id) if erased.erasure_id else None
        is_dry_run = erased.erasure_id is None
        told = {"lists": erased.lists, "left": asdict(erased.left)}
        return Response({"erasure_id": erasure_id, "dry_run": is_dry_run, **erased.counts, **told})
