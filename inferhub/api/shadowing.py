"""What the shadow of an alias said beside the answers."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter

from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.describe import describe
from inferhub.registry.models import Alias
from inferhub.registry.shadows import DIFFERENCES, ShadowReport, shadow_report

SINCE = OpenApiParameter(
    "since", {"type": "string", "format": "date-time"}, description="Leave out what is older than this."
)


def show_shadow(alias: Alias, since: str) -> dict[str, Any]:
    """Raises InvalidInput where `since` is neither a time nor empty."""
    return {"model": alias.model.name, "alias": alias.name} | _report(shadow_report(alias, _since(since)))


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
