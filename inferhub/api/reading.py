"""Read models, change requests, workflows, decisions, stored recommendations and jobs; start jobs."""

from typing import Any

from django.db.models import Max, Prefetch, Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inferhub.accounts.models import Scope
from inferhub.api import answers, bodies
from inferhub.api.authentication import caller_of
from inferhub.api.filtering import Filter, time_filters
from inferhub.api.listing import CURSOR as _CURSOR
from inferhub.api.listing import answered as _answers
from inferhub.api.listing import page as _page
from inferhub.api.listing import page_answered
from inferhub.api.listing import parameters as _parameters
from inferhub.approvals.models import ChangeRequest, ChangeState
from inferhub.approvals.services import find_change, review_change
from inferhub.decisions.models import Workflow
from inferhub.decisions.queries import decisions_with_names
from inferhub.errors import NotFound
from inferhub.jobs.bulk import start_bulk_job
from inferhub.jobs.calls import decision_answer
from inferhub.jobs.models import Job, State
from inferhub.lib.canonical import plain_json
from inferhub.recommendations.queries import find_stored
from inferhub.registry.comparison import compare_versions
from inferhub.registry.models import Alias, ModelVersion, RegisteredModel, Task, VersionState
from inferhub.registry.queries import find_request
from inferhub.rulesets.models import RuleSet

_MODEL_FILTERS = (
    Filter(name="task", lookup="task", meaning="Only models for this task.", choices=Task.values),
    Filter(name="tag", lookup="tags__contains", meaning="Only models with this tag.", is_list=True),
    Filter(name="name_prefix", lookup="name__startswith", meaning="Only models whose name begins so."),
)
_VERSION_FILTERS = (
    Filter(name="state", lookup="state", meaning="Only versions in this state.", choices=VersionState.values),
    *time_filters("created_at", "made"),
)
_CHANGE_FILTERS = (
    Filter(name="state", lookup="state", meaning="Only those in this state.", choices=ChangeState.values),
    Filter(name="kind", lookup="kind", meaning="Only those of this kind, such as alias.move."),
    Filter(name="subject", lookup="subject", meaning="Only those about this, such as model:price@champion."),
)
_DECISION_FILTERS = (
    Filter(name="workflow", lookup="workflow__name", meaning="Only decisions of this workflow."),
    Filter(name="outcome", lookup="outcome", meaning="Only decisions with this outcome."),
    Filter(name="subject", lookup="subject", meaning="Only decisions about this subject."),
    *time_filters("created_at", "made"),
)
_JOB_FILTERS = (
    Filter(name="state", lookup="state", meaning="Only jobs in this state.", choices=State.values),
    Filter(name="scenario", lookup="scenario__name", meaning="Only jobs of this scenario."),
    *time_filters("created_at", "asked for"),
)


class ModelsView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="list_models",
        summary="List the registered models",
        parameters=_parameters(_MODEL_FILTERS),
        responses=page_answered(answers.MODEL),
    )
    def get(self, request: Request) -> Response:
        return _page(self, _models(), show_model, filters=_MODEL_FILTERS)


class ModelView(APIView):
    scope = Scope.READ

    @extend_schema(operation_id="read_model", summary="Read a registered model", responses=_answers(answers.MODEL))
    def get(self, request: Request, name: str) -> Response:
        return Response(show_model(find_model(name)))


class ModelVersionsView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="list_model_versions",
        summary="List the versions of a model",
        parameters=_parameters(_VERSION_FILTERS),
        responses=page_answered(answers.MODEL_VERSION),
    )
    def get(self, request: Request, name: str) -> Response:
        versions = find_model(name).versions.select_related("model").prefetch_related("aliases")
        return _page(self, versions, show_model_version, filters=_VERSION_FILTERS)


class ModelVersionView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="read_model_version",
        summary="Read a version of a model",
        responses=_answers(answers.MODEL_VERSION),
    )
    def get(self, request: Request, name: str, number: int) -> Response:
        return Response(show_model_version(find_model_version(name, number)))


class ComparisonView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="compare_model_versions",
        summary="Compare two versions of a model",
        responses=_answers(answers.COMPARISON),
    )
    def get(self, request: Request, name: str, number: int, other: int) -> Response:
        found = compare_versions(find_model_version(name, number), find_model_version(name, other))
        lines = {
            part: [
                {"name": x.name, "left": x.left, "right": x.right, "is_same": x.is_same} for x in getattr(found, part)
            ]
            for part in ("properties", "tensors", "metrics")
        }
        return Response({"left": found.left, "right": found.right} | lines)


