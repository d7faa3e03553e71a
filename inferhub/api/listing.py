"""What all lists of REST share: a page of rows, narrowed by declared filters, and its documentation."""

from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.api import answers
from inferhub.api.filtering import Filter, check_parameters, narrowed
from inferhub.api.pagination import NewestFirst

CURSOR = [
    OpenApiParameter("cursor", str, description="From `next` or `previous` of a page."),
    OpenApiParameter("page_size", {"type": "integer", "minimum": 1, "maximum": 500}, description="50 by default."),
]


def page(
    view: APIView, rows: QuerySet[Any], show: Callable[[Any], dict[str, Any]], *, filters: Iterable[Filter] = ()
) -> Response:
    """The page that a request asks for. Raises InvalidInput, and NotFound for a cursor of another list."""
    filters = tuple(filters)
    check_parameters(view.request, ["cursor", "page_size", *(one.name for one in filters)])
    pages = NewestFirst()
    found = pages.paginate_queryset(narrowed(view.request, rows, filters), view.request, view=view)
    return pages.get_paginated_response([show(row) for row in found or []])


def page_answers(entry: dict[str, Any]) -> dict[int, OpenApiResponse]:
    return {200: OpenApiResponse(answers.page_of(entry), description="The answer.")}


def parameters(filters: Iterable[Filter] = ()) -> list[OpenApiParameter]:
    return [*CURSOR, *(one.parameter for one in filters)]
