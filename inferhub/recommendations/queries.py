"""Scenarios as the hot path needs them, and the published lists."""

from dataclasses import dataclass

from django.db.models import F

from inferhub.errors import NotFound
from inferhub.lib.snapshots import Snapshots
from inferhub.recommendations.models import Recommendation, Scenario


@dataclass(frozen=True, kw_only=True, slots=True)
class ScenarioPlan:
    """One scenario, as it was at most a second ago. `boosts` is the name of a rule set, empty for none."""

    scenario_id: int
    name: str
    model: str
    alias: str
    k: int
    exclude_purchased: bool
    boosts: str


def find_scenario(name: str) -> ScenarioPlan:
    """Raises NotFound."""
    return _scenarios.get(name)


def find_stored(scenario: str, user_id: str) -> Recommendation:
    """The published list of one user, as the database has it now: a job that has just succeeded can be read at once.

    Raises NotFound with what is missing.
    """
    found = (
        Recommendation.objects.select_related("generation__version__model")
        .filter(generation_id=F("generation__scenario__current_id"), generation__scenario__name=scenario)
        .filter(user_id=user_id)
        .first()
    )
    if found is not None:
        return found
    find_scenario(scenario)
    if not Scenario.objects.filter(name=scenario).exclude(current=None).exists():
        raise NotFound(f"No bulk job has published recommendations for the scenario '{scenario}' yet.")
    raise NotFound(f"The published recommendations of '{scenario}' hold nothing for the user '{user_id}'.")


def _read_scenario(name: str) -> ScenarioPlan:
    scenario = Scenario.objects.select_related("model", "boosts").filter(name=name).first()
    if scenario is None:
        raise NotFound(f"There is no scenario '{name}'.")
    return ScenarioPlan(
        scenario_id=scenario.pk,
        name=scenario.name,
        model=scenario.model.name,
        alias=scenario.alias,
        k=scenario.k,
        exclude_purchased=scenario.exclude_purchased,
        boosts=scenario.boosts.name if scenario.boosts else "",
    )


_scenarios: Snapshots[str, ScenarioPlan] = Snapshots(_read_scenario, seconds=1.0)
