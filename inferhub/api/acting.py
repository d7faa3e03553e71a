"""Actions and where they go: what was tried, dead letters to drive again, targets and webhook endpoints."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import bodies
from inferhub.api import follow_up_answers as answers
from inferhub.api.authentication import caller_of
from inferhub.api.filtering import Filter, time_filters
from inferhub.api.listing import CURSOR, check_parameters, page, page_answered, parameters
from inferhub.decisions.actions.registry import describe_kinds
from inferhub.decisions.breakers import state_of
from inferhub.decisions.dead_letters import DeadLetters, redrive_action, redrive_actions
from inferhub.decisions.endpoints import save_endpoint, switch_endpoint
from inferhub.decisions.models import Action, ActionState, WebhookEndpoint
from inferhub.decisions.targets import targets_with_counts, try_target
from inferhub.errors import NotFound
from inferhub.lib.moments import parse_moment

_FILTERS = (
    Filter(name="state", lookup="state", meaning="Only actions in this state.", choices=ActionState.values),
    Filter(name="kind", lookup="kind", meaning="Only actions of this kind."),
    Filter(name="target", lookup="target", meaning="Only those that went, or wait to go, to this target."),
    Filter(name="workflow", lookup="decision__workflow__name", meaning="Only those of this workflow."),
    Filter(name="subject", lookup="decision__subject", meaning="Only those about this subject."),
    *time_filters("created_at", "made"),
)
_ACTION = {200: OpenApiResponse(answers.ACTION_WITH_ATTEMPTS, description="The action.")}
_ENDPOINT = {200: OpenApiResponse(answers.WEBHOOK_ENDPOINT, description="The endpoint.")}


class ActionKindsView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="list_action_kinds",
        summary="List the kinds of action that a workflow may name, with the settings of each",
        responses={200: OpenApiResponse(answers.ACTION_KINDS, description="All that are installed.")},
    )
    def get(self, request: Request) -> Response:
        check_parameters(request, [])
        kinds = [
            {
                "kind": kind.name,
                "description": kind.meaning,
                "needs_subject": kind.needs_subject,
                "settings": kind.schema,
            }
            for kind in describe_kinds()
        ]
        return Response({"kinds": kinds})


class ActionsView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="list_actions",
        summary="List the actions",
        parameters=parameters(_FILTERS),
        responses=page_answered(answers.ACTION),
    )
    def get(self, request: Request) -> Response:
        return page(self, Action.objects.select_related("decision__workflow"), _action, filters=_FILTERS)


class ActionView(APIView):
    scope = Scope.READ

    @extend_schema(operation_id="read_action", summary="Read an action and its attempts", responses=_ACTION)
    def get(self, request: Request, action_id: str) -> Response:
        return Response(_with_attempts(_find(action_id)))


class RedriveView(APIView):
    scope = Scope.OPERATE

    @extend_schema(
        operation_id="redrive_action",
        summary="Let a dead letter be tried again",
        description="By the same id, with waits as from the first attempt on.",
        request=None,
        responses=_ACTION,
    )
    def post(self, request: Request, action_id: str) -> Response:
        redrive_action(action=_find(action_id), actor=caller_of(request).actor)
        return Response(_with_attempts(_find(action_id)))


class RedrivesView(APIView):
    scope = Scope.OPERATE

    @extend_schema(
        operation_id="redrive_actions",
        summary="Let many dead letters be tried again",
        description="The oldest that fit, at most 1,000 at once; `left` says how many more there are.",
        request={"application/json": bodies.REDRIVE},
        responses={200: OpenApiResponse(answers.REDRIVEN, description="How many are pending again.")},
    )
    def post(self, request: Request) -> Response:
        body: Any = request.data
        bodies.REDRIVE_BODY.check(body)
        letters = DeadLetters(
            kind=body.get("kind", ""),
            target=body.get("target", ""),
            workflow=body.get("workflow", ""),
            died_from=_moment(body, "from"),
            died_until=_moment(body, "until"),
        )
        count = redrive_actions(letters=letters, actor=caller_of(request).actor)
        return Response({"redriven": count, "left": letters.find().count()})


class TargetsView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="list_targets",
        summary="List the systems that actions go to, with their circuit breakers",
        parameters=CURSOR,
        responses=page_answered(answers.DELIVERY_TARGET),
    )
    def get(self, request: Request) -> Response:
        return page(self, targets_with_counts(), _target)


class TargetView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="read_target",
        summary="Read a system that actions go to, with its circuit breaker",
        responses={200: OpenApiResponse(answers.DELIVERY_TARGET, description="The target.")},
    )
    def get(self, request: Request, target: str) -> Response:
        found = targets_with_counts().filter(name=target).first()
        if found is None:
            raise NotFound(f"There is no delivery target '{target}'.")
        return Response(_target(found))


class TryTargetView(APIView):
    scope = Scope.OPERATE

    @extend_schema(
        operation_id="try_target",
        summary="Send a test message to a target",
        description="One that arrives closes the circuit breaker, so that what waits goes out.",
        request=None,
        responses={200: OpenApiResponse(answers.TRIED_TARGET, description="What came of it.")},
    )
    def post(self, request: Request, target: str) -> Response:
        result = try_target(name=target, actor=caller_of(request).actor)
        return Response(
            {"is_success": result.is_success, "status_code": result.status_code, "detail": result.detail},
        )


class WebhookEndpointsView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="list_webhook_endpoints",
        summary="List the webhook endpoints",
        parameters=CURSOR,
        responses=page_answered(answers.WEBHOOK_ENDPOINT),
    )
    def get(self, request: Request) -> Response:
        return page(self, WebhookEndpoint.objects.all(), _endpoint)


class WebhookEndpointView(APIView):
    scope = Scope.READ
    scopes = {"PUT": Scope.OPERATE, "PATCH": Scope.OPERATE}

    @extend_schema(operation_id="read_webhook_endpoint", summary="Read a webhook endpoint", responses=_ENDPOINT)
    def get(self, request: Request, name: str) -> Response:
        return Response(_endpoint(_find_endpoint(name)))

    @extend_schema(
        operation_id="save_webhook_endpoint",
        summary="Make a webhook endpoint, or change its address; always with a new signing secret",
        description="The secret is in this answer and nowhere else.",
        request={"application/json": bodies.SAVE_ENDPOINT},
        responses={200: OpenApiResponse(answers.SAVED_ENDPOINT, description="The endpoint and its secret.")},
    )
    def put(self, request: Request, name: str) -> Response:
        body: Any = request.data
        bodies.SAVE_ENDPOINT_BODY.check(body)
        endpoint, secret = save_endpoint(name=name, url=body["url"], actor=caller_of(request).actor)
        return Response(_endpoint(endpoint) | {"secret": secret}, headers={"Cache-Control": "no-store"})

    @extend_schema(
        operation_id="switch_webhook_endpoint",
        summary="Let webhooks flow or wait",
        request={"application/json": bodies.SWITCH_ENDPOINT},
        responses=_ENDPOINT,
    )
    def patch(self, request: Request, name: str) -> Response:
        body: Any = request.data
        bodies.SWITCH_ENDPOINT_BODY.check(body)
        actor = caller_of(request).actor
        return Response(_endpoint(switch_endpoint(name=name, is_active=body["is_active"], actor=actor)))


def _find(action_id: str) -> Action:
    action = Action.objects.select_related("decision__workflow").filter(pk=action_id).first()
    if action is None:
        raise NotFound(f"There is no action {action_id}.")
    return action


def _find_endpoint(name: str) -> WebhookEndpoint:
    endpoint = WebhookEndpoint.objects.filter(name=name).first()
    if endpoint is None:
        raise NotFound(f"There is no webhook endpoint '{name}'.")
    return endpoint


def _action(action: Action) -> dict[str, Any]:
    return {
        "action_id": str(action.pk),
        "decision_id": str(action.decision_id),
        "workflow": action.decision.workflow.name,
        "kind": action.kind,
        "settings": action.settings,
        "state": action.state,
        "target": action.target,
        "attempts": action.attempt_count,
        "next_attempt_at": action.next_attempt_at if action.state == ActionState.PENDING else None,
        "finished_at": action.finished_at,
        "created_at": action.created_at,
    }


def _with_attempts(action: Action) -> dict[str, Any]:
    history = [
        {
            "number": attempt.number,
            "started_at": attempt.started_at,
            "duration_ms": attempt.duration_ms,
            "is_success": attempt.is_success,
            "status_code": attempt.status_code,
            "detail": attempt.detail,
        }
        for attempt in action.attempts.order_by("number")
    ]
    return _action(action) | {"history": history}


def _target(target: Any) -> dict[str, Any]:
    return {
        "target": target.name,
        "breaker": state_of(target, now=timezone.now()),
        "failures": target.failure_count,
        "problem": target.problem,
        "failed_at": target.failed_at,
        "opened_at": target.opened_at,
        "open_until": target.open_until,
        "waiting": target.waiting,
        "dead": target.dead,
    }


def _endpoint(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "url": endpoint.url,
        "is_active": endpoint.is_active,
        "target": f"webhook:{endpoint.name}",
        "created_at": endpoint.created_at,
    }


def _moment(body: dict[str, Any], name: str) -> datetime | None:
    return parse_moment(body[name], at=f"/{name}") if name in body else None
