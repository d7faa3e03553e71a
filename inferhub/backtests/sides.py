"""The two sides of a back-test: with which versions each decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from inferhub.decisions.definition import PredictionPlan
from inferhub.decisions.failures import REVIEW
from inferhub.decisions.models import WorkflowVersion
from inferhub.decisions.queries import PublishedWorkflow, find_workflow_by_id
from inferhub.errors import FieldError, InvalidInput, NotFound
from inferhub.lib.describe import listed, pointer
from inferhub.registry.queries import VersionPlan, find_version, find_version_by_id
from inferhub.rulesets.models import RuleSetVersion
from inferhub.rulesets.queries import RuleSetPlan, find_rule_set_by_id


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a caller asks of a side; what is left out is the newest version, and predictions as they are recorded.

    `models`: by the name of a prediction the number of the model version that makes it.
    """

    workflow_version: int | None = None
    rule_set_version: int | None = None
    models: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """Versions, ready to decide. `models` are run; the other predictions are taken as they are recorded."""

    workflow: PublishedWorkflow
    rules: RuleSetPlan
    models: Mapping[str, VersionPlan]

    def to_dict(self) -> dict[str, Any]:
        """What is stored with the back-test; `read_side` reads it."""
        return {
            "workflow_version": self.workflow.number,
            "workflow_version_id": self.workflow.version_id,
            "rule_set": self.rules.name,
            "rule_set_version": self.rules.number,
            "rule_set_version_id": self.rules.version_id,
            "models": {
                name: {"model": plan.model, "version": plan.number, "digest": plan.digest, "version_id": plan.id}
                for name, plan in self.models.items()
            },
            "model_version_ids": [plan.id for plan in self.models.values()],
        }


def read_side(stored: Mapping[str, Any]) -> Side:
    """Raises InferhubError where a version cannot be run here any more."""
    return Side(
        workflow=find_workflow_by_id(stored["workflow_version_id"]),
        rules=find_rule_set_by_id(stored["rule_set_version_id"]),
        models={name: find_version_by_id(model["version_id"]) for name, model in stored["models"].items()},
    )


def resolve_side(asked: Asked, *, workflow: str, recorded_by: list[PublishedWorkflow] | None, at: str) -> Side:
    """The versions that `asked` means now, of which the back-test keeps the ids.

    `recorded_by` are the versions that made the decisions whose predictions may be taken as recorded; None: nothing is.
    Raises InvalidInput with pointers under `at`, and NotFound.
    """
    found = _workflow_version(workflow, asked.workflow_version, at)
    rules = _rule_set_version(found.plan.rule_set, asked.rule_set_version, at)
    steps = {step.name: step for step in found.plan.predictions}
    unknown = [name for name in asked.models if name not in steps]
    if unknown:
        expected = f"one of {listed(steps)}" if steps else "nothing: the workflow asks no model"
        raise InvalidInput(
            errors=[FieldError(pointer=at + pointer("models", name), expected=expected, got=name) for name in unknown]
        )
    models = {
        name: _model_version(step, asked.models.get(name), at)
        for name, step in steps.items()
        if name in asked.models or not _is_recorded(step, recorded_by)
    }
    return Side(workflow=found, rules=rules, models=models)


def _is_recorded(step: PredictionPlan, recorded_by: list[PublishedWorkflow] | None) -> bool:
    """Whether every decision has an answer to the same question, asked of the same alias or version.

    What is done where the model fails is no part of the question: each side does as it says (`Decider`).
    """
    if recorded_by is None:
        return False
    asked = replace(step, on_failure=REVIEW)
    return all(
        asked in [replace(other, on_failure=REVIEW) for other in version.plan.predictions] for version in recorded_by
    )


def _workflow_version(name: str, number: int | None, at: str) -> PublishedWorkflow:
    versions = WorkflowVersion.objects.filter(workflow__name=name).order_by("-number")
    found = (versions if number is None else versions.filter(number=number)).values_list("pk", flat=True).first()
    if found is None:
        raise _no_version(f"{at}/workflow_version", f"the workflow '{name}'", number)
    return find_workflow_by_id(found)


def _rule_set_version(name: str, number: int | None, at: str) -> RuleSetPlan:
    versions = RuleSetVersion.objects.filter(rule_set__name=name).order_by("-number")
    found = (versions if number is None else versions.filter(number=number)).values_list("pk", flat=True).first()
    if found is None:
        raise _no_version(f"{at}/rule_set_version", f"the rule set '{name}'", number)
    return find_rule_set_by_id(found)


def _model_version(step: PredictionPlan, number: int | None, at: str) -> VersionPlan:
    try:
        return find_version(step.model, alias=step.alias, number=step.version if number is None else number)
    except NotFound as exc:
        expected = f"a version of the model '{step.model}'"
        place = at + pointer("models", step.name)
        raise InvalidInput(errors=[FieldError(pointer=place, expected=expected, got=str(exc))]) from exc


def _no_version(place: str, of: str, number: int | None) -> InvalidInput:
    got = "none" if number is None else f"version {number}"
    return InvalidInput(errors=[FieldError(pointer=place, expected=f"a version of {of}", got=got)])
