"""Which version answers one request, and which one runs beside it."""

from dataclasses import dataclass

from inferhub.registry.models import CHAMPION
from inferhub.registry.queries import Route, VersionPlan, find_route, find_version


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The version of one request; it stays the same for all that the request does. No `route`: a number was asked."""

    plan: VersionPlan
    route: Route | None = None
    key: str = ""

    @property
    def shadow(self) -> VersionPlan | None:
        """What runs beside; not the version that answers already."""
        shadow = self.route.shadow if self.route else None
        return shadow if shadow is not None and shadow.id != self.plan.id else None


def choose_version(*, model: str, alias: str = CHAMPION, number: int | None = None, key: str = "") -> Choice:
    """The version that `alias` or `number` means for the request `key`. Raises NotFound.

    A canary gets its share of the keys, always the same ones; requests without a key are dealt at random.
    """
    if number is not None:
        return Choice(plan=find_version(model, number=number))
    route = find_route(model, alias)
    return Choice(plan=route.pick(key), route=route, key=key)
