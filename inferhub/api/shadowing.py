"""What the shadow of an alias said beside the answers."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import answers
from inferhub.errors import FieldError, InvalidInput, NotFound
from inferhub.lib.describe import describe
from inferhub.registry.models import Alias
from inferhub.registry.shadows import DIFFERENCES, ShadowReport, shadow_report


class ShadowView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="read_shadow",
        summary="Read how the shadow of an alias differs from what was answered",
        parameters=[
            OpenApiParameter(
                "since", {"type": "string", "format": "date-time"}, description="Leave out what is older than this."
            )
        ],
        responses={200: OpenApiResponse(answers.SHADOW, description="Counts since then, of the present shadow.")},
    )
    def get(self, request: Request, name: str, alias: str) -> Response:
        since = _since(request.query_params.get("since", ""))
        found = Alias.objects.select_related("model", "shadow_version").filter(model__name=name, name=alias).first()
        if found is None:
            raise NotFound(f"The model '{name}' has no alias '{alias}'.")
        return Response({"model": name, "alias": alias} | _report(shadow_report(found, since)))


def _report(report: ShadowReport) -> dict[str, Any]:
    edges = (*DIFFERENCES, None)
    bars = [{"up_to": edge, "count": count} for edge, count in zip(edges, report.differences, strict=True)]
    return asdict(report) | {"share_equal": report.share_equal, "differences": bars}


def _since(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        expected = "a time with its zone, such as 2026-01-31T12:00:00Z"
        raise InvalidInput(errors=[FieldError(pointer="/since", expected=expected, got=describe(text))])
    return moment
