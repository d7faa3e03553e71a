"""Starters and what was made of them."""

from inferhub.errors import NotFound
from inferhub.lib.describe import listed
from inferhub.starters.catalogue import STARTERS
from inferhub.starters.models import Installation
from inferhub.starters.starter import Starter


def find_starter(name: str) -> Starter:
    """Raises NotFound."""
    if name not in STARTERS:
        raise NotFound(f"There is no starter '{name}'; there are {listed(STARTERS)}.")
    return STARTERS[name]


def find_installation(name: str) -> Installation:
    """Raises NotFound."""
    found = Installation.objects.filter(name=name).first()
    if found is None:
        raise NotFound(f"No starter is installed as '{name}'.")
    return found


def installations_by_starter() -> dict[str, list[Installation]]:
    """By the name of the starter, oldest first."""
    found: dict[str, list[Installation]] = {name: [] for name in STARTERS}
    for installation in Installation.objects.order_by("id"):
        found.setdefault(installation.starter, []).append(installation)
    return found


def try_path(starter: Starter, name: str) -> str:
    """Where a request to the installed starter goes, behind /api/v1/."""
    return f"workflows/{name}/decisions" if starter.workflow else f"scenarios/{name}/recommendations"
