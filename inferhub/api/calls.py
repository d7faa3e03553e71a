"""The three calls of retail systems: predict, recommend, decide."""

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import answers, bodies
from inferhub.api.authentication import caller_of
from inferhub.api.deciding import present_decisions, status_of_decision, with_idempotency_key
from inferhub.api.problems import problem_of
from inferhub.errors import NotFound, error_from_dict
from inferhub.jobs.calls import run_call
from inferhub.jobs.deferred import defer_call
from inferhub.jobs.models import DeferredCall, State
from inferhub.lib.schema import Schema

_IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="The same as the field `request_id`."
)
_View = TypeVar("_View", bound=Callable[..., Response])
_PREFER = OpenApiParameter(
    "Prefer",
    str,
    OpenApiParameter.HEADER,
    description="`respond-async` (RFC 7240): run on a worker, answer 202 with the address of the answer.",
)


def _documented(
    operation_id: str,
    summary: str,
    body: dict[str, Any],
    answer: dict[str, Any],
    *parameters: OpenApiParameter,
    created: bool = False,
) -> Callable[[_View], _View]:
    done = OpenApiResponse(answer, description="The answer.")
    documented: Callable[[_View], _View] = extend_schema(
        operation_id=operation_id,
        summary=summary,
        request={"application/json": body},
        parameters=[_PREFER, *parameters],
        responses={
            **({201: done} if created else {}),
            200: done,
            202: OpenApiResponse(answers.DEFERRED, description="Accepted; poll the address in `Location`."),
        },
    )
    return documented


class _CallView(APIView):
    """Check the body, then run the call at once or leave it to a worker."""

    kind: str
    scope: str
    body: Schema

    def _answer(self, request: Request, name: str) -> Response:
        body: Any = request.data
        if self.kind == "decide":
            body = with_idempotency_key(body, request.headers.get("Idempotency-Key"))
        self.body.check(body)
        caller = caller_of(request)
        if _prefers_async(request):
            call = defer_call(kind=self.kind, target=name, body=body, actor=caller.actor)
            return _accepted(request, call)
        answer = run_call(self.kind, name, body, caller.actor)
        if self.kind != "decide":
            return Response(answer)
        return Response(present_decisions(answer), status=status_of_decision(answer))


class PredictView(_CallView):
    kind, scope, body = "predict", Scope.PREDICT, bodies.PREDICT_BODY

    @_documented("predict", "Predict with a registered model", bodies.PREDICT, answers.PREDICTION)
    def post(self, request: Request, name: str) -> Response:
        return self._answer(request, name)


class RecommendView(_CallView):
    kind, scope, body = "recommend", Scope.RECOMMEND, bodies.RECOMMEND_BODY

    @_documented("recommend", "Recommend items for a user or a history", bodies.RECOMMEND, answers.RECOMMENDATION)
    def post(self, request: Request, name: str) -> Response:
        return self._answer(request, name)


class DecideView(_CallView):
    kind, scope, body = "decide", Scope.DECIDE, bodies.DECIDE_BODY

    @_documented("decide", "Decide by a workflow", bodies.DECIDE, answers.DECISIONS, _IDEMPOTENCY_KEY, created=True)
    def post(self, request: Request, name: str) -> Response:
        return self._answer(request, name)


class DeferredCallView(APIView):
    """The answer of a call that runs on a worker. Only the key that made the call may read it."""

    scopes = {"predict": Scope.PREDICT, "recommend": Scope.RECOMMEND, "decide": Scope.DECIDE}

    @property
    def scope(self) -> str | None:
        kind = DeferredCall.objects.filter(pk=self.kwargs["call_id"]).values_list("kind", flat=True).first()
        return self.scopes.get(kind or "", Scope.READ)

    @extend_schema(
        operation_id="read_deferred_call",
        summary="Read the answer of a deferred call",
        responses={200: OpenApiResponse(answers.DEFERRED, description="The state, and the answer once it is there.")},
    )
    def get(self, request: Request, call_id: str) -> Response:
        call = DeferredCall.objects.filter(pk=call_id, actor=caller_of(request).actor).first()
        if call is None:
            raise NotFound(f"There is no deferred call {call_id} of this API key.")
        response = Response(_deferred(request, call))
        if call.state in (State.QUEUED, State.RUNNING):
            response["Retry-After"] = "1"
        return response


def _prefers_async(request: Request) -> bool:
    """RFC 7240: a list of preferences, of which others may be ignored."""
    preferences = [part.split(";")[0].strip().lower() for part in request.headers.get("Prefer", "").split(",")]
    return "respond-async" in preferences


def _accepted(request: Request, call: DeferredCall) -> Response:
    body = _deferred(request, call)
    return Response(
        body, status=202, headers={"Location": body["url"], "Preference-Applied": "respond-async", "Retry-After": "1"}
    )


def _deferred(request: Request, call: DeferredCall) -> dict[str, Any]:
    failure = problem_of(error_from_dict(call.problem)) if call.problem else None
    return {
        "call_id": str(call.pk),
        "url": request.build_absolute_uri(f"/api/v1/calls/{call.pk}"),
        "state": call.state,
        "answer": present_decisions(call.answer) if call.answer else None,
        "problem": failure,
    }
