"""Reviews over REST: find them, take the next one, settle it; and what was decided as labelled data.

A key works in its own name: what it takes is assigned to `api-key:PREFIX`.
"""

from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.accounts.services import person_behind
from inferhub.api import bodies
from inferhub.api import follow_up_answers as answers
from inferhub.api.authentication import caller_of
from inferhub.api.filtering import Filter, check_parameters, chosen, time_filters
from inferhub.api.listing import page, page_answered, parameters
from inferhub.decisions.labels import FORMATS, LabelQuery, export_labels
from inferhub.decisions.models import Review, Verdict
from inferhub.decisions.queries import decisions_with_names
from inferhub.decisions.review_queue import (
    ASSIGN,
    assign_review,
    claim_next_review,
    claim_review,
    comment_on_review,
    find_review,
    release_review,
    reviews_with_names,
)
from inferhub.decisions.reviews import answers_of, settle_review
from inferhub.errors import FieldError, InvalidInput, NotPermitted
from inferhub.jobs.calls import decision_answer

_SEEING = (Scope.REVIEW, Scope.READ)
_CASE = {200: OpenApiResponse(answers.CASE, description="The case as it is now.")}


def _filters(me: str) -> tuple[Filter, ...]:
    return (
        chosen("state", "settled_at__isnull", "Only open or only settled ones.", {"open": True, "settled": False}),
        chosen("overdue", "is_overdue", "Only open ones that are overdue, or all others.", _YES_OR_NO),
        chosen("assigned", "assigned_to", "Only those that the caller has, or nobody.", {"me": me, "nobody": ""}),
        Filter(name="assigned_to", lookup="assigned_to", meaning="Only those of this actor, such as user:alice."),
        Filter(name="verdict", lookup="verdict", meaning="Only those with this verdict.", choices=Verdict.values),
        Filter(name="decision", lookup="decision_id", meaning="Only those of this decision.", is_id=True),
        Filter(name="workflow", lookup="decision__workflow__name", meaning="Only those of this workflow."),
        Filter(name="outcome", lookup="decision__outcome", meaning="Only those of which the rules said this."),
        Filter(name="final_outcome", lookup="outcome", meaning="Only those whose verdict led to this."),
        Filter(name="subject", lookup="decision__subject", meaning="Only those about this subject."),
        *time_filters("created_at", "opened"),
    )


_YES_OR_NO = {"true": True, "false": False}
_LABEL_FILTERS = (
    OpenApiParameter("workflow", str, required=True, description="The workflow whose reviews are wanted."),
    OpenApiParameter("format", {"type": "string", "enum": [*FORMATS]}, description="jsonl by default."),
    *(one.parameter for one in time_filters("settled_at", "settled")),
)


class ReviewsView(APIView):
    scope = _SEEING

    @extend_schema(
        operation_id="list_reviews",
        summary="List the reviews",
        parameters=parameters(_filters("")),
        responses=page_answered(answers.REVIEW),
    )
    def get(self, request: Request) -> Response:
        return page(self, reviews_with_names(), show_review, filters=_filters(caller_of(request).actor))


class ReviewView(APIView):
    scope = _SEEING

    @extend_schema(
        operation_id="read_review",
        summary="Read a case: the review, its decision, the possible answers and the comments",
        responses=_CASE,
    )
    def get(self, request: Request, review_id: int) -> Response:
        return _case(review_id)


class NextReviewView(APIView):
    scope = Scope.REVIEW

    @extend_schema(
        operation_id="claim_next_review",
        summary="Take the next case of the queue",
        description="Of what the caller has and what nobody has: what is overdue first, then by priority, then what is "
        "due first. Two who ask at once get two cases.",
        request={"application/json": bodies.NEXT_REVIEW},
        responses={200: OpenApiResponse(answers.NEXT_CASE, description="The case, now the caller's.")},
    )
    def post(self, request: Request) -> Response:
        body: Any = request.data
        bodies.NEXT_REVIEW_BODY.check(body)
        review = claim_next_review(actor=caller_of(request).actor, workflow=body.get("workflow", ""))
        return Response({"review": show_case(find_review(review.pk)) if review else None})


class ClaimView(APIView):
    scope = Scope.REVIEW

    @extend_schema(
        operation_id="claim_review",
        summary="Take a review that nobody works on",
        request={"application/json": bodies.NOTHING},
        responses=_CASE,
    )
    def post(self, request: Request, review_id: int) -> Response:
        bodies.NOTHING_BODY.check(request.data)
        claim_review(review=find_review(review_id), actor=caller_of(request).actor)
        return _case(review_id)


class ReleaseView(APIView):
    scope = Scope.REVIEW

    @extend_schema(
        operation_id="release_review",
        summary="Give a review back, so that others get it",
        request={"application/json": bodies.NOTHING},
        responses=_CASE,
    )
    def post(self, request: Request, review_id: int) -> Response:
        bodies.NOTHING_BODY.check(request.data)
        release_review(review=find_review(review_id), actor=caller_of(request).actor)
        return _case(review_id)


