"""Keep what `inferhub tune` found: a row with the version, append-only, the newest counts."""

import platform

from django.db import transaction

from inferhub.audit.services import record_event
from inferhub.registry.models import ModelVersion, Tuning
from inferhub.runtime.tuning import TuningResult


def save_tuning(*, version: ModelVersion, result: TuningResult, actor: str) -> Tuning:
    """Sessions that are loaded from now on are made with the best of `result`."""
    with transaction.atomic():
        tuning = Tuning.objects.create(
            version=version,
            settings=result.settings,
            measured={"runs": [one.to_dict() for one in result.measurements]},
            machine=f"{platform.node()} ({platform.machine()})"[:200],
            created_by=actor,
        )
        record_event(
            "model_version.tuned",
            actor=actor,
            subject=f"model:{version.model.name}/{version.number}",
            details=result.settings,
        )
    return tuning
