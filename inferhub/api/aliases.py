"""Aliases: what they mean, moves, rollback, canary and shadow."""

from contextlib import AbstractContextManager
from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import answers, bodies
from inferhub.api.approvals import WAITS, waiting
from inferhub.api.authentication import caller_of
from inferhub.api.preconditions import if_match_of, unchanged
from inferhub.api.reading import find_model, find_model_version, show_model_version
from inferhub.api.shadowing import SINCE, show_shadow
from inferhub.approvals.models import ChangeRequest
from inferhub.errors import FieldError, InvalidInput, NotFound
from inferhub.registry.aliases import move_alias, rollback_alias, set_canary, set_shadow
from inferhub.registry.models import Alias, ModelVersion, RegisteredModel

_ALIAS = OpenApiResponse(answers.ALIAS, description="The alias.")
_IF_ALIAS = if_match_of("the alias (not its shadow's report)")


class AliasView(APIView):
    scope = Scope.REGISTER
    scopes = {"GET": Scope.READ}

    @extend_schema(operation_id="read_alias", summary="Read an alias of a model", responses={200: _ALIAS})
    def get(self, request: Request, name: str, alias: str) -> Response:
        return Response(_show(_find(name, alias)))

    @extend_schema(
        operation_id="move_alias",
        summary="Point an alias of a model at a version",
        request={"application/json": bodies.MOVE_ALIAS},
        parameters=[_IF_ALIAS],
        responses={
            200: OpenApiResponse(answers.MODEL_VERSION, description="The version that the alias means now."),
            202: WAITS,
        },
    )
    def put(self, request: Request, name: str, alias: str) -> Response:
        body: Any = request.data
        bodies.MOVE_ALIAS_BODY.check(body)
        version = find_model_version(name, body["version"])
        actor = caller_of(request).actor
        with _unchanged(request, name, alias):
            outcome = move_alias(version=version, alias=alias, actor=actor, reason=body["reason"])
        if isinstance(outcome, ChangeRequest):
            return waiting(request, outcome)
        return Response(show_model_version(find_model_version(name, body["version"])))


class RollbackView(APIView):
    scope = Scope.REGISTER

    @extend_schema(
        operation_id="roll_alias_back",
        summary="Point an alias at where it pointed before, at once",
        request={"application/json": bodies.ROLL_BACK},
        parameters=[_IF_ALIAS],
        responses={200: _ALIAS},
    )
    def post(self, request: Request, name: str, alias: str) -> Response:
        body: Any = request.data
        bodies.ROLL_BACK_BODY.check(body)
        found, actor = _find(name, alias), caller_of(request).actor
        with _unchanged(request, name, alias):
            found = rollback_alias(alias=found, actor=actor, **body)
        return Response(_show(found))


class CanaryView(APIView):
    scope = Scope.REGISTER

    @extend_schema(
        operation_id="set_canary",
        summary="Send a share of an alias's requests to another version",
        request={"application/json": bodies.SET_CANARY},
        parameters=[_IF_ALIAS],
        responses={200: _ALIAS, 202: WAITS},
    )
    def put(self, request: Request, name: str, alias: str) -> Response:
        body: Any = request.data
        bodies.SET_CANARY_BODY.check(body)
        version, percent = _version(name, body["version"]), body.get("percent", 0)
        if (version is None) != (percent == 0):
            expected = "a percentage together with a version" if version else "no percentage without a version"
            raise InvalidInput(errors=[FieldError(pointer="/percent", expected=expected, got=f"{percent}")])
        actor, found = caller_of(request).actor, _find(name, alias)
        with _unchanged(request, name, alias):
            outcome = set_canary(alias=found, version=version, percent=percent, actor=actor, reason=body["reason"])
        return waiting(request, outcome) if isinstance(outcome, ChangeRequest) else Response(_show(outcome))


class ShadowView(APIView):
    scope = Scope.REGISTER
    scopes = {"GET": Scope.READ}

    @extend_schema(
        operation_id="read_shadow",
        summary="Read how the shadow of an alias differs from what was answered",
        parameters=[SINCE],
        responses={200: OpenApiResponse(answers.SHADOW, description="Counts of the present shadow.")},
    )
    def get(self, request: Request, name: str, alias: str) -> Response:
        return Response(show_shadow(_find(name, alias), request.query_params.get("since", "")))

    @extend_schema(
        operation_id="set_shadow",
        summary="Run another version beside the requests of an alias, whose answers stay as they are",
        request={"application/json": bodies.SET_SHADOW},
        parameters=[_IF_ALIAS],
        responses={200: _ALIAS},
    )
    def put(self, request: Request, name: str, alias: str) -> Response:
        body: Any = request.data
        bodies.SET_SHADOW_BODY.check(body)
        version, actor, found = _version(name, body["version"]), caller_of(request).actor, _find(name, alias)
        with _unchanged(request, name, alias):
            found = set_shadow(alias=found, version=version, actor=actor, reason=body["reason"])
        return Response(_show(found))


def _unchanged(request: Request, name: str, alias: str) -> AbstractContextManager[None]:
    return unchanged(request, RegisteredModel, name, now=lambda: _show(_find(name, alias)))


def _version(name: str, number: int | None) -> ModelVersion | None:
    return None if number is None else find_model_version(name, number)


def _find(name: str, alias: str) -> Alias:
    model = find_model(name)
    related = ("model", "version__model", "previous_version", "canary_version", "shadow_version")
    found = Alias.objects.select_related(*related).filter(model=model, name=alias).first()
    if found is None:
        raise NotFound(f"The model '{name}' has no alias '{alias}'.")
    return found


def _show(alias: Alias) -> dict[str, Any]:
    others = {
        f"{name}_version": getattr(alias, f"{name}_version").number if getattr(alias, f"{name}_version_id") else None
        for name in ("previous", "canary", "shadow")
    }
    return {
        "model": alias.model.name,
        "alias": alias.name,
        "version": alias.version.number,
        **others,
        "canary_percent": alias.canary_percent,
        "change": alias.change_id,
        "moved_at": alias.moved_at,
    }