class AssignView(APIView):
    scope = Scope.REVIEW

    @extend_schema(
        operation_id="assign_review",
        summary="Give an open review to a person, whoever has it now",
        description="In the name of the API key's owner, who must be somebody who may assign reviews (a review lead).",
        request={"application/json": bodies.ASSIGN},
        responses=_CASE,
    )
    def post(self, request: Request, review_id: int) -> Response:
        body: Any = request.data
        bodies.ASSIGN_BODY.check(body)
        actor = caller_of(request).actor
        _require_lead(actor)
        assign_review(review=find_review(review_id), to=body["to"], actor=actor)
        return _case(review_id)


class CommentsView(APIView):
    scope = Scope.REVIEW

    @extend_schema(
        operation_id="comment_on_review",
        summary="Comment on a review",
        request={"application/json": bodies.COMMENT},
        responses=_CASE,
    )
    def post(self, request: Request, review_id: int) -> Response:
        body: Any = request.data
        bodies.COMMENT_BODY.check(body)
        comment_on_review(review=find_review(review_id), text=body["text"], actor=caller_of(request).actor)
        return _case(review_id)


class SettleView(APIView):
    scope = Scope.REVIEW

    @extend_schema(
        operation_id="settle_review",
        summary="Settle a review that the caller has, or nobody",
        description="The verdict makes a new decision, linked to the first, with the outcome that it leads to; its "
        "actions are done. Answers 409 where another works on it, or was quicker.",
        request={"application/json": bodies.SETTLE},
        responses=_CASE,
    )
    def post(self, request: Request, review_id: int) -> Response:
        body: Any = request.data
        bodies.SETTLE_BODY.check(body)
        settle_review(review=find_review(review_id), actor=caller_of(request).actor, **body)
        return _case(review_id)


class _AnyAccept(BaseContentNegotiation):
    """The parameter `format` says what is wanted; an Accept that names it must not be refused."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class LabelsView(APIView):
    scope = Scope.READ
    content_negotiation_class = _AnyAccept

    @extend_schema(
        operation_id="export_labels",
        summary="Export the settled reviews of a workflow as labelled data",
        description="A row for each: input, predictions, what the rules said, what a person decided, who and when. "
        "Decisions whose data was erased are left out. Texts that a spreadsheet would run are made harmless in CSV.",
        parameters=[*_LABEL_FILTERS],
        responses={
            (200, media_type.partition(";")[0]): OpenApiResponse(str, description="The rows.")
            for media_type in FORMATS.values()
        },
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        given = request.query_params
        check_parameters(request, ["workflow", "format", "from", "until"])
        if not given.get("workflow"):
            expected = "the name of a workflow"
            raise InvalidInput(errors=[FieldError(pointer="/workflow", expected=expected, got="nothing")])
        since, until = (one.read(given[one.name]) if one.name in given else None for one in _SETTLED)
        query = LabelQuery(
            workflow=given["workflow"].replace("\x00", ""), since=since, **({"until": until} if until else {})
        )
        form = given.get("format", "jsonl")
        blocks = export_labels(query, form=form, actor=caller_of(request).actor)
        return StreamingHttpResponse(blocks, content_type=FORMATS[form], headers={"Cache-Control": "no-store"})


_SETTLED = time_filters("settled_at", "settled")


def show_review(review: Any) -> dict[str, Any]:
    """A review of `reviews_with_names`."""
    decision = review.decision
    return {
        "review_id": review.pk,
        "title": review.title,
        "state": "settled" if review.verdict else "open",
        "priority": review.get_priority_display().lower(),
        "due_at": review.due_at,
        "is_overdue": review.is_overdue,
        "decision_id": str(decision.pk),
        "workflow": decision.workflow.name,
        "request_id": decision.request_id,
        "subject": decision.subject,
        "outcome": decision.outcome,
        "created_at": review.created_at,
        "assigned_to": review.assigned_to,
        "assigned_at": review.assigned_at,
        "verdict": review.verdict,
        "final_outcome": review.outcome,
        "new_decision_id": review.new_decision_id,
        "reason": review.reason,
        "settled_at": review.settled_at,
        "settled_by": review.settled_by,
    }


def show_case(review: Review) -> dict[str, Any]:
    """A review with all that somebody needs to settle it."""
    possible = answers_of(review)
    decision = decisions_with_names().get(pk=review.decision_id)
    comments = review.comments.all()
    return show_review(review) | {
        "answers": {"approve": possible.approve, "reject": possible.reject, "outcomes": possible.outcomes},
        "input": decision.input,
        "decision": decision_answer(decision),
        "comments": [{"actor": one.actor, "text": one.text, "created_at": one.created_at} for one in comments],
    }


def _require_lead(actor: str) -> None:
    """Raises NotPermitted."""
    owner = person_behind(actor)
    if owner is None:
        raise NotPermitted("This API key has no owner who may assign reviews: make one as a review lead.")
    if not owner.has_perm(ASSIGN):
        owned = f"The owner of this API key is {owner.username}, who may not assign reviews; a review lead may."
        raise NotPermitted(owned)


def _case(review_id: int) -> Response:
    return Response(show_case(find_review(review_id)))
