"""Look-up lists: read them at any version, change their entries, bring them in and take them out as a file."""

from contextlib import AbstractContextManager
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import answers, bodies
from inferhub.api.authentication import caller_of
from inferhub.api.filtering import Filter
from inferhub.api.listing import CURSOR, check_parameters, page, page_answered, parameters
from inferhub.api.preconditions import if_match_of, unchanged
from inferhub.api.uploads import uploaded_text
from inferhub.errors import FieldError, InvalidInput, NotFound
from inferhub.lib.describe import describe
from inferhub.lib.digits import read_digits
from inferhub.lib.moments import parse_moment
from inferhub.lists.files import from_csv, to_csv
from inferhub.lists.models import ListEntry, ListVersion, LookupList
from inferhub.lists.queries import entries_at
from inferhub.lists.services import Entry, ListChange, add_entries, change_entries, replace_entries, save_list

_FILTERS = (
    Filter(name="value", lookup="value", meaning="Only the entry with this value."),
    Filter(name="prefix", lookup="value__startswith", meaning="Only entries whose values begin so."),
)
_AT_VERSION = OpenApiParameter(
    "version", {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}, description="As of this version; else the last."
)
_IF_LIST = if_match_of("the list itself (its version is in it)")
_MOST_FILE_BYTES = 64 << 20


class ListsView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="list_lists",
        summary="List the look-up lists",
        parameters=CURSOR,
        responses=page_answered(answers.LOOKUP_LIST),
    )
    def get(self, request: Request) -> Response:
        return page(self, LookupList.objects.all(), _list)


class ListView(APIView):
    scope = Scope.READ
    scopes = {"PUT": Scope.EDIT_LISTS}

    @extend_schema(
        operation_id="read_list",
        summary="Read what a look-up list is",
        responses={200: OpenApiResponse(answers.LOOKUP_LIST, description="The list.")},
    )
    def get(self, request: Request, name: str) -> Response:
        return Response(_list(_find(name)))

    @extend_schema(
        operation_id="save_list",
        summary="Make a look-up list, or change its description",
        request={"application/json": bodies.SAVE_LIST},
        parameters=[_IF_LIST],
        responses={200: OpenApiResponse(answers.LOOKUP_LIST, description="The list.")},
    )
    def put(self, request: Request, name: str) -> Response:
        body: Any = request.data
        bodies.SAVE_LIST_BODY.check(body)
        with _unchanged(request, name):
            save_list(name=name, description=body.get("description", ""), actor=caller_of(request).actor)
        return Response(_list(_find(name)))


class ListEntriesView(APIView):
    scope = Scope.READ
    scopes = {"PATCH": Scope.EDIT_LISTS}

    @extend_schema(
        operation_id="list_entries",
        summary="List the entries of a look-up list, now or at a past version",
        parameters=[*parameters(_FILTERS), _AT_VERSION],
        responses=page_answered(answers.LIST_ENTRY),
    )
    def get(self, request: Request, name: str) -> Response:
        found = _find(name)
        entries = entries_at(found, _version(request, found))
        return page(self, entries, _entry, filters=_FILTERS, also=("version",))

    @extend_schema(
        operation_id="change_entries",
        summary="Put entries on a look-up list and take values off it, as one new version",
        request={"application/json": bodies.CHANGE_ENTRIES},
        parameters=[_IF_LIST],
        responses={200: OpenApiResponse(answers.LIST_CHANGE, description="What changed.")},
    )
    def patch(self, request: Request, name: str) -> Response:
        body: Any = request.data
        bodies.CHANGE_ENTRIES_BODY.check(body)
        add = [_parsed(place, entry) for place, entry in enumerate(body.get("add", ()))]
        with _unchanged(request, name):
            change = change_entries(
                name=name,
                add=add,
                remove=body.get("remove", ()),
                actor=caller_of(request).actor,
                reason=body.get("reason", ""),
            )
        return Response(_change(change))


class ListVersionsView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="list_list_versions",
        summary="List the changes of a look-up list: who, when and why",
        parameters=CURSOR,
        responses=page_answered(answers.LIST_VERSION),
    )
    def get(self, request: Request, name: str) -> Response:
        return page(self, ListVersion.objects.filter(list=_find(name)), _list_version)


class ListFileView(APIView):
    """The entries as comma-separated text."""

    scope = Scope.READ
    scopes = {"POST": Scope.EDIT_LISTS}
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="export_list",
        summary="Download the entries of a look-up list as CSV",
        parameters=[_AT_VERSION],
        responses={(200, "text/csv"): OpenApiResponse(str, description="value, note, expires_at")},
    )
    def get(self, request: Request, name: str) -> HttpResponse:
        check_parameters(request, ("version",))
        found = _find(name)
        number = _version(request, found)
        text = "".join(to_csv(entries_at(found, number).iterator(chunk_size=10_000)))
        response = HttpResponse(text, content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{name}-{number}.csv"'
        return response

    @extend_schema(
        operation_id="import_list",
        summary="Upload entries of a look-up list as CSV: add them, or replace the list by them",
        request={"multipart/form-data": bodies.IMPORT_LIST},
        parameters=[_IF_LIST],
        responses={200: OpenApiResponse(answers.LIST_CHANGE, description="What changed.")},
    )
    def post(self, request: Request, name: str) -> Response:
        text, form = uploaded_text(request, fields=("mode", "reason"), most_bytes=_MOST_FILE_BYTES)
        mode = form.get("mode", "")
        if mode not in ("add", "replace"):
            raise InvalidInput(errors=[FieldError(pointer="/mode", expected="add or replace", got=describe(mode))])
        save = add_entries if mode == "add" else replace_entries
        actor, entries = caller_of(request).actor, from_csv(text)
        with _unchanged(request, name):
            change = save(name=name, entries=entries, actor=actor, reason=form.get("reason", ""))
        return Response(_change(change))


def _unchanged(request: Request, name: str) -> AbstractContextManager[None]:
    return unchanged(request, LookupList, name, now=lambda: _list(_find(name)))


def _find(name: str) -> LookupList:
    found = LookupList.objects.filter(name=name).first()
    if found is None:
        raise NotFound(f"There is no list '{name}'.")
    return found


def _version(request: Request, found: LookupList) -> int:
    given = request.query_params.get("version", str(found.version))
    number = read_digits(given)
    if number is None or number > found.version:
        expected = f"a version from 0 to {found.version}"
        raise InvalidInput(errors=[FieldError(pointer="/version", expected=expected, got=describe(given))])
    return number


def _parsed(place: int, entry: dict[str, Any]) -> Entry:
    text = entry.get("expires_at") or ""
    expires_at = parse_moment(text, at=f"/add/{place}/expires_at") if text else None
    return Entry(value=entry["value"], note=entry.get("note", ""), expires_at=expires_at)


def _list(found: LookupList) -> dict[str, Any]:
    return {
        "name": found.name,
        "description": found.description,
        "version": found.version,
        "entries": found.entry_count,
        "created_at": found.created_at,
    }


def _entry(entry: ListEntry) -> dict[str, Any]:
    return {
        "value": entry.value,
        "note": entry.note,
        "expires_at": entry.expires_at,
        "added_in": entry.added_in,
        "removed_in": entry.removed_in,
    }


def _list_version(version: ListVersion) -> dict[str, Any]:
    return {
        "version": version.number,
        "added": version.added,
        "removed": version.removed,
        "reason": version.reason,
        "created_at": version.created_at,
        "created_by": version.created_by,
    }


def _change(change: ListChange) -> dict[str, Any]:
    return {"version": change.version, "added": change.added, "removed": change.removed}
