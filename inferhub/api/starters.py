"""List the starters, install one, and follow how far that is."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import answers, bodies
from inferhub.api.authentication import caller_of
from inferhub.starters.catalogue import STARTERS
from inferhub.starters.models import Installation
from inferhub.starters.queries import find_installation, find_starter, installations_by_starter, try_path
from inferhub.starters.services import request_installation
from inferhub.starters.starter import Starter


class StartersView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="list_starters",
        summary="List the starters: working examples to install, try and change",
        responses={200: OpenApiResponse(answers.STARTERS, description="All of them, with sample requests.")},
    )
    def get(self, request: Request) -> Response:
        installed = installations_by_starter()
        return Response({"starters": [_show_starter(one, installed[name]) for name, one in STARTERS.items()]})


class InstallStarterView(APIView):
    scope = Scope.AUTHOR

    @extend_schema(
        operation_id="install_starter",
        summary="Install a starter: a model, rules, a workflow or scenario, and test cases",
        description="A worker does it. All that it makes gets the same name, and changes without a second person's "
        "approval, so that it works at once. One that failed goes on where it stopped.",
        request={"application/json": bodies.INSTALL_STARTER},
        responses={202: OpenApiResponse(answers.INSTALLATION, description="The installation, which has begun.")},
    )
    def post(self, request: Request, name: str) -> Response:
        body: Any = request.data
        bodies.INSTALL_STARTER_BODY.check(body)
        actor = caller_of(request).actor
        installation = request_installation(starter=name, name=body.get("as", ""), actor=actor)
        address = request.build_absolute_uri(f"/api/v1/installations/{installation.name}")
        return Response(_show_installation(installation), status=202, headers={"Location": address})


class InstallationView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="read_installation",
        summary="Read how far the installation of a starter is",
        responses={200: OpenApiResponse(answers.INSTALLATION, description="The installation.")},
    )
    def get(self, request: Request, name: str) -> Response:
        return Response(_show_installation(find_installation(name)))


def _show_starter(starter: Starter, installations: list[Installation]) -> dict[str, Any]:
    return {
        "name": starter.name,
        "title": starter.title,
        "audience": starter.audience,
        "summary": starter.summary,
        "caution": starter.caution,
        "samples": [{"title": sample.title, "body": _body(starter, sample.body)} for sample in starter.samples],
        "installed_as": [found.name for found in installations],
    }


def _show_installation(found: Installation) -> dict[str, Any]:
    starter = find_starter(found.starter)
    return {
        "name": found.name,
        "starter": found.starter,
        "state": found.state,
        "done": found.done,
        "steps": list(starter.work),
        "problem": found.problem,
        "try": f"/api/v1/{try_path(starter, found.name)}",
        "requested_by": found.requested_by,
        "created_at": found.created_at.isoformat(),
        "finished_at": found.finished_at.isoformat() if found.finished_at else None,
    }


def _body(starter: Starter, body: dict[str, Any]) -> dict[str, Any]:
    return {"input": body} if starter.workflow else body
