"""Lists of records as pages, narrowed by filters: the same for every list of the REST API."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.api.filtering import Filter, narrowed
from inferhub.api.pagination import NewestFirst
from inferhub.api.shapes import STRING_OR_NULL, object_of
from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.describe import describe, listed, pointer

CURSOR = [
    OpenApiParameter("cursor", str, description="From `next` or `previous` of a page."),
    OpenApiParameter("page_size", {"type": "integer", "minimum": 1, "maximum": 500}, description="50 by default."),
]


def page(
    view: APIView,
    rows: QuerySet[Any],
    show: Any,
    *,
    filters: Iterable[Filter] = (),
    also: Iterable[str] = (),
    pages: type[NewestFirst] = NewestFirst,
) -> Response:
    """One page of `rows`; `also` names parameters that the caller reads itself.

    Raises InvalidInput for a parameter that the list does not know.
    """
    check_parameters(view.request, ["cursor", "page_size", *(one.name for one in filters), *also])
    paginator = pages()
    found = paginator.paginate_queryset(narrowed(view.request, rows, filters), view.request, view=view)
    return paginator.get_paginated_response([show(row) for row in found or []])


def check_parameters(request: Request, known: Sequence[str]) -> None:
    """Raises InvalidInput for a parameter that is not one of `known`: misspelt, it would quietly do nothing."""
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        expected = f"one of {listed(known)}"
        raise InvalidInput(errors=[FieldError(pointer=pointer(n), expected=expected, got=describe(n)) for n in unknown])


def answered(schema: dict[str, Any], status: int = 200) -> dict[int, OpenApiResponse]:
    return {status: OpenApiResponse(schema, description="The answer.")}


def page_answered(entry: dict[str, Any]) -> dict[int, OpenApiResponse]:
    """A page: `next` and `previous` are addresses or null."""
    results = {"type": "array", "items": entry}
    return answered(object_of(next=STRING_OR_NULL, previous=STRING_OR_NULL, results=results))


def parameters(filters: Iterable[Filter] = ()) -> list[OpenApiParameter]:
    """What the documentation says of a list's parameters."""
    return [*CURSOR, *(one.parameter for one in filters)]
