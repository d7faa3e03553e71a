"""Register a version by upload, fetch its artifact, put it away; say what a model is, and how its aliases move."""

import base64
from collections.abc import Callable
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import answers, bodies
from inferhub.api.approvals import WAITS, change_address, waiting
from inferhub.api.authentication import caller_of
from inferhub.api.preconditions import if_match_of, unchanged
from inferhub.api.reading import (
    ModelVersionsView,
    ModelView,
    find_model,
    find_model_version,
    show_model,
    show_model_version,
)
from inferhub.approvals.models import ChangeRequest
from inferhub.errors import FieldError, InvalidInput, TooLarge
from inferhub.lib.describe import describe
from inferhub.lib.digits import read_digits
from inferhub.lib.storable import check_storable
from inferhub.registry.lifecycle import archive_version, unarchive_version
from inferhub.registry.models import ModelVersion, RegisteredModel
from inferhub.registry.policies import edit_model, set_policy
from inferhub.registry.queries import pending_move
from inferhub.registry.services import Provenance, fetch_artifact, register_version

_FILES = ("file", "golden")
_DOCUMENTS = ("certificate", "metrics", "lineage", "steps")
_TEXTS = ("task", "alias", "description", "approval", "model_card", "notes", *_DOCUMENTS)


_IF_MODEL, _IF_VERSION = if_match_of("the model"), if_match_of("the version")


class RegisterVersionView(ModelVersionsView):
    """The list of a model's versions, to which an upload adds one."""

    parser_classes = [MultiPartParser]
    scopes = {"POST": Scope.REGISTER}

    @extend_schema(
        operation_id="register_model_version",
        summary="Register an ONNX file, or a text model of LightGBM, as the next version of a model",
        request={"multipart/form-data": bodies.REGISTER},
        responses={201: OpenApiResponse(answers.REGISTERED_VERSION, description="The version.")},
    )
    def post(self, request: Request, name: str) -> Response:
        _check_length(request)
        form = _Form(request)
        version = register_version(
            name=name,
            task=form.text("task"),
            data=form.file("file"),
            golden=form.optional_file("golden"),
            alias=form.text("alias"),
            description=form.text("description"),
            approval=form.text("approval"),
            provenance=Provenance(
                certificate=form.json("certificate"),
                metrics=form.json("metrics"),
                lineage=form.json("lineage"),
                steps=form.json("steps"),
                model_card=form.text("model_card"),
                notes=form.text("notes"),
            ),
            actor=caller_of(request).actor,
        )
        change = pending_move(version)
        shown = show_model_version(version) | {"change": change_address(request, change) if change else None}
        address = request.build_absolute_uri(f"/api/v1/models/{name}/versions/{version.number}")
        return Response(shown, status=201, headers={"Location": address})


class ArtifactView(APIView):
    """The bytes of a version, with their digest in the headers (RFC 9530)."""

    scope = Scope.READ

    @extend_schema(
        operation_id="read_artifact",
        summary="Download the ONNX file of a version",
        responses={(200, "application/octet-stream"): OpenApiResponse(bytes, description="The ONNX file.")},
    )
    def get(self, request: Request, name: str, number: int) -> HttpResponse:
        version = find_model_version(name, number)
        data = fetch_artifact(version=version, actor=caller_of(request).actor)
        response = HttpResponse(data, content_type="application/octet-stream")
        response["Repr-Digest"] = f"sha-256=:{base64.b64encode(bytes.fromhex(version.digest)).decode()}:"
        response["ETag"] = f'"{version.digest}"'
        response["Content-Disposition"] = f'attachment; filename="{name}-{number}.onnx"'
        return response


class ArchiveView(APIView):
    scope = Scope.REGISTER

    @extend_schema(
        operation_id="archive_model_version",
        summary="Put a version away: it is kept, and serves no more",
        request={"application/json": bodies.GIVE_REASON},
        parameters=[_IF_VERSION],
        responses={200: OpenApiResponse(answers.MODEL_VERSION, description="The version.")},
    )
    def post(self, request: Request, name: str, number: int) -> Response:
        return _change_state(archive_version, request, find_model_version(name, number))


class UnarchiveView(APIView):
    scope = Scope.REGISTER

    @extend_schema(
        operation_id="unarchive_model_version",
        summary="Make an archived version ready again",
        request={"application/json": bodies.GIVE_REASON},
        parameters=[_IF_VERSION],
        responses={200: OpenApiResponse(answers.MODEL_VERSION, description="The version.")},
    )
    def post(self, request: Request, name: str, number: int) -> Response:
        return _change_state(unarchive_version, request, find_model_version(name, number))


