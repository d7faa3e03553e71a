"""Rule sets as files, out and in."""

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
from inferhub.api.listing import check_parameters
from inferhub.api.preconditions import if_match_of, unchanged
from inferhub.api.reading import show_rule_set
from inferhub.api.uploads import uploaded_file
from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.describe import describe, listed
from inferhub.lib.digits import read_digits
from inferhub.rulesets.checks import describe_findings
from inferhub.rulesets.files import FORMATS, MOST_BYTES, Format, export_rules, import_rules
from inferhub.rulesets.models import RuleSet
from inferhub.rulesets.queries import find_rule_set
from inferhub.rulesets.reading import find_version
from inferhub.rulesets.services import save_rule_set

_PARAMETERS = [
    OpenApiParameter("format", {"type": "string", "enum": list(FORMATS)}, description="xlsx where nothing is said."),
    OpenApiParameter(
        "version",
        {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
        description="The one in use where nothing is said.",
    ),
]


class RuleFileView(APIView):
    """The decision tables of a rule set as one file."""

    scope = Scope.READ
    scopes = {"POST": Scope.AUTHOR}
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="export_rule_set",
        summary="Download a version of a rule set as XLSX, CSV or JDM",
        parameters=_PARAMETERS,
        responses={
            (200, known.media_type.partition(";")[0]): OpenApiResponse(
                {"type": "object"} if known.name == "jdm" else bytes, description="The file."
            )
            for known in FORMATS.values()
        },
    )
    def get(self, request: Request, name: str) -> HttpResponse:
        check_parameters(request, ("format", "version"))
        known = _format(request.query_params.get("format", "xlsx"))
        number = _number(request)
        version = find_version(name, find_rule_set(name).number if number is None else number)
        response = HttpResponse(export_rules(version.definition, known.name), content_type=known.media_type)
        response["Content-Disposition"] = f'attachment; filename="{name}-{version.number}{known.suffix}"'
        return response

    @extend_schema(
        operation_id="import_rule_set",
        summary="Upload a file as the next version of a rule set",
        request={"multipart/form-data": bodies.IMPORT_RULE_SET},
        parameters=[if_match_of("the rule set (not the file)")],
        responses={200: OpenApiResponse(answers.IMPORTED_RULE_SET, description="The version.")},
    )
    def post(self, request: Request, name: str) -> Response:
        data, form = uploaded_file(request, fields=("format", "note"), most_bytes=MOST_BYTES)
        definition = import_rules(data, _format(form.get("format", "")).name)
        actor = caller_of(request).actor
        with unchanged(request, RuleSet, name, now=lambda: show_rule_set(name)):
            version = save_rule_set(name=name, definition=definition, actor=actor, note=form.get("note", ""))
        shown: dict[str, Any] = {
            "name": name,
            "version": version.number,
            "digest": version.digest,
            "definition": version.definition,
            "is_unchanged": version.is_unchanged,
            "findings": describe_findings(version.definition),
        }
        return Response(shown)


def _format(name: str) -> Format:
    known = FORMATS.get(name)
    if known is None:
        expected = f"one of {listed(FORMATS)}"
        raise InvalidInput(errors=[FieldError(pointer="/format", expected=expected, got=describe(name))])
    return known


def _number(request: Request) -> int | None:
    given = request.query_params.get("version")
    if given is None:
        return None
    number = read_digits(given)
    if number is None or not 1 <= number < 2**31:
        raise InvalidInput(errors=[FieldError(pointer="/version", expected="a version", got=describe(given))])
    return number
