"""Action `start-job`: an outcome starts the bulk recommendations of a scenario."""

from collections.abc import Mapping
from typing import Any, ClassVar

from inferhub.decisions.actions.base import SLUG, ActionKind, DeliveryResult, settings_schema
from inferhub.decisions.models import Action
from inferhub.errors import Conflict, FieldError
from inferhub.jobs.bulk import start_bulk_job
from inferhub.recommendations.models import Scenario


class StartJob(ActionKind):
    """Starts one job for the action. While another one of the scenario runs, it is tried again later."""

    name: ClassVar[str] = "start-job"
    schema: ClassVar[dict[str, Any]] = settings_schema({"scenario": SLUG})

    def lane(self, settings: Mapping[str, Any]) -> str:
        return f"start-job:{settings['scenario']}"

    def check_references(self, settings: Mapping[str, Any]) -> list[FieldError]:
        name = settings["scenario"]
        if Scenario.objects.filter(name=name).exists():
            return []
        return [FieldError(pointer="/scenario", expected="the name of a scenario", got=name)]

    def deliver(self, action: Action) -> DeliveryResult:
        actor = f"workflow:{action.decision.workflow.name}"
        try:
            job = start_bulk_job(scenario=action.settings["scenario"], actor=actor, action_id=action.pk)
        except Conflict as exc:
            return DeliveryResult(is_success=False, is_own_fault=True, detail=str(exc))
        return DeliveryResult(is_success=True, detail=f"job {job.pk}")
