"""Test cases of workflows and of rule sets: keep them, and run them against a version."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import answers, bodies
from inferhub.api.authentication import caller_of
from inferhub.api.preconditions import if_match_of, unchanged
from inferhub.decisions.models import Workflow
from inferhub.decisions.testing import (
    list_workflow_tests,
    remove_workflow_test,
    replace_workflow_tests,
    run_workflow_tests,
    save_workflow_test,
)
from inferhub.lib.schema import Schema
from inferhub.rulesets.authored import AuthoredTest
from inferhub.rulesets.cases import RULE_SET_CASE, WORKFLOW_CASE, CaseReport
from inferhub.rulesets.models import RuleSet
from inferhub.rulesets.testing import (
    list_rule_set_tests,
    remove_rule_set_test,
    replace_rule_set_tests,
    run_rule_set_tests,
    save_rule_set_test,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Side:
    """What is different between the addresses of workflows and those of rule sets; `name` is what services call one."""

    name: str
    noun: str
    owners: Any
    address: str
    case: dict[str, Any]
    cases: Schema
    to_run: Schema
    find: Callable[[str], Iterable[AuthoredTest]]
    save: Callable[..., AuthoredTest]
    replace: Callable[..., Iterable[AuthoredTest]]
    remove: Callable[..., None]
    run: Callable[..., CaseReport]

    def unchanged(self, request: Request, name: str) -> AbstractContextManager[None]:
        return unchanged(request, self.owners, name, now=lambda: _show(self.find(name)))


_SIDES = (
    _Side(
        name="workflow",
        noun="workflow",
        owners=Workflow,
        address="v1/workflows",
        case=WORKFLOW_CASE,
        cases=bodies.WORKFLOW_TESTS_BODY,
        to_run=bodies.RUN_WORKFLOW_TESTS_BODY,
        find=list_workflow_tests,
        save=save_workflow_test,
        replace=replace_workflow_tests,
        remove=remove_workflow_test,
        run=run_workflow_tests,
    ),
    _Side(
        name="rule_set",
        noun="rule set",
        owners=RuleSet,
        address="v1/rule-sets",
        case=RULE_SET_CASE,
        cases=bodies.RULE_SET_TESTS_BODY,
        to_run=bodies.RUN_RULE_SET_TESTS_BODY,
        find=list_rule_set_tests,
        save=save_rule_set_test,
        replace=replace_rule_set_tests,
        remove=remove_rule_set_test,
        run=run_rule_set_tests,
    ),
)
_IF_TESTS = if_match_of("the list of test cases")
_CASES = {200: OpenApiResponse(answers.TEST_CASES, description="The test cases, in the order of their making.")}
_GONE = {204: OpenApiResponse(description="It is gone.")}
_RUN = {200: OpenApiResponse(answers.TEST_RUN, description="What came out, and where it differs.")}


def _cases_view(side: _Side) -> type[APIView]:
    class TestCasesView(APIView):
        scope = Scope.AUTHOR
        scopes = {"GET": Scope.READ}

        @extend_schema(
            operation_id=f"list_{side.name}_tests",
            summary=f"List the test cases of a {side.noun}",
            responses=_CASES,
        )
        def get(self, request: Request, name: str) -> Response:
            return Response(_show(side.find(name)))

        @extend_schema(
            operation_id=f"save_{side.name}_test",
            summary=f"Add a test case to a {side.noun}, or replace the one of the same name",
            request={"application/json": side.case},
            parameters=[_IF_TESTS],
            responses=_CASES,
        )
        def post(self, request: Request, name: str) -> Response:
            with side.unchanged(request, name):
                side.save(**{side.name: name}, case=request.data, actor=caller_of(request).actor)
            return Response(_show(side.find(name)))

        @extend_schema(
            operation_id=f"replace_{side.name}_tests",
            summary=f"Replace all test cases of a {side.noun}",
            request={"application/json": side.cases.definition},
            parameters=[_IF_TESTS],
            responses=_CASES,
        )
        def put(self, request: Request, name: str) -> Response:
            body: Any = request.data
            side.cases.check(body)
            with side.unchanged(request, name):
                kept = side.replace(**{side.name: name}, cases=body["tests"], actor=caller_of(request).actor)
            return Response(_show(kept))

    return TestCasesView


def _case_view(side: _Side) -> type[APIView]:
    class TestCaseView(APIView):
        scope = Scope.AUTHOR

        @extend_schema(
            operation_id=f"remove_{side.name}_test",
            summary=f"Remove a test case of a {side.noun}",
            parameters=[_IF_TESTS],
            responses=_GONE,
        )
        def delete(self, request: Request, name: str, test: str) -> Response:
            with side.unchanged(request, name):
                side.remove(**{side.name: name}, name=test, actor=caller_of(request).actor)
            return Response(status=204)

    return TestCaseView


def _runs_view(side: _Side) -> type[APIView]:
    class TestRunsView(APIView):
        scope = Scope.AUTHOR

        @extend_schema(
            operation_id=f"run_{side.name}_tests",
            summary=f"Run the test cases of a {side.noun}, or others, against a version; nothing is stored or done",
            request={"application/json": side.to_run.definition},
            responses=_RUN,
        )
        def post(self, request: Request, name: str) -> Response:
            body: Any = request.data
            side.to_run.check(body)
            asked = {"cases" if key == "tests" else key: value for key, value in body.items()}
            report = side.run(**{side.name: name}, **asked, actor=caller_of(request).actor)
            return Response(report.to_dict())

    return TestRunsView


def addresses() -> list[URLPattern]:
    """Of both sides."""
    parts = (("tests", _cases_view), ("tests/<path:test>", _case_view), ("test-runs", _runs_view))
    return [path(f"{side.address}/<name:name>/{part}", view(side).as_view()) for side in _SIDES for part, view in parts]


def _show(tests: Iterable[AuthoredTest]) -> dict[str, Any]:
    shown = [{"case": test.document, "changed_at": test.changed_at, "changed_by": test.changed_by} for test in tests]
    return {"tests": shown}
