"""The home page: what waits, what happened last, where to go next."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from inferhub.accounts.models import ApiKey
from inferhub.approvals.models import ChangeRequest, ChangeState
from inferhub.console import html
from inferhub.console.case import due_text
from inferhub.console.history_sections import history_sections
from inferhub.console.sections import Section, Table
from inferhub.decisions.models import Action, ActionState, Decision, Review, Workflow
from inferhub.decisions.review_queue import QUEUE_ORDER, overdue_at, with_overdue
from inferhub.jobs.models import Job, State
from inferhub.recommendations.models import Scenario
from inferhub.registry.models import RegisteredModel
from inferhub.rulesets.models import RuleSet
from inferhub.starters.models import Installation

_LATEST = 10
_MOST = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """One thing that is counted, and the list behind it."""

    title: str
    count: str
    url: str
    calm: str
    is_waiting: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step on the way to a hub that decides."""

    title: str
    is_done: bool
    url: str


def add_dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The home page's context; a person sees what the permissions allow."""
    context["title"] = "Home"
    context["numbers"] = _numbers(request)
    context["steps"] = _steps(request)
    context["sections"] = _sections(request)
    return context


def _numbers(request: HttpRequest) -> list[Number]:
    may = request.user.has_perm
    found = []
    if may("approvals.view_changerequest"):
        pending = ChangeRequest.objects.filter(state=ChangeState.PENDING)
        url = html.list_url(ChangeRequest) + "?state__exact=pending"
        found.append(_number("Waiting for approval", pending, url, "Nothing waits."))
    if may("decisions.view_review"):
        waiting = Review.objects.filter(verdict="")
        found.append(_number("Open reviews", waiting, html.list_url(Review) + "?state=open", "Nothing waits."))
        overdue = waiting.filter(overdue_at(timezone.now()))
        found.append(_number("Overdue reviews", overdue, html.list_url(Review) + "?state=overdue", "All in time."))
    if may("decisions.view_action"):
        dead = Action.objects.filter(state=ActionState.DEAD)
        url = html.list_url(Action) + "?state__exact=dead"
        found.append(_number("Dead letters", dead, url, "Everything was delivered."))
    if may("jobs.view_job"):
        busy = Job.objects.filter(state__in=[State.QUEUED, State.RUNNING])
        found.append(_number("Running jobs", busy, html.list_url(Job), "No job runs now."))
    return found


def _number(title: str, queryset: Any, url: str, calm: str) -> Number:
    count = queryset.order_by()[:_MOST].count()
    shown = f"{count:,}" if count < _MOST else f"{_MOST:,} or more"
    return Number(title=title, count=shown, url=url, calm=calm, is_waiting=count > 0)


def _steps(request: HttpRequest) -> list[Step]:
    """Shown until each is done once, to people who can do it."""
    possible: tuple[tuple[str, str, type[Any], Callable[[], bool]], ...] = (
        (
            "Install a starter, and see it decide",
            "starters.add_installation",
            Installation,
            Installation.objects.exists,
        ),
        ("Register a model", "registry.add_registeredmodel", RegisteredModel, RegisteredModel.objects.exists),
        ("Write a rule set", "rulesets.add_ruleset", RuleSet, RuleSet.objects.exists),
        ("Join them in a workflow", "decisions.add_workflow", Workflow, Workflow.objects.exists),
        ("Make an API key for a shop system", "accounts.add_apikey", ApiKey, ApiKey.objects.exists),
        ("Describe a recommendation scenario", "recommendations.add_scenario", Scenario, Scenario.objects.exists),
    )
    steps = [
        Step(title=title, is_done=exists(), url=_beginning_of(model))
        for title, permission, model, exists in possible
        if request.user.has_perm(permission)
    ]
    return steps if any(not step.is_done for step in steps) else []


def _beginning_of(model: type[Any]) -> str:
    """Where one is made; starters are chosen from a list."""
    return html.list_url(model) if model is Installation else html.add_url(model)


def _sections(request: HttpRequest) -> list[Section]:
    may = request.user.has_perm
    tables = (
        ("decisions.view_review", _review_table),
        ("decisions.view_decision", _decision_table),
        ("jobs.view_job", _job_table),
    )
    shown: list[Section] = [table() for permission, table in tables if may(permission)]
    if may("decisions.view_decision"):
        shown = [*history_sections(Decision.objects.all(), by="workflow__name", title="Decisions"), *shown]
    return shown


def _review_table() -> Table:
    waiting = with_overdue(Review.objects.filter(verdict="").select_related("decision__workflow"))
    reviews = waiting.order_by(*QUEUE_ORDER)[:5]
    rows = [
        (
            html.link_to(review),
            html.link_to(review.decision.workflow),
            review.decision.subject,
            html.moment(review.created_at),
            due_text(review),
            review.assigned_to.removeprefix("user:"),
        )
        for review in reviews
    ]
    columns = ("Review", "Workflow", "Subject", "Waiting since", "Due", "Reviewer")
    return Table(
        title="Next for a person", columns=columns, rows=rows, empty="No review is open: nothing waits for a person."
    )


def _decision_table() -> Table:
    decisions = Decision.objects.select_related("workflow").order_by("-id")[:_LATEST]
    rows = [
        (
            html.link_to(decision, html.moment_text(decision.created_at)),
            html.badge(decision.outcome),
            html.link_to(decision.workflow),
            decision.subject,
            decision.request_id,
        )
        for decision in decisions
    ]
    columns = ("Decided", "Outcome", "Workflow", "Subject", "Request id")
    return Table(
        title="Latest decisions",
        columns=columns,
        rows=rows,
        empty="No decision has been made yet: open a workflow and try it, or install a starter.",
    )


def _job_table() -> Table:
    jobs = Job.objects.select_related("scenario").order_by("-id")[:5]
    rows = [
        (html.link_to(job), html.badge(job.state), html.progress(job.done, job.total), html.moment(job.created_at))
        for job in jobs
    ]
    columns = ("Job", "State", "Users", "Asked for")
    return Table(title="Latest jobs", columns=columns, rows=rows, empty="No bulk job has run yet.")