class ChangesView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="list_changes",
        summary="List the change requests",
        parameters=_parameters(_CHANGE_FILTERS),
        responses=page_answered(answers.CHANGE),
    )
    def get(self, request: Request) -> Response:
        return _page(self, ChangeRequest.objects.all(), show_change, filters=_CHANGE_FILTERS)


class ChangeView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="read_change",
        summary="Read a change request, and what speaks for it now",
        responses=_answers(answers.CHANGE_NOW),
    )
    def get(self, request: Request, change_id: int) -> Response:
        change = find_change(change_id)
        return Response(show_change(change) | {"now": review_change(change)})


class WorkflowsView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="list_workflows",
        summary="List the workflows",
        parameters=_CURSOR,
        responses=page_answered(answers.WORKFLOW),
    )
    def get(self, request: Request) -> Response:
        return _page(self, Workflow.objects.with_current(), _workflow)


class WorkflowView(APIView):
    scope = Scope.READ

    @extend_schema(operation_id="read_workflow", summary="Read a workflow", responses=_answers(answers.WORKFLOW))
    def get(self, request: Request, name: str) -> Response:
        return Response(show_workflow(name))


class RuleSetsView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="list_rule_sets",
        summary="List the rule sets",
        parameters=_CURSOR,
        responses=page_answered(answers.RULE_SET),
    )
    def get(self, request: Request) -> Response:
        return _page(self, RuleSet.objects.with_current(), _rule_set)


class RuleSetView(APIView):
    scope = Scope.READ

    @extend_schema(operation_id="read_rule_set", summary="Read a rule set", responses=_answers(answers.RULE_SET))
    def get(self, request: Request, name: str) -> Response:
        return Response(show_rule_set(name))


class DecisionsView(APIView):
    scope = Scope.READ

    @extend_schema(
        operation_id="list_decisions",
        summary="List the decisions",
        parameters=_parameters(_DECISION_FILTERS),
        responses=page_answered(answers.DECISION),
    )
    def get(self, request: Request) -> Response:
        return _page(self, decisions_with_names(), _decision, filters=_DECISION_FILTERS)


class DecisionView(APIView):
    scope = Scope.READ

    @extend_schema(operation_id="read_decision", summary="Read a decision", responses=_answers(answers.DECISION))
    def get(self, request: Request, decision_id: str) -> Response:
        decision = decisions_with_names().filter(pk=decision_id).first()
        if decision is None:
            raise NotFound(f"There is no decision {decision_id}.")
        return Response(_decision(decision))


class StoredRecommendationView(APIView):
    scope = Scope.RECOMMEND

    @extend_schema(
        operation_id="read_stored_recommendations",
        summary="Read what the last bulk job computed for a user",
        responses=_answers(answers.STORED_RECOMMENDATION),
    )
    def get(self, request: Request, name: str, user_id: str) -> Response:
        stored = find_stored(name, user_id)
        generation = stored.generation
        columns = zip(stored.items, stored.scores, stored.reasons, strict=True)
        return Response(
            {
                "scenario": name,
                "user_id": stored.user_id,
                "items": [{"item_id": item, "score": score, "reason": reason} for item, score, reason in columns],
                "model": generation.version.model.name,
                "version": generation.version.number,
                "digest": generation.version.digest,
                "generation": generation.pk,
                "published_at": generation.published_at,
            }
        )


class JobsView(APIView):
    scope = Scope.READ
    scopes = {"POST": Scope.RUN_JOBS}

    @extend_schema(
        operation_id="list_jobs",
        summary="List the jobs",
        parameters=_parameters(_JOB_FILTERS),
        responses=page_answered(answers.JOB),
    )
    def get(self, request: Request) -> Response:
        return _page(self, Job.objects.select_related("scenario"), _job, filters=_JOB_FILTERS)

    @extend_schema(
        operation_id="start_job",
        summary="Start a job",
        request={"application/json": bodies.START_JOB},
        responses=_answers(answers.JOB, 202),
    )
    def post(self, request: Request) -> Response:
        body: Any = request.data
        bodies.START_JOB_BODY.check(body)
        job = start_bulk_job(scenario=body["scenario"], actor=caller_of(request).actor)
        job.refresh_from_db()
        return Response(
            _job(job), status=202, headers={"Location": request.build_absolute_uri(f"/api/v1/jobs/{job.pk}")}
        )


