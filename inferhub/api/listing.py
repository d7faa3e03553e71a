"""What all lists of the REST API share: pages, filters, and how both are documented."""

from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.api import answers
from inferhub.api.filtering import Filter, narrowed
from inferhub.api.pagination import NewestFirst
from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.describe import describe, listed, pointer

CURSOR = [
    OpenApiParameter("cursor", str, description="From `next` or `previous` of a page."),
    OpenApiParameter("page_size", {"type": "integer", "minimum": 1, "maximum": 500}, description="50 by default."),
]


def page(
    view: APIView,
    rows: QuerySet[Any],
    show: Callable[[Any], Any],
    *,
    filters: Iterable[Filter] = (),
    pages: type[NewestFirst] = NewestFirst,
) -> Response:
    """One page of `rows`, each as `show` says. Raises InvalidInput for a parameter that is not of this list."""
    known = ["cursor", "page_size", *(one.name for one in filters)]
    unknown = [name for name in view.request.query_params if name not in known]
    if unknown:
        expected = f"one of {listed(known)}"
        raise InvalidInput(errors=[FieldError(pointer=pointer(n), expected=expected, got=describe(n)) for n in unknown])
    paginator = pages()
    found = paginator.paginate_queryset(narrowed(view.request, rows, filters), view.request, view=view)
    return paginator.get_paginated_response([show(row) for row in found or []])


def parameters(filters: Iterable[Filter] = ()) -> list[OpenApiParameter]:
    return [*CURSOR, *(one.parameter for one in filters)]


def answered(schema: dict[str, Any], status: int = 200) -> dict[int, OpenApiResponse]:
    return {status: OpenApiResponse(schema, description="The answer.")}


def page_answered(entry: dict[str, Any]) -> dict[int, OpenApiResponse]:
    return answered(answers.page_of(entry))
