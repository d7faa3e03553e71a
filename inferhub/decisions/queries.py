"""The workflows in use, parsed once per version."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import QuerySet

from inferhub.decisions.definition import WorkflowPlan, compile_workflow
from inferhub.decisions.models import Decision, WorkflowPublication, WorkflowVersion
from inferhub.errors import NotFound
from inferhub.lib.snapshots import Snapshots
from inferhub.rulesets.schedules import Timetable


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedWorkflow:
    """One version, ready to be run."""

    workflow_id: int
    version_id: int
    name: str
    number: int
    plan: WorkflowPlan


def find_workflow(name: str, as_of: datetime | None = None) -> PublishedWorkflow:
    """The version of `name` that is in force, now or at another moment. Raises NotFound."""
    return _plans.get(_timetable.version_id(name, as_of))


def find_workflow_version(name: str, number: int | None = None) -> PublishedWorkflow:
    """A version of `name`: the given one, else the one in force, else the newest. Raises NotFound."""
    if number is None:
        try:
            return find_workflow(name)
        except NotFound:
            pass  # it may be a draft
    versions = WorkflowVersion.objects.filter(workflow__name=name)
    wanted = versions if number is None else versions.filter(number=number)
    version_id = wanted.order_by("-number").values_list("pk", flat=True).first()
    if version_id is None:
        which = f"version {number}" if number is not None else "version"
        raise NotFound(f"The workflow '{name}' has no {which}.")
    return _plans.get(version_id)


def find_workflow_by_id(version_id: int) -> PublishedWorkflow:
    """One version by its id, in use or not. Raises NotFound."""
    return _plans.get(version_id)


def _read_plan(version_id: int) -> PublishedWorkflow:
    version = WorkflowVersion.objects.select_related("workflow").filter(pk=version_id).first()
    if version is None:
        raise NotFound(f"There is no workflow version with the id {version_id}.")
    return PublishedWorkflow(
        workflow_id=version.workflow_id,
        version_id=version.pk,
        name=version.workflow.name,
        number=version.number,
        plan=compile_workflow(version.definition),
    )


def decisions_with_names() -> QuerySet[Decision]:
    """Decisions with everything that an answer names, in two queries however many there are."""
    return Decision.objects.select_related("workflow", "version", "rule_set_version__rule_set").prefetch_related(
        "actions"
    )


_timetable = Timetable(WorkflowPublication)
_plans: Snapshots[int, PublishedWorkflow] = Snapshots(_read_plan, seconds=3600.0)  # a version never changes


def list_outcomes() -> list[str]:
    """Every outcome that any decision ever had, in the order of the alphabet.

    A loose index scan: as many look-ups as there are pairs of workflow and outcome, however many decisions there are.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE pairs AS (
                (SELECT workflow_id, outcome FROM decisions_decision ORDER BY workflow_id, outcome LIMIT 1)
                UNION ALL
                SELECT following.workflow_id, following.outcome FROM pairs, LATERAL (
                    SELECT workflow_id, outcome FROM decisions_decision
                    WHERE (workflow_id, outcome) > (pairs.workflow_id, pairs.outcome)
                    ORDER BY workflow_id, outcome LIMIT 1
                ) AS following
            )
            SELECT DISTINCT outcome FROM pairs ORDER BY outcome
            """
        )
        return [row[0] for row in cursor.fetchall()]
