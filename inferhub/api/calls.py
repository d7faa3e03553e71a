"""The three calls of retail systems: predict, recommend, decide."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import answers, bodies
from inferhub.api.authentication import authenticate, caller_of, check_scope
from inferhub.api.deciding import present_decisions, status_of_decision, with_idempotency_key
from inferhub.api.json import dump_json, read_json
from inferhub.api.metrics import Called, metrics
from inferhub.api.problems import FORESEEN, MEDIA_TYPE, problem, problem_answer, problem_of, reason_of
from inferhub.api.serving import SELDOM, Answering, Incoming, Reply, bare
from inferhub.errors import Conflict, InvalidInput, ModelFailed, NotFound, error_from_dict
from inferhub.jobs.calls import calling
from inferhub.jobs.deferred import defer_call
from inferhub.jobs.models import DeferredCall, State
from inferhub.lib.schema import Schema
from inferhub.lib.stopwatch import Stopwatch
from inferhub.lib.waiting import must_wait

_IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="The same as the field `request_id`."
)
_View = TypeVar("_View", bound=Callable[..., Answering])
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
    """Check the body, then run the call at once or leave it to a worker.

    The REST framework documents it; requests go past the framework, which would take longer than the call itself.
    """

    kind: str
    scope: Scope
    body: Schema
    checks_connection_every = 0.0
    is_quick = False

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., Any]:  # type: ignore[override]
        documented = super().as_view(**initkwargs)

        @wraps(documented)
        def view(request: Incoming, name: str) -> Answering:
            return cls().answer(request, name)

        return bare(view, checks_connection_every=cls.checks_connection_every, is_quick=cls.is_quick)

    def answer(self, request: Incoming, name: str) -> Answering:
        return _Call(self.kind, self.scope, self.body, name).answer(request)


# A call says so only once it has found the model, scenario or workflow: names that callers make up are not counted.
_OF_WHAT_IS_THERE = (InvalidInput, ModelFailed, Conflict)


class _Call:
    """One call, timed and counted. What it asked is counted by name and version once those are known to exist."""

    def __init__(self, kind: str, scope: Scope, body: Schema, name: str) -> None:
        self._kind, self._scope, self._body, self._name = kind, scope, body, name
        self._called = Called(call=kind)
        self._watch = Stopwatch()

    async def answer(self, request: Incoming) -> Reply:
        try:
            reply = await self._answer(request)
        except FORESEEN as exc:
            reply = Reply.of(problem_answer(exc))
            is_known = "parse" in self._watch.stages and isinstance(exc, _OF_WHAT_IS_THERE)
            called = Called(call=self._kind, name=self._name) if is_known else self._called
            metrics.failed(called, reason_of(reply.status), self._watch)
        else:
            metrics.succeeded(self._called, self._watch)
        reply.stages = self._watch.stages
        return reply

    async def _answer(self, request: Incoming) -> Reply:
        caller = authenticate(request.META)
        check_scope(caller, {self._scope})
        if request.META["REQUEST_METHOD"] != "POST":
            return Reply.of(_not_allowed(request.META["REQUEST_METHOD"]))
        body = read_json(request)
        if self._kind == "decide":
            body = with_idempotency_key(body, request.META.get("HTTP_IDEMPOTENCY_KEY"))
        self._body.check(body)
        if "rows" in body and self._kind == "decide":
            must_wait()  # as many decisions as there are rows would hold up everybody else
        self._watch.lap("parse")
        if _prefers_async(request.META.get("HTTP_PREFER", "")):
            must_wait()
            call = defer_call(kind=self._kind, target=self._name, body=body, actor=caller.actor)
            return Reply.of(_accepted(request, call))
        answer = await calling(self._kind, self._name, body, caller.actor, self._watch)
        version, status = answer.get("version", ""), 200
        if self._kind == "decide":
            self._note_decision(answer)
            version, status = answer.get("workflow_version", ""), status_of_decision(answer)
            answer = present_decisions(answer)
        self._called = Called(call=self._kind, name=self._name, version=str(version))
        content = dump_json(answer)
        self._watch.lap("encode")
        return Reply(status, content, [("Content-Type", "application/json")])

    def _note_decision(self, answer: dict[str, Any]) -> None:
        """Put the stages that the answer tells of in the place of their sum."""
        self._watch.lap("other")
        told = _decision_stages(answer)
        rest = self._watch.stages.pop("other") - sum(told.values())
        self._watch.stages |= told | {"other": max(0.0, rest)}


def _decision_stages(answer: dict[str, Any]) -> dict[str, float]:
    """None where an earlier request made the decision, or where there are many."""
    return {} if answer.get("is_repeat", True) else {name: ms / 1000 for name, ms in answer["timings_ms"].items()}


class PredictView(_CallView):
    kind, scope, body = "predict", Scope.PREDICT, bodies.PREDICT_BODY
    checks_connection_every = SELDOM
    is_quick = True

    @_documented("predict", "Predict with a registered model", bodies.PREDICT, answers.PREDICTION)
    def post(self, request: Incoming, name: str) -> Answering:
        return self.answer(request, name)


class RecommendView(_CallView):
    kind, scope, body = "recommend", Scope.RECOMMEND, bodies.RECOMMEND_BODY

    @_documented("recommend", "Recommend items for a user or a history", bodies.RECOMMEND, answers.RECOMMENDATION)
    def post(self, request: Incoming, name: str) -> Answering:
        return self.answer(request, name)


class DecideView(_CallView):
    kind, scope, body = "decide", Scope.DECIDE, bodies.DECIDE_BODY
    is_quick = True

    @_documented("decide", "Decide by a workflow", bodies.DECIDE, answers.DECISIONS, _IDEMPOTENCY_KEY, created=True)
    def post(self, request: Incoming, name: str) -> Answering:
        return self.answer(request, name)


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


def _prefers_async(prefer: str) -> bool:
    """RFC 7240: a list of preferences, of which others may be ignored."""
    preferences = [part.split(";")[0].strip().lower() for part in prefer.split(",")]
    return "respond-async" in preferences


def _not_allowed(method: str) -> HttpResponse:
    response = HttpResponse(
        dump_json(problem(405, f"{method} is not a method of this address; it has POST.")),
        status=405,
        content_type=MEDIA_TYPE,
    )
    response["Allow"] = "POST"
    return response


def _accepted(request: Incoming, call: DeferredCall) -> HttpResponse:
    body = _deferred(request, call)
    headers = {"Location": body["url"], "Preference-Applied": "respond-async", "Retry-After": "1"}
    return HttpResponse(dump_json(body), status=202, content_type="application/json", headers=headers)


def _deferred(request: Incoming | Request, call: DeferredCall) -> dict[str, Any]:
    failure = problem_of(error_from_dict(call.problem)) if call.problem else None
    return {
        "call_id": str(call.pk),
        "url": request.build_absolute_uri(f"/api/v1/calls/{call.pk}"),
        "state": call.state,
        "answer": present_decisions(call.answer) if call.answer else None,
        "problem": failure,
    }
