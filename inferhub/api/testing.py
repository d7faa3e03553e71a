"""Test cases of workflows and of rule sets: keep them, and run them against a version."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import answers, bodies
from inferhub.api.authentication import caller_of
from inferhub.decisions.testing import (
    list_workflow_tests,
    remove_workflow_test,
    replace_workflow_tests,
    run_workflow_tests,
    save_workflow_test,
)
from inferhub.rulesets.authored import AuthoredTest
from inferhub.rulesets.cases import RULE_SET_CASE, WORKFLOW_CASE
from inferhub.rulesets.testing import (
    list_rule_set_tests,
    remove_rule_set_test,
    replace_rule_set_tests,
    run_rule_set_tests,
    save_rule_set_test,
)

_CASES = {200: OpenApiResponse(answers.TEST_CASES, description="The test cases, in the order of their making.")}
_GONE = {204: OpenApiResponse(description="It is gone.")}
_RUN = {200: OpenApiResponse(answers.TEST_RUN, description="What came out, and where it differs.")}


class WorkflowTestsView(APIView):
    scope = Scope.AUTHOR
    scopes = {"GET": Scope.READ}

    @extend_schema(operation_id="list_workflow_tests", summary="List the test cases of a workflow", responses=_CASES)
    def get(self, request: Request, name: str) -> Response:
        return _shown(list_workflow_tests(name))

    @extend_schema(
        operation_id="save_workflow_test",
        summary="Add a test case to a workflow, or replace the one of the same name",
        request={"application/json": WORKFLOW_CASE},
        responses=_CASES,
    )
    def post(self, request: Request, name: str) -> Response:
        body: Any = request.data
        save_workflow_test(workflow=name, case=body, actor=caller_of(request).actor)
        return _shown(list_workflow_tests(name))

    @extend_schema(
        operation_id="replace_workflow_tests",
        summary="Replace all test cases of a workflow",
        request={"application/json": bodies.WORKFLOW_TESTS},
        responses=_CASES,
    )
    def put(self, request: Request, name: str) -> Response:
        body: Any = request.data
        bodies.WORKFLOW_TESTS_BODY.check(body)
        return _shown(replace_workflow_tests(workflow=name, cases=body["tests"], actor=caller_of(request).actor))


class WorkflowTestView(APIView):
    scope = Scope.AUTHOR

    @extend_schema(
        operation_id="remove_workflow_test",
        summary="Remove a test case of a workflow",
        responses=_GONE,
    )
    def delete(self, request: Request, name: str, test: str) -> Response:
        remove_workflow_test(workflow=name, name=test, actor=caller_of(request).actor)
        return Response(status=204)


class WorkflowTestRunsView(APIView):
    scope = Scope.AUTHOR

    @extend_schema(
        operation_id="run_workflow_tests",
        summary="Run the test cases of a workflow, or others, against a version; nothing is stored or done",
        request={"application/json": bodies.RUN_WORKFLOW_TESTS},
        responses=_RUN,
    )
    def post(self, request: Request, name: str) -> Response:
        body: Any = request.data
        bodies.RUN_WORKFLOW_TESTS_BODY.check(body)
        report = run_workflow_tests(
            workflow=name,
            version=body.get("version"),
            rule_set_version=body.get("rule_set_version"),
            cases=body.get("tests"),
            actor=caller_of(request).actor,
        )
        return Response(report.to_dict())


class RuleSetTestsView(APIView):
    scope = Scope.AUTHOR
    scopes = {"GET": Scope.READ}

    @extend_schema(operation_id="list_rule_set_tests", summary="List the test cases of a rule set", responses=_CASES)
    def get(self, request: Request, name: str) -> Response:
        return _shown(list_rule_set_tests(name))

    @extend_schema(
        operation_id="save_rule_set_test",
        summary="Add a test case to a rule set, or replace the one of the same name",
        request={"application/json": RULE_SET_CASE},
        responses=_CASES,
    )
    def post(self, request: Request, name: str) -> Response:
        body: Any = request.data
        save_rule_set_test(rule_set=name, case=body, actor=caller_of(request).actor)
        return _shown(list_rule_set_tests(name))

    @extend_schema(
        operation_id="replace_rule_set_tests",
        summary="Replace all test cases of a rule set",
        request={"application/json": bodies.RULE_SET_TESTS},
        responses=_CASES,
    )
    def put(self, request: Request, name: str) -> Response:
        body: Any = request.data
        bodies.RULE_SET_TESTS_BODY.check(body)
        return _shown(replace_rule_set_tests(rule_set=name, cases=body["tests"], actor=caller_of(request).actor))


class RuleSetTestView(APIView):
    scope = Scope.AUTHOR

    @extend_schema(
        operation_id="remove_rule_set_test",
        summary="Remove a test case of a rule set",
        responses=_GONE,
    )
    def delete(self, request: Request, name: str, test: str) -> Response:
        remove_rule_set_test(rule_set=name, name=test, actor=caller_of(request).actor)
        return Response(status=204)


class RuleSetTestRunsView(APIView):
    scope = Scope.AUTHOR

    @extend_schema(
        operation_id="run_rule_set_tests",
        summary="Run the test cases of a rule set, or others, against a version",
        request={"application/json": bodies.RUN_RULE_SET_TESTS},
        responses=_RUN,
    )
    def post(self, request: Request, name: str) -> Response:
        body: Any = request.data
        bodies.RUN_RULE_SET_TESTS_BODY.check(body)
        report = run_rule_set_tests(
            rule_set=name, version=body.get("version"), cases=body.get("tests"), actor=caller_of(request).actor
        )
        return Response(report.to_dict())


def _shown(tests: Iterable[AuthoredTest]) -> Response:
    shown = [{"case": test.document, "changed_at": test.changed_at, "changed_by": test.changed_by} for test in tests]
    return Response({"tests": shown})
