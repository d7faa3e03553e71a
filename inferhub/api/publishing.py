"""The life of workflows and rule sets over REST: versions, publications, comparison, rollback, policy."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import answers, bodies
from inferhub.api.approvals import WAITS, waiting
from inferhub.api.authentication import caller_of
from inferhub.api.listing import answered
from inferhub.api.preconditions import if_match_of, unchanged
from inferhub.api.reading import show_rule_set, show_workflow
from inferhub.approvals.models import ChangeRequest
from inferhub.decisions import services as workflows
from inferhub.errors import NotFound
from inferhub.lib.canonical import plain_json
from inferhub.lib.moments import parse_moment
from inferhub.rulesets import services as rule_sets
from inferhub.rulesets.authored import AuthoredPublication, AuthoredVersion
from inferhub.rulesets.checks import describe_findings
from inferhub.rulesets.differences import compare_definitions
from inferhub.rulesets.lifecycle import describe_versions
from inferhub.rulesets.publishing import AuthoredKind, cancel_publication, publish_version, roll_back, set_approval


@dataclass(frozen=True, kw_only=True, slots=True)
class _Side:
    """What is different between the addresses of workflows and those of rule sets."""

    kind: AuthoredKind
    noun: str
    address: str
    save: Callable[..., Any]
    show: Callable[[str], dict[str, Any]]
    saved: dict[str, Any]
    findings: Callable[[AuthoredVersion], dict[str, Any]]
    """What is told of a version beside itself when it is saved; `saved` is the schema of both."""

    def owner(self, name: str) -> Any:
        found = self.kind.owners.objects.with_current().filter(name=name).first()
        if found is None:
            raise NotFound(f"There is no {self.noun} '{name}'.")
        return found

    def version(self, name: str, number: int) -> Any:
        found = self.kind.versions.objects.select_related(self.kind.name)
        version = found.filter(number=number, **{f"{self.kind.name}__name": name}).first()
        if version is None:
            raise NotFound(f"The {self.noun} '{name}' has no version {number}.")
        return version

    def publications(self, owner: Any) -> Any:
        return owner.publications.select_related("version", self.kind.name).newest_first()

    def show_versions(self, name: str) -> dict[str, Any]:
        owner = self.owner(name)
        states = describe_versions(self.kind, owner)
        return {"versions": [_show_version(one, states[one.pk].name, name) for one in owner.versions.all()]}

    def show_publications(self, name: str) -> dict[str, Any]:
        owner = self.owner(name)
        present = owner.publications.in_force().newest_first().first()
        return {"publications": [_show_publication(one, name, present) for one in self.publications(owner)]}

    def unchanged(
        self, request: Request, name: str, show: Callable[[str], dict[str, Any]]
    ) -> AbstractContextManager[None]:
        return unchanged(request, self.kind.owners, name, now=lambda: show(name))


_SIDES = (
    _Side(
        kind=workflows.KIND,
        noun="workflow",
        address="v1/workflows",
        save=workflows.save_workflow,
        show=show_workflow,
        saved=answers.AUTHORED_VERSION,
        findings=lambda _: {},
    ),
    _Side(
        kind=rule_sets.KIND,
        noun="rule set",
        address="v1/rule-sets",
        save=rule_sets.save_rule_set,
        show=show_rule_set,
        saved=answers.SAVED_RULE_SET,
        findings=lambda version: {"findings": describe_findings(version.definition)},
    ),
)
_IF_PUBLICATIONS = if_match_of("the list of publications")


def _versions_view(side: _Side) -> type[APIView]:
    class VersionsView(APIView):
        scope = Scope.AUTHOR
        scopes = {"GET": Scope.READ}

        @extend_schema(
            operation_id=f"list_{side.kind.name}_versions",
            summary=f"List the versions of a {side.noun}, and where each stands",
            responses=answered(answers.AUTHORED_VERSIONS),
        )
        def get(self, request: Request, name: str) -> Response:
            return Response(side.show_versions(name))

        @extend_schema(
            operation_id=f"save_{side.kind.name}",
            summary=f"Save a version of a {side.noun}; where its policy is direct, it is in force at once",
            request={"application/json": bodies.SAVE_AUTHORED},
            parameters=[if_match_of("the list of versions")],
            responses=answered(side.saved, 201),
        )
        def post(self, request: Request, name: str) -> Response:
            body: Any = request.data
            bodies.SAVE_AUTHORED_BODY.check(body)
            with side.unchanged(request, name, side.show_versions):
                version = side.save(name=name, actor=caller_of(request).actor, **body)
            return Response(_show_whole(side, version) | side.findings(version), status=201)

    return VersionsView


def _version_view(side: _Side) -> type[APIView]:
    class VersionView(APIView):
        scope = Scope.READ

        @extend_schema(
            operation_id=f"read_{side.kind.name}_version",
            summary=f"Read a version of a {side.noun}",
            responses=answered(answers.AUTHORED_VERSION),
        )
        def get(self, request: Request, name: str, number: int) -> Response:
            return Response(_show_whole(side, side.version(name, number)))

    return VersionView


def _comparison_view(side: _Side) -> type[APIView]:
    class AuthoredComparisonView(APIView):
        scope = Scope.READ

        @extend_schema(
            operation_id=f"compare_{side.kind.name}_versions",
            summary=f"Compare two versions of a {side.noun}, by fields and by rows of tables",
            responses=answered(answers.AUTHORED_COMPARISON),
        )
        def get(self, request: Request, name: str, number: int, other: int) -> Response:
            left, right = side.version(name, number), side.version(name, other)
            found = compare_definitions(plain_json(left.definition), plain_json(right.definition))
            return Response({"left": number, "right": other} | found.to_dict())

    return AuthoredComparisonView


def _publications_view(side: _Side) -> type[APIView]:
    class PublicationsView(APIView):
        scope = Scope.AUTHOR
        scopes = {"GET": Scope.READ}

        @extend_schema(
            operation_id=f"list_{side.kind.name}_publications",
            summary=f"List which versions of a {side.noun} were, are and will be in force",
            responses=answered(answers.PUBLICATIONS),
        )
        def get(self, request: Request, name: str) -> Response:
            return Response(side.show_publications(name))

        @extend_schema(
            operation_id=f"publish_{side.kind.name}",
            summary=f"Put a version of a {side.noun} in force, from a time and until a time",
            description="Refused while a test case fails. Where the policy takes four eyes, it waits for approval.",
            request={"application/json": bodies.PUBLISH},
            parameters=[_IF_PUBLICATIONS],
            responses={**answered(answers.PUBLICATION, 201), 202: WAITS},
        )
        def post(self, request: Request, name: str) -> Response:
            body: Any = request.data
            bodies.PUBLISH_BODY.check(body)
            version = side.version(name, body["version"])
            begins, ends = _moment(body, "effective_from"), _moment(body, "effective_until")
            with side.unchanged(request, name, side.show_publications):
                made = publish_version(
                    side.kind,
                    version=version,
                    actor=caller_of(request).actor,
                    reason=body["reason"],
                    effective_from=begins,
                    effective_until=ends,
                )
            if isinstance(made, ChangeRequest):
                return waiting(request, made)
            return Response(
                _show_publication(made, name, side.owner(name).publications.in_force().newest_first().first()),
                status=201,
            )

    return PublicationsView


def _cancel_view(side: _Side) -> type[APIView]:
    class CancelView(APIView):
        scope = Scope.AUTHOR

        @extend_schema(
            operation_id=f"cancel_{side.kind.name}_publication",
            summary=f"Take back a publication of a {side.noun} that has not begun",
            request={"application/json": bodies.GIVE_REASON},
            parameters=[_IF_PUBLICATIONS],
            responses=answered(answers.PUBLICATION),
        )
        def post(self, request: Request, name: str, number: int) -> Response:
            body: Any = request.data
            bodies.GIVE_REASON_BODY.check(body)
            found = side.publications(side.owner(name)).filter(pk=number).first()
            if found is None:
                raise NotFound(f"The {side.noun} '{name}' has no publication {number}.")
            actor = caller_of(request).actor
            with side.unchanged(request, name, side.show_publications):
                gone = cancel_publication(side.kind, publication=found, actor=actor, reason=body["reason"])
            return Response(_show_publication(gone, name, None))

    return CancelView


def _rollback_view(side: _Side) -> type[APIView]:
    class AuthoredRollbackView(APIView):
        scope = Scope.AUTHOR

        @extend_schema(
            operation_id=f"roll_{side.kind.name}_back",
            summary=f"Put the version of a {side.noun} that was in force before in force again, at once",
            request={"application/json": bodies.ROLL_BACK},
            parameters=[_IF_PUBLICATIONS],
            responses=answered(answers.PUBLICATION, 201),
        )
        def post(self, request: Request, name: str) -> Response:
            body: Any = request.data
            bodies.ROLL_BACK_BODY.check(body)
            owner = side.owner(name)
            with side.unchanged(request, name, side.show_publications):
                made = roll_back(side.kind, owner=owner, actor=caller_of(request).actor, **body)
            return Response(_show_publication(made, name, made), status=201)

    return AuthoredRollbackView


def _policy_view(side: _Side) -> type[APIView]:
    class AuthoredPolicyView(APIView):
        scope = Scope.AUTHOR

        @extend_schema(
            operation_id=f"set_{side.kind.name}_policy",
            summary=f"Change how versions of a {side.noun} are published: by four eyes or directly",
            request={"application/json": bodies.SET_APPROVAL},
            parameters=[if_match_of(f"the {side.noun}")],
            responses={**answered(answers.AUTHORED_POLICY), 202: WAITS},
        )
        def put(self, request: Request, name: str) -> Response:
            body: Any = request.data
            bodies.SET_APPROVAL_BODY.check(body)
            owner = side.owner(name)
            with side.unchanged(request, name, side.show):
                outcome = set_approval(side.kind, owner=owner, actor=caller_of(request).actor, **body)
            if isinstance(outcome, ChangeRequest):
                return waiting(request, outcome)
            return Response({"name": name, "approval": outcome.approval})

    return AuthoredPolicyView


def addresses() -> list[URLPattern]:
    """Of both sides."""
    parts = (
        ("versions", _versions_view),
        ("versions/<int:number>", _version_view),
        ("versions/<int:number>/comparison/<int:other>", _comparison_view),
        ("publications", _publications_view),
        ("publications/<int:number>/cancel", _cancel_view),
        ("rollback", _rollback_view),
        ("policy", _policy_view),
    )
    return [path(f"{side.address}/<name:name>/{part}", view(side).as_view()) for side in _SIDES for part, view in parts]


def _moment(body: dict[str, Any], name: str) -> datetime | None:
    """The time in a field, None where there is none. Raises InvalidInput."""
    text = body.get(name)
    return None if text is None else parse_moment(text, at=f"/{name}")


def _show_whole(side: _Side, version: AuthoredVersion) -> dict[str, Any]:
    owner = side.owner(version.owner.name)
    state = describe_versions(side.kind, owner)[version.pk].name
    return _show_version(version, state, owner.name) | {"definition": plain_json(version.definition)}


def _show_version(version: AuthoredVersion, state: str, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "version": version.number,
        "state": state,
        "digest": version.digest,
        "note": version.note,
        "created_at": version.created_at,
        "created_by": version.created_by,
    }


def _show_publication(publication: Any, name: str, present: AuthoredPublication | None) -> dict[str, Any]:
    return {
        "id": publication.pk,
        "name": name,
        "version": publication.version.number,
        "effective_from": publication.effective_from,
        "effective_until": publication.effective_until,
        "is_in_force": present is not None and present.pk == publication.pk,
        "is_rollback": publication.is_rollback,
        "reason": publication.reason,
        "change": publication.change_id,
        "published_at": publication.published_at,
        "published_by": publication.published_by,
        "cancelled_at": publication.cancelled_at,
        "cancelled_by": publication.cancelled_by,
        "cancel_reason": publication.cancel_reason,
    }
