"""Steps by name: the entry points of the group `inferhub.steps` of every installed package, Inferhub's own among them.

    [project.entry-points."inferhub.steps"]
    celsius = "my_package.steps:Celsius"

Where Inferhub runs from a bare folder, its own are read from the folder's pyproject.toml: one list, and no installation
needed. A name belongs to one package: of two that claim it neither is taken.
"""

import tomllib
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from pathlib import Path

from inferhub.errors import FieldError, InvalidDefinition
from inferhub.lib.describe import describe, listed
from inferhub.lib.schema import Schema
from inferhub.runtime.steps.base import Stage, Step

GROUP = "inferhub.steps"
_PROJECT = Path(__file__).parents[3] / "pyproject.toml"


def find_step(name: object, stage: Stage, *, at: str) -> tuple[type[Step], Schema]:
    """The class of a step and its compiled schema. Raises InvalidDefinition, pointing at `at`."""
    found = _known().get(name, ()) if isinstance(name, str) else ()
    loaded = _load(found[0]) if len(found) == 1 else None
    if loaded is not None and loaded[0].stage is stage:
        return loaded
    if loaded is not None:
        got = f"'{name}', which is a {loaded[0].stage} step"
    elif found:
        problem = "cannot be loaded" if len(found) == 1 else f"{len(found)} packages claim"
        got = f"'{name}', which {problem}: {listed(point.value for point in found)}"
    else:
        got = describe(name)
    raise InvalidDefinition(
        errors=[FieldError(pointer=at, expected=f"one of the {stage} steps {listed(names(stage))}", got=got)]
    )


def names(stage: Stage) -> list[str]:
    """The names of all steps of a stage, in order."""
    loaded = {name: _load(found[0]) for name, found in _known().items() if len(found) == 1}
    return sorted(name for name, step in loaded.items() if step is not None and step[0].stage is stage)


def forget() -> None:
    """Look again at what is installed: for tests."""
    _known.cache_clear()
    _load.cache_clear()


@cache
def _known() -> dict[str, tuple[EntryPoint, ...]]:
    known: dict[str, tuple[EntryPoint, ...]] = {}
    for point in dict.fromkeys((*_own_from_folder(), *entry_points(group=GROUP))):
        known[point.name] = (*known.get(point.name, ()), point)
    return known


@cache
def _load(point: EntryPoint) -> tuple[type[Step], Schema] | None:
    """None for a package that is broken: the others must not suffer from it."""
    try:
        step: type[Step] = point.load()
        return step, Schema(step.schema)
    except (ImportError, AttributeError):
        return None


def _own_from_folder() -> list[EntryPoint]:
    try:
        distribution("inferhub")
    except PackageNotFoundError:
        table = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["entry-points"][GROUP]
        return [EntryPoint(name=name, value=value, group=GROUP) for name, value in table.items()]
    return []