def _change_state(change: Callable[..., object], request: Request, version: ModelVersion) -> Response:
    body: Any = request.data
    bodies.GIVE_REASON_BODY.check(body)
    name, number = version.model.name, version.number
    with unchanged(request, RegisteredModel, name, now=lambda: show_model_version(find_model_version(name, number))):
        change(version=version, actor=caller_of(request).actor, reason=body["reason"])
    return Response(show_model_version(version))


class EditModelView(ModelView):
    """A model, of which the description, the owner and the tags may change."""

    scopes = {"PATCH": Scope.REGISTER}

    @extend_schema(
        operation_id="edit_model",
        summary="Change the description, the owner or the tags of a model",
        request={"application/json": bodies.EDIT_MODEL},
        parameters=[_IF_MODEL],
        responses={200: OpenApiResponse(answers.MODEL, description="The model.")},
    )
    def patch(self, request: Request, name: str) -> Response:
        body: Any = request.data
        bodies.EDIT_MODEL_BODY.check(body)
        model = find_model(name)
        with unchanged(request, RegisteredModel, name, now=lambda: show_model(find_model(name))):
            edit_model(model=model, actor=caller_of(request).actor, **body)
        return Response(show_model(find_model(name)))


class PolicyView(APIView):
    scope = Scope.REGISTER

    @extend_schema(
        operation_id="set_model_policy",
        summary="Change how the aliases of a model move: by four eyes or directly, and past which gates",
        request={"application/json": bodies.SET_POLICY},
        parameters=[_IF_MODEL],
        responses={
            200: OpenApiResponse(answers.MODEL, description="The model, whose policy is this now."),
            202: WAITS,
        },
    )
    def put(self, request: Request, name: str) -> Response:
        body: Any = request.data
        bodies.SET_POLICY_BODY.check(body)
        model = find_model(name)
        with unchanged(request, RegisteredModel, name, now=lambda: show_model(find_model(name))):
            outcome = set_policy(model=model, actor=caller_of(request).actor, **body)
        if isinstance(outcome, ChangeRequest):
            return waiting(request, outcome)
        return Response(show_model(find_model(name)))


class _Form:
    """The fields of a multipart form; what is not one of them is an error."""

    def __init__(self, request: Request) -> None:
        self._form: Any = request.data
        self._files = request.FILES
        known = (*_FILES, *_TEXTS)
        unknown = [name for name in self._form if name not in known]
        if unknown:
            expected = f"one of {', '.join(known)}"
            raise InvalidInput(errors=[FieldError(pointer=f"/{n}", expected=expected, got="it") for n in unknown])

    def text(self, name: str) -> str:
        value: Any = self._form.get(name, "")
        if not isinstance(value, str) or "\x00" in value:
            raise InvalidInput(errors=[FieldError(pointer=f"/{name}", expected="a text", got="something else")])
        return value

    def json(self, name: str) -> dict[str, Any]:
        text = self.text(name)
        if not text:
            return {}
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict) or "\\u0000" in text:
            raise InvalidInput(errors=[FieldError(pointer=f"/{name}", expected="a JSON object", got=describe(text))])
        check_storable(value)
        return value

    def optional_file(self, name: str) -> bytes:
        return self.file(name) if name in self._form else b""

    def file(self, name: str) -> bytes:
        file = self._files.get(name)
        if file is None:
            expected = "a file: an ONNX model, or a text model of LightGBM"
            raise InvalidInput(errors=[FieldError(pointer=f"/{name}", expected=expected, got="nothing")])
        limit = settings.CONFIG.max_model_bytes
        if file.size > limit:
            raise TooLarge(f"The file has {file.size} bytes; at most {limit} are accepted (INFERHUB_MAX_MODEL_BYTES).")
        data: bytes = file.read()
        return data


def _check_length(request: Request) -> None:
    """Refuse what is too long before it is read."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    limit = settings.CONFIG.max_model_bytes + bodies.MOST_FORM_BYTES
    if (read_digits(length) or 0) > limit:
        raise TooLarge(f"The upload has {length} bytes; at most {limit} are accepted (INFERHUB_MAX_MODEL_BYTES).")
