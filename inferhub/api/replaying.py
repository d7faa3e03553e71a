"""Decide again, and compare."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import answers
from inferhub.decisions.replay import replay_decision
from inferhub.decisions.rerun import Replayed


class ReplayView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="replay_decision",
        summary="Decide again from the stored input, and compare bit for bit",
        description="By the versions of workflow, rule set and models that the decision names. Nothing is written and "
        "nothing is done. A prediction that had failed fails again in the same words.",
        request=None,
        responses={200: OpenApiResponse(answers.REPLAY, description="How it came out.")},
    )
    def post(self, request: Request, decision_id: str) -> Response:
        return Response(show_replay(replay_decision(decision_id)))


def show_replay(found: Replayed) -> dict[str, Any]:
    return {
        "decision_id": str(found.decision_id),
        "is_equal": found.is_equal,
        "differences": [asdict(difference) for difference in found.differences],
        "problem": found.problem,
        "takes_failure": found.takes_failure,
    }
