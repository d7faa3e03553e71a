"""Ask for the installation of a starter. What it does is in `inferhub.starters.installing`, which runs on a worker."""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from inferhub.audit.services import record_event
from inferhub.celery import bell
from inferhub.decisions.models import Workflow
from inferhub.errors import Conflict, FieldError, InvalidInput
from inferhub.jobs.models import State
from inferhub.lib.describe import describe, listed
from inferhub.lib.slug import SLUG_EXPECTED, is_slug
from inferhub.recommendations.models import Scenario
from inferhub.registry.models import RegisteredModel
from inferhub.rulesets.models import RuleSet
from inferhub.starters.models import Installation
from inferhub.starters.queries import find_starter

_NAMED: Mapping[str, type[Any]] = {
    "model": RegisteredModel,
    "rule set": RuleSet,
    "workflow": Workflow,
    "scenario": Scenario,
}


def request_installation(*, starter: str, actor: str, name: str = "", is_rung: bool = True) -> Installation:
    """Queue the installation of `starter`; all that it makes will be called `name`, by default as the starter is.

    One that failed is taken up again where it stopped. `is_rung` is False for a caller that runs it itself.
    Raises NotFound, InvalidInput, and Conflict where the name is taken: by the same starter, or by anything else.
    """
    name = name or find_starter(starter).name
    find_starter(starter)
    if not is_slug(name):
        raise InvalidInput(errors=[FieldError(pointer="/name", expected=SLUG_EXPECTED, got=describe(name))])
    try:
        with transaction.atomic():
            found = Installation.objects.select_for_update().filter(name=name).first()
            installation = _resume(found, starter) if found else _begin(starter, name, actor)
            details = {"starter": starter}
            record_event("starter.requested", actor=actor, subject=f"starter:{name}", details=details)
            if is_rung:
                transaction.on_commit(lambda: bell.ring("inferhub.starters.tasks.install", str(installation.pk)))
    except IntegrityError as exc:
        raise Conflict(f"Somebody else is installing a starter as '{name}' at this moment.") from exc
    return installation


def _begin(starter: str, name: str, actor: str) -> Installation:
    taken = [kind for kind, model in _NAMED.items() if model.objects.filter(name=name).exists()]
    if taken:
        words = listed([f"a {kind}" for kind in taken])
        raise Conflict(f"This hub has {words} named '{name}', which is not of a starter. Choose another name.")
    return Installation.objects.create(starter=starter, name=name, requested_by=actor)


def _resume(found: Installation, starter: str) -> Installation:
    if found.starter != starter:
        raise Conflict(f"'{found.name}' is an installation of the starter {found.starter}. Choose another name.")
    if found.state == State.SUCCEEDED:
        raise Conflict(
            f"The starter {starter} is installed as '{found.name}' already, and works. "
            "To have it a second time, choose another name."
        )
    is_lost = found.state == State.RUNNING and found.leased_until is not None and found.leased_until < timezone.now()
    if found.state != State.FAILED and not is_lost:
        raise Conflict(f"The starter {starter} is being installed as '{found.name}' already.")
    found.state, found.problem, found.attempt_count, found.finished_at = State.QUEUED, "", 0, None
    found.save(update_fields=["state", "problem", "attempt_count", "finished_at"])
    return found
