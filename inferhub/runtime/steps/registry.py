"""Steps by name: the entry points of the group `inferhub.steps` (`inferhub.lib.plugins`)."""

from inferhub.errors import FieldError, InvalidDefinition
from inferhub.lib.describe import listed
from inferhub.lib.plugins import Plugins
from inferhub.lib.schema import Schema
from inferhub.runtime.steps.base import Stage, Step

_steps: Plugins[tuple[type[Step], Schema]] = Plugins("inferhub.steps", lambda step: (step, Schema(step.schema)))


def find_step(name: object, stage: Stage, *, at: str) -> tuple[type[Step], Schema]:
    """The class of a step and its compiled schema. Raises InvalidDefinition, pointing at `at`."""
    loaded = _steps.find(name)
    if loaded is not None and loaded[0].stage is stage:
        return loaded
    got = _steps.describe(name) if loaded is None else f"'{name}', which is a {loaded[0].stage} step"
    raise InvalidDefinition(
        errors=[FieldError(pointer=at, expected=f"one of the {stage} steps {listed(names(stage))}", got=got)]
    )


def names(stage: Stage) -> list[str]:
    """The names of all steps of a stage, in order."""
    return [name for name in _steps.names() if (step := _steps.find(name)) is not None and step[0].stage is stage]


def forget() -> None:
    """Look again at what is installed: for tests."""
    _steps.forget()