class JobView(APIView):
    scope = Scope.READ

    @extend_schema(operation_id="read_job", summary="Read a job and its progress", responses=_answers(answers.JOB))
    def get(self, request: Request, job_id: str) -> Response:
        job = Job.objects.select_related("scenario").filter(pk=job_id).first()
        if job is None:
            raise NotFound(f"There is no job {job_id}.")
        return Response(_job(job))


def find_model(name: str) -> RegisteredModel:
    """Raises NotFound."""
    model: RegisteredModel | None = _models().filter(name=name).first()
    if model is None:
        raise NotFound(f"There is no registered model '{name}'.")
    return model


def find_model_version(name: str, number: int) -> ModelVersion:
    """Raises NotFound."""
    versions = ModelVersion.objects.select_related("model").prefetch_related("aliases")
    version = versions.filter(model__name=name, number=number).first()
    if version is None:
        raise NotFound(f"The model '{name}' has no version {number}.")
    return version


def _models() -> QuerySet[Any]:
    versions = ModelVersion.objects.only("number")
    aliases = Alias.objects.prefetch_related(Prefetch("version", versions))
    latest = Max("versions__number", filter=Q(versions__state=VersionState.READY))
    return RegisteredModel.objects.annotate(latest_version=latest).prefetch_related(Prefetch("aliases", aliases))


def show_model(model: Any) -> dict[str, Any]:
    return {
        "name": model.name,
        "task": model.task,
        "description": model.description,
        "owner": model.owner,
        "tags": model.tags,
        "approval": model.approval,
        "gates": model.gates,
        "aliases": {alias.name: alias.version.number for alias in model.aliases.all()},
        "latest_version": model.latest_version or 0,
        "created_at": model.created_at,
    }


def show_model_version(version: ModelVersion) -> dict[str, Any]:
    return {
        "model": version.model.name,
        "version": version.number,
        "state": version.state,
        "state_reason": version.state_reason,
        "digest": version.digest,
        "size": version.size,
        "signature": version.signature,
        "request": find_request(version),
        "labels": version.labels,
        "aliases": [alias.name for alias in version.aliases.all()],
        "certificate": version.certificate,
        "metrics": version.metrics,
        "lineage": version.lineage,
        "measured": version.measured,
        "steps": version.steps,
        "model_card": version.model_card,
        "notes": version.notes,
        "created_at": version.created_at,
        "created_by": version.created_by,
    }


def show_change(change: ChangeRequest) -> dict[str, Any]:
    return {
        "id": change.pk,
        "kind": change.kind,
        "subject": change.subject,
        "payload": change.payload,
        "reason": change.reason,
        "evidence": change.evidence,
        "requested_by": change.requested_by,
        "requested_at": change.requested_at,
        "state": change.state,
        "decided_by": change.decided_by,
        "decided_at": change.decided_at,
        "decision_reason": change.decision_reason,
        "applied_at": change.applied_at,
    }


def show_workflow(name: str) -> dict[str, Any]:
    """Raises NotFound."""
    workflow = Workflow.objects.with_current().filter(name=name).first()
    if workflow is None:
        raise NotFound(f"There is no workflow '{name}'.")
    return _workflow(workflow)


def show_rule_set(name: str) -> dict[str, Any]:
    """Raises NotFound."""
    rule_set = RuleSet.objects.with_current().filter(name=name).first()
    if rule_set is None:
        raise NotFound(f"There is no rule set '{name}'.")
    return _rule_set(rule_set)


def _workflow(workflow: Workflow) -> dict[str, Any]:
    current = workflow.current
    definition = plain_json(current.definition) if current else {}
    return {
        "name": workflow.name,
        "description": workflow.description,
        "approval": workflow.approval,
        "version": current.number if current else 0,
        "rule_set": definition.get("rule_set", ""),
        "definition": definition,
    }


def _rule_set(rule_set: RuleSet) -> dict[str, Any]:
    current = rule_set.current
    return {
        "name": rule_set.name,
        "description": rule_set.description,
        "approval": rule_set.approval,
        "version": current.number if current else 0,
        "definition": plain_json(current.definition) if current else {},
    }


def _decision(decision: Any) -> dict[str, Any]:
    return decision_answer(decision)


def _job(job: Job) -> dict[str, Any]:
    return {
        "job_id": str(job.pk),
        "kind": "bulk-recommendations",
        "scenario": job.scenario.name,
        "state": job.state,
        "total": job.total,
        "done": job.done,
        "problem": job.problem,
        "requested_by": job.requested_by,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }
