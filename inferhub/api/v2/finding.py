"""Which version an address means."""

import re

from inferhub.errors import InvalidInput, NotFound
from inferhub.inference.routing import Choice, choose_version
from inferhub.lib.describe import describe, shorten
from inferhub.lib.slug import is_slug
from inferhub.registry.models import CHAMPION, ModelVersion, VersionState
from inferhub.registry.queries import VersionPlan, find_version


def find_plan(model: str, version: str = "", *aliases: object) -> VersionPlan:
    """The version that the path and the request's parameters name; the champion where they name none.

    `aliases` are what was given in different places, None where nothing was. Raises NotFound and InvalidInput.
    """
    alias, number = _asked(model, version, aliases)
    return find_version(model, alias=alias, number=number)


def choose(model: str, version: str, aliases: tuple[object, ...], key: str) -> Choice:
    """The same for an inference: where the alias has a canary, `key` says whether the request is for it."""
    alias, number = _asked(model, version, aliases)
    return choose_version(model=model, alias=alias, number=number, key=key)


def _asked(model: str, version: str, aliases: tuple[object, ...]) -> tuple[str, int | None]:
    if not version and aliases == (None,) * len(aliases) and is_slug(model):
        return CHAMPION, None
    given = {alias for alias in aliases if alias is not None and _is_alias(alias)}
    if len(given) + bool(version) > 1:
        raise InvalidInput("Ask for one version or one alias, not for several of them.")
    if not is_slug(model):
        raise no_model(model)
    return str(given.pop()) if given else CHAMPION, _number(version) if version else None


def versions_of(model: str) -> list[tuple[int, str]]:
    """Number and digest of each version of a model that is ready, first one first. Raises NotFound."""
    ready = ModelVersion.objects.filter(model__name=model, state=VersionState.READY)
    found = ready.order_by("number") if is_slug(model) else ()
    versions = [(version.number, version.digest) for version in found]
    if not versions:
        raise no_model(model)
    return versions


def no_model(name: str) -> NotFound:
    return NotFound(f"There is no registered model '{shorten(name)}'.")


def _is_alias(alias: object) -> bool:
    if isinstance(alias, str) and is_slug(alias):
        return True
    raise InvalidInput(f"The parameter 'alias' must be the name of an alias, such as champion; got {describe(alias)}.")


def _number(version: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", version):
        raise InvalidInput(f"The version in the address must be a whole number from 1, and not '{shorten(version)}'.")
    return int(version)
