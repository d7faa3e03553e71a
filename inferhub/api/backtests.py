"""Back-tests: ask for one, read what came of it, fetch the rows that change."""

from datetime import datetime
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api.authentication import caller_of
from inferhub.api.filtering import Filter, time_filters
from inferhub.api.json import JsonParser, parse_json
from inferhub.api.listing import answered, page, page_answered, parameters
from inferhub.api.pagination import NewestFirst
from inferhub.api.shapes import COUNT, STRING, TIME, TIME_OR_NULL, object_of
from inferhub.backtests.files import MOST_BYTES, read_rows
from inferhub.backtests.models import Backtest, BacktestChange, BacktestState
from inferhub.backtests.queries import changes_csv, find_backtest
from inferhub.backtests.question import Question
from inferhub.backtests.services import cancel_backtest, start_backtest
from inferhub.backtests.sides import Asked
from inferhub.errors import FieldError, InvalidInput, TooLarge
from inferhub.lib.describe import listed
from inferhub.lib.schema import Schema
from inferhub.lib.slug import SLUG_PATTERN

_NUMBER = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}
SIDE: dict[str, Any] = {
    "type": "object",
    "description": "Look-up lists are asked as they are when it decides.",
    "properties": {
        "workflow_version": _NUMBER | {"description": "The newest by default."},
        "rule_set_version": _NUMBER | {"description": "The newest by default."},
        "models": {
            "type": "object",
            "description": "Model versions by the name of a prediction. The others are taken as they are recorded.",
            "additionalProperties": _NUMBER,
        },
    },
    "additionalProperties": False,
}
QUESTION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "workflow": {"type": "string", "pattern": SLUG_PATTERN},
        "since": TIME | {"description": "Only decisions made at this time or later."},
        "until": TIME | {"description": "Only decisions made before this time."},
        "candidate": SIDE,
        "baseline": SIDE | {"description": "By default what was decided; for a file the versions in use."},
        "amount": {"type": "string", "description": "The input field whose sums are told as money."},
        "segment": {"type": "string", "description": "The input field by whose values rows are told apart."},
    },
    "required": ["workflow"],
    "additionalProperties": False,
}
_QUESTION = Schema(QUESTION)
_FORM = {
    "type": "object",
    "properties": {
        "question": {"type": "string", "description": "The same question as a JSON text."},
        "file": {"type": "string", "format": "binary", "description": "Inputs as CSV or JSON lines."},
    },
    "required": ["question", "file"],
}
BACKTEST = object_of(
    backtest_id=STRING,
    workflow=STRING,
    state={"enum": list(BacktestState.values)},
    total=COUNT,
    done=COUNT,
    options={"type": "object", "description": "The question with the versions that it meant."},
    report={"type": ["object", "null"]},
    digest=STRING | {"description": "sha256 of the report's canonical form; empty before it is finished."},
    timings_seconds={"type": "object"},
    problem=STRING,
    requested_by=STRING,
    created_at=TIME,
    started_at=TIME_OR_NULL,
    finished_at=TIME_OR_NULL,
)
CHANGE = object_of(
    row=COUNT,
    decision_id={"type": ["string", "null"], "format": "uuid"},
    baseline=STRING,
    candidate=STRING,
    amount={"type": ["number", "null"]},
)
_FILTERS = (
    Filter(name="workflow", lookup="workflow__name", meaning="Only those of this workflow."),
    Filter(name="state", lookup="state", meaning="Only those in this state.", choices=BacktestState.values),
    *time_filters("created_at", "asked for"),
)
_CHANGE_FILTERS = (
    Filter(name="baseline", lookup="baseline", meaning="Only rows that had this outcome."),
    Filter(name="candidate", lookup="candidate", meaning="Only rows that would have this outcome."),
)


class _InOrder(NewestFirst):
    ordering = "row"


class BacktestsView(APIView):
    scope = Scope.READ
    scopes = {"POST": Scope.RUN_JOBS}
    parser_classes = [JsonParser, MultiPartParser]

    @extend_schema(
        operation_id="list_backtests",
        summary="List the back-tests",
        parameters=parameters(_FILTERS),
        responses=page_answered(BACKTEST),
    )
    def get(self, request: Request) -> Response:
        rows = Backtest.objects.select_related("workflow")
        return page(self, rows, show_backtest, filters=_FILTERS)

    @extend_schema(
        operation_id="start_backtest",
        summary="Hold other versions against what was decided, or against a file",
        description="Runs on a worker. Nothing is decided for real and nothing is done.",
        request={"application/json": QUESTION, "multipart/form-data": _FORM},
        responses={202: OpenApiResponse(BACKTEST, description="It is queued.")},
    )
    def post(self, request: Request) -> Response:
        question = _from_form(request) if request.FILES else _question(request.data)
        backtest = start_backtest(question, actor=caller_of(request).actor)
        backtest.refresh_from_db()
        address = request.build_absolute_uri(f"/api/v1/backtests/{backtest.pk}")
        return Response(show_backtest(backtest), status=202, headers={"Location": address})


