"""Every address of the protocol."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict

from inferhub.accounts.models import Scope
from inferhub.api.authentication import authenticate, check_scope
from inferhub.api.health import states_of_parts
from inferhub.api.metrics import Called, metrics
from inferhub.api.problems import reason_of
from inferhub.api.serving import SELDOM, Incoming, Reply, bare
from inferhub.api.v2 import documents
from inferhub.api.v2.body import HEADER_LENGTH, parameters_of, read_body, split_body
from inferhub.api.v2.endpoint import Endpoint, OpenEndpoint, json_response
from inferhub.api.v2.errors import FORESEEN, Refusal, error_response, response_to
from inferhub.api.v2.finding import choose, find_plan, versions_of
from inferhub.api.v2.infer_answer import infer_answer
from inferhub.api.v2.infer_request import read_infer_request
from inferhub.api.v2.statistics import INFER, called, inferred, statistics_document
from inferhub.errors import InvalidInput, Unavailable
from inferhub.inference.services import infer_by, is_loaded, load_model, unload
from inferhub.lib.describe import shorten
from inferhub.lib.stopwatch import Stopwatch
from inferhub.registry.models import ModelVersion, VersionState
from inferhub.registry.queries import find_champions

_NOBODY = Called(call=INFER)
_MAY_INFER = frozenset({Scope.PREDICT})
_HEADER_LENGTH = "HTTP_" + HEADER_LENGTH.upper().replace("-", "_")


class LiveView(OpenEndpoint):
    def get(self, request: HttpRequest) -> HttpResponse:
        return json_response({"live": True})


class ReadyView(OpenEndpoint):
    def get(self, request: HttpRequest) -> HttpResponse:
        wrong = [f"{name}: {state}" for name, state in states_of_parts().items() if state != "ok"]
        if wrong:
            raise Unavailable(f"Not ready. {'; '.join(wrong)}.")
        return json_response({"ready": True})


class ServerView(Endpoint):
    scopes = frozenset({Scope.READ})

    def get(self, request: HttpRequest) -> HttpResponse:
        return json_response(documents.server_document())


class ModelView(Endpoint):
    scopes = frozenset({Scope.READ})

    def get(self, request: HttpRequest, name: str, version: str = "") -> HttpResponse:
        plan = find_plan(name, version, request.GET.get("alias"))
        return json_response(documents.model_document(plan, [number for number, _ in versions_of(name)]))


class ModelReadyView(Endpoint):
    """Ready: the session is there, or could be loaded right now. Who may only predict needs to ask this too."""

    scopes = frozenset({Scope.READ, Scope.PREDICT})

    def get(self, request: HttpRequest, name: str, version: str = "") -> HttpResponse:
        plan = find_plan(name, version, request.GET.get("alias"))
        load_model(plan)
        return json_response({"name": name, "ready": True})


class ConfigView(Endpoint):
    scopes = frozenset({Scope.READ})

    def get(self, request: HttpRequest, name: str, version: str = "") -> HttpResponse:
        return json_response(documents.config_document(find_plan(name, version, request.GET.get("alias"))))


def _infer_view(request: Incoming, name: str, version: str = "") -> Reply:
    return _InferCall().answer(request, name, version)


infer_view = bare(_infer_view, checks_connection_every=SELDOM, is_quick=True)


class _InferCall:
    """One inference request, timed and counted. Its model and version are counted once they are known to exist."""

    def __init__(self) -> None:
        self._watch = Stopwatch()
        self._called = _NOBODY

    def answer(self, request: Incoming, name: str, version: str) -> Reply:
        try:
            reply = self._infer(request, name, version)
        except FORESEEN as exc:
            reply = Reply.of(response_to(exc))
            metrics.failed(self._called, reason_of(reply.status), self._watch)
        else:
            metrics.succeeded(self._called, self._watch)
        reply.stages = self._watch.stages
        return reply

    def _infer(self, request: Incoming, name: str, version: str) -> Reply:
        meta, watch = request.META, self._watch
        check_scope(authenticate(meta), _MAY_INFER)
        if meta["REQUEST_METHOD"] != "POST":
            raise Refusal(405, f"{meta['REQUEST_METHOD']} is not a method of this address; it has POST.", Allow="POST")
        limit = settings.CONFIG.max_tensor_bytes
        body = read_body(request, max_bytes=limit)
        asked = read_infer_request(*split_body(body, meta.get(_HEADER_LENGTH), max_bytes=limit))
        watch.lap("parse")
        query = meta.get("QUERY_STRING")
        aliases = (asked.alias, QueryDict(query).get("alias") if query else None)
        choice = choose(name, version, aliases, asked.key)
        plan = choice.plan
        self._called = called(plan)
        signature = plan.pipeline.request
        wanted = asked.wanted(signature)
        feeds = asked.feeds(signature, max_bytes=limit)
        watch.lap("validate")
        outputs = infer_by(choice, feeds, timeout_ms=asked.timeout_ms)
        watch.lap("model")
        reply = infer_answer(plan, asked.id, wanted, outputs, meta.get("HTTP_ACCEPT_ENCODING", ""))
        watch.lap("encode")
        return reply


class StatisticsView(Endpoint):
    """Of this process; a hub of several web processes counts in each of them."""

    scopes = frozenset({Scope.READ})

    def get(self, request: HttpRequest, name: str = "", version: str = "") -> HttpResponse:
        return json_response({"model_stats": [statistics_document(key) for key in _counted(name, version)]})


def _counted(name: str, version: str) -> list[Called]:
    """The version that was asked for; else what was used so far, and the champions."""
    if version:
        plan = find_plan(name, version)
        return [called(plan)]
    if name:
        numbers = [number for number, _ in versions_of(name)]
        return [inferred(name, number) for number in numbers]
    known = {called(plan) for plan in find_champions()} | {key for key in metrics.called if key.call == INFER}
    return sorted(known - {_NOBODY}, key=lambda key: (key.name, int(key.version)))


class RepositoryIndexView(Endpoint):
    """Every version can be served: what is not loaded is loaded by its first request."""

    scopes = frozenset({Scope.READ})

    def post(self, request: HttpRequest) -> HttpResponse:
        _control_parameters(request)
        versions = ModelVersion.objects.filter(state=VersionState.READY).order_by("model__name", "number")
        index = [
            {
                "name": name,
                "version": str(number),
                "state": "READY",
                "reason": "" if is_loaded(digest) else "not in the memory of this process; its first request loads it",
            }
            for name, number, digest in versions.values_list("model__name", "number", "digest")
        ]
        return json_response(index)


class LoadView(Endpoint):
    """Load the champion's session now, in this process."""

    scopes = frozenset({Scope.PREDICT})

    def post(self, request: HttpRequest, name: str) -> HttpResponse:
        parameters = _control_parameters(request)
        given = [key for key in parameters if key == "config" or key.startswith("file:")]
        if given:
            raise InvalidInput(
                f"'{shorten(given[0])}' is not accepted: a model is checked when it is registered, not here."
            )
        load_model(find_plan(name, "", parameters.get("alias")))
        return json_response({"name": name, "load": True})


class UnloadView(Endpoint):
    """Drop every session of a model from this process's memory."""

    scopes = frozenset({Scope.PREDICT})

    def post(self, request: HttpRequest, name: str) -> HttpResponse:
        _control_parameters(request)
        for _, digest in versions_of(name):
            unload(digest)
        return json_response({"name": name, "unload": True})


class MissingExtensionView(Endpoint):
    scopes = frozenset({Scope.READ, Scope.PREDICT})

    def get(self, request: HttpRequest, **_: str) -> HttpResponse:
        raise Refusal(501, "Trace settings, log settings and shared memory are not served here.")

    post = get


def unknown_address(request: HttpRequest) -> HttpResponse:
    return error_response(404, f"There is nothing at {request.path[:200]}.")


def _control_parameters(request: HttpRequest) -> dict[str, Any]:
    """The parameters of a request about the repository; its body may be empty."""
    limit = settings.CONFIG.max_tensor_bytes
    body = read_body(request, max_bytes=limit)
    return parameters_of(split_body(body, None, max_bytes=limit)[0]) if body else {}