class BacktestView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="read_backtest",
        summary="Read a back-test, its progress and its report",
        responses=answered(BACKTEST),
    )
    def get(self, request: Request, backtest_id: str) -> Response:
        return Response(show_backtest(find_backtest(backtest_id)))


class ChangesView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="list_backtest_changes",
        summary="List the rows that the candidate decides otherwise",
        description="The first thousand of each kind of change, ten thousand in all, in the order of the rows.",
        parameters=parameters(_CHANGE_FILTERS),
        responses=page_answered(CHANGE),
    )
    def get(self, request: Request, backtest_id: str) -> Response:
        rows = find_backtest(backtest_id).changes.all()
        return page(self, rows, _show_change, filters=_CHANGE_FILTERS, pages=_InOrder)


class ChangesFileView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="download_backtest_changes",
        summary="The same rows as CSV",
        responses={(200, "text/csv"): OpenApiResponse(str, description="Lines of CSV, the first with names.")},
    )
    def get(self, request: Request, backtest_id: str) -> HttpResponse:
        return csv_of(find_backtest(backtest_id))


class CancelView(APIView):
    scope = Scope.RUN_JOBS

    @extend_schema(
        operation_id="cancel_backtest",
        summary="Stop a back-test",
        request=None,
        responses={200: OpenApiResponse(BACKTEST, description="It is cancelled.")},
    )
    def post(self, request: Request, backtest_id: str) -> Response:
        cancel_backtest(backtest=find_backtest(backtest_id), actor=caller_of(request).actor)
        return Response(show_backtest(find_backtest(backtest_id)))


def csv_of(backtest: Backtest) -> HttpResponse:
    response = HttpResponse("".join(changes_csv(backtest)), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="backtest-{backtest.pk}.csv"'
    return response


def show_backtest(backtest: Backtest) -> dict[str, Any]:
    return {
        "backtest_id": str(backtest.pk),
        "workflow": backtest.workflow.name,
        "state": backtest.state,
        "total": backtest.total,
        "done": backtest.done,
        "options": backtest.options,
        "report": backtest.report,
        "digest": backtest.digest,
        "timings_seconds": backtest.timings,
        "problem": backtest.problem,
        "requested_by": backtest.requested_by,
        "created_at": backtest.created_at,
        "started_at": backtest.started_at,
        "finished_at": backtest.finished_at,
    }


def _show_change(change: BacktestChange) -> dict[str, Any]:
    return {name: getattr(change, name) for name in ("row", "decision_id", "baseline", "candidate", "amount")}


def _question(body: Any, rows: list[dict[str, Any]] | None = None) -> Question:
    _QUESTION.check(body)
    return Question(
        workflow=body["workflow"],
        candidate=Asked(**body.get("candidate", {})),
        baseline=Asked(**body["baseline"]) if "baseline" in body else None,
        since=_moment(body, "since"),
        until=_moment(body, "until"),
        rows=rows,
        amount=body.get("amount", ""),
        segment=body.get("segment", ""),
    )


def _moment(body: Any, name: str) -> datetime | None:
    if name not in body:
        return None
    moment: datetime = Filter(name=name, lookup="", meaning="", is_time=True).read(body[name])
    return moment


def _from_form(request: Request) -> Question:
    form: Any = request.data
    unknown = [name for name in form if name not in ("question", "file")]
    file = request.FILES.get("file")
    if unknown or file is None or not isinstance(form.get("question"), str):
        got = listed(list(form)) or "nothing"
        raise InvalidInput(errors=[FieldError(pointer="", expected="a form with question and file", got=got)])
    if (file.size or 0) > MOST_BYTES:
        raise TooLarge(f"The file has {file.size} bytes; at most {MOST_BYTES} are accepted.")
    body = parse_json(form["question"].encode())
    _QUESTION.check(body)
    version = body.get("candidate", {}).get("workflow_version")
    rows = read_rows(file.name or "", file.read(), workflow=body["workflow"], version=version)
    return _question(body, rows)
